//! `thalweg train`: from a recipe to scores and a report.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use thalweg_data::DataError;
use thalweg_run::{Override, Sinks};
use thalweg_train::{Ending, EvaluateOptions, ReadRecipe, Recipe, Session, TrainError, read_recipe};

use crate::args::Train;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::print::{print_error, print_json, print_line};
use crate::progress::ProgressDisplay;
use crate::scores;
use crate::{evaluate, recipes};

/// The recipe that is trained when none is named.
const DEFAULT: &str = "two-moons";

/// Trains, evaluates, reports.
pub fn run(arguments: &Train, json: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let mut session = begin(arguments)?;
    for warning in &session.warnings {
        print_error(&format!("warning: {warning}"));
    }
    let mut sinks = session.sinks()?;
    let ending = train(&mut session, &mut sinks, json)?;
    let folder = session.run.path().to_path_buf();
    if ending == Ending::Stopped {
        let step = session.state.step;
        let message = format!(
            "stopped after step {step}, which is saved; go on with `thalweg train --resume --out {}`",
            folder.display()
        );
        return Err(Failure::work(message));
    }
    let flow = session.flow();
    print_error("scoring ...");
    let outcome = evaluate::score_and_report(
        &flow,
        &session.dataset,
        &session.run,
        &EvaluateOptions::default(),
        &mut sinks,
    )?;
    evaluate::tell_sink_failures(&mut sinks);
    let seconds = started.elapsed().as_secs_f64();
    if json {
        let mut document = outcome.document(&session.run);
        document["seconds"] = seconds.into();
        document["steps"] = session.state.step.into();
        document["verdict"] = session.verdict().into();
        print_json(&document)?;
        return Ok(());
    }
    print_line(&scores::table(&outcome.evaluation))?;
    print_line(&format!("run     {}", folder.display()))?;
    if let Some(report) = &outcome.report {
        print_line(&format!("report  {}", report.display()))?;
    }
    print_line(&format!("time    {seconds:.1} s"))?;
    Ok(())
}

fn begin(arguments: &Train) -> Result<Session, Failure> {
    let overrides: Vec<Override> = arguments.set.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    if arguments.resume {
        if !overrides.is_empty() {
            let message =
                "a run is resumed with the recipe it was begun with: leave out --set, or train a new run";
            return Err(Failure::request(message));
        }
        return resume(arguments);
    }
    let found = recipes::find(arguments.recipe.as_deref().unwrap_or(DEFAULT), &overrides)?;
    let ReadRecipe { recipe, base } = read_recipe(found.document)?;
    let base = base.unwrap_or(found.base);
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&recipe.name));
    Session::begin(recipe, &base, &out).map_err(|error| {
        if found.is_embedded && is_missing_file(&error) {
            return Failure::request(format!("{error}; name it with --set data.target.path=FILE"));
        }
        error.into()
    })
}

fn resume(arguments: &Train) -> Result<Session, Failure> {
    let typed = arguments.recipe.as_deref().map(name_of).transpose()?;
    let out = match (&arguments.out, &typed) {
        (Some(out), _) => out.clone(),
        (None, Some(name)) => default_out(name),
        (None, None) => default_out(DEFAULT),
    };
    let session = Session::resume(&out)?;
    let of_run = &session.recipe.name;
    if let Some(typed) = typed.filter(|typed| typed != of_run) {
        let message = format!(
            "the run in {} was begun with the recipe `{of_run}`, not `{typed}`: leave the recipe out to go on with it, or \
             train a new run with another --out",
            out.display(),
        );
        return Err(Failure::request(message));
    }
    Ok(session)
}

/// The name that a recipe gives itself. What it starts from is not needed for that, and may be gone.
fn name_of(recipe: &str) -> Result<String, Failure> {
    let document = recipes::find(recipe, &[])?.document;
    match document.text_at(&["name"]) {
        Some(name) => Ok(name),
        // Says what is wrong with it.
        None => Ok(Recipe::read(&document)?.name),
    }
}

fn is_missing_file(error: &TrainError) -> bool {
    matches!(error, TrainError::Data(DataError::Io { source, .. }) if source.kind() == ErrorKind::NotFound)
}

fn default_out(name: &str) -> PathBuf {
    Path::new("runs").join(name)
}

fn train(session: &mut Session, sinks: &mut Sinks, json: bool) -> Result<Ending, Failure> {
    let interrupt = Interrupt::watch(session.run.path(), json)?;
    let (step, steps) = (session.state.step, session.recipe.train.steps);
    if !session.is_finished() {
        let (name, folder) = (&session.recipe.name, session.run.path().display());
        print_error(&format!("training {name} for {} steps in {folder}", steps - step));
        let mut display = ProgressDisplay::new(steps, step);
        let ending = session.train(sinks, |progress| {
            display.step(progress);
            if interrupt.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        display.finish();
        if ending? == Ending::Stopped {
            return Ok(Ending::Stopped);
        }
    }
    if let Some(verdict) = session.verdict() {
        print_error(&verdict);
    }
    interrupt.training_is_saved()?;
    Ok(Ending::Finished)
}
