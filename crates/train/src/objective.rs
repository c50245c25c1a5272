//! What a step minimises: the flow-matching loss, minus the log-likelihood, or the error of reconstructions.

mod reconstruction;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_data::{self as data, Dataset, Split};
use thalweg_flow::{
    Coefficients, Conversion, CouplingConfig, Divergence, LocalBlock, MaximumLikelihood, PathSample,
    Prediction, Regularisation, TimeSampler, ornstein_uhlenbeck,
};
use thalweg_nets::{Activation, Condition, ConditionSpec, Mlp};
use thalweg_noise::Noise;
use thalweg_run::Invalid;
use thalweg_solve::{Checkpoints, Method, Placement, Solver, VelocityField, per_sample};

use crate::chain::DistillationConfig;
use crate::chain::{Part, Role, StoredStates, block_of};
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
pub(crate) const VALIDATION_POINTS: usize = 1_000;

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
    /// The error of networks that make in one evaluation what a trained flow or chain makes in many.
    Distillation(DistillationConfig),
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
            // Students are checked with the other chains.
            Self::FlowMatching | Self::Distillation(_) => return Ok(()),
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
    /// Which network of the recipe it is for.
    part: Part,
    /// The conditions of the data, beside which a network may be told its block.
    of_data: ConditionSpec,
    /// What students learn from.
    stored: Option<&'a StoredStates>,
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
        (recipe, part): (&'a Recipe, Part),
        dataset: &'a Dataset,
        summary: &'a DataSummary,
        base: Option<&Mlp>,
        stored: Option<&'a StoredStates>,
    ) -> Result<Self, TrainError> {
        let needed = |what: &str| {
            let message = format!("there is no trained flow to be {what}");
            base.cloned().ok_or(TrainError::Request(message))
        };
        let own = |base: Mlp, pools| OwnPairs::new(recipe, dataset, summary, base.into(), pools);
        let mut own_pairs = None;
        let kind = match &recipe.flow.objective {
            ObjectiveConfig::FlowMatching | ObjectiveConfig::Distillation(_) => Kind::Matching,
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
            part,
            of_data: summary.condition,
            stored,
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
            Kind::Matching | Kind::Tuning(_) => Ok(Prepared::Pairs(match (&self.own_pairs, self.stored) {
                (Some(own), _) => own.step(step)?,
                (None, Some(stored)) => stored.step(self.recipe, &self.part, step),
                (None, None) => self.preparation.step(step)?,
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
        match (&self.own_pairs, self.stored) {
            (Some(own), _) => own.validation(rows),
            (None, Some(stored)) => Ok(stored.validation(&self.part)),
            (None, None) => self.preparation.validation(rows),
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
        if self.part.role == Role::Students {
            return self.students_loss(model, pairs, dropout, noise);
        }
        let PreparedStep { pairs: rows, dim, source, target, condition, times } = pairs;
        let shape = [*rows, *dim];
        let x0 = self.placement.tensor_f32::<2>(source.clone(), shape);
        let x1 = self.placement.tensor_f32(target.clone(), shape);
        let t = self.placement.tensor(times, [*rows]);
        let sample = match &self.part.role {
            Role::Blocks(blocks) => self.in_their_blocks(blocks, pairs, x0, x1),
            _ => self.on_the_way(x0, x1, t, noise),
        };
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

    /// Where pairs are in the blocks that they are told, each at its time.
    fn in_their_blocks(
        &self,
        blocks: &[LocalBlock],
        pairs: &PreparedStep,
        noise: Tensor<2>,
        data: Tensor<2>,
    ) -> PathSample<2> {
        let data::Condition::Labels(told) = &pairs.condition else {
            unreachable!("a network for all blocks is told its block")
        };
        let at = |(label, t): (&usize, &f64)| blocks[block_of(self.of_data, *label) - 1].at(*t);
        let found: Vec<Coefficients> = told.iter().zip(&pairs.times).map(at).collect();
        let column = |of: fn(&Coefficients) -> f64| {
            let values: Vec<f64> = found.iter().map(of).collect();
            self.placement.tensor::<2>(&values, [pairs.pairs, 1])
        };
        let x = column(|c| c.alpha) * data.clone() + column(|c| c.sigma) * noise.clone();
        let velocity = column(|c| c.alpha_dot) * data + column(|c| c.sigma_dot) * noise;
        let t = self.placement.tensor(&pairs.times, [pairs.pairs]);
        PathSample { t, x, velocity, noise: None, rows_per_pair: 1 }
    }

    /// The squared error of where all students after each other arrive.
    fn students_loss(
        &self,
        model: &Stages,
        pairs: &PreparedStep,
        dropout: f64,
        noise: &mut Noise,
    ) -> Tensor<1> {
        let PreparedStep { pairs: rows, dim, source, target, condition, .. } = pairs;
        let shape = [*rows, *dim];
        let condition = self.told(condition, dropout, noise);
        let mut x = self.placement.tensor_f32::<2>(source.clone(), shape);
        let from_the_noise = [&model.flow].into_iter().chain(model.finished.iter().rev());
        for (index, network) in from_the_noise.enumerate() {
            let Role::Student(interval) = self.recipe.part(self.recipe.parts() - index).role else {
                continue;
            };
            let t = self.placement.full(interval.start, [*rows]);
            let velocity = FlowField::new(network, self.reading, &condition, 1.0).velocity(t, x.clone());
            x = x + velocity * interval.length();
        }
        (x - self.placement.tensor_f32(target.clone(), shape)).square().mean()
    }

    /// Where the part's pairs are at their times, and how they move.
    fn on_the_way(&self, x0: Tensor<2>, x1: Tensor<2>, t: Tensor<1>, noise: &mut Noise) -> PathSample<2> {
        match &self.part.role {
            Role::Whole => self.recipe.flow.path.sample(x0, x1, t, noise),
            Role::Block { block, smoothing } => {
                let x1 = if *smoothing > 0.0 {
                    let (kept, added) = ornstein_uhlenbeck(*smoothing);
                    let fresh = self.placement.normal(noise, x1.dims());
                    x1 * kept + fresh * added
                } else {
                    x1
                };
                block.sample(x0, x1, t)
            }
            // A jump with the mean velocity that its length asks for, seen from where it begins.
            Role::Student(interval) => {
                let velocity = (x1 - x0.clone()) / interval.length();
                PathSample { t, x: x0, velocity, noise: None, rows_per_pair: 1 }
            }
            Role::Blocks(_) | Role::Students => unreachable!("these are looked at in other ways"),
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
        let condition = self.told(condition, dropout, noise);
        FlowField::new(&model.flow, self.reading, &condition, 1.0)
    }

    /// A condition, some of it hidden.
    fn told(&self, condition: &data::Condition, dropout: f64, noise: &mut Noise) -> Condition {
        let condition = tensor_condition(condition, &self.placement);
        if dropout > 0.0 { condition.dropped(dropout, noise) } else { condition }
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
