//! Beginning a run, and going on with one.

use std::ops::ControlFlow;
use std::path::Path;

use thalweg_data::Dataset;
use thalweg_nets::Mlp;
use thalweg_run::{Document, EventLog, RunDir, RunLock, Sinks, TensorBoard, to_toml};

use crate::base;
use crate::chain;
use crate::error::TrainError;
use crate::guard;
use crate::objective::ObjectiveConfig;
use crate::recipe::Recipe;
use crate::state::TrainState;
use crate::summary::DataSummary;
use crate::trained::TrainedFlow;
use crate::trainer::{Ending, Progress, Training};

/// A run that is being trained: the claim on its folder, and all that the training needs.
#[derive(Debug)]
pub struct Session {
    /// The recipe.
    pub recipe: Recipe,
    /// The data.
    pub dataset: Dataset,
    /// What the run remembers of them.
    pub summary: DataSummary,
    /// The folder.
    pub run: RunDir,
    /// Where the training stands.
    pub state: TrainState,
    /// The network that the run started from, if from any.
    base: Option<Mlp>,
    /// What the user should know of before it goes on.
    pub warnings: Vec<String>,
    /// Held for as long as the session lives, so that no second process writes the folder.
    _lock: RunLock,
}

impl Session {
    /// Begins a run of `recipe` in the folder `out`. Paths in the recipe are relative to `base`.
    ///
    /// # Errors
    /// When the data cannot be used, or the folder is taken or cannot be written. Nothing is left behind unless the
    /// folder could be claimed.
    pub fn begin(mut recipe: Recipe, base: &Path, out: &Path) -> Result<Self, TrainError> {
        let (dataset, summary) = ready(&recipe, base)?;
        let mut warnings = constant_columns(&dataset);
        warnings.extend(recipe.local.iter().flat_map(|local| local.warnings(dataset.training_rows())));
        if recipe.is_distilled() {
            // Looked at before anything is written; what students need of it is made when the training begins.
            let (teacher, of_teacher) = chain::teacher(&recipe, &summary)?;
            warnings.extend(of_teacher);
            if let ObjectiveConfig::Distillation(config) = &mut recipe.flow.objective {
                config.teacher = Some(chain::fingerprint(&teacher));
            }
        }
        let start = recipe.from.as_ref().filter(|_| !recipe.is_distilled());
        let start =
            start.map(|from| base::load(from, &recipe, &summary)).transpose()?.map(|(flow, of_flow)| {
                warnings.extend(of_flow);
                flow
            });
        let run = RunDir::create(out)?;
        let lock = run.lock()?;
        summary.write(&run)?;
        if let Some(start) = &start {
            base::save(&run, start)?;
        }
        // Last, because a run is begun once it has a recipe: without one the folder can be begun in again.
        run.write_config(&to_toml(&recipe))?;
        let base = start.map(|flow| flow.network().clone());
        let state = TrainState::new(&recipe, &summary, base.as_ref());
        Ok(Self { recipe, dataset, summary, run, state, base, warnings, _lock: lock })
    }

    /// Goes on with the run in the folder `out` from its newest good checkpoint, or from the start where it has none.
    ///
    /// # Errors
    /// When the folder is no run, is being written by another process, or does not fit its data any more.
    pub fn resume(out: &Path) -> Result<Self, TrainError> {
        let run = RunDir::open(out)?;
        let lock = run.lock()?;
        if !run.is_begun() {
            let message = format!(
                "the run in {} was interrupted before it began, so there is nothing to go on with: train it again, without \
                 --resume",
                out.display()
            );
            return Err(TrainError::Request(message));
        }
        run.clear_remains()?;
        let recipe = Recipe::read(&Document::open(&run.config_path(), &[])?)?;
        let remembered = DataSummary::read(&run)?;
        let dataset = Dataset::load(&recipe.data, recipe.seed, &remembered.base)?;
        let summary = DataSummary::of(&recipe, &dataset, &remembered.base)?;
        if summary.fingerprint != remembered.fingerprint {
            let (found, expected) = (summary.fingerprint, remembered.fingerprint);
            return Err(TrainError::DataChanged { found, expected });
        }
        let base = base::restore(&run, &recipe, &summary)?;
        let latest = run.latest_checkpoint()?;
        let mut warnings: Vec<String> = latest
            .skipped
            .iter()
            .map(|skipped| format!("skipped a checkpoint: {}", skipped.reason))
            .collect();
        warnings.extend(constant_columns(&dataset));
        let state = match latest.found {
            Some((_, checkpoint)) => TrainState::from_checkpoint(&recipe, &summary, &checkpoint)?,
            None => TrainState::new(&recipe, &summary, base.as_ref()),
        };
        Ok(Self { recipe, dataset, summary, run, state, base, warnings, _lock: lock })
    }

    /// Trains to the recipe's last step, or until `observe` breaks, telling `sinks` what happens.
    ///
    /// [`Session::state`] is that of the last step made, whatever the ending; after an error it is the one before the
    /// step that failed.
    ///
    /// # Errors
    /// Divergence, with its step and cause; data or disk that fail on the way. Checkpoints already written are intact.
    pub fn train(
        &mut self,
        sinks: &mut Sinks,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Ending, TrainError> {
        let Self { recipe, dataset, summary, run, state, base, .. } = self;
        Training { recipe, dataset, summary, run, base: base.as_ref() }.run(state, sinks, observe)
    }

    /// Whether nothing is left to be trained.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state.step >= self.recipe.train.steps || self.state.watch.ended
    }

