//! How the point enters the network: as its coordinates, or with sines and cosines of them beside it.
//!
//! A perceptron learns what is smooth first and sharp edges very slowly; sines and cosines of the coordinates put the edges
//! within its reach (Tancik et al., 2020). They are meant for few coordinates.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::NetError;
use crate::steepness::largest_singular_value;

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
    fn frequencies(self, dim: usize) -> Vec<f64> {
        match self {
            Self::Coordinates => Vec::new(),
            Self::Fourier { features, scale } => {
                let draws = Noise::at(0, "nets: fourier point embedding", 0).normals(dim * (features / 2));
                draws.into_iter().map(|z| TAU * scale * z).collect()
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
        let refuse = |key, value: String, expected| Err(NetError::Config { key, value, expected });
        match self {
            Self::Fourier { features, .. } if features == 0 || !features.is_multiple_of(2) => {
                refuse("point.fourier.features", features.to_string(), "even and at least 2")
            }
            Self::Fourier { scale, .. } if !(scale > 0.0 && scale.is_finite()) => {
                refuse("point.fourier.scale", scale.to_string(), "positive and finite")
            }
            _ => Ok(()),
        }
    }
}

/// An embedding with its frequencies on the device. It has nothing to learn and nothing to save.
#[derive(Module, Debug)]
pub(crate) struct PointFeatures {
    /// `[dim, features / 2]`; none when the point enters as its coordinates.
    frequencies: Option<Tensor<2>>,
}

impl PointFeatures {
    pub(crate) fn new(embedding: PointEmbedding, dim: usize, placement: &Placement) -> Self {
        let count = embedding.features() / 2;
        let frequencies = (count > 0).then(|| placement.tensor(&embedding.frequencies(dim), [dim, count]));
        Self { frequencies }
    }

    pub(crate) fn cast(self, dtype: DType, embedding: PointEmbedding) -> Self {
        // Made afresh, so that frequencies that were rounded to single precision are exact again in double.
        match self.frequencies {
            None => self,
            Some(old) => Self::new(embedding, old.dims()[0], &Placement { dtype, ..Placement::of(&old) }),
        }
    }

    /// The features `[batch, features]` of points `x` `[batch, dim]`; none where there are none.
    pub(crate) fn of(&self, x: &Tensor<2>) -> Option<Tensor<2>> {
        let angle = x.clone().matmul(self.frequencies.clone()?);
        Some(Tensor::cat(vec![angle.clone().sin(), angle.cos()], 1))
    }

    /// The features and their derivatives along `dx` `[batch, dim]`, each `[batch, features]`.
    pub(crate) fn with_tangent(&self, x: &Tensor<2>, dx: &Tensor<2>) -> Option<[Tensor<2>; 2]> {
        let frequencies = self.frequencies.clone()?;
        let angle = x.clone().matmul(frequencies.clone());
        let turn = dx.clone().matmul(frequencies);
        let (sin, cos) = (angle.clone().sin(), angle.cos());
        let tangent = Tensor::cat(vec![cos.clone() * turn.clone(), sin.clone() * turn * -1.0], 1);
        Some([Tensor::cat(vec![sin, cos], 1), tangent])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frequencies.is_none()
    }
}
