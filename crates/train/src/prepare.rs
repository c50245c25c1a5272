//! The host's part of a flow-matching step: draw both ends, pair them, choose times.
//!
//! A prepared step depends on the recipe, the data and the step's number alone, so it can be made ahead on another
//! thread and again after a resume.

use thalweg_data::{Batch, Condition, Dataset, Split};
use thalweg_flow::{Conditions, CouplingConfig};
use thalweg_noise::Noise;
use thalweg_ot::Points;

use crate::error::TrainError;
use crate::finetune::PairsConfig;
use crate::objective::ObjectiveConfig;
use crate::recipe::Recipe;

/// Pairs of source and data points with their conditions and times, ready to become tensors.
#[derive(Debug, Clone)]
pub struct PreparedStep {
    /// Number of pairs.
    pub pairs: usize,
    /// Coordinates of a point.
    pub dim: usize,
    /// Source points, `pairs × dim`.
    pub source: Vec<f32>,
    /// Data points, `pairs × dim`.
    pub target: Vec<f32>,
    /// What the network is told of each pair.
    pub condition: Condition,
    /// A time for each pair.
    pub times: Vec<f64>,
}

impl PreparedStep {
    /// Part `part` of `parts` equal parts.
    #[must_use]
    pub fn part(&self, part: usize, parts: usize) -> Self {
        if parts == 1 {
            return self.clone();
        }
        let rows = self.pairs / parts;
        self.select(&(part * rows..(part + 1) * rows).collect::<Vec<usize>>())
    }

    /// The pairs as often as the recipe says, each time at a time of its own.
    #[must_use]
    pub fn timed(mut self, recipe: &Recipe, noise: &mut Noise) -> Self {
        let often = recipe.flow.times_per_pair;
        if often > 1 {
            self.times = vec![0.0; self.pairs];
            let chosen: Vec<usize> = (0..self.pairs * often).map(|row| row / often).collect();
            self = self.select(&chosen);
        }
        self.times = recipe.flow.time.sample(self.pairs, recipe.flow.path.interval(), noise);
        self
    }

    /// The pairs of these numbers, in that order.
    #[must_use]
    pub fn select(&self, chosen: &[usize]) -> Self {
        Self {
            pairs: chosen.len(),
            dim: self.dim,
            source: gather(&self.source, self.dim, chosen),
            target: gather(&self.target, self.dim, chosen),
            condition: self.condition.select(chosen),
            times: chosen.iter().map(|&pair| self.times[pair]).collect(),
        }
    }
}

/// Makes the steps of one recipe.
#[derive(Debug)]
pub struct Preparation<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    coupling: CouplingConfig,
    /// Points that are paired at once.
    rows: usize,
    /// Whether all of the pairs are handed on where there are more than a batch needs.
    keeps_all: bool,
}

impl<'a> Preparation<'a> {
    /// Makes the steps of `recipe` from `dataset`.
    ///
    /// # Errors
    /// When the coupling needs a setting that neither it nor the path gives.
    pub fn new(recipe: &'a Recipe, dataset: &'a Dataset) -> Result<Self, TrainError> {
        let (coupling, rows, keeps_all) = match &recipe.flow.objective {
            ObjectiveConfig::Reconstruction(config) => {
                let (coupling, rows) = config.pairing(recipe.train.batch);
                (coupling, rows, config.pairs == PairsConfig::OtOutput {})
            }
            _ => (recipe.flow.coupling.resolved_for(&recipe.flow.path)?, recipe.train.batch, true),
        };
        Ok(Self { recipe, dataset, coupling, rows, keeps_all })
    }

    /// The pairs of training step `step`.
    ///
    /// # Errors
    /// When the data have fewer rows than the batch, or the coupling fails.
    pub fn step(&self, step: u64) -> Result<PreparedStep, TrainError> {
        let (rows, seed) = (self.rows, self.recipe.seed);
        let target = self.dataset.batch(rows, seed, step)?;
        let source = self.dataset.source_batch(rows, seed, step)?;
        let pairs =
            self.pair(source, &target, ["coupling", "time"].map(|stream| Noise::at(seed, stream, step)))?;
        let batch = self.recipe.train.batch;
        if self.keeps_all || pairs.pairs <= batch {
            return Ok(pairs);
        }
        // Pairs come group by group where there are conditions, so the first would not be like all.
        let mut chosen = Noise::at(seed, "chosen-pairs", step).permutation(pairs.pairs);
        chosen.truncate(batch);
        Ok(pairs.select(&chosen))
    }

    /// Pairs of held-out points, the same at every call.
    ///
    /// # Errors
    /// When there are no held-out points, or the coupling fails.
    pub fn validation(&self, rows: usize) -> Result<PreparedStep, TrainError> {
        let seed = self.recipe.seed;
        let target = self.dataset.held_out(Split::Validation, Some(rows), seed)?;
        let source = self.dataset.source_draws(rows, seed ^ VALIDATION);
        let streams = ["validation-coupling", "validation-time"];
        self.pair(source, &target, streams.map(|stream| Noise::at(seed, stream, 0)))
    }

    fn pair(
        &self,
        mut source: Batch,
        target: &Batch,
        [mut for_pairs, mut for_times]: [Noise; 2],
    ) -> Result<PreparedStep, TrainError> {
        let path = self.recipe.flow.path;
        let deviation = path.source_deviation();
        if deviation != 1.0 {
            source.points.iter_mut().for_each(|x| *x *= deviation);
        }
        let dim = target.dim;
        let conditions = conditions(&target.condition);
        let (x0, x1) = (Points::new(&source.points, dim), Points::new(&target.points, dim));
        let pairing = self.coupling.pair(x0, x1, conditions, &mut for_pairs)?;
        let pairs = pairing.len();
        let pairs = PreparedStep {
            pairs,
            dim,
            source: single(&gather(&source.points, dim, &pairing.source)),
            target: single(&gather(&target.points, dim, &pairing.target)),
            condition: target.condition.select(&pairing.target),
            times: Vec::new(),
        };
        Ok(pairs.timed(self.recipe, &mut for_times))
    }
}

/// Turns the seed of training sources into that of validation sources.
const VALIDATION: u64 = 0x7661_6c69_6461_7465;

pub(crate) fn conditions(condition: &Condition) -> Conditions<'_> {
    match condition {
        Condition::None => Conditions::None,
        Condition::Labels(labels) => Conditions::Labels(labels),
        Condition::Vectors { dim, values } => Conditions::Vectors(Points::new(values, *dim)),
    }
}

/// The rows of these numbers.
pub(crate) fn gather<T: Copy>(points: &[T], dim: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|&row| &points[row * dim..(row + 1) * dim]).copied().collect()
}

/// In single precision.
pub(crate) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}
