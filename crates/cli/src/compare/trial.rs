//! How many steps of a stage fit into a budget of seconds, by making some of them.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use thalweg_run::Sinks;
use thalweg_train::{Pace, Recipe, Session, TrainError, Trial};

use super::stop::Stop;

/// Steps that are not timed: memory is taken and batches are prepared for the first time.
const WARM_UP: u64 = 10;

/// Fewest steps that are timed, unless these take too long.
const FEWEST: u64 = 5;

/// Steps of the training that is broken off, so many that it never ends by itself.
const ENDLESS: u64 = 1_000_000_000;

/// Trains for a while in `folder`, which is removed again. What comes before the first step counts, and again for
/// each new pool of pairs; a look at held-out points counts where the stage takes such looks and one fits into a
/// tenth of the budget. Nothing if it was asked to stop.
///
/// # Errors
/// Those of a training, and a budget that is shorter than one step.
pub fn time(
    recipe: &Recipe,
    (base, folder): (&Path, &Path),
    seconds: f64,
    stop: &Stop,
) -> Result<Option<Trial>, TrainError> {
    remove(folder)?;
    let moves = time_of_moves(recipe, (base, folder), stop)?;
    let mut recipe = recipe.clone();
    recipe.train.steps = ENDLESS;
    recipe.train.checkpoint_every = ENDLESS;
    let (name, steps_of_pool) = (recipe.name.clone(), recipe.steps_of_pool());
    let validate_every = recipe.train.validate_every;
    let mut session = Session::begin(recipe, base, folder)?;
    let window = (0.05 * seconds).clamp(0.2, 5.0);
    let began = Instant::now();
    let mut preparations = 0.0;
    let mut start: Option<(Instant, u64)> = None;
    let mut timed: Option<(f64, u64)> = None;
    session.train(&mut Sinks::new(), |progress| {
        if stop.is_asked() {
            return ControlFlow::Break(());
        }
        if progress.step == 1 {
            preparations = began.elapsed().as_secs_f64();
        }
        let Some((since, first)) = start else {
            if progress.step >= WARM_UP || began.elapsed().as_secs_f64() > window {
                start = Some((Instant::now(), progress.step));
            }
            return ControlFlow::Continue(());
        };
        let (elapsed, steps) = (since.elapsed().as_secs_f64(), progress.step - first);
        timed = Some((elapsed, steps));
        let is_enough =
            steps >= FEWEST && elapsed >= window && (steps >= validate_every || elapsed >= 0.1 * seconds);
        if is_enough || elapsed >= 0.25 * seconds {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    drop(session);
    remove(folder)?;
    if stop.is_asked() {
        return Ok(None);
    }
    let Some((elapsed, steps)) = timed.filter(|(elapsed, _)| *elapsed > 0.0) else {
        return Err(TrainError::Request(format!("the trial of {name} ended before a step could be timed")));
    };
    let seconds_per_step = elapsed / steps as f64;
    let preparations = preparations + moves;
    let pace = Pace { start: preparations, step: seconds_per_step, steps_of_pool };
    let planned = pace.steps_within(seconds);
    if planned == 0 {
        return Err(TrainError::Request(format!(
            "{seconds:.3e} s are shorter than one step of {name}, which takes {preparations:.3e} s of preparations \
             and {seconds_per_step:.3e} s: raise `budget.seconds`"
        )));
    }
    Ok(Some(Trial { start: preparations, timed: steps, seconds_per_step, steps: planned }))
}

/// What a local chain takes for moving its data from block to block: the time of the shortest chain that there is. Other
/// trainings move no data.
fn time_of_moves(recipe: &Recipe, (base, folder): (&Path, &Path), stop: &Stop) -> Result<f64, TrainError> {
    if recipe.local.is_none() {
        return Ok(0.0);
    }
    let mut recipe = recipe.clone();
    recipe.train.steps = recipe.parts() as u64;
    let mut session = Session::begin(recipe, base, folder)?;
    let began = Instant::now();
    session.train(&mut Sinks::new(), |_| {
        if stop.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let seconds = began.elapsed().as_secs_f64();
    drop(session);
    remove(folder)?;
    Ok(seconds)
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| TrainError::File {
        path: folder.to_path_buf(),
        action: "remove",
        reason: error.to_string(),
    })
}
