//! Sines and cosines of what enters a network: the same for times and for points.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use thalweg_kernels::MovingFeatures;
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::NetError;

/// The sines and cosines of some linear functions, or none of them. It has nothing to learn and nothing to save.
#[derive(Module, Debug)]
pub(crate) struct Waves {
    /// Angular frequencies, `[inputs, features / 2]`.
    frequencies: Option<Tensor<2>>,
}

impl Waves {
    /// The waves of `inputs` numbers with these angular frequencies, row by row; none where there are no frequencies.
    pub(crate) fn new(frequencies: &[f64], inputs: usize, placement: &Placement) -> Self {
        let count = frequencies.len() / inputs;
        Self { frequencies: (count > 0).then(|| placement.tensor(frequencies, [inputs, count])) }
    }

    /// The same in another precision, from `frequencies` that were never rounded, so that what was rounded to single
    /// precision is exact again in double.
    pub(crate) fn cast(self, dtype: DType, frequencies: &[f64]) -> Self {
        match self.frequencies {
            None => self,
            Some(old) => Self::new(frequencies, old.dims()[0], &Placement { dtype, ..Placement::of(&old) }),
        }
    }

    /// The features `[batch, features]` of `x` `[batch, inputs]`; none where there are none.
    pub(crate) fn of(&self, x: &Tensor<2>) -> Option<Tensor<2>> {
        let frequencies = self.frequencies.clone()?;
        let angle = x.clone().matmul(frequencies);
        Some(Tensor::cat(vec![angle.clone().sin(), angle.cos()], 1))
    }

    /// The features, and what their derivatives in each coordinate are products of.
    pub(crate) fn moving(&self, x: &Tensor<2>) -> Option<(Tensor<2>, MovingFeatures)> {
        let frequencies = self.frequencies.clone()?;
        let angle = x.clone().matmul(frequencies.clone());
        let (sin, cos) = (angle.clone().sin(), angle.cos());
        let moving = MovingFeatures {
            slopes: Tensor::cat(vec![cos.clone(), sin.clone().neg()], 1),
            rates: Tensor::cat(vec![frequencies.clone(), frequencies], 1),
        };
        Some((Tensor::cat(vec![sin, cos], 1), moving))
    }

    /// The features and their derivatives along `dx` `[batch, inputs]`, each `[batch, features]`.
    pub(crate) fn with_tangent(&self, x: &Tensor<2>, dx: &Tensor<2>) -> Option<[Tensor<2>; 2]> {
        let (features, MovingFeatures { slopes, rates }) = self.moving(x)?;
        Some([features, slopes * dx.clone().matmul(rates)])
    }
}

/// Angular frequencies that are drawn once, by the name of the stream alone, with this deviation in cycles over a unit.
pub(crate) fn drawn_frequencies(stream: &str, number: usize, scale: f64) -> Vec<f64> {
    Noise::at(0, stream, 0).normals(number).into_iter().map(|z| TAU * scale * z).collect()
}

/// Refuses a number of features that is not of pairs of a sine and a cosine.
pub(crate) fn validate_features(key: &'static str, features: usize) -> Result<(), NetError> {
    if features > 0 && features.is_multiple_of(2) {
        return Ok(());
    }
    Err(NetError::Config { key, value: features.to_string(), expected: "even and at least 2" })
}

/// Refuses what is no deviation of frequencies.
pub(crate) fn validate_scale(key: &'static str, scale: f64) -> Result<(), NetError> {
    if scale > 0.0 && scale.is_finite() {
        return Ok(());
    }
    Err(NetError::Config { key, value: scale.to_string(), expected: "positive and finite" })
}
