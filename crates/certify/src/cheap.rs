//! Certificates that need no solver (FORMULAS §6.6): two bounds of logarithmic norms for every slope that may occur.

use faer::Mat;
use serde::{Deserialize, Serialize};

use crate::Field;
use crate::dense::{extremes, spectral};
use crate::field::Stacked;

/// A rate at which solutions approach each other in some norm; below zero it bounds how fast they part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cheap {
    /// From the Metzler majorant, in the norm `max |x_i| / weight_i`.
    pub weighted_maximum: WeightedMaximum,
    /// From norms of the parts, in the Euclidean norm.
    pub euclidean: f64,
}

/// See [`Cheap`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedMaximum {
    /// The rate.
    pub rate: f64,
    /// The weights, all above zero, the largest of them one.
    pub weights: Vec<f64>,
}

/// Both bounds.
///
/// # Panics
/// When [`Field::check`] finds something.
#[must_use]
pub fn cheap(field: &Field) -> Cheap {
    field.assert_sound();
    let stacked = field.stacked();
    Cheap { weighted_maximum: weighted_maximum(&stacked), euclidean: euclidean(field) }
}

/// `R` with `R_ii` the largest diagonal and `|R_ij|` the largest other entry that a Jacobian may have.
fn majorant(field: &Stacked) -> Mat<f64> {
    let n = field.linear.nrows();
    Mat::from_fn(n, n, |i, j| {
        let (mut low, mut high) = (field.linear[(i, j)], field.linear[(i, j)]);
        for (k, [least, greatest]) in field.slopes.iter().enumerate() {
            let product = field.outer[(i, k)] * field.inner[(k, j)];
            low += (product * least).min(product * greatest);
            high += (product * least).max(product * greatest);
        }
        if i == j { high } else { low.abs().max(high.abs()) }
    })
}

/// The largest eigenvalue of a matrix without negative entries off its diagonal belongs to a vector without negative
/// entries. Any positive vector gives a valid bound, `max (R w)_i / w_i`, so the iteration may end early.
fn weighted_maximum(field: &Stacked) -> WeightedMaximum {
    const ROUNDS: usize = 2000;
    let n = field.linear.nrows();
    let majorant = glued(majorant(field));
    let lift = (0..n).map(|i| majorant[(i, i)].abs()).fold(1.0, f64::max);
    let mut weights = vec![1.0; n];
    for _ in 0..ROUNDS {
        let next: Vec<f64> =
            (0..n).map(|i| image(&majorant, &weights, i) + 2.0 * lift * weights[i]).collect();
        let largest = next.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        weights = next.into_iter().map(|x| (x / largest).max(1e-12)).collect();
    }
    WeightedMaximum { rate: -growth(&majorant, &weights), weights }
}

/// The rate that some weights above zero prove.
pub(crate) fn rate_with(field: &Field, weights: &[f64]) -> f64 {
    -growth(&glued(majorant(&field.stacked())), weights)
}

/// Without something everywhere off the diagonal, a matrix that falls apart would have weights of zero.
fn glued(mut majorant: Mat<f64>) -> Mat<f64> {
    let n = majorant.nrows();
    let size =
        (0..n).flat_map(|j| (0..n).map(move |i| (i, j))).map(|at| majorant[at].abs()).fold(0.0, f64::max);
    for j in 0..n {
        for i in 0..n {
            majorant[(i, j)] += if i == j { 0.0 } else { 1e-9 * (size + 1e-300) };
        }
    }
    majorant
}

fn image(majorant: &Mat<f64>, weights: &[f64], i: usize) -> f64 {
    (0..weights.len()).map(|j| majorant[(i, j)] * weights[j]).sum()
}

fn growth(majorant: &Mat<f64>, weights: &[f64]) -> f64 {
    (0..weights.len()).map(|i| image(majorant, weights, i) / weights[i]).fold(f64::NEG_INFINITY, f64::max)
}

/// `-λ_max(sym A₀) - Σ ‖A_j‖ ‖ℓ_j W_j‖`.
pub(crate) fn euclidean(field: &Field) -> f64 {
    let growth = extremes(&field.linear).map_or(f64::INFINITY, |[_, greatest]| greatest);
    // What cannot be computed is no bound.
    let norm = |matrix: &Mat<f64>| spectral(matrix).unwrap_or(f64::INFINITY);
    let parts = field.terms.iter().map(|term| {
        let [low, high] = term.function.slopes();
        norm(&term.outer) * norm(&term.inner) * high.max(-low)
    });
    -growth - parts.sum::<f64>()
}
