//! Whether a model covers what it should: modes, precision, spread (FORMULAS §11).

use thalweg_ot::Points;

use crate::gaussian::mean_and_covariance;
use crate::{MetricsError, checks};

/// A mode counts as found from this share of its expected mass on.
const FOUND_FROM: f64 = 1.0 / 3.0;

/// The fraction of modes that hold at least a third of their expected mass, each sample within `radius` of some mode
/// belonging to the nearest one. Samples farther away belong to none, so a cloud that covers no mode has found none,
/// however it is spread around them.
///
/// `weights` are the expected shares of the modes among all samples; they are positive and need not sum to one.
pub fn mode_recall(
    samples: Points,
    modes: Points,
    weights: &[f64],
    radius: f64,
) -> Result<f64, MetricsError> {
    check_modes(samples, modes)?;
    check_radius(radius)?;
    checks::list("the list of mode weights", weights, 1)?;
    assert_eq!(weights.len(), modes.len(), "one weight belongs to each mode");
    if let Some(&value) = weights.iter().find(|w| **w <= 0.0) {
        return Err(MetricsError::BadSetting { name: "a mode weight", value, expected: "positive" });
    }
    let mut counts = vec![0_usize; modes.len()];
    for sample in samples.rows() {
        let (mode, squared_distance) = nearest(sample, modes);
        if squared_distance <= radius * radius {
            counts[mode] += 1;
        }
    }
    let total: f64 = weights.iter().sum();
    let found = counts
        .iter()
        .zip(weights)
        .filter(|&(&count, weight)| count as f64 >= FOUND_FROM * weight / total * samples.len() as f64);
    Ok(found.count() as f64 / modes.len() as f64)
}

/// The fraction of samples within `radius` of some mode.
pub fn precision(samples: Points, modes: Points, radius: f64) -> Result<f64, MetricsError> {
    check_modes(samples, modes)?;
    check_radius(radius)?;
    let inside = samples.rows().filter(|sample| nearest(sample, modes).1 <= radius * radius).count();
    Ok(inside as f64 / samples.len() as f64)
}

/// `tr Cov(samples) / tr Cov(truth)`: below one the model has lost diversity, above one it is too wide.
pub fn variance_ratio(samples: Points, truth: Points) -> Result<f64, MetricsError> {
    checks::pair(samples, truth)?;
    let total_variance = |points| -> Result<f64, MetricsError> {
        let covariance = mean_and_covariance(points)?.covariance;
        Ok(covariance.iter().step_by(points.dim() + 1).sum())
    };
    let truth_variance = total_variance(truth)?;
    if truth_variance == 0.0 {
        return Err(MetricsError::AllPointsCoincide { what: "variance" });
    }
    checks::finite("the variance ratio", total_variance(samples)? / truth_variance)
}

fn check_modes(samples: Points, modes: Points) -> Result<(), MetricsError> {
    if samples.dim() != modes.dim() {
        return Err(MetricsError::DifferentDimensions { first: samples.dim(), second: modes.dim() });
    }
    checks::cloud("the sample", samples, 1)?;
    checks::cloud("the list of modes", modes, 1)
}

fn check_radius(radius: f64) -> Result<(), MetricsError> {
    if !(radius > 0.0 && radius.is_finite()) {
        return Err(MetricsError::BadSetting {
            name: "radius",
            value: radius,
            expected: "positive and finite",
        });
    }
    Ok(())
}

/// The nearest mode and the squared distance to it.
fn nearest(sample: &[f64], modes: Points) -> (usize, f64) {
    let squared = |mode: &[f64]| -> f64 { sample.iter().zip(mode).map(|(a, b)| (a - b) * (a - b)).sum() };
    modes
        .rows()
        .map(squared)
        .enumerate()
        .fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best })
}
