//! One affine layer.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

/// The map `x·W + b`.
///
/// The weight is stored `[in, out]`, the transpose of PyTorch's, so that rows belong to inputs: the first layer's
/// parts for coordinates, time and condition are then contiguous views.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[in, out]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`.
    pub(crate) bias: Param<Tensor<1>>,
}

impl Linear {
    /// Draws weights, then biases, uniformly within `±1/√in`: the default of PyTorch's `nn.Linear`, so that
    /// comparisons with PyTorch start from the same distribution.
    pub(crate) fn init(inputs: usize, outputs: usize, noise: &mut Noise, placement: &Placement) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut draw =
            |n: usize| -> Vec<f64> { (0..n).map(|_| (2.0 * noise.uniform() - 1.0) * bound).collect() };
        let weight = placement.tensor(&draw(inputs * outputs), [inputs, outputs]);
        let bias = placement.tensor(&draw(outputs), [outputs]);
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias) }
    }

    /// `x·W + b`, `[batch, out]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        module::linear(x, self.weight.val(), Some(self.bias.val()))
    }

    /// The derivative of [`forward`](Self::forward) along `dx` `[.., in]`: the same map without the bias.
    pub(crate) fn tangent<const D: usize>(&self, dx: Tensor<D>) -> Tensor<D> {
        module::linear(dx, self.weight.val(), None)
    }
}
