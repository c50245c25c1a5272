//! The guard of fine-tuning: held-out points against what the flow makes of noise, at every validation.
//!
//! A loss of reconstructions falls while the flow loses its spread, so it cannot say when to stop. A distance between
//! clouds can, and the ratio of their variances says what is being lost.

use thalweg_data::{Batch, Condition, Dataset, Split};
use thalweg_metrics::variance_ratio;
use thalweg_noise::Noise;
use thalweg_ot::Points;
use thalweg_solve::Solver;

use crate::error::TrainError;
use crate::finetune::GuardConfig;
use crate::inference::Inference;
use crate::parameters::ByName;
use crate::recipe::Recipe;
use crate::stages::Stages;
use crate::summary::DataSummary;

/// Held-out points that are compared with as many reconstructions.
const POINTS: usize = 1_000;
/// Conditions whose outputs' spread is measured, and outputs for each.
const CONDITIONS: usize = 32;
const OUTPUTS: usize = 32;

/// The variance ratio has collapsed when it is below this share of what it was at the start.
const COLLAPSE: f64 = 0.8;

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// The guard's distance, in model units.
    pub distance: f64,
    /// Variance of the reconstructions over that of the data.
    pub variance_ratio: f64,
    /// Variance of outputs for the same condition over that of the data; none without conditions.
    pub condition_spread: Option<f64>,
}

/// How the looks of a training went.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// The look at the weights that the training started from.
    pub first: Option<Look>,
    /// The distance of the flow alone, before a second stage was put after it.
    pub alone: Option<f64>,
    /// The best weights so far.
    pub best: Option<Best>,
    /// Looks since then.
    pub waited: u64,
    /// Whether patience has run out.
    pub ended: bool,
    /// Whether a collapse was told of.
    pub warned: bool,
}

/// The weights of the look with the least distance.
#[derive(Debug, Clone)]
pub struct Best {
    /// Its distance.
    pub distance: f64,
    /// Steps made by then.
    pub step: u64,
    /// The averaged weights.
    pub weights: ByName,
}

impl Watch {
    /// Takes note of a look at `weights` after `step` steps; says what a human should know.
    pub fn note(
        &mut self,
        guard: &GuardConfig,
        look: Look,
        step: u64,
        weights: impl FnOnce() -> ByName,
    ) -> Vec<String> {
        let first = *self.first.get_or_insert(look);
        let mut messages = Vec::new();
        let spreads = [
            ("what it makes", Some((look.variance_ratio, first.variance_ratio))),
            ("what it makes under one condition", look.condition_spread.zip(first.condition_spread)),
        ];
        for (what, now_and_first) in spreads {
            let Some((now, first)) = now_and_first.filter(|(now, first)| *now < COLLAPSE * first) else {
                continue;
            };
            if !self.warned {
                self.warned = true;
                messages.push(format!(
                    "the flow is losing spread: the variance of {what} is {now:.3} of the data's, and was {first:.3}; \
                     `self` or `debiased` pairs, a larger `pairing_batch`, a `matching` term or fewer steps keep it"
                ));
            }
        }
        if self.best.as_ref().is_none_or(|best| look.distance < best.distance) {
            self.best = Some(Best { distance: look.distance, step, weights: weights() });
            self.waited = 0;
            return messages;
        }
        self.waited += 1;
        if guard.patience > 0 && self.waited >= guard.patience {
            self.ended = true;
        }
        messages
    }

    /// What came of it, in words, on points of which `held_out` says whether they were.
    #[must_use]
    pub fn verdict(&self, guard: &GuardConfig, step: u64, held_out: bool) -> Option<String> {
        let (first, best) = (self.first?, self.best.as_ref()?);
        let name = guard.metric.name();
        let points = if held_out { "held-out points" } else { "training points, for none are held out" };
        let ended = if self.ended { format!("ended after step {step}, ") } else { String::new() };
        if let Some(alone) = self.alone {
            let how = if best.distance < alone { "" } else { "no better than the flow alone: " };
            return Some(format!(
                "{ended}{how}the weights of step {} are kept: {name} {:.5} on {points}, {:.5} at the start, and \
                 {alone:.5} by the flow without a second stage",
                best.step, best.distance, first.distance
            ));
        }
        Some(if best.step == 0 {
            format!(
                "{ended}no better than the flow it started from, whose weights are kept: {name} {:.5} on {points}",
                first.distance
            )
        } else {
            format!(
                "{ended}the weights of step {} are kept: {name} {:.5} on {points}, and {:.5} at the start",
                best.step, best.distance, first.distance
            )
        })
    }
}

