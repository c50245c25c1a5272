//! How the point enters the network: as its coordinates, or with sines and cosines of them beside it.
//!
//! A perceptron learns what is smooth first and sharp edges very slowly; sines and cosines of the coordinates put the edges
//! within its reach (Tancik et al., 2020). They are meant for few coordinates.

use serde::{Deserialize, Serialize};

use crate::NetError;
use crate::steepness::largest_singular_value;
use crate::waves::{drawn_frequencies, validate_features, validate_scale};

/// The numbers the first layer sees of a point `x`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PointEmbedding {
    /// Its coordinates.
    #[default]
    Coordinates,
    /// Its coordinates, and `sin 2πf·x` and `cos 2πf·x` for vectors `f` drawn once from a normal distribution.
    ///
    /// The draw depends on nothing but the number of coordinates and the two numbers below, not on the seed, so a
    /// checkpoint need not hold it.
    Fourier {
        /// How many features, an even number; half of them are sines. 64 by default.
        #[serde(default = "fourier_features")]
        features: usize,
        /// Standard deviation of the frequencies in each coordinate, in cycles over a unit of it; 1 by default.
        #[serde(default = "fourier_scale")]
        scale: f64,
    },
}

fn fourier_features() -> usize {
    64
}

fn fourier_scale() -> f64 {
    1.0
}

impl PointEmbedding {
    /// How many numbers stand beside the coordinates.
    #[must_use]
    pub fn features(self) -> usize {
        match self {
            Self::Coordinates => 0,
            Self::Fourier { features, .. } => features,
        }
    }

    /// The angular frequencies, `dim × features / 2`, in radians over a unit of the coordinate.
    pub(crate) fn frequencies(self, dim: usize) -> Vec<f64> {
        match self {
            Self::Coordinates => Vec::new(),
            Self::Fourier { features, scale } => {
                drawn_frequencies("nets: fourier point embedding", dim * (features / 2), scale)
            }
        }
    }

    /// How much longer a tangent of coordinates and features together can be than that of the coordinates, at most.
    pub(crate) fn stretch(self, dim: usize) -> f64 {
        let frequencies = self.frequencies(dim);
        // Squared sines and cosines of an angle sum to one, so the square of the Jacobian is I + F·Fᵀ everywhere.
        if frequencies.is_empty() { 1.0 } else { largest_singular_value(&frequencies, dim).hypot(1.0) }
    }

    pub(crate) fn validate(self) -> Result<(), NetError> {
        match self {
            Self::Coordinates => Ok(()),
            Self::Fourier { features, scale } => {
                validate_features("point.fourier.features", features)?;
                validate_scale("point.fourier.scale", scale)
            }
        }
    }
}
