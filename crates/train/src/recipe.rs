//! A recipe: everything that determines a run, as one TOML file.
//!
//! Each section belongs to the crate that understands it; here they meet, are checked against each other, and get the
//! settings of training and evaluation. A recipe that parses and validates can be trained.

use serde::{Deserialize, Serialize};
use thalweg_data::{ConditionConfig, DataConfig, DataError, SourceConfig};
use thalweg_flow::{
    Conversion, CouplingConfig, FlowError, PathConfig, Prediction, Schedule, Source, TimeSampler,
};
use thalweg_metrics::TwoSample;
use thalweg_nets::{MlpConfig, NetError};
use thalweg_run::{Document, Invalid, RecipeError};
use thalweg_solve::{Solver, Steps};

use crate::average::AverageConfig;
use crate::base::FromConfig;
use crate::chain::LocalConfig;
use crate::learning_rate::LearningRate;
use crate::objective::ObjectiveConfig;
use crate::optimizer::OptimizerConfig;
use crate::residual::ResidualConfig;
use crate::sampler::SamplerConfig;

/// A complete description of a run. Serialised, it has every default written out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The name of the run folder and the title of the report.
    pub name: String,
    /// One sentence about what the recipe shows.
    #[serde(default)]
    pub about: String,
    /// The seed of everything random. Two runs of one recipe on one machine give the same bits.
    #[serde(default)]
    pub seed: u64,
    /// The run whose weights to start from; what is left out here is taken over from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FromConfig>,
    /// What to learn, and from which source.
    pub data: DataConfig,
    /// The network.
    #[serde(default)]
    pub model: MlpConfig,
    /// A second stage after the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<ResidualConfig>,
    /// A chain of flows, instead of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalConfig>,
    /// The method.
    #[serde(default)]
    pub flow: FlowConfig,
    /// The training.
    #[serde(default)]
    pub train: TrainConfig,
    /// The scores and the report.
    #[serde(default)]
    pub evaluate: EvaluateConfig,
}

/// The method: which path, which pairs, which times, which loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// The path between noise and data. Likelihood training has none: it only fixes the source's deviation.
    pub path: PathConfig,
    /// How source points and data points become pairs.
    pub coupling: CouplingConfig,
    /// Where on the path the velocity is learned.
    pub time: TimeSampler,
    /// At how many times each pair is looked at in a step.
    pub times_per_pair: usize,
    /// What is minimised.
    pub objective: ObjectiveConfig,
    /// What the network predicts. A velocity is well conditioned everywhere; noise makes it a diffusion model, on paths
    /// that keep some data at their start, like the variance-preserving one.
    #[serde(default)]
    pub prediction: Prediction,
    /// Whether the network's input and output are scaled to the size of the path, for one-sided paths whose scales
    /// grow (variance exploding).
    pub precondition: bool,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            path: PathConfig::default(),
            coupling: CouplingConfig::default(),
            time: TimeSampler::default(),
            times_per_pair: 1,
            objective: ObjectiveConfig::default(),
            prediction: Prediction::default(),
            precondition: false,
        }
    }
}

/// The training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Points of one step.
    pub batch: usize,
    /// Parts into which the batch is split, one after the other, to save memory.
    pub accumulate: usize,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// Largest norm of a gradient; longer ones are shortened. Left out, none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// The average of the weights that sampling uses.
    pub average: AverageConfig,
    /// Steps between two entries of the training curve.
    pub log_every: u64,
    /// Steps between two losses on held-out data.
    pub validate_every: u64,
    /// Steps between two checkpoints; there is always one at the end.
    pub checkpoint_every: u64,
    /// How many of the newest checkpoints are kept.
    pub keep: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 256,
            accumulate: 1,
            optimizer: OptimizerConfig::default(),
            learning_rate: LearningRate::default(),
            clip: None,
            average: AverageConfig::default(),
            log_every: 100,
            validate_every: 1_000,
            checkpoint_every: 5_000,
            keep: 2,
        }
    }
}