/// Looks at networks.
#[derive(Debug)]
pub struct Guard<'a> {
    recipe: &'a Recipe,
    summary: &'a DataSummary,
    /// The distance, and how long to wait for a better one.
    pub config: &'a GuardConfig,
    solver: &'a Solver,
    source: Vec<f64>,
    truth: Batch,
}

impl<'a> Guard<'a> {
    /// Draws what all looks have in common: held-out points, or points of the training data where none are held out.
    ///
    /// # Errors
    /// When the data cannot give two points.
    pub fn new(
        recipe: &'a Recipe,
        dataset: &Dataset,
        summary: &'a DataSummary,
        (config, solver): (&'a GuardConfig, &'a Solver),
    ) -> Result<Self, TrainError> {
        let truth = if has_held_out(dataset) {
            let rows = dataset.held_out_rows(Split::Validation).unwrap_or(POINTS).min(POINTS);
            dataset.held_out(Split::Validation, Some(rows), recipe.seed)?
        } else {
            dataset.batch(dataset.training_rows().unwrap_or(POINTS).min(POINTS), recipe.seed, 0)?
        };
        let source = source(recipe, dataset, truth.rows, SOURCE);
        Ok(Self { recipe, summary, config, solver, source, truth })
    }

    /// Compares what the network makes of the same noise as always with the same points as always.
    ///
    /// # Errors
    /// When the solve fails or what it gives is not finite.
    pub fn look(&self, network: &Stages) -> Result<Look, TrainError> {
        let dim = self.truth.dim;
        let made = self.made(network, &self.source, &self.truth.condition)?;
        let (made, truth) = (Points::new(&made, dim), Points::new(&self.truth.points, dim));
        let distance =
            self.config.metric.evaluate(made, truth, &mut Noise::at(self.recipe.seed, "guard", 0))?;
        Ok(Look {
            distance,
            variance_ratio: variance_ratio(made, truth)?,
            condition_spread: self.condition_spread(network)?,
        })
    }

    /// The mean variance among outputs of one condition, over the variance of the data.
    fn condition_spread(&self, network: &Stages) -> Result<Option<f64>, TrainError> {
        if self.truth.condition == Condition::None {
            return Ok(None);
        }
        let (dim, count) = (self.truth.dim, CONDITIONS.min(self.truth.rows));
        // Each of some conditions with the noise of several points.
        let pairs = || (0..count).flat_map(|told| (0..OUTPUTS).map(move |k| (told, k)));
        let told: Vec<usize> = pairs().map(|(told, _)| told).collect();
        let rows = self.source.len() / dim;
        let source: Vec<f64> = pairs()
            .flat_map(|(told, k)| {
                let row = (told * OUTPUTS + k) % rows;
                self.source[row * dim..(row + 1) * dim].iter().copied()
            })
            .collect();
        let made = self.made(network, &source, &self.truth.condition.select(&told))?;
        let within =
            made.chunks_exact(OUTPUTS * dim).map(|outputs| total_variance(outputs, dim)).sum::<f64>();
        Ok(Some(within / count as f64 / total_variance(&self.truth.points, dim)))
    }

    fn made(&self, network: &Stages, source: &[f64], condition: &Condition) -> Result<Vec<f64>, TrainError> {
        Inference { recipe: self.recipe, summary: self.summary }
            .ends(network, self.solver, source, condition)
            .map_err(|error| TrainError::solve("the guard's reconstruction", error))
    }
}

/// Whether there are held-out points to look at.
pub fn has_held_out(dataset: &Dataset) -> bool {
    dataset.held_out_rows(Split::Validation).is_none_or(|rows| rows >= 2)
}

