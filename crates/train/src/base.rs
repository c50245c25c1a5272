//! Runs that start from another run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg_nets::Mlp;
use thalweg_run::{Checkpoint, Document, RunDir};
use thalweg_solve::Placement;

use crate::error::TrainError;
use crate::objective::ObjectiveConfig;
use crate::parameters;
use crate::recipe::Recipe;
use crate::state::{self, flow_architecture};
use crate::summary::DataSummary;
use crate::trained::TrainedFlow;

/// The run to start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromConfig {
    /// Its folder, relative to where the program is started.
    pub run: PathBuf,
}

/// What a recipe takes over from the run it starts from, unless it says otherwise itself.
pub const INHERITED: &[&[&str]] = &[
    &["seed"],
    &["data"],
    &["model"],
    &["flow", "path"],
    &["flow", "prediction"],
    &["flow", "precondition"],
    &["evaluate"],
];

/// A recipe, and where the relative paths in it start from.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRecipe {
    /// The recipe, complete.
    pub recipe: Recipe,
    /// The folder that its data are relative to, where it took them over.
    pub base: Option<PathBuf>,
}

/// Reads a recipe. One with `[from]` is completed by the data, the network, the path and the evaluation of that run.
///
/// # Errors
/// Those of [`Recipe::read`], and when there is no such run.
pub fn read_recipe(document: Document) -> Result<ReadRecipe, TrainError> {
    let Some(run) = document.text_at(&["from", "run"]) else {
        return Ok(ReadRecipe { recipe: Recipe::read(&document)?, base: None });
    };
    let run = open(Path::new(&run))?;
    let config = Document::open(&run.config_path(), &[])?;
    // Paths that are taken over start from where they were written.
    let base = if document.has(&["data", "target"]) { None } else { Some(DataSummary::read(&run)?.base) };
    let recipe = Recipe::read(&document.completed_by(&config, INHERITED))?;
    Ok(ReadRecipe { recipe, base })
}

fn open(path: &Path) -> Result<RunDir, TrainError> {
    RunDir::open(path).map_err(|error| {
        let message = format!(
            "the run to start from cannot be used: {error}; train it first, or name another with `from.run`"
        );
        TrainError::Request(message)
    })
}

/// The network of the run that a recipe starts from.
///
/// # Errors
/// When there is no such run, it has no checkpoint, or it is of another network or other data.
pub fn load(from: &FromConfig, recipe: &Recipe, summary: &DataSummary) -> Result<TrainedFlow, TrainError> {
    let (flow, _) = TrainedFlow::open(&open(&from.run)?)?;
    check(&from.run, (&flow.recipe, &flow.summary), (recipe, summary))?;
    Ok(flow)
}

/// Whether a run of the first recipe and data, called `run`, can be gone on with by the second.
///
/// # Errors
/// When it is of another network or other data.
pub fn check(
    run: &Path,
    (before, before_summary): (&Recipe, &DataSummary),
    (recipe, summary): (&Recipe, &DataSummary),
) -> Result<(), TrainError> {
    if before.residual.is_some() {
        let message = format!(
            "{} has a second stage, and nothing goes on after one: start from the run that it started from",
            run.display()
        );
        return Err(TrainError::Request(message));
    }
    let [ours, theirs] = [flow_architecture(recipe, summary), flow_architecture(before, before_summary)];
    if ours != theirs {
        let message = format!(
            "the network of {} is another one ({theirs}, not {ours}): leave `[model]` and `[data]` out to take them over",
            run.display()
        );
        return Err(TrainError::Request(message));
    }
    let read = |recipe: &Recipe| (recipe.flow.prediction, recipe.flow.precondition);
    if read(before) != read(recipe) {
        let message = format!(
            "the network of {} means something else: leave `flow.prediction` and `flow.precondition` out to take them \
             over",
            run.display()
        );
        return Err(TrainError::Request(message));
    }
    let is_reflow = matches!(recipe.flow.objective, ObjectiveConfig::Reflow(_));
    if is_reflow && before.flow.path != recipe.flow.path {
        let message = format!(
            "{} has another path, along which its pairs are made: leave `flow.path` out to take it over",
            run.display()
        );
        return Err(TrainError::Request(message));
    }
    let units = |summary: &DataSummary| (summary.normaliser.clone(), summary.condition_normaliser.clone());
    if before_summary.fingerprint != summary.fingerprint || units(before_summary) != units(summary) {
        let message = format!(
            "{} was trained on other data or in other units: leave `[data]` and `seed` out to take them over",
            run.display()
        );
        return Err(TrainError::Request(message));
    }
    Ok(())
}

/// Keeps the network that a run starts from in its folder, so that it needs the other run no more.
///
/// # Errors
/// What the file system answers.
pub fn save(run: &RunDir, flow: &TrainedFlow) -> Result<(), TrainError> {
    run.save_base(&state::weights_only(&flow.recipe, &flow.summary, flow.step, flow.network()))?;
    Ok(())
}

/// The network that a run started from; none for a run that started from nothing.
///
/// # Errors
/// When it is missing or damaged.
pub fn restore(run: &RunDir, recipe: &Recipe, summary: &DataSummary) -> Result<Option<Mlp>, TrainError> {
    if recipe.from.is_none() {
        return Ok(None);
    }
    let Checkpoint { average, state, .. } = run.read_base()?;
    state.require_architecture(&flow_architecture(recipe, summary))?;
    let mut noise = thalweg_noise::Noise::new(0);
    let empty = recipe.model.init(summary.dim, summary.condition, &mut noise, &Placement::cpu());
    Ok(Some(parameters::load(empty, &average)?))
}