/// The scores and the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Samples compared with as many held-out points (fewer where a table has fewer).
    pub samples: usize,
    /// By which equation samples are drawn.
    pub sampler: SamplerConfig,
    /// The solver of samples that are drawn by the flow, and of paths.
    pub solver: Solver,
    /// Distances between samples and held-out points.
    pub metrics: Vec<TwoSample>,
    /// Held-out points whose likelihood is computed; 0 for none.
    pub likelihood_points: usize,
    /// The solver of likelihoods, which run in double precision.
    pub likelihood_solver: Solver,
    /// Strength of classifier-free guidance for conditional samples; 1 is none.
    pub guidance: f64,
    /// Random resamplings behind every interval.
    pub replicates: usize,
    /// Whether to write `report.html`.
    pub report: bool,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            samples: 2_000,
            sampler: SamplerConfig::default(),
            solver: Solver::default(),
            metrics: vec![TwoSample::W2, TwoSample::SlicedW2, TwoSample::Mmd2, TwoSample::Energy],
            likelihood_points: 2_000,
            likelihood_solver: Solver::default(),
            guidance: 1.0,
            replicates: 20,
            report: true,
        }
    }
}

impl Recipe {
    /// Reads a recipe and checks that it can be trained.
    ///
    /// # Errors
    /// Unknown keys, wrong types and impossible values, each with its place in the file or among the overrides.
    pub fn read(document: &Document) -> Result<Self, RecipeError> {
        let recipe: Self = document.read()?;
        match recipe.validate() {
            Ok(()) => Ok(recipe),
            Err(invalid) => Err(document.explain(&invalid)),
        }
    }

    /// Checks values, and sections against each other, without looking at any file.
    ///
    /// # Errors
    /// The first impossible value and why it is.
    pub fn validate(&self) -> Result<(), Invalid> {
        if ["", ".", ".."].contains(&self.name.as_str()) || self.name.contains(['/', '\\']) {
            return Err(Invalid::new(
                "name",
                "must name a folder: not empty, not `.` or `..`, and without slashes",
            ));
        }
        self.data.validate().map_err(of_data)?;
        self.model.validate().map_err(of_model)?;
        self.validate_chain()?;
        self.validate_flow()?;
        if let Some(stage) = &self.residual {
            stage.validate(self)?;
        }
        self.train.validate(self)?;
        if self.evaluate.guidance != 1.0 && matches!(self.data.condition, ConditionConfig::None {}) {
            let message = "there is no condition to be guided by; leave it at 1 or set `data.condition`";
            return Err(Invalid::new("evaluate.guidance", message));
        }
        if self.evaluate.guidance != 1.0 && self.model.condition_dropout == 0.0 {
            let message = "guidance needs a network that has also learned without its condition; set \
                           `model.condition_dropout` above 0";
            return Err(Invalid::new("evaluate.guidance", message));
        }
        if self.model.condition_dropout > 0.0 && matches!(self.data.condition, ConditionConfig::None {}) {
            let message = "there is no condition to be left out; remove it or set `data.condition`";
            return Err(Invalid::new("model.condition_dropout", message));
        }
        self.validate_grids()?;
        self.evaluate.sampler.validate(self)?;
        self.evaluate.validate()
    }

    /// A grid of solver steps must run over the path's own times.
    fn validate_grids(&self) -> Result<(), Invalid> {
        let interval = self.flow.path.interval();
        let objective = match &self.flow.objective {
            ObjectiveConfig::FlowMatching | ObjectiveConfig::Distillation(_) => None,
            ObjectiveConfig::Reflow(config) => Some(("flow.objective.solver", &config.solver)),
            ObjectiveConfig::Likelihood(config) => Some(("flow.objective.solver", &config.solver)),
            ObjectiveConfig::Reconstruction(config) => Some(("flow.objective.solver", config.solver(self))),
        };
        let solvers = [
            ("evaluate.solver", &self.evaluate.solver),
            ("evaluate.likelihood_solver", &self.evaluate.likelihood_solver),
        ];
        for (key, solver) in solvers.into_iter().chain(objective) {
            let Steps::Grid(nodes) = &solver.steps else { continue };
            let ends = (nodes.first().copied(), nodes.last().copied());
            let (start, end) = (Some(interval.start), Some(interval.end));
            if ends != (start, end) && ends != (end, start) {
                let message = format!(
                    "the grid must run between the ends of the path, {} and {}",
                    interval.start, interval.end
                );
                return Err(Invalid::new(key, message));
            }
        }
        Ok(())
    }

