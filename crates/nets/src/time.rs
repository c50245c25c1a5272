//! How the time enters the network: as a number, or as sines and cosines of it.

use serde::{Deserialize, Serialize};

use crate::NetError;
use crate::waves::{drawn_frequencies, validate_features, validate_scale};

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
                drawn_frequencies("nets: fourier time embedding", features / 2, scale)
            }
            Self::Sinusoidal { features, max_period } => {
                let count = features / 2;
                (0..count).map(|i| SINUSOIDAL_STEPS * max_period.powf(-(i as f64) / count as f64)).collect()
            }
        }
    }

    pub(crate) fn validate(self) -> Result<(), NetError> {
        match self {
            Self::Concatenate => Ok(()),
            Self::Fourier { features, scale } => {
                validate_features("time.fourier.features", features)?;
                validate_scale("time.fourier.scale", scale)
            }
            Self::Sinusoidal { features, max_period } => {
                validate_features("time.sinusoidal.features", features)?;
                if max_period > 1.0 && max_period.is_finite() {
                    return Ok(());
                }
                let (key, value) = ("time.sinusoidal.max_period", max_period.to_string());
                Err(NetError::Config { key, value, expected: "greater than 1 and finite" })
            }
        }
    }
}
