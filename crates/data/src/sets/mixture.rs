//! Mixtures of round Gaussians, the eight Gaussians on a circle among them.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use super::{Sampler, not_negative, positive};
use crate::error::DataError;

/// Eight Gaussians on a circle, as torchcfm draws them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EightGaussians {
    /// Radius of the circle.
    pub scale: f64,
    /// Variance of each coordinate. The default is √0.1 ≈ 0.316: torchcfm is called with `var=0.1` and uses the
    /// *square root* of it as the covariance.
    pub variance: f64,
}

impl Default for EightGaussians {
    fn default() -> Self {
        Self { scale: 5.0, variance: 0.1_f64.sqrt() }
    }
}

impl EightGaussians {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        positive(field, "scale", self.scale)?;
        positive(field, "variance", self.variance)
    }
}

/// A mixture of round Gaussians.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianMixture {
    /// Relative weights of the components.
    pub weights: Vec<f64>,
    /// Centres of the components.
    pub means: Vec<Vec<f64>>,
    /// Standard deviation of each component, the same in every direction.
    pub deviations: Vec<f64>,
}

impl GaussianMixture {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        let (weights, means, deviations) = (self.weights.len(), self.means.len(), self.deviations.len());
        if weights == 0 || weights != means || weights != deviations {
            let reason = format!(
                "needs as many weights as means and deviations, not {weights}, {means}, {deviations}"
            );
            return Err(DataError::config(field, reason));
        }
        self.weights.iter().try_for_each(|&weight| not_negative(field, "weights", weight))?;
        positive(field, "weights (their sum)", self.weights.iter().sum())?;
        self.deviations.iter().try_for_each(|&deviation| positive(field, "deviations", deviation))?;
        let dim = self.means[0].len();
        let consistent = |mean: &Vec<f64>| mean.len() == dim && mean.iter().all(|value| value.is_finite());
        if dim == 0 || !self.means.iter().all(consistent) {
            let reason = "all means need the same number of coordinates, at least one, all finite";
            return Err(DataError::config(format!("{field}.means"), reason));
        }
        Ok(())
    }
}

/// Centres, deviations and weights of the modes of a set: what mode recall counts, and all that the closed forms of a
/// Gaussian mixture need.
#[derive(Debug, Clone, PartialEq)]
pub struct Modes {
    /// Weights, with sum one.
    pub weights: Vec<f64>,
    /// One point for each mode.
    pub centres: Vec<Vec<f64>>,
    /// Standard deviation of each mode, the same in every direction.
    pub deviations: Vec<f64>,
}

/// A mixture ready to be drawn from.
#[derive(Debug)]
pub(super) struct Mixture {
    modes: Modes,
}

impl From<&EightGaussians> for Mixture {
    fn from(set: &EightGaussians) -> Self {
        let centre = |k: i32| {
            let (sin, cos) = (TAU * f64::from(k) / 8.0).sin_cos();
            vec![set.scale * cos, set.scale * sin]
        };
        let deviations = vec![set.variance.sqrt(); 8];
        Self { modes: Modes { weights: vec![0.125; 8], centres: (0..8).map(centre).collect(), deviations } }
    }
}

impl From<&GaussianMixture> for Mixture {
    fn from(set: &GaussianMixture) -> Self {
        let total: f64 = set.weights.iter().sum();
        let weights = set.weights.iter().map(|weight| weight / total).collect();
        Self { modes: Modes { weights, centres: set.means.clone(), deviations: set.deviations.clone() } }
    }
}

impl Sampler for Mixture {
    fn dim(&self) -> usize {
        self.modes.centres[0].len()
    }

    fn classes(&self) -> usize {
        self.modes.weights.len()
    }

    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let mode = noise.choose(&self.modes.weights);
        for (value, centre) in point.iter_mut().zip(&self.modes.centres[mode]) {
            *value = centre + self.modes.deviations[mode] * noise.normal();
        }
        mode
    }

    fn log_density(&self, point: &[f64]) -> Option<f64> {
        let modes = &self.modes;
        let dim = point.len() as f64;
        let terms: Vec<f64> = (0..modes.weights.len())
            .map(|k| {
                let (deviation, centre) = (modes.deviations[k], &modes.centres[k]);
                let square: f64 = point.iter().zip(centre).map(|(x, m)| ((x - m) / deviation).powi(2)).sum();
                modes.weights[k].ln() - 0.5 * square - dim * (deviation.ln() + 0.5 * TAU.ln())
            })
            .collect();
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln())
    }

    fn modes(&self) -> Option<Modes> {
        Some(self.modes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_of_one_component_and_of_far_points() {
        let mixture = |weights: &[f64], means: &[f64], deviations: &[f64]| {
            let means = means.iter().map(|&m| vec![m]).collect();
            Mixture::from(&GaussianMixture {
                weights: weights.to_vec(),
                means,
                deviations: deviations.to_vec(),
            })
        };
        let one = mixture(&[3.0], &[1.0], &[2.0]).log_density(&[2.0]).unwrap();
        assert!((one - (-0.125 - 2_f64.ln() - 0.5 * TAU.ln())).abs() < 1e-14, "{one}");
        // Where every component underflows, the nearest one still counts.
        let far = mixture(&[0.5, 0.5], &[-1.0, 1.0], &[1.0, 1.0]).log_density(&[100.0]).unwrap();
        assert!((far - (0.5_f64.ln() - 0.5 * 99_f64.powi(2) - 0.5 * TAU.ln())).abs() < 1e-9, "{far}");
    }
}
