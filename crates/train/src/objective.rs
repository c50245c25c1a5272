//! What a step minimises: the flow-matching loss, minus the log-likelihood, or the error of reconstructions.

mod reconstruction;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_data::{self as data, Dataset, Split};
use thalweg_flow::{
    Conversion, CouplingConfig, Divergence, MaximumLikelihood, PathSample, Prediction, Regularisation,
    TimeSampler,
};
use thalweg_nets::{Activation, Condition, Mlp};
use thalweg_noise::Noise;
use thalweg_run::Invalid;
use thalweg_solve::{Checkpoints, Method, Placement, Solver, VelocityField, per_sample};

use crate::error::TrainError;
use crate::field::{FlowField, Reading, reading};
use crate::finetune::ReconstructionConfig;
use crate::gradients;
use crate::own_pairs::{OwnPairs, Pools};
use crate::parameters::{self, ByName};
use crate::prepare::{Preparation, PreparedStep};
use crate::recipe::Recipe;
use crate::reflow::ReflowConfig;
use crate::stages::Stages;
use crate::summary::DataSummary;
use reconstruction::Tuning;

/// Held-out points of a validation loss.
const VALIDATION_POINTS: usize = 1_000;

/// What is minimised.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ObjectiveConfig {
    /// The mean squared error of the velocity along paths between pairs, over all coordinates.
    #[default]
    FlowMatching,
    /// Minus the mean log-likelihood through the solver: a continuous normalising flow.
    Likelihood(LikelihoodConfig),
    /// The error of what a few steps make of noise: fine-tuning by maximum likelihood of reconstructions.
    Reconstruction(ReconstructionConfig),
    /// Flow matching on pairs that a trained flow makes, which straightens its paths.
    Reflow(ReflowConfig),
}

/// How a likelihood is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LikelihoodConfig {
    /// The solver of a training step.
    pub solver: Solver,
    /// How divergences are computed.
    pub divergence: Divergence,
    /// Penalties on long and crooked paths.
    pub regularisation: Regularisation,
    /// Which tape the gradient needs.
    pub memory: TapeMemory,
}

/// How much of a solve is kept for its gradient.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TapeMemory {
    /// Every step: the fastest.
    #[default]
    Whole,
    /// States at about the square root of the number of steps; the rest is computed again.
    SquareRoot,
}

impl Default for LikelihoodConfig {
    fn default() -> Self {
        Self {
            solver: Solver::fixed(Method::Rk4, 8),
            divergence: Divergence::default(),
            regularisation: Regularisation::default(),
            memory: TapeMemory::default(),
        }
    }
}

impl ObjectiveConfig {
    pub(crate) fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let config = match self {
            Self::FlowMatching => return Ok(()),
            Self::Reconstruction(config) => return config.validate(recipe),
            Self::Reflow(config) => return config.validate(recipe),
            Self::Likelihood(config) => config,
        };
        let at = |key: &str, message: String| Invalid::new(format!("flow.objective.{key}"), message);
        config.solver.validate().map_err(|error| at("solver", error.to_string()))?;
        config.divergence.validate().map_err(|error| at("divergence", error.to_string()))?;
        config.regularisation.validate().map_err(|error| at("regularisation", error.to_string()))?;
        if !matches!(recipe.data.source, data::SourceConfig::Gaussian {}) {
            let message = "a likelihood needs the density of the source, so the source must be gaussian";
            return Err(at("kind", message.to_string()));
        }
        if recipe.flow.coupling != CouplingConfig::default() {
            let message = "training by likelihood makes no pairs: remove the coupling";
            return Err(Invalid::new("flow.coupling", message));
        }
        if recipe.flow.time != TimeSampler::default() {
            let message = "training by likelihood solves over all times: remove the time sampler";
            return Err(Invalid::new("flow.time", message));
        }
        if recipe.model.activation == Activation::Relu {
            let message =
                "relu has no second derivative, which the gradient of a likelihood needs; use a smooth one";
            return Err(Invalid::new("model.activation", message));
        }
        Ok(())
    }
}

/// What a step needs from the host.
#[derive(Debug, Clone)]
pub enum Prepared {
    /// Pairs, conditions and times.
    Pairs(PreparedStep),
    /// Data alone.
    Data(data::Batch),
}

/// The loss of a recipe, and its gradients.
#[derive(Debug)]
pub struct Objective<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    preparation: Preparation<'a>,
    reading: Reading,
    kind: Kind<'a>,
    /// The way in which a flow makes pairs itself, where it does.
    own_pairs: Option<OwnPairs<'a>>,
    placement: Placement,
}

/// What belongs to one of the objectives alone.
#[derive(Debug)]
enum Kind<'a> {
    Matching,
    Likelihood(MaximumLikelihood, TapeMemory),
    Tuning(Box<Tuning<'a>>),
}

