//! Gaussians with a full covariance, given or drawn from a seed.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use super::{Sampler, at_least};
use crate::error::DataError;

/// A Gaussian with the mean and covariance given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianConfig {
    /// The mean.
    pub mean: Vec<f64>,
    /// The covariance, row by row: symmetric and positive definite.
    pub covariance: Vec<Vec<f64>>,
}

/// A Gaussian whose mean is a draw of N(0, I) and whose covariance has randomly turned axes. Its eigenvalues are
/// spread evenly on a logarithmic scale from κ^-½ to κ^½, so its determinant is 1 and its condition number κ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomGaussianConfig {
    /// Number of coordinates.
    pub dim: usize,
    /// Largest eigenvalue of the covariance over the smallest.
    pub condition_number: f64,
    /// Which Gaussian of this kind. It belongs to the set: runs with different seeds learn the same target.
    pub seed: u64,
}

impl Default for RandomGaussianConfig {
    fn default() -> Self {
        Self { dim: 16, condition_number: 25.0, seed: 0 }
    }
}

/// A Gaussian and the Cholesky factor of its covariance.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    mean: Vec<f64>,
    covariance: Vec<f64>,
    /// Lower triangle with covariance = factor · factorᵀ, row-major.
    factor: Vec<f64>,
}

impl Gaussian {
    /// The mean, of length `dim`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, `dim × dim`, row-major.
    #[must_use]
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// Log-density in nats at a point of length `dim`.
    ///
    /// # Panics
    /// When the point has another length.
    #[must_use]
    pub fn log_density(&self, point: &[f64]) -> f64 {
        let dim = self.mean.len();
        assert_eq!(point.len(), dim, "a point of a {dim}-dimensional Gaussian has {dim} coordinates");
        // Solves factor · z = x − mean from the top down; |z|² is the squared Mahalanobis distance.
        let mut z = vec![0.0; dim];
        let mut log_determinant = 0.0;
        for i in 0..dim {
            let row = &self.factor[i * dim..(i + 1) * dim];
            let known: f64 = row[..i].iter().zip(&z).map(|(l, z)| l * z).sum();
            z[i] = (point[i] - self.mean[i] - known) / row[i];
            log_determinant += row[i].ln();
        }
        -0.5 * z.iter().map(|z| z * z).sum::<f64>() - log_determinant - 0.5 * dim as f64 * TAU.ln()
    }

    fn new(field: &str, mean: Vec<f64>, covariance: Vec<f64>) -> Result<Self, DataError> {
        let factor = cholesky(&covariance, mean.len()).ok_or_else(|| {
            DataError::config(format!("{field}.covariance"), "must be positive definite, with finite entries")
        })?;
        Ok(Self { mean, covariance, factor })
    }
}

impl Sampler for Gaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let dim = self.mean.len();
        let z = noise.normals(dim);
        for i in 0..dim {
            let row = &self.factor[i * dim..=i * dim + i];
            point[i] = self.mean[i] + row.iter().zip(&z).map(|(l, z)| l * z).sum::<f64>();
        }
        0
    }

    fn log_density(&self, point: &[f64]) -> Option<f64> {
        Some(Self::log_density(self, point))
    }

    fn gaussian(&self) -> Option<&Gaussian> {
        Some(self)
    }
}

impl GaussianConfig {
    pub(super) fn build(&self, field: &str) -> Result<Gaussian, DataError> {
        let dim = self.mean.len();
        at_least(field, "mean (its length)", dim, 1)?;
        if self.mean.iter().any(|value| !value.is_finite()) {
            return Err(DataError::config(format!("{field}.mean"), "must be finite"));
        }
        let rows = &self.covariance;
        if rows.len() != dim || rows.iter().any(|row| row.len() != dim) {
            let reason = format!("must be {dim} rows of {dim} numbers, as the mean has {dim}");
            return Err(DataError::config(format!("{field}.covariance"), reason));
        }
        for i in 0..dim {
            if let Some(j) = (0..i).find(|&j| rows[i][j] != rows[j][i]) {
                let reason = format!("must be symmetric, but entry ({i}, {j}) is not entry ({j}, {i})");
                return Err(DataError::config(format!("{field}.covariance"), reason));
            }
        }
        Gaussian::new(field, self.mean.clone(), rows.concat())
    }
}