    fn validate_flow(&self) -> Result<(), Invalid> {
        let flow = &self.flow;
        let in_section = |section: &'static str| {
            move |error: FlowError| Invalid::new(format!("flow.{section}"), error.to_string())
        };
        flow.path.validate().map_err(in_section("path"))?;
        flow.time.validate().map_err(in_section("time"))?;
        self.validate_time_grid()?;
        let source = match self.data.source {
            SourceConfig::Gaussian {} => Source::Gaussian { deviation: flow.path.source_deviation() },
            SourceConfig::Set { .. } => Source::Other,
        };
        flow.path.check_source(source).map_err(in_section("path"))?;
        if flow.coupling == (CouplingConfig::Paired {}) {
            let message =
                "takes data that come in pairs, but source and target are drawn apart; use another coupling";
            return Err(Invalid::new("flow.coupling", message));
        }
        flow.coupling.resolved_for(&flow.path).map_err(in_section("coupling"))?;
        if flow.precondition && !matches!(flow.path, PathConfig::OneSided { .. }) {
            let path = flow.path.name();
            let message = format!("scales exist for one-sided paths only, not for the {path} path");
            return Err(Invalid::new("flow.precondition", message));
        }
        self.validate_prediction()?;
        if flow.times_per_pair == 0 {
            return Err(Invalid::new("flow.times_per_pair", "must be at least 1"));
        }
        let has_times = matches!(flow.objective, ObjectiveConfig::FlowMatching | ObjectiveConfig::Reflow(_));
        if flow.times_per_pair > 1 && !has_times {
            let message = "only flow matching draws times for its pairs: remove it";
            return Err(Invalid::new("flow.times_per_pair", message));
        }
        flow.objective.validate(self)
    }

    /// A grid of times must be that of the path's own steps.
    fn validate_time_grid(&self) -> Result<(), Invalid> {
        let TimeSampler::Grid { steps } = self.flow.time else { return Ok(()) };
        let refuse = |message: String| Err(Invalid::new("flow.time", message));
        match self.schedule().and_then(|schedule| schedule.chain_length()) {
            Some(length) if length == steps => Ok(()),
            Some(length) => refuse(format!("a grid of {steps} steps is not that of the path, which has {length}")),
            None => refuse(
                "a grid holds the steps of a discrete schedule, and this path has none; take { kind = \"uniform\" }"
                    .to_string(),
            ),
        }
    }

    /// The one-sided schedule that the path is, where it is one: which is what scores and predictions other than the velocity
    /// are defined on.
    #[must_use]
    pub fn schedule(&self) -> Option<Schedule> {
        if self.is_chain() {
            return None;
        }
        let is_gaussian = matches!(self.data.source, SourceConfig::Gaussian {});
        match self.flow.path {
            PathConfig::OneSided { schedule } => Some(schedule),
            PathConfig::Linear { sigma: 0.0 } if is_gaussian => Some(Schedule::Linear { sigma_min: 0.0 }),
            PathConfig::Trigonometric {} if is_gaussian => Some(Schedule::Cosine {}),
            _ => None,
        }
    }

    fn validate_prediction(&self) -> Result<(), Invalid> {
        let (prediction, path) = (self.flow.prediction, self.flow.path.name());
        if prediction == Prediction::Velocity {
            return Ok(());
        }
        let refuse = |message: String| Err(Invalid::new("flow.prediction", message));
        if self.flow.precondition {
            return refuse("scales are around velocities: set `flow.precondition` to false".to_string());
        }
        let Some(schedule) = self.schedule() else {
            return refuse(format!(
                "data, noise and score are known on one-sided paths from a Gaussian source, not on the {path} path"
            ));
        };
        let interval = schedule.interval();
        for t in [interval.start, interval.end] {
            let c = schedule.at(t);
            let arrows = [(Prediction::Velocity, prediction), (prediction, Prediction::Velocity)];
            let finite = arrows.into_iter().all(|(from, to)| {
                let (p, q) = Conversion { from, to }.weights(&c);
                p.is_finite() && q.is_finite()
            });
            if !finite {
                return refuse(format!(
                    "what is predicted does not give a velocity at t = {t} of this path, which divides by zero there; \
                     take `velocity`, or a path like {{ kind = \"one-sided\", schedule = {{ kind = \
                     \"variance-preserving\" }} }}"
                ));
            }
        }
        Ok(())
    }
}

