//! First and second moments, and the Fréchet distance of the Gaussians that have them (FORMULAS §11).

use faer::{Mat, Side};
use thalweg_ot::Points;

use crate::{MetricsError, checks};

/// A mean and a covariance matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// `[dim]`.
    pub mean: Vec<f64>,
    /// `[dim, dim]`, symmetric, row by row.
    pub covariance: Vec<f64>,
}

/// The mean and the unbiased covariance (division by `n - 1`) of a cloud.
pub fn mean_and_covariance(x: Points) -> Result<Moments, MetricsError> {
    checks::cloud("the sample", x, 2)?;
    let (n, dim) = (x.len(), x.dim());
    let mut mean = vec![0.0; dim];
    for row in x.rows() {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n as f64);
    }
    // Centred before squaring: the textbook difference of large sums would lose the digits of small variances.
    let centred = Mat::from_fn(n, dim, |i, k| x.row(i)[k] - mean[k]);
    let covariance = centred.transpose() * &centred;
    let covariance = (0..dim * dim).map(|k| covariance[(k / dim, k % dim)] / (n as f64 - 1.0)).collect();
    Ok(Moments { mean, covariance })
}

/// The squared Fréchet distance of the Gaussians with the clouds' moments; with features of images it is the FID.
///
/// Biased upwards by about `1/n`: compare at equal numbers of points, and read it beside its floor. Takes `O(dim³)`.
pub fn frechet_gaussian(x: Points, y: Points) -> Result<f64, MetricsError> {
    checks::pair(x, y)?;
    frechet_of_moments(&mean_and_covariance(x)?, &mean_and_covariance(y)?)
}

/// `W₂² = ‖μ₁-μ₂‖² + tr(Σ₁ + Σ₂) - 2 tr √(Σ₁^½ Σ₂ Σ₁^½)` between two Gaussians.
///
/// By two symmetric eigendecompositions. Eigenvalues within rounding of zero, of either sign, are taken as zero: the
/// covariance of fewer points than dimensions is singular, and the roots of its rounding errors would add up.
///
/// # Panics
/// When the shapes of mean and covariance do not belong together.
pub fn frechet_of_moments(first: &Moments, second: &Moments) -> Result<f64, MetricsError> {
    let dim = first.mean.len();
    if second.mean.len() != dim {
        return Err(MetricsError::DifferentDimensions { first: dim, second: second.mean.len() });
    }
    let (a, b) = (matrix(first), matrix(second));
    let eigen = a.self_adjoint_eigen(Side::Lower).map_err(|_| MetricsError::NoEigenvalues)?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    // With A = U Λ Uᵀ the product A^½ B A^½ has the eigenvalues of Λ^½ Uᵀ B U Λ^½.
    let rotated = vectors.transpose() * &b * vectors;
    let roots = roots_above_rounding(&(0..dim).map(|k| values[k]).collect::<Vec<_>>());
    let product =
        Mat::from_fn(dim, dim, |i, j| roots[i] * 0.5 * (rotated[(i, j)] + rotated[(j, i)]) * roots[j]);
    let eigenvalues =
        product.self_adjoint_eigenvalues(Side::Lower).map_err(|_| MetricsError::NoEigenvalues)?;

    let trace_of_root: f64 = roots_above_rounding(&eigenvalues).iter().sum();
    let shift: f64 = first.mean.iter().zip(&second.mean).map(|(p, q)| (p - q) * (p - q)).sum();
    let traces: f64 = (0..dim).map(|k| a[(k, k)] + b[(k, k)]).sum();
    // The distance of equal Gaussians is zero, of which rounding leaves a little on either side.
    checks::finite("the Fréchet distance", shift + (traces - 2.0 * trace_of_root).max(0.0))
}

fn roots_above_rounding(eigenvalues: &[f64]) -> Vec<f64> {
    let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
    let rounding = largest * f64::EPSILON * eigenvalues.len() as f64;
    eigenvalues.iter().map(|&e| if e > rounding { e.sqrt() } else { 0.0 }).collect()
}

pub(crate) fn matrix(moments: &Moments) -> Mat<f64> {
    let dim = moments.mean.len();
    assert_eq!(
        moments.covariance.len(),
        dim * dim,
        "a mean of {dim} numbers needs a {dim} × {dim} covariance"
    );
    Mat::from_fn(dim, dim, |i, j| moments.covariance[i * dim + j])
}
