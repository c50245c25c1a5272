//! Contraction within a ball, for fields with several equilibria (FORMULAS §6.6).
//!
//! In a ball around a centre the units see only a part of their functions, with slopes of their own, and with those the
//! inequality may hold although it does not hold everywhere.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};

use crate::Field;
use crate::contraction::{Contraction, Limits, Verdict, best_of, margin_for};
use crate::dense::extremes;
use crate::field::Stacked;

/// A ball that no solution leaves, and in which all of them approach each other.
#[derive(Debug, Clone)]
pub struct Region {
    /// The centre.
    pub centre: Vec<f64>,
    /// The radius in the norm of the metric.
    pub radius: f64,
    /// The proof for the slopes in the ball; the least eigenvalue of its metric is one.
    pub proof: Contraction,
    /// `‖F(centre)‖` in the norm of the metric: at most rate times radius.
    pub drift: f64,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum NoRegion {
    /// The slopes in the ball allow no proof.
    NoContraction {
        /// The least eigenvalue bound that was reached.
        margin: f64,
    },
    /// The field at the centre may carry solutions out of the ball.
    Drift {
        /// How strong it is.
        drift: f64,
        /// How strong it may be.
        most: f64,
    },
}

/// What is added to the field from outside.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its value, one number for each coordinate.
    pub value: &'a [f64],
    /// By how much it may differ from that at any time, in the Euclidean norm.
    pub deviation: f64,
}

/// Turns of finding slopes for a metric and a metric for slopes.
const TURNS: usize = 3;

/// A proof for the ball of this radius around `centre`.
///
/// # Errors
/// Says what fails.
///
/// # Panics
/// When [`Field::check`] finds something, or lengths differ.
pub fn region(
    field: &Field,
    centre: &[f64],
    radius: f64,
    input: Input<'_>,
    limits: Limits,
) -> Result<Region, NoRegion> {
    field.assert_sound();
    let n = field.dim();
    for (what, given) in [("centre", centre), ("input", input.value)] {
        assert_eq!(given.len(), n, "the {what} has {} coordinates in a field of {n}", given.len());
    }
    let drift = field.value(centre, input.value);
    let mut metric = Mat::<f64>::identity(n, n);
    let mut found = Err(NoRegion::NoContraction { margin: f64::INFINITY });
    for _ in 0..TURNS {
        let Some(local) = slopes_in(field, centre, radius, &metric) else { break };
        let proof = match best_of(&local, limits) {
            Verdict::Certified(proof) => normalised(proof),
            Verdict::NotCertified { margin, .. } => {
                return found.or(Err(NoRegion::NoContraction { margin }));
            }
        };
        metric = proof.metric.clone();
        // The ball of the new metric is another one, so the proof is asked again for its slopes.
        let strength = norm(&drift, &metric) + input.deviation * largest(&metric).sqrt();
        let most = proof.rate * radius;
        let Some(inside) = slopes_in(field, centre, radius, &metric) else { break };
        if margin_for(&inside, &proof).is_err() {
            continue;
        }
        if strength > most {
            found = found.or(Err(NoRegion::Drift { drift: strength, most }));
            continue;
        }
        let better = found.as_ref().is_ok_and(|old: &Region| old.proof.rate >= proof.rate);
        if !better {
            found = Ok(Region { centre: centre.to_vec(), radius, proof, drift: strength });
        }
    }
    found
}