impl TrainConfig {
    fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let at_least_one = [
            ("steps", self.steps),
            ("batch", self.batch as u64),
            ("accumulate", self.accumulate as u64),
            ("log_every", self.log_every),
            ("validate_every", self.validate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep", self.keep as u64),
        ];
        if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(Invalid::new(format!("train.{key}"), "must be at least 1"));
        }
        if !self.batch.is_multiple_of(self.accumulate) {
            let message = format!("a batch of {} has no {} equal parts", self.batch, self.accumulate);
            return Err(Invalid::new("train.accumulate", message));
        }
        if self.accumulate > 1 && matches!(recipe.flow.coupling, CouplingConfig::Partial { .. }) {
            let message = "a partial coupling leaves pairs out, so its batch has no equal parts";
            return Err(Invalid::new("train.accumulate", message));
        }
        if let Some(limit) = self.clip.filter(|limit| !(*limit > 0.0 && limit.is_finite())) {
            return Err(Invalid::new("train.clip", format!("must be a positive number, not {limit}")));
        }
        let sections = [
            ("learning_rate", self.learning_rate.validate()),
            ("optimizer", self.optimizer.validate()),
            ("average", self.average.validate()),
        ];
        for (section, checked) in sections {
            checked.map_err(|(key, message)| Invalid::new(format!("train.{section}.{key}"), message))?;
        }
        Ok(())
    }
}

impl EvaluateConfig {
    fn validate(&self) -> Result<(), Invalid> {
        if self.samples > MOST_SAMPLES {
            let message =
                format!("exact distances need memory and time in its square: at most {MOST_SAMPLES}");
            return Err(Invalid::new("evaluate.samples", message));
        }
        if self.replicates == 1 {
            return Err(Invalid::new(
                "evaluate.replicates",
                "one block has no spread: 0 for none, or at least 2",
            ));
        }
        if self.samples < 2 {
            return Err(Invalid::new("evaluate.samples", "a comparison needs at least 2 samples"));
        }
        if !self.guidance.is_finite() {
            return Err(Invalid::new("evaluate.guidance", format!("must be finite, not {}", self.guidance)));
        }
        for (key, solver) in [("solver", &self.solver), ("likelihood_solver", &self.likelihood_solver)] {
            solver.validate().map_err(|error| Invalid::new(format!("evaluate.{key}"), error.to_string()))?;
        }
        Ok(())
    }
}

/// Samples of which a matrix of distances takes 3 GB.
const MOST_SAMPLES: usize = 20_000;

/// The network's own complaint, with the path of its key.
fn of_model(error: NetError) -> Invalid {
    match error {
        NetError::Config { key, value, expected } => {
            Invalid::new(format!("model.{key}"), format!("is {value}, but it must be {expected}"))
        }
        other => Invalid::new("model", other.to_string()),
    }
}

/// The data's own complaint, with the path of its field.
fn of_data(error: DataError) -> Invalid {
    match error {
        DataError::Config { field, reason } => Invalid::new(format!("data.{field}"), reason),
        other => Invalid::new("data", other.to_string()),
    }
}
