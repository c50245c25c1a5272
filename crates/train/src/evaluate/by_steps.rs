//! A distance at several numbers of equal Euler steps: what few evaluations cost.

use serde::{Deserialize, Serialize};
use thalweg_data::Dataset;
use thalweg_metrics::{TwoSample, distance_on_scale};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Solver};

use super::distances::Clouds;
use super::truth::HeldOut;
use super::{Shared, Tally};
use crate::error::TrainError;
use crate::trained::TrainedFlow;

/// A distance by a number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Equal steps of Euler, in each network of a chain, or as many of the recipe's stochastic equation.
    pub steps: usize,
    /// Mean evaluations of the network for a sample, a second stage included.
    pub evaluations: f64,
    /// The distance.
    pub value: f64,
}

/// The distance of samples from held-out points at each number of steps, from the same noise and against the same
/// points as [`evaluate`](super::evaluate) takes, so that both are on one scale. What fails is a warning.
pub(crate) fn distance_by_steps(
    (flow, dataset): (&TrainedFlow, &Dataset),
    metric: TwoSample,
    steps: &[usize],
    seed: u64,
) -> (Vec<CurvePoint>, Vec<String>) {
    let mut tally = Tally::default();
    let points = steps.iter().filter_map(|&steps| {
        let point = point((flow, dataset), metric, steps, seed);
        tally.keep(&format!("{metric} by {steps} steps of Euler"), point)
    });
    (points.collect(), tally.warnings)
}

fn point(
    (flow, dataset): (&TrainedFlow, &Dataset),
    metric: TwoSample,
    steps: usize,
    seed: u64,
) -> Result<CurvePoint, TrainError> {
    let held_out = HeldOut::draw(dataset, flow.recipe.evaluate.samples, seed)?;
    let source = flow.source(held_out.rows(), seed)?;
    let solver = Solver::fixed(Method::Euler, steps);
    let sampler = flow.recipe.evaluate.sampler.with_steps(steps);
    let shared = Shared { dataset, held_out: &held_out, solver: &solver, sampler, seed };
    let samples = shared.draw(flow, &source)?;
    let clouds = Clouds::new(&samples, &held_out, dataset);
    let mut noise = Noise::at(seed, "evaluate-metric", 0);
    let value = distance_on_scale(metric, clouds.samples(), clouds.pairs()[0], &mut noise)?;
    Ok(CurvePoint { steps, evaluations: samples.evaluations, value })
}