/// Source points in model units for a purpose of their own.
fn source(recipe: &Recipe, dataset: &Dataset, rows: usize, purpose: u64) -> Vec<f64> {
    let deviation = recipe.flow.path.source_deviation();
    let mut points = dataset.source_draws(rows, recipe.seed ^ purpose).points;
    points.iter_mut().for_each(|x| *x *= deviation);
    points
}

/// Turns the seed of training sources into that of the guard's.
const SOURCE: u64 = 0x6775_6172_6400_0000;

/// The trace of the covariance.
fn total_variance(points: &[f64], dim: usize) -> f64 {
    let rows = (points.len() / dim) as f64;
    let column = |k: usize| {
        let values = || points.iter().skip(k).step_by(dim);
        let mean = values().sum::<f64>() / rows;
        values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (rows - 1.0).max(1.0)
    };
    (0..dim).map(column).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(distance: f64, variance_ratio: f64) -> Look {
        Look { distance, variance_ratio, condition_spread: None }
    }

    #[test]
    fn the_best_is_kept_until_patience_runs_out() {
        let (guard, mut watch) = (GuardConfig { patience: 2, ..GuardConfig::default() }, Watch::default());
        for (step, (distance, ended)) in
            [(3.0, false), (1.0, false), (2.0, false), (1.5, true)].into_iter().enumerate()
        {
            assert!(watch.note(&guard, look(distance, 1.0), step as u64, ByName::new).is_empty());
            assert_eq!(watch.ended, ended, "after {step}");
        }
        let best = watch.best.as_ref().unwrap();
        assert_eq!((best.step, best.distance), (1, 1.0));
        let verdict = watch.verdict(&guard, 3, true).unwrap();
        assert!(verdict.starts_with("ended after step 3, the weights of step 1 are kept"), "{verdict}");
    }

    #[test]
    fn a_collapse_is_told_of_once() {
        let (guard, mut watch) = (GuardConfig { patience: 0, ..GuardConfig::default() }, Watch::default());
        let mut told = 0;
        for (step, ratio) in [1.0, 0.9, 0.7, 0.5].into_iter().enumerate() {
            told += watch.note(&guard, look(1.0 + ratio, ratio), step as u64, ByName::new).len();
        }
        assert_eq!(told, 1);
        let mut worse = Watch::default();
        for step in 0..50 {
            worse.note(&guard, look(1.0 + step as f64, 1.0), step, ByName::new);
        }
        assert!(!worse.ended, "no patience is endless patience");
        assert!(
            worse.verdict(&guard, 50, true).unwrap().starts_with("no better than the flow it started from")
        );
    }

    #[test]
    fn spread_that_is_lost_under_a_condition_is_told_of_too() {
        let mut watch = Watch::default();
        let at = |spread| Look { condition_spread: Some(spread), ..look(1.0, 1.0) };
        assert!(watch.note(&GuardConfig::default(), at(0.03), 0, ByName::new).is_empty());
        let told = watch.note(&GuardConfig::default(), at(0.001), 1, ByName::new);
        assert!(told.len() == 1 && told[0].contains("under one condition is 0.001"), "{told:?}");
    }

    #[test]
    fn a_second_stage_is_held_against_the_flow_alone() {
        let (guard, mut watch) = (GuardConfig::default(), Watch { alone: Some(0.4), ..Watch::default() });
        watch.note(&guard, look(1.5, 1.0), 0, ByName::new);
        watch.note(&guard, look(0.9, 1.0), 1, ByName::new);
        let verdict = watch.verdict(&guard, 1, true).unwrap();
        assert!(verdict.starts_with("no better than the flow alone: the weights of step 1"), "{verdict}");
        watch.note(&guard, look(0.3, 1.0), 2, ByName::new);
        let verdict = watch.verdict(&guard, 2, true).unwrap();
        assert!(verdict.starts_with("the weights of step 2") && verdict.contains("0.40000"), "{verdict}");
    }

    #[test]
    fn the_total_variance_of_a_square() {
        assert_eq!(total_variance(&[0.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0], 2), 8.0 / 3.0);
    }
}
