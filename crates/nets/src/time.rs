//! How the time enters the network: as a number, or as sines and cosines of it.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::NetError;

/// Sinusoidal embeddings were made for the thousand integer steps of diffusion models; `t` in `[0, 1]` would use
/// almost none of their range, so it is stretched to theirs.
const SINUSOIDAL_STEPS: f64 = 1000.0;

/// The numbers the first layer sees in place of the time `t`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeEmbedding {
    /// `t` itself, beside the coordinates.
    #[default]
    Concatenate,
    /// `sin 2πft` and `cos 2πft` for frequencies `f` drawn once from a normal distribution (Tancik et al., 2020).
    ///
    /// The draw depends on nothing but the two numbers below, not on the seed, so a checkpoint need not hold it.
    Fourier {
        /// How many features, an even number; half of them are sines. 32 by default.
        #[serde(default = "fourier_features")]
        features: usize,
        /// Standard deviation of the frequencies, in cycles over the unit of time; 1 by default.
        #[serde(default = "fourier_scale")]
        scale: f64,
    },
    /// `sin ωt` and `cos ωt` with `ω` falling geometrically from 1000 to `1000 / max_period`, as in transformers and
    /// diffusion models that count a thousand steps.
    Sinusoidal {
        /// How many features, an even number; half of them are sines. 64 by default.
        #[serde(default = "sinusoidal_features")]
        features: usize,
        /// The ratio of the fastest to the (excluded) slowest frequency; 10,000 by default.
        #[serde(default = "sinusoidal_max_period")]
        max_period: f64,
    },
}

fn fourier_features() -> usize {
    32
}

fn fourier_scale() -> f64 {
    1.0
}

fn sinusoidal_features() -> usize {
    64
}

fn sinusoidal_max_period() -> f64 {
    10_000.0
}

impl TimeEmbedding {
    /// How many numbers stand for one time.
    #[must_use]
    pub fn features(self) -> usize {
        match self {
            Self::Concatenate => 1,
            Self::Fourier { features, .. } | Self::Sinusoidal { features, .. } => features,
        }
    }

    /// The angular frequencies, in radians over the unit of time; empty when the time enters as it is.
    #[must_use]
    pub fn frequencies(self) -> Vec<f64> {
        match self {
            Self::Concatenate => Vec::new(),
            Self::Fourier { features, scale } => {
                let draws = Noise::at(0, "nets: fourier time embedding", 0).normals(features / 2);
                draws.into_iter().map(|z| TAU * scale * z).collect()
            }
            Self::Sinusoidal { features, max_period } => {
                let count = features / 2;
                (0..count).map(|i| SINUSOIDAL_STEPS * max_period.powf(-(i as f64) / count as f64)).collect()
            }
        }
    }

    pub(crate) fn validate(self) -> Result<(), NetError> {
        let refuse = |key, value: String, expected| Err(NetError::Config { key, value, expected });
        let even = |n: usize| n > 0 && n.is_multiple_of(2);
        match self {
            Self::Fourier { features, .. } if !even(features) => {
                refuse("time.fourier.features", features.to_string(), "even and at least 2")
            }
            Self::Fourier { scale, .. } if !(scale > 0.0 && scale.is_finite()) => {
                refuse("time.fourier.scale", scale.to_string(), "positive and finite")
            }
            Self::Sinusoidal { features, .. } if !even(features) => {
                refuse("time.sinusoidal.features", features.to_string(), "even and at least 2")
            }
            Self::Sinusoidal { max_period, .. } if !(max_period > 1.0 && max_period.is_finite()) => {
                refuse("time.sinusoidal.max_period", max_period.to_string(), "greater than 1 and finite")
            }
            _ => Ok(()),
        }
    }
}

/// An embedding with its frequencies on the device. It has nothing to learn and nothing to save.
#[derive(Module, Debug)]
pub(crate) struct TimeFeatures {
    /// `[1, features / 2]`; none when the time enters as it is.
    frequencies: Option<Tensor<2>>,
}

impl TimeFeatures {
    pub(crate) fn new(embedding: TimeEmbedding, placement: &Placement) -> Self {
        let frequencies = embedding.frequencies();
        let count = frequencies.len();
        Self { frequencies: (count > 0).then(|| placement.tensor(&frequencies, [1, count])) }
    }

    pub(crate) fn cast(self, dtype: DType, embedding: TimeEmbedding) -> Self {
        // Made afresh, so that frequencies that were rounded to single precision are exact again in double.
        match self.frequencies {
            None => self,
            Some(old) => Self::new(embedding, &Placement { dtype, ..Placement::of(&old) }),
        }
    }

    /// The features `[batch, features]` of times `t` `[batch]`.
    pub(crate) fn of(&self, t: Tensor<1>) -> Tensor<2> {
        let t = t.unsqueeze_dim(1);
        let Some(frequencies) = &self.frequencies else { return t };
        let angle = t * frequencies.clone();
        Tensor::cat(vec![angle.clone().sin(), angle.cos()], 1)
    }

    /// The features and their derivatives along `dt` `[batch]`, each `[batch, features]`.
    pub(crate) fn with_tangent(&self, t: Tensor<1>, dt: Tensor<1>) -> (Tensor<2>, Tensor<2>) {
        let (t, dt) = (t.unsqueeze_dim(1), dt.unsqueeze_dim(1));
        let Some(frequencies) = &self.frequencies else { return (t, dt) };
        let angle = t * frequencies.clone();
        let turn = dt * frequencies.clone();
        let (sin, cos) = (angle.clone().sin(), angle.cos());
        let tangent = Tensor::cat(vec![cos.clone() * turn.clone(), sin.clone() * turn * -1.0], 1);
        (Tensor::cat(vec![sin, cos], 1), tangent)
    }
}
