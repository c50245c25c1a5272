//! Measurements beside the claims: pairs of points are followed, and what becomes of their distance is compared.

use burn::tensor::Tensor;
use faer::Mat;
use thalweg_certify::{Certificate, ContractionClaim, RegionClaim};
use thalweg_data::Condition;
use thalweg_nets::ConditionSpec;
use thalweg_noise::Noise;
use thalweg_solve::{Method, Save, SolveError, Solver, VelocityField, solve_field, to_host};

use super::{CertifyRequest, precise};
use crate::error::TrainError;
use crate::objective::tensor_condition;
use crate::residual::ResidualConfig;
use crate::trained::{ConditionRequest, TrainedFlow};

/// What came of pairs of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The norm that distances are in, in words.
    pub norm: &'static str,
    /// The largest share of a distance that is left along the stage, by a solve that is accurate.
    pub along: MeasuredCurve,
    /// The largest share that is left at the end, by the steps that inference makes.
    pub by_steps: f64,
    /// What is claimed of those steps.
    pub claimed_of_steps: Option<f64>,
    /// The largest distance that a disturbance of the velocity of size one leaves at the end.
    pub disturbance: f64,
    /// What is claimed of it: `(1 - e^{-cT})/c`.
    pub claimed_of_disturbance: f64,
    /// The largest ratio of distances after and before the whole stage, as a map of what the flow has made; in the Euclidean
    /// norm.
    pub as_a_map: f64,
    /// What is claimed of it, which for an anchored stage is nothing.
    pub claimed_as_a_map: Option<f64>,
    /// For each region the largest share of a distance that is left at the end, and what is claimed.
    pub regions: Vec<[f64; 2]>,
}

/// Shares of distances at some times.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredCurve {
    /// The times, from 1 on.
    pub times: Vec<f64>,
    /// The largest share among all pairs.
    pub largest: Vec<f64>,
    /// The mean share.
    pub mean: Vec<f64>,
    /// What is claimed, `e^{-c(t - 1)}`; where no contraction is proved, with a rate below zero that norms give.
    pub claimed: Vec<f64>,
}

/// A claim holds for exact solutions; this is what the accurate solver may be wrong by over the smallest displacement.
/// Shares below it are too small to be measured.
const TOLERANCE: f64 = 1e-6;
/// The same for steps that are fixed, whose only error is rounding.
const ROUNDING: f64 = 1e-10;

impl Measured {
    /// Whether nothing that was measured is beyond what is claimed.
    #[must_use]
    pub fn is_within_claims(&self) -> bool {
        let within = |found: f64, claimed: Option<f64>, error: f64| {
            claimed.is_none_or(|claimed| found <= claimed * (1.0 + error) + error)
        };
        let below = |found, claimed| within(found, claimed, TOLERANCE);
        let MeasuredCurve { largest, claimed, .. } = &self.along;
        largest.iter().zip(claimed).all(|(found, claimed)| below(*found, Some(*claimed)))
            && within(self.by_steps, self.claimed_of_steps, ROUNDING)
            && below(self.disturbance, Some(self.claimed_of_disturbance))
            && below(self.as_a_map, self.claimed_as_a_map)
            && self.regions.iter().all(|[found, claimed]| below(*found, Some(*claimed)))
    }
}

/// Sizes of displacements, in model units, by turns.
const SIZES: [f64; 4] = [1e-2, 0.3, 1.0, 4.0];
/// Times of the curve.
const TIMES: usize = 33;

/// What the flow makes of source points, before its second stage, in model units.
pub(super) fn made(
    flow: &TrainedFlow,
    source: &[f64],
    condition: &Condition,
) -> Result<Vec<f64>, TrainError> {
    let placement = precise();
    let dim = flow.summary.dim;
    let network = flow.network().clone().cast(placement.dtype);
    let field = flow.field(&network, condition, 1.0, &placement);
    let x0 = placement.tensor::<2>(source, [source.len() / dim, dim]);
    let span = flow.recipe.flow.path.interval().span();
    let solution = solve_field(&flow.recipe.evaluate.solver, span, x0, &Save::End, &field)
        .map_err(|error| TrainError::solve("what the flow makes", error.without_state()))?;
    Ok(to_host(&solution.state))
}

