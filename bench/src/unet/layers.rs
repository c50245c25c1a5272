//! The layers of both networks: the fused operations with their parameters.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use thalweg_kernels::{
    Activation, ConvOptions, GroupNormOptions, conv_transpose1d, conv1d, conv2d, group_norm,
};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

/// Where parameters come from.
pub struct Init {
    /// What draws them.
    pub noise: Noise,
    /// The device and the precision.
    pub placement: Placement,
}

impl Init {
    /// Uniform within `±1/√fan`, as PyTorch's layers start.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], fan: usize) -> Param<Tensor<D>> {
        let bound = 1.0 / (fan as f64).sqrt();
        let draw = |_| (2.0 * self.noise.uniform() - 1.0) * bound;
        let values: Vec<f64> = (0..shape.iter().product()).map(draw).collect();
        Param::from_tensor(self.placement.tensor(&values, shape))
    }

    fn constant(&self, value: f64, count: usize) -> Param<Tensor<1>> {
        Param::from_tensor(self.placement.tensor(&vec![value; count], [count]))
    }
}

/// `x·W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Linear {
    pub fn init(inputs: usize, outputs: usize, init: &mut Init) -> Self {
        Self { weight: init.uniform([inputs, outputs], inputs), bias: init.uniform([outputs], inputs) }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.val()) + self.bias.val().unsqueeze()
    }
}

/// A convolution of images.
#[derive(Module, Debug)]
pub struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    stride: usize,
}

impl Conv2d {
    /// With an odd kernel, padded so that a stride of one keeps the size.
    pub fn init(inputs: usize, outputs: usize, [kernel, stride]: [usize; 2], init: &mut Init) -> Self {
        let fan = inputs * kernel * kernel;
        let weight = init.uniform([outputs, inputs, kernel, kernel], fan);
        Self { weight, bias: init.uniform([outputs], fan), stride }
    }

    pub fn forward(&self, x: &Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let options = ConvOptions::padded(weight.dims()[2] / 2).with_stride(self.stride);
        conv2d(x, &weight, Some(&self.bias.val()), options)
    }
}

/// A convolution of rows.
#[derive(Module, Debug)]
pub struct Conv1d {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    stride: usize,
}

impl Conv1d {
    /// With an odd kernel, padded so that a stride of one keeps the size.
    pub fn init(inputs: usize, outputs: usize, [kernel, stride]: [usize; 2], init: &mut Init) -> Self {
        let fan = inputs * kernel;
        Self {
            weight: init.uniform([outputs, inputs, kernel], fan),
            bias: init.uniform([outputs], fan),
            stride,
        }
    }

    pub fn forward(&self, x: &Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let options = ConvOptions::padded(weight.dims()[2] / 2).with_stride(self.stride);
        conv1d(x, &weight, Some(&self.bias.val()), options)
    }
}

/// Doubles the length of rows: kernel 4, stride 2, padding 1.
#[derive(Module, Debug)]
pub struct Double {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
}

impl Double {
    pub fn init(channels: usize, init: &mut Init) -> Self {
        let fan = channels * 4;
        Self { weight: init.uniform([channels, channels, 4], fan), bias: init.uniform([channels], fan) }
    }

    pub fn forward(&self, x: &Tensor<3>) -> Tensor<3> {
        let options = ConvOptions::padded(1).with_stride(2);
        conv_transpose1d(x, &self.weight.val(), Some(&self.bias.val()), options)
    }
}

/// Group normalisation and what follows it.
#[derive(Module, Debug)]
pub struct Norm {
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    activation: Option<Activation>,
}

impl Norm {
    pub fn init(channels: usize, groups: usize, activation: Option<Activation>, init: &Init) -> Self {
        Self { scale: init.constant(1.0, channels), shift: init.constant(0.0, channels), groups, activation }
    }

    /// With a scale and a shift of each channel of each sample, `[batch, channels]`, if there are any.
    pub fn forward<const D: usize>(&self, x: &Tensor<D>, film: Option<[&Tensor<2>; 2]>) -> Tensor<D> {
        let options = GroupNormOptions { groups: self.groups, epsilon: 1e-5, activation: self.activation };
        group_norm(x, Some([&self.scale.val(), &self.shift.val()]), film, options)
    }
}

/// Cosines and sines of the times at geometrically spaced frequencies, `[batch, features]`.
pub fn time_features(times: &[f64], features: usize, placement: &Placement) -> Tensor<2> {
    let half = features / 2;
    let mut values = Vec::with_capacity(times.len() * features);
    for t in times {
        let angle = |k: usize| t * (-(10_000f64.ln()) * k as f64 / half as f64).exp();
        values.extend((0..half).map(|k| angle(k).cos()));
        values.extend((0..half).map(|k| angle(k).sin()));
    }
    placement.tensor(&values, [times.len(), features])
}