impl RandomGaussianConfig {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        at_least(field, "dim", self.dim, 1)?;
        if self.condition_number >= 1.0 && self.condition_number.is_finite() {
            return Ok(());
        }
        let reason = format!("must be at least 1 and finite, not {}", self.condition_number);
        Err(DataError::config(format!("{field}.condition_number"), reason))
    }

    pub(super) fn build(&self, field: &str) -> Result<Gaussian, DataError> {
        self.validate(field)?;
        let dim = self.dim;
        let mut noise = Noise::at(self.seed, "random-gaussian", 0);
        let mean = noise.normals(dim);
        let axes = random_axes(dim, &mut noise);
        let mut covariance = vec![0.0; dim * dim];
        for (k, axis) in axes.iter().enumerate() {
            let place = if dim == 1 { 0.0 } else { k as f64 / (dim - 1) as f64 - 0.5 };
            let eigenvalue = self.condition_number.powf(place);
            for i in 0..dim {
                for j in 0..dim {
                    covariance[i * dim + j] += eigenvalue * axis[i] * axis[j];
                }
            }
        }
        Gaussian::new(field, mean, covariance)
    }
}

/// An orthonormal basis, uniform over all: Gram and Schmidt applied to normal vectors.
fn random_axes(dim: usize, noise: &mut Noise) -> Vec<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut axes: Vec<Vec<f64>> = Vec::with_capacity(dim);
    while axes.len() < dim {
        let mut vector = noise.normals(dim);
        // The second round removes what rounding left of the first.
        for axis in axes.iter().chain(&axes) {
            let along = dot(&vector, axis);
            vector.iter_mut().zip(axis).for_each(|(v, a)| *v -= along * a);
        }
        let length = dot(&vector, &vector).sqrt();
        axes.push(vector.iter().map(|v| v / length).collect());
    }
    axes
}

/// The lower triangle L with L Lᵀ = `matrix`; none when the matrix is not positive definite.
fn cholesky(matrix: &[f64], dim: usize) -> Option<Vec<f64>> {
    let mut factor = vec![0.0; dim * dim];
    for i in 0..dim {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| factor[i * dim + k] * factor[j * dim + k]).sum();
            let rest = matrix[i * dim + j] - known;
            if i != j {
                factor[i * dim + j] = rest / factor[j * dim + j];
            } else if rest > 0.0 && rest.is_finite() {
                factor[i * dim + i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn density_in_two_dimensions_against_the_formula() {
        let config =
            GaussianConfig { mean: vec![1.0, -2.0], covariance: vec![vec![2.0, 0.3], vec![0.3, 0.5]] };
        let gaussian = config.build("target").unwrap();
        // Σ⁻¹ = [[.5, -.3], [-.3, 2]] / .91.
        let (x, y) = (0.7, 1.1);
        let square = (0.5 * x * x - 0.6 * x * y + 2.0 * y * y) / 0.91;
        let expected = -0.5 * square - 0.5 * 0.91_f64.ln() - TAU.ln();
        assert!((gaussian.log_density(&[1.0 + x, -2.0 + y]) - expected).abs() < 1e-14);
    }

    #[test]
    fn a_drawn_covariance_has_determinant_one_and_the_spread_asked_for() {
        let gaussian = RandomGaussianConfig::default().build("target").unwrap();
        let log_determinant: f64 = (0..16).map(|i| 2.0 * gaussian.factor[i * 17].ln()).sum();
        assert!(log_determinant.abs() < 1e-12, "{log_determinant}");
        let trace: f64 = (0..16).map(|i| gaussian.covariance[i * 17]).sum();
        let expected: f64 = (0..16).map(|k| 25_f64.powf(f64::from(k) / 15.0 - 0.5)).sum();
        assert!((trace - expected).abs() < 1e-12, "{trace} against {expected}");
        let coupled = (1..16).map(|i| gaussian.covariance[i].abs()).fold(0.0, f64::max);
        assert!(coupled > 0.05, "the covariance is nearly diagonal: {coupled}");
    }

    #[test]
    fn impossible_covariances_are_refused() {
        let check = |covariance: [[f64; 2]; 2], reason: &str| {
            let covariance = covariance.map(|row| row.to_vec()).to_vec();
            let error =
                GaussianConfig { mean: vec![0.0; 2], covariance }.build("target").unwrap_err().to_string();
            assert!(error.starts_with("`target.covariance`: ") && error.contains(reason), "{error}");
        };
        check([[1.0, 2.0], [2.0, 1.0]], "positive definite");
        check([[1.0, 0.5], [0.4, 1.0]], "symmetric");
        check([[f64::NAN, 0.0], [0.0, 1.0]], "positive definite");
    }
}