/// Follows pairs that start a little apart.
pub(super) fn measure(
    flow: &TrainedFlow,
    certificate: Option<&Certificate>,
    request: &CertifyRequest,
) -> Result<Measured, TrainError> {
    let Some((residual, stage)) = flow.second_stage() else {
        return Err(TrainError::Request("there is no second stage to be measured".to_string()));
    };
    let (placement, dim) = (precise(), flow.summary.dim);
    let residual = residual.clone().cast(placement.dtype);
    let claims = certificate.map(|certificate| &certificate.claims);
    let contraction = claims.and_then(|claims| claims.contraction.certified());
    let norm = Norm::of(contraction, dim);
    // Without a proof of contraction distances grow no faster than norms of the parts allow.
    let rate = match (contraction, claims) {
        (Some(claim), _) => claim.rate,
        (None, Some(claims)) => claims.cheap.euclidean,
        (None, None) => -residual.steepest(),
    };
    let left = |time: f64| (-rate * time).exp();

    let rows = request.points;
    let condition = condition(flow, rows, request.seed)?;
    let source = flow.source(rows, request.seed)?;
    let y = made(flow, &source, &condition)?;
    let mut noise = Noise::at(request.seed, "certify-displacements", 0);
    let directions = displacements(&mut noise, rows, dim);
    let moved: Vec<f64> = y.iter().zip(&directions).map(|(y, d)| y + d).collect();
    let tensor = |values: &[f64]| placement.tensor::<2>(values, [rows, dim]);
    let told = tensor_condition(&condition, &placement);
    let (at, beside) = (tensor(&y), tensor(&moved));
    // Displaced on the way: the anchor stays.
    let field = residual.given(&told, &at);
    let accurate = Solver::adaptive(Method::Dopri5, 1e-9);
    let follow =
        |solver: &Solver, field: &dyn Fn(Tensor<1>, Tensor<2>) -> Tensor<2>, x: Tensor<2>, save: &Save| {
            let field = |t: Tensor<1>, x: Tensor<2>| field(t, x);
            solve_field(solver, stage.span(), x, save, &field).map_err(|error: SolveError<Tensor<2>>| {
                TrainError::solve("following pairs", error.without_state())
            })
        };
    let plain = |t: Tensor<1>, x: Tensor<2>| field.velocity(t, x);
    let times = Save::evenly(stage.span(), TIMES);
    let [first, second] = [at.clone(), beside.clone()].map(|x| follow(&accurate, &plain, x, &times));
    let (undisturbed, displaced) = (first?, second?);
    let along = curve(undisturbed.saved, displaced.saved, &norm, (&directions, &left));
    let [first, second] = [at.clone(), beside.clone()].map(|x| follow(&stage.solver, &plain, x, &Save::End));
    let by_steps = norm.largest_ratio(&difference(&first?.state, &second?.state), &directions);

    // A push of size one in the norm, the same all the way, in a direction for each row.
    let lengths = norm.lengths(&directions);
    let push: Vec<f64> = directions.iter().enumerate().map(|(i, d)| d / lengths[i / dim]).collect();
    let push = tensor(&push);
    let pushed = |t: Tensor<1>, x: Tensor<2>| field.velocity(t, x) + push.clone();
    let driven = follow(&accurate, &pushed, at, &Save::End)?;
    let disturbance =
        norm.lengths(&difference(&undisturbed.state, &driven.state)).into_iter().fold(0.0, larger);

    // As a map, the anchor moves with the point.
    let of_moved = residual.given(&told, &beside);
    let of_moved = |t: Tensor<1>, x: Tensor<2>| of_moved.velocity(t, x);
    let moved = follow(&accurate, &of_moved, beside, &Save::End)?;
    let as_a_map =
        Norm::Euclidean(dim).largest_ratio(&difference(&undisturbed.state, &moved.state), &directions);

    let steps = claims.and_then(|claims| claims.steps.certified());
    let regions = claims.map_or(&[][..], |claims| &claims.regions);
    let autonomous = Pairs { flow, stage, request };
    Ok(Measured {
        norm: norm.words(),
        along,
        by_steps,
        claimed_of_steps: steps.map(|steps| steps.horizon_factor),
        disturbance,
        claimed_of_disturbance: if rate == 0.0 {
            stage.duration
        } else {
            -(-rate * stage.duration).exp_m1() / rate
        },
        as_a_map,
        claimed_as_a_map: (!residual.config().is_anchored())
            .then(|| contraction.map_or_else(|| left(stage.duration), |claim| claim.euclidean_factor)),
        regions: regions
            .iter()
            .map(|region| autonomous.in_region(region))
            .collect::<Result<_, TrainError>>()?,
    })
}

/// Conditions as in the data; vectors, which cannot be drawn without the data, from a normal distribution.
pub(super) fn condition(flow: &TrainedFlow, rows: usize, seed: u64) -> Result<Condition, TrainError> {
    match flow.summary.condition {
        ConditionSpec::Vectors { dim } => {
            let values = Noise::at(seed, "certify-conditions", 0).normals(rows * dim);
            Ok(Condition::Vectors { dim, values })
        }
        _ => flow.condition(&ConditionRequest::AsInData, rows, seed),
    }
}