impl<'a> Objective<'a> {
    /// The objective of `recipe` on `dataset`; `base` is the network that the run started from, if from any.
    ///
    /// # Errors
    /// When the coupling needs a setting that neither it nor the path gives, or there is nothing to fine-tune.
    pub fn new(
        recipe: &'a Recipe,
        dataset: &'a Dataset,
        summary: &'a DataSummary,
        base: Option<&Mlp>,
    ) -> Result<Self, TrainError> {
        let needed = |what: &str| {
            let message = format!("there is no trained flow to be {what}");
            base.cloned().ok_or(TrainError::Request(message))
        };
        let own = |base: Mlp, pools| OwnPairs::new(recipe, dataset, summary, base.into(), pools);
        let mut own_pairs = None;
        let kind = match &recipe.flow.objective {
            ObjectiveConfig::FlowMatching => Kind::Matching,
            ObjectiveConfig::Reflow(_) => {
                let base = needed("straightened")?;
                own_pairs = Pools::of(recipe).map(|pools| own(base, pools));
                Kind::Matching
            }
            ObjectiveConfig::Likelihood(config) => {
                let loss = MaximumLikelihood {
                    solver: config.solver.clone(),
                    divergence: config.divergence,
                    interval: recipe.flow.path.interval(),
                    source_deviation: recipe.flow.path.source_deviation(),
                    regularisation: config.regularisation,
                };
                Kind::Likelihood(loss, config.memory)
            }
            ObjectiveConfig::Reconstruction(config) => {
                let base = needed("tuned")?;
                own_pairs = Pools::of(recipe).map(|pools| own(base.clone(), pools));
                Kind::Tuning(Box::new(Tuning::new((recipe, summary), config, base)))
            }
        };
        Ok(Self {
            recipe,
            dataset,
            preparation: Preparation::new(recipe, dataset)?,
            reading: reading(recipe, summary),
            kind,
            own_pairs,
            placement: Placement::cpu(),
        })
    }

    /// The host's part of a step; depends on the step's number alone.
    ///
    /// # Errors
    /// When the data cannot give a batch, the coupling fails, or data cannot be encoded.
    pub fn prepare(&self, step: u64) -> Result<Prepared, TrainError> {
        match &self.kind {
            Kind::Likelihood(..) => {
                Ok(Prepared::Data(self.dataset.batch(self.recipe.train.batch, self.recipe.seed, step)?))
            }
            Kind::Matching | Kind::Tuning(_) => Ok(Prepared::Pairs(match &self.own_pairs {
                Some(own) => own.step(step)?,
                None => self.preparation.step(step)?,
            })),
        }
    }

    /// The loss of a step and its gradients by parameter.
    ///
    /// # Errors
    /// When a solve inside the loss fails.
    pub fn loss_and_gradients(
        &self,
        model: &Stages,
        prepared: &Prepared,
        step: u64,
    ) -> Result<(f64, ByName), TrainError> {
        let mut noise = Noise::at(self.recipe.seed, "loss", step);
        let parts = self.recipe.train.accumulate;
        let (mut total, mut sum) = (0.0, ByName::new());
        for part in 0..parts {
            let (loss, gradients) = match (prepared, &self.kind) {
                (Prepared::Pairs(pairs), Kind::Tuning(tuning)) => {
                    self.tuned(tuning, model, pairs, &mut noise)?
                }
                (Prepared::Pairs(pairs), _) => self.matching(model, &pairs.part(part, parts), &mut noise),
                (Prepared::Data(batch), _) => {
                    self.likelihood(model, &part_of(batch, part, parts), &mut noise)?
                }
            };
            total += loss / parts as f64;
            gradients::accumulate(&mut sum, gradients, 1.0 / parts as f64);
        }
        Ok((total, sum))
    }

    /// The loss on held-out data with the same pairs and times at every call; none where no points are held out.
    ///
    /// # Errors
    /// When the coupling or a solve fails.
    pub fn validation_loss(&self, model: &Stages) -> Result<Option<f64>, TrainError> {
        let rows = self
            .dataset
            .held_out_rows(Split::Validation)
            .map_or(VALIDATION_POINTS, |rows| rows.min(VALIDATION_POINTS));
        if rows == 0 {
            return Ok(None);
        }
        let seed = self.recipe.seed;
        let mut noise = Noise::at(seed, "validation-loss", 0);
        let loss = match &self.kind {
            Kind::Matching => self.matching_loss(model, &self.validation_pairs(rows)?, 0.0, &mut noise),
            Kind::Likelihood(loss, _) => {
                let batch = self.dataset.held_out(Split::Validation, Some(rows), seed)?;
                let field = self.field(model, &batch.condition, 0.0, &mut noise);
                let x = self.placement.tensor(&batch.points, [rows, batch.dim]);
                loss.loss(&field, x, &mut noise)
                    .map_err(|e| TrainError::solve("the validation loss", e))?
                    .loss
            }
            Kind::Tuning(tuning) => {
                // Debiased pairs compare two halves.
                let rows = if rows == 1 { return Ok(None) } else { rows - rows % 2 };
                let pairs = self.validation_pairs(rows)?;
                let pairs = self.chosen(tuning, model, &pairs, rows, &mut noise)?;
                self.tuning_loss(tuning, model, &pairs, 0.0, &mut noise)?
            }
        };
        Ok(Some(loss.into_scalar::<f64>()))
    }