    /// What the guard of a fine-tuning has to say in the end.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        let ObjectiveConfig::Reconstruction(config) = &self.recipe.flow.objective else { return None };
        let held_out = guard::has_held_out(&self.dataset);
        self.state.watch.verdict(&config.guard, self.state.step, held_out)
    }

    /// The flow as it is now: the averaged weights.
    #[must_use]
    pub fn flow(&self) -> TrainedFlow {
        TrainedFlow::of(&self.recipe, &self.summary, &self.state, self.base.clone())
    }

    /// The logs of this run: `events.jsonl` and TensorBoard's file, cut back to where the training stands.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn sinks(&self) -> Result<Sinks, TrainError> {
        let mut sinks = Sinks::new();
        let step = self.state.step;
        let (events, folder) = (self.run.events_path(), self.run.path());
        if step == 0 {
            sinks.add("events.jsonl", EventLog::create(&events)?);
            sinks.add("TensorBoard", TensorBoard::create(folder)?);
        } else {
            sinks.add("events.jsonl", EventLog::resume(&events, step)?);
            sinks.add("TensorBoard", TensorBoard::resume(folder, step)?);
        }
        Ok(sinks)
    }
}

/// The data of a recipe, once it is certain that it can be trained on them as far as this is known without a training.
///
/// # Errors
/// When the data cannot be used, or the network, the batch or the second stage does not suit them.
pub fn ready(recipe: &Recipe, base: &Path) -> Result<(Dataset, DataSummary), TrainError> {
    let dataset = Dataset::load(&recipe.data, recipe.seed, base)?;
    check_batch(recipe, dataset.dim())?;
    // Asked for before anything is written, so that too small a table is not found out in a half-made run.
    dataset.batch(recipe.train.batch, recipe.seed, 0)?;
    dataset.source_batch(recipe.train.batch, recipe.seed, 0)?;
    let summary = DataSummary::of(recipe, &dataset, base)?;
    recipe.model.validate_for(summary.dim, summary.condition)?;
    if let Some(stage) = &recipe.residual {
        stage.head.validate_for(summary.dim)?;
    }
    check_size(recipe, &summary)?;
    if let ObjectiveConfig::Reconstruction(config) = &recipe.flow.objective {
        config.covariance.validate(Some(summary.dim))?;
        let (_, wanted) = config.pairing(recipe.train.batch);
        if let Some(rows) = dataset.training_rows().filter(|rows| *rows < wanted) {
            let message = format!(
                "{wanted} points are to be paired at once, but there are {rows} rows for training: lower \
                 `flow.objective.pairing_batch`"
            );
            return Err(TrainError::Request(message));
        }
    }
    check_kept(recipe, &dataset, summary.dim)?;
    Ok((dataset, summary))
}

/// Refuses points and states that could not be kept in memory, before they are made.
fn check_kept(recipe: &Recipe, dataset: &Dataset, dim: usize) -> Result<(), TrainError> {
    let (key, rows, each) = match (&recipe.local, &recipe.flow.objective) {
        (Some(local), _) => {
            let rows =
                local.points.map(|points| dataset.training_rows().map_or(points, |rows| rows.min(points)));
            ("local.points", rows.unwrap_or(0), if recipe.shares_weights() { local.blocks } else { 1 })
        }
        (None, ObjectiveConfig::Distillation(config)) => {
            ("flow.objective.pairs", config.pairs, config.students + 1)
        }
        _ => return Ok(()),
    };
    let most = MOST_KEPT / dim.saturating_mul(each).max(1);
    if rows > most {
        let message = format!("`{key}`: {rows} points do not fit into memory: take at most {most}");
        return Err(TrainError::Request(message));
    }
    Ok(())
}

/// Most numbers that are kept between the networks of a chain: 2 GiB of them.
const MOST_KEPT: usize = 1 << 28;

/// Refuses networks that could not be kept in memory, before they are tried.
fn check_size(recipe: &Recipe, summary: &DataSummary) -> Result<(), TrainError> {
    let networks = if recipe.shares_weights() { 1 } else { recipe.parts() };
    let told = recipe.told_spec(summary.condition);
    let parameters: f64 =
        (1..=networks).map(|number| recipe.model_of(number).parameters(summary.dim, told)).sum();
    if parameters > MOST_PARAMETERS {
        let of_what = match networks {
            1 => "a network of this size has".to_string(),
            several => format!("{several} networks of this size have"),
        };
        let message = format!(
            "`model`: {of_what} about {parameters:.1e} parameters, more than fit into memory with their moments: take \
             smaller widths, fewer features or fewer networks"
        );
        return Err(TrainError::Request(message));
    }
    Ok(())
}

/// Parameters beyond which weights, average, gradients and moments take more than 20 GB.
const MOST_PARAMETERS: f64 = 1e9;

/// Refuses a batch that could not be kept in memory, before it is drawn.
fn check_batch(recipe: &Recipe, dim: usize) -> Result<(), TrainError> {
    let widest = (1..=recipe.parts()).map(|number| recipe.model_of(number).width).fold(dim, usize::max);
    let most = MOST_KEPT / widest;
    if recipe.train.batch > most {
        let message = format!(
            "`train.batch`: {} points do not fit into memory beside what the network makes of them: take at most {most}",
            recipe.train.batch
        );
        return Err(TrainError::Request(message));
    }
    Ok(())
}

fn constant_columns(dataset: &Dataset) -> Vec<String> {
    let columns = &dataset.normaliser().constant_columns;
    if columns.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "columns {columns:?} do not vary, so the data have no density over them: likelihoods will grow without bound"
    )]
}