fn displacements(noise: &mut Noise, rows: usize, dim: usize) -> Vec<f64> {
    let mut values = noise.normals(rows * dim);
    for (row, direction) in values.chunks_exact_mut(dim).enumerate() {
        let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
        direction.iter_mut().for_each(|x| *x *= SIZES[row % SIZES.len()] / length);
    }
    values
}

/// The larger of two numbers, of which none may hide that the other is none.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

fn difference(a: &Tensor<2>, b: &Tensor<2>) -> Vec<f64> {
    to_host(&(b.clone() - a.clone()))
}

fn curve(
    first: Vec<(f64, Tensor<2>)>,
    second: Vec<(f64, Tensor<2>)>,
    norm: &Norm,
    (start, left): (&[f64], &dyn Fn(f64) -> f64),
) -> MeasuredCurve {
    let before = norm.lengths(start);
    let mut curve = MeasuredCurve { times: vec![], largest: vec![], mean: vec![], claimed: vec![] };
    for ((time, a), (_, b)) in first.into_iter().zip(second) {
        let shares: Vec<f64> =
            norm.lengths(&difference(&a, &b)).iter().zip(&before).map(|(now, then)| now / then).collect();
        curve.times.push(time);
        curve.largest.push(shares.iter().copied().fold(0.0, larger));
        curve.mean.push(shares.iter().sum::<f64>() / shares.len() as f64);
    }
    curve.claimed = curve.times.iter().map(|time| left(time - curve.times[0])).collect();
    curve
}

/// A norm of the claims.
enum Norm {
    Euclidean(usize),
    Metric(Mat<f64>),
}

impl Norm {
    fn of(claim: Option<&ContractionClaim>, dim: usize) -> Self {
        claim.map_or(Self::Euclidean(dim), |claim| Self::metric(&claim.metric))
    }

    fn metric(rows: &[Vec<f64>]) -> Self {
        Self::Metric(Mat::from_fn(rows.len(), rows.len(), |i, j| rows[i][j]))
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Euclidean(_) => "the Euclidean norm",
            Self::Metric(_) => "the norm of the metric",
        }
    }

    /// Of each row.
    fn lengths(&self, rows: &[f64]) -> Vec<f64> {
        match self {
            Self::Euclidean(dim) => {
                rows.chunks_exact(*dim).map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect()
            }
            Self::Metric(metric) => {
                let dim = metric.nrows();
                let square = |row: &[f64]| -> f64 {
                    (0..dim).map(|i| row[i] * (0..dim).map(|j| metric[(i, j)] * row[j]).sum::<f64>()).sum()
                };
                rows.chunks_exact(dim).map(|row| square(row).max(0.0).sqrt()).collect()
            }
        }
    }

    fn largest_ratio(&self, now: &[f64], then: &[f64]) -> f64 {
        self.lengths(now).iter().zip(self.lengths(then)).map(|(now, then)| now / then).fold(0.0, larger)
    }
}

/// Pairs within a region.
struct Pairs<'a> {
    flow: &'a TrainedFlow,
    stage: &'a ResidualConfig,
    request: &'a CertifyRequest,
}

impl Pairs<'_> {
    /// The largest share of a distance between two points of a ball that is left, and what is claimed.
    fn in_region(&self, region: &RegionClaim) -> Result<[f64; 2], TrainError> {
        let Some((residual, _)) = self.flow.second_stage() else { return Ok([0.0, 1.0]) };
        let (placement, dim) = (precise(), region.centre.len());
        let residual = residual.clone().cast(placement.dtype);
        let (norm, rows) = (Norm::metric(&region.metric), self.request.points);
        let mut noise = Noise::at(self.request.seed, "certify-regions", 0);
        let mut inside = || -> Vec<f64> {
            let mut points = displacements(&mut noise, rows, dim);
            let lengths = norm.lengths(&points);
            for (i, x) in points.iter_mut().enumerate() {
                let share = ((i / dim + 1) as f64 / rows as f64).sqrt();
                *x = region.centre[i % dim] + *x / lengths[i / dim] * region.radius * share;
            }
            points
        };
        let (a, b) = (inside(), inside());
        let apart: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        let [a, b] = [a, b].map(|points| placement.tensor::<2>(&points, [rows, dim]));
        let told = tensor_condition(&condition(self.flow, rows, self.request.seed)?, &placement);
        let follow = |x: Tensor<2>| {
            let field = residual.given(&told, &x);
            solve_field(&Solver::adaptive(Method::Dopri5, 1e-9), self.stage.span(), x, &Save::End, &field)
                .map_err(|error| TrainError::solve("following pairs of a region", error.without_state()))
        };
        let ends = difference(&follow(a)?.state, &follow(b)?.state);
        Ok([norm.largest_ratio(&ends, &apart), (-region.rate * self.stage.duration).exp()])
    }
}