    fn validation_pairs(&self, rows: usize) -> Result<PreparedStep, TrainError> {
        match &self.own_pairs {
            Some(own) => own.validation(rows),
            None => self.preparation.validation(rows),
        }
    }

    fn matching(&self, model: &Stages, pairs: &PreparedStep, noise: &mut Noise) -> (f64, ByName) {
        let loss = self.matching_loss(model, pairs, self.recipe.model.condition_dropout, noise);
        let value = loss.clone().into_scalar::<f64>();
        let mut gradients = loss.backward();
        (value, parameters::take_gradients(model, &mut gradients))
    }

    fn matching_loss(
        &self,
        model: &Stages,
        pairs: &PreparedStep,
        dropout: f64,
        noise: &mut Noise,
    ) -> Tensor<1> {
        let PreparedStep { pairs: rows, dim, source, target, condition, times } = pairs;
        let shape = [*rows, *dim];
        let x0 = self.placement.tensor_f32::<2>(source.clone(), shape);
        let x1 = self.placement.tensor_f32(target.clone(), shape);
        let t = self.placement.tensor(times, [*rows]);
        let sample = self.recipe.flow.path.sample(x0, x1, t, noise);
        // Mirrored rows follow the others, and are told the same.
        let mirrored: Vec<usize> = (0..sample.rows_per_pair).flat_map(|_| 0..*rows).collect();
        let field = self.field(model, &condition.select(&mirrored), dropout, noise);
        let PathSample { t, x, velocity, .. } = sample;
        match self.reading {
            Reading::Plain => (field.velocity(t, x) - velocity).square().mean(),
            Reading::Scaled(scales) => {
                let error = (field.velocity(t.clone(), x) - velocity).square();
                (error * per_sample::<2>(scales.loss_weight(t))).mean()
            }
            Reading::Predicted { prediction, schedule } => {
                let arrow = Conversion { from: Prediction::Velocity, to: prediction };
                let target = arrow.apply(&schedule.at_times(t.clone()), x.clone(), velocity);
                (field.output(t, x) - target).square().mean()
            }
        }
    }

    fn likelihood(
        &self,
        model: &Stages,
        batch: &data::Batch,
        noise: &mut Noise,
    ) -> Result<(f64, ByName), TrainError> {
        let Kind::Likelihood(objective, memory) = &self.kind else { return Ok((0.0, ByName::new())) };
        let field = self.field(model, &batch.condition, self.recipe.model.condition_dropout, noise);
        let x = self.placement.tensor(&batch.points, [batch.rows, batch.dim]);
        match memory {
            TapeMemory::Whole => {
                let loss = objective.loss(&field, x, noise).map_err(failed)?.loss;
                let value = loss.clone().into_scalar::<f64>();
                let mut gradients = loss.backward();
                Ok((value, parameters::take_gradients(model, &mut gradients)))
            }
            TapeMemory::SquareRoot => {
                let mut sum = ByName::new();
                let collect = |gradients: &mut _| {
                    gradients::accumulate(&mut sum, parameters::take_gradients(model, gradients), 1.0);
                };
                let loss = objective
                    .loss_and_gradients(&field, x, noise, Checkpoints::SquareRoot, collect)
                    .map_err(failed)?;
                Ok((loss.loss.into_scalar::<f64>(), sum))
            }
        }
    }

    fn field<'m>(
        &self,
        model: &'m Stages,
        condition: &data::Condition,
        dropout: f64,
        noise: &mut Noise,
    ) -> FlowField<'m> {
        let mut condition = tensor_condition(condition, &self.placement);
        if dropout > 0.0 {
            condition = condition.dropped(dropout, noise);
        }
        FlowField::new(&model.flow, self.reading, &condition, 1.0)
    }
}

fn failed(reason: impl std::fmt::Display) -> TrainError {
    TrainError::solve("the solve of a training step", reason)
}

/// A condition of the host as the network takes it.
#[must_use]
pub fn tensor_condition(condition: &data::Condition, placement: &Placement) -> Condition {
    match condition {
        data::Condition::None => Condition::None,
        data::Condition::Labels(labels) => Condition::labels(labels),
        data::Condition::Vectors { dim, values } => {
            Condition::Vectors(placement.tensor(values, [values.len() / dim, *dim]))
        }
    }
}

/// Part `part` of `parts` equal parts of a batch.
fn part_of(batch: &data::Batch, part: usize, parts: usize) -> data::Batch {
    let rows = batch.rows / parts;
    let chosen: Vec<usize> = (part * rows..(part + 1) * rows).collect();
    batch.select(&chosen)
}
