//! States that a trained flow goes through on its way from noise to data, which students learn to jump between
//! (FORMULAS §7.4).
//!
//! All states of a way come from the same noise, so the students' jumps fit together. They are made once and kept in the
//! run folder with the weights that students start from, so a resumed training needs the taught flow no more.

use thalweg_data::{Batch, Condition, Dataset};
use thalweg_files::Fingerprint;
use thalweg_flow::Interval;
use thalweg_nets::Mlp;
use thalweg_noise::Noise;
use thalweg_run::{Checkpoint, CheckpointState, HostTensor, RunDir, Tensors, Values};
use thalweg_solve::{Placement, to_host};

use super::{DistillationConfig, Part, Role};
use crate::base;
use crate::error::TrainError;
use crate::objective::VALIDATION_POINTS;
use crate::parameters;
use crate::prepare::{PreparedStep, gather, single};
use crate::recipe::Recipe;
use crate::summary::DataSummary;
use crate::trained::TrainedFlow;

/// The flow or chain that a recipe distils, with what is to be known of it.
///
/// # Errors
/// When there is no such run, it is not what the recipe was written for, or its data are others.
pub(crate) fn teacher(
    recipe: &Recipe,
    summary: &DataSummary,
) -> Result<(TrainedFlow, Vec<String>), TrainError> {
    let Some(from) = &recipe.from else {
        return Err(TrainError::Request("there is no trained flow to be distilled".to_string()));
    };
    let (flow, warnings) = base::of_run(from, summary)?;
    let known = match &recipe.flow.objective {
        crate::ObjectiveConfig::Distillation(config) => config.teacher.as_ref(),
        _ => None,
    };
    if known.is_some_and(|known| *known != fingerprint(&flow)) {
        let message = format!(
            "{} has other weights than when this distillation was begun: begin another one",
            from.run.display()
        );
        return Err(TrainError::Request(message));
    }
    Ok((flow, warnings))
}

/// Changes with the weights of what is distilled.
pub(crate) fn fingerprint(flow: &TrainedFlow) -> String {
    let mut fingerprint = Fingerprint::default();
    for (name, values) in parameters::by_name(flow.stages()) {
        fingerprint.bytes(name.as_bytes());
        fingerprint.numbers(&to_host(&values));
    }
    fingerprint.text()
}

/// The states of many ways, and what students start from.
#[derive(Debug)]
pub(crate) struct StoredStates {
    /// From noise to data; of each the rows of the ways, those for validation last.
    states: Vec<Vec<f32>>,
    condition: Condition,
    dim: usize,
    /// Ways that are learned from.
    training: usize,
    /// The weights that each student starts from, from the data, where there are any.
    starts: Tensors,
}

impl StoredStates {
    /// What the run has kept, or else made from what is distilled and kept; and what the user should know.
    ///
    /// # Errors
    /// When nothing usable was kept and what is distilled cannot be used, a solve fails, or the disk does.
    pub fn open_or_make(
        recipe: &Recipe,
        config: &DistillationConfig,
        dataset: &Dataset,
        summary: &DataSummary,
        run: &RunDir,
    ) -> Result<(Self, Option<String>), TrainError> {
        let mut stored = Self {
            states: Vec::new(),
            condition: conditions(recipe, config, dataset)?,
            dim: summary.dim,
            training: config.pairs,
            starts: Tensors::new(),
        };
        let warning = match run.read_made() {
            Ok(Some(made)) if stored.load(&made, recipe, config, summary) => return Ok((stored, None)),
            Ok(Some(_)) => {
                Some("the states that were kept are of another recipe: they are made again".to_string())
            }
            Ok(None) => None,
            Err(error) => Some(format!("the states that were kept are made again: {error}")),
        };
        let (teacher, _) = teacher(recipe, summary).map_err(|error| match &warning {
            Some(warning) => TrainError::Request(format!("{warning}; but {error}")),
            None => error,
        })?;
        stored.make(recipe, config, &teacher)?;
        run.save_made(&stored.to_checkpoint(recipe, config, summary))?;
        Ok((stored, warning))
    }