/// The largest ball around `centre` for which [`region`] has a proof, to a ten-thousandth of its radius. Where the field
/// contracts everywhere that is the largest which is tried, a thousand times one plus the length of the centre.
///
/// # Errors
/// When no radius that is tried has one: says what fails for the last.
///
/// # Panics
/// As [`region`].
pub fn largest_region(
    field: &Field,
    centre: &[f64],
    input: Input<'_>,
    limits: Limits,
) -> Result<Region, NoRegion> {
    const FINEST: f64 = 1e-4;
    let size = 1.0 + centre.iter().map(|x| x * x).sum::<f64>().sqrt();
    // While the radius is searched for any rate will do.
    let quick = Limits { precision: limits.precision.max(0.05), ..limits };
    let mut found = Err(NoRegion::NoContraction { margin: f64::INFINITY });
    let (mut radius, mut too_large) = (1e3 * size, f64::INFINITY);
    while found.is_err() && radius > 1e-4 * size {
        found = region(field, centre, radius, input, quick);
        if found.is_err() {
            too_large = radius;
            radius *= 0.25;
        }
    }
    let mut best = found?;
    while too_large - best.radius > FINEST * best.radius && too_large.is_finite() {
        let middle = 0.5 * (best.radius + too_large);
        match region(field, centre, middle, input, quick) {
            Ok(larger) => best = larger,
            Err(_) => too_large = middle,
        }
    }
    Ok(region(field, centre, best.radius, input, limits).unwrap_or(best))
}

/// Checks a region by itself: the slopes in the ball are found anew, and so is the drift.
///
/// # Errors
/// Says what does not hold.
pub fn verify_region(field: &Field, region: &Region, input: Input<'_>) -> Result<(), String> {
    field.check()?;
    let n = field.dim();
    let Region { centre, radius, proof, drift } = region;
    if centre.len() != n || input.value.len() != n {
        return Err(format!("a centre of {} coordinates in a field of {n}", centre.len()));
    }
    if !(radius.is_finite() && *radius > 0.0 && input.deviation >= 0.0) {
        return Err(format!("a ball of radius {radius} with an input that deviates by {}", input.deviation));
    }
    if centre.iter().chain(input.value).any(|x| !x.is_finite()) {
        return Err("the centre or the input is not finite".to_string());
    }
    if (proof.metric.nrows(), proof.metric.ncols()) != (n, n) {
        return Err("the metric does not have the size of the field".to_string());
    }
    let local = slopes_in(field, centre, *radius, &proof.metric).ok_or("the metric is not definite")?;
    margin_for(&local, proof)?;
    let found = norm(&field.value(centre, input.value), &proof.metric)
        + input.deviation * largest(&proof.metric).sqrt();
    if (found - drift).abs() > 1e-9 * (1.0 + found) {
        return Err(format!("the drift is {found}, not {drift}"));
    }
    if found > proof.rate * radius {
        return Err(format!("a drift of {found} leads out of the ball; {} would stay", proof.rate * radius));
    }
    Ok(())
}

/// The field with the slopes that occur in the ball, around their middle: in a small ball they hardly differ, and the
/// inequality for nearly equal slopes would drown in rounding. None for a metric that is not definite.
fn slopes_in(field: &Field, centre: &[f64], radius: f64, metric: &Mat<f64>) -> Option<Stacked> {
    let n = field.dim();
    let mut local = field.stacked();
    let inverse = metric.llt(Side::Lower).ok()?.inverse();
    let mut unit = 0;
    for term in &field.terms {
        for k in 0..term.bias.len() {
            let middle = term.bias[k] + (0..n).map(|i| term.inner[(k, i)] * centre[i]).sum::<f64>();
            let row: Vec<f64> = (0..n).map(|i| term.inner[(k, i)]).collect();
            let reach = radius * norm(&row, &inverse) * (1.0 + 1e-12);
            local.slopes[unit] = term.function.slopes_between(middle - reach, middle + reach);
            unit += 1;
        }
    }
    Some(local.centred())
}

/// The same proof with a metric whose least eigenvalue is one.
pub(crate) fn normalised(mut proof: Contraction) -> Contraction {
    let least = extremes(&proof.metric).map_or(1.0, |[least, _]| least);
    let n = proof.metric.nrows();
    proof.metric = Mat::from_fn(n, n, |i, j| proof.metric[(i, j)] / least);
    proof.multipliers.iter_mut().for_each(|x| *x /= least);
    proof
}

fn norm(x: &[f64], metric: &Mat<f64>) -> f64 {
    let n = x.len();
    let square: f64 =
        (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| x[i] * metric[(i, j)] * x[j]).sum();
    square.max(0.0).sqrt()
}

fn largest(metric: &Mat<f64>) -> f64 {
    extremes(metric).map_or(f64::INFINITY, |[_, greatest]| greatest)
}
