//! Runs that start from another run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg_nets::Mlp;
use thalweg_run::{Checkpoint, Document, Invalid, RecipeError, RunDir};
use thalweg_solve::Placement;

use crate::chain::DistillationConfig;
use crate::error::TrainError;
use crate::objective::ObjectiveConfig;
use crate::parameters;
use crate::recipe::Recipe;
use crate::sampler::SamplerConfig;
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
const INHERITED: &[&[&str]] = &[
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
    let completed = document.clone().completed_by(&config, inherited_by(&document));
    let recipe = read_completed(&document, &completed, &Recipe::read(&config)?)?;
    Ok(ReadRecipe { recipe, base })
}

/// What a recipe takes over from the one it starts from.
pub fn inherited_by(document: &Document) -> &'static [&'static [&'static str]] {
    let kind = document.text_at(&["flow", "objective", "kind"]);
    if kind.is_some_and(|kind| kind == "distillation") { OF_STUDENTS } else { INHERITED }
}

/// Reads a recipe that starts from `before`: `own` is what it says itself, `completed` that with what it takes over.
///
/// # Errors
/// Those of [`Recipe::read`].
pub fn read_completed(own: &Document, completed: &Document, before: &Recipe) -> Result<Recipe, RecipeError> {
    let mut recipe: Recipe = completed.read()?;
    if let ObjectiveConfig::Distillation(students) = &mut recipe.flow.objective {
        let networks = before.parts();
        if students.networks.is_some_and(|said| said != networks) {
            let message = format!(
                "what is distilled has {networks} networks one after the other: leave this out to take their number over"
            );
            return Err(completed.explain(&Invalid::new("flow.objective.networks", message)));
        }
        students.networks = Some(networks);
        let says = |key: &str| own.has(&["evaluate", key]);
        if !says("solver") {
            recipe.evaluate.solver = DistillationConfig::step();
        }
        if !says("sampler") {
            recipe.evaluate.sampler = SamplerConfig::default();
        }
        if !says("likelihood_points") {
            recipe.evaluate.likelihood_points = 0;
        }
        // They are taught the ways of guided samples, where samples are.
        if !says("guidance") {
            recipe.evaluate.guidance = 1.0;
        }
        if !own.has(&["model", "condition_dropout"]) {
            recipe.model.condition_dropout = 0.0;
        }
    }
    recipe.validate().map_err(|invalid| completed.explain(&invalid))?;
    Ok(recipe)
}

/// What students take over, who neither follow a path nor mean by their outputs what others do.
const OF_STUDENTS: &[&[&str]] = &[&["seed"], &["data"], &["model"], &["evaluate"]];

fn open(path: &Path) -> Result<RunDir, TrainError> {
    RunDir::open(path).map_err(|error| {
        let message = format!(
            "the run to start from cannot be used: {error}; train it first, or name another with `from.run`"
        );
        TrainError::Request(message)
    })
}

/// The flow or chain of a run, which must know the same data in the same units and have no second stage; with what is to be
/// known of it, as that its newest checkpoint is damaged.
///
/// # Errors
/// When there is no such run, it has no checkpoint, or one of these does not hold.
pub fn of_run(from: &FromConfig, summary: &DataSummary) -> Result<(TrainedFlow, Vec<String>), TrainError> {
    let (flow, warnings) = TrainedFlow::open(&open(&from.run)?)?;
    same_data(&from.run, (&flow.recipe, &flow.summary), summary)?;
    let of_run = |warning| format!("{}: {warning}", from.run.display());
    Ok((flow, warnings.into_iter().map(of_run).collect()))
}

/// Whether a run of this recipe and data, called `run`, knows the same data and can be gone on with at all.
fn same_data(
    run: &Path,
    (before, before_summary): (&Recipe, &DataSummary),
    summary: &DataSummary,
) -> Result<(), TrainError> {
    if before.residual.is_some() {
        let message = format!(
            "{} has a second stage, and nothing goes on after one: start from the run that it started from",
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

/// The network of the run that a recipe starts from, with what is to be known of it.
///
/// # Errors
/// When there is no such run, it has no checkpoint, or it is of another network or other data.
pub fn load(
    from: &FromConfig,
    recipe: &Recipe,
    summary: &DataSummary,
) -> Result<(TrainedFlow, Vec<String>), TrainError> {
    let (flow, warnings) = of_run(from, summary)?;
    check(&from.run, (&flow.recipe, &flow.summary), (recipe, summary))?;
    Ok((flow, warnings))
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
    same_data(run, (before, before_summary), summary)?;
    if recipe.is_distilled() {
        return Ok(());
    }
    if before.is_chain() {
        let message = format!(
            "{} is a chain of networks, which can be distilled but not gone on with: use `flow.objective = {{ kind = \
             \"distillation\" }}`, or start from a run of one flow",
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
    if recipe.from.is_none() || recipe.is_distilled() {
        return Ok(None);
    }
    let Checkpoint { average, state, .. } = run.read_base()?;
    state.require_architecture(&flow_architecture(recipe, summary))?;
    let mut noise = thalweg_noise::Noise::new(0);
    let empty = recipe.model.init(summary.dim, summary.condition, &mut noise, &Placement::cpu());
    Ok(Some(parameters::load(empty, &average)?))
}