    /// Follows noise through what is distilled.
    fn make(
        &mut self,
        recipe: &Recipe,
        config: &DistillationConfig,
        teacher: &TrainedFlow,
    ) -> Result<(), TrainError> {
        let deviation = teacher.recipe.flow.path.source_deviation();
        let source = teacher.source(self.training + VALIDATION_POINTS, recipe.seed ^ STATES)?;
        let states = teacher.states(&source, &self.condition, &config.solver, config.students)?;
        self.states = states.iter().map(|state| single(state)).collect();
        // Students start from the standard normal.
        if let Some(noise) = self.states.first_mut() {
            noise.iter_mut().for_each(|x| *x /= deviation as f32);
        }
        if config.warm_start && deviation == 1.0 {
            for number in 1..=config.students {
                if let Some(network) = teacher.start_of_student(recipe, config, number) {
                    parameters::for_each(network, |name, shape, value| {
                        self.starts
                            .insert(format!("{number}.{name}"), parameters::host_tensor(&value, shape));
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes over what was kept, if it is of this recipe.
    fn load(
        &mut self,
        made: &Checkpoint,
        recipe: &Recipe,
        config: &DistillationConfig,
        summary: &DataSummary,
    ) -> bool {
        let values = |index: usize| match made.model.get(&format!("state.{index}"))?.values() {
            Values::F32(values) => Some(values.clone()),
            Values::F64(_) => None,
        };
        let states: Option<Vec<Vec<f32>>> = (0..=config.students).map(values).collect();
        let size = (self.training + VALIDATION_POINTS) * self.dim;
        let Some(states) = states.filter(|states| states.iter().all(|state| state.len() == size)) else {
            return false;
        };
        let CheckpointState { architecture, seed, data_fingerprint, .. } = &made.state;
        let is_ours = *architecture == identity(config)
            && *seed == recipe.seed
            && *data_fingerprint == summary.fingerprint;
        if !is_ours {
            return false;
        }
        (self.states, self.starts) = (states, made.average.clone());
        true
    }

    fn to_checkpoint(
        &self,
        recipe: &Recipe,
        config: &DistillationConfig,
        summary: &DataSummary,
    ) -> Checkpoint {
        let mut model = Tensors::new();
        for (index, state) in self.states.iter().enumerate() {
            model.insert(
                format!("state.{index}"),
                HostTensor::new([state.len() / self.dim, self.dim], state.clone()),
            );
        }
        let state = CheckpointState::new(0, recipe.seed, summary.fingerprint.clone(), identity(config));
        Checkpoint { model, average: self.starts.clone(), optimizer: Tensors::new(), state }
    }

    /// The weights that a student starts from, where those of what it replaces fit.
    pub fn start(&self, recipe: &Recipe, summary: &DataSummary, number: usize) -> Option<Mlp> {
        let prefix = format!("{number}.");
        let mut own = Tensors::new();
        for (name, tensor) in self.starts.iter() {
            if let Some(name) = name.strip_prefix(&prefix) {
                own.insert(name, tensor.clone());
            }
        }
        let mut noise = Noise::new(0);
        let empty =
            recipe.model_of(number).init(summary.dim, summary.condition, &mut noise, &Placement::cpu());
        if own.is_empty() { None } else { parameters::load(empty, &own).ok() }
    }

    /// Jumps for a student to learn from at a step.
    pub fn step(&self, recipe: &Recipe, part: &Part, step: u64) -> PreparedStep {
        let mut noise = Noise::at(recipe.seed, "distilled-pairs", step);
        let rows: Vec<usize> = (0..recipe.train.batch).map(|_| noise.below(self.training)).collect();
        self.jumps(part, &rows)
    }

    /// Jumps that no student learns from, the same at every call.
    pub fn validation(&self, part: &Part) -> PreparedStep {
        let rows: Vec<usize> = (self.training..self.training + VALIDATION_POINTS).collect();
        self.jumps(part, &rows)
    }

    fn jumps(&self, part: &Part, rows: &[usize]) -> PreparedStep {
        let last = self.states.len() - 1;
        let (before, after, start) = match part.role {
            Role::Student(Interval { start, .. }) => (last - part.number, last - part.number + 1, start),
            _ => (0, last, 0.0),
        };
        PreparedStep {
            pairs: rows.len(),
            dim: self.dim,
            source: gather(&self.states[before], self.dim, rows),
            target: gather(&self.states[after], self.dim, rows),
            condition: self.condition.select(rows),
            times: vec![start; rows.len()],
        }
    }
}

/// Conditions of all ways as in the data, again and again where a table has fewer rows.
fn conditions(
    recipe: &Recipe,
    config: &DistillationConfig,
    dataset: &Dataset,
) -> Result<Condition, TrainError> {
    let rows = config.pairs + VALIDATION_POINTS;
    let available = dataset.training_rows().map_or(rows, |most| rows.min(most));
    let Batch { condition, .. } = dataset.batch(available, recipe.seed ^ STATES, 0)?;
    Ok(condition.select(&(0..rows).map(|row| row % available).collect::<Vec<usize>>()))
}

/// Changes with all that the states depend on beside seed and data; the weights that are taught are part of it.
fn identity(config: &DistillationConfig) -> String {
    format!("states of a distillation, {}", serde_json::to_string(config).unwrap_or_default())
}

/// Turns a seed into that of the ways which are followed for students.
const STATES: u64 = 0x7374_7564_656e_7473;
