//! Convolutions as operations on tensors.

use std::marker::PhantomData;

use burn::tensor::Tensor;

use super::backward::{bias_gradient, channel_sums, weight_gradient};
use super::{Geometry, forward, plain, transposed};
use crate::lanes::Lanes;
use crate::tape::{Inputs, Operation};
use crate::tensor::Host;

/// How the kernel moves over an image; pairs are height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvOptions {
    /// Steps of the kernel, at least one.
    pub stride: [usize; 2],
    /// Zeros on either side of the image.
    pub padding: [usize; 2],
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0] }
    }
}

impl ConvOptions {
    /// One step at a time, with this much padding on every side.
    #[must_use]
    pub fn padded(padding: usize) -> Self {
        Self { padding: [padding; 2], ..Self::default() }
    }

    /// With this step in both directions.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// For rows, which have no height.
    fn of_rows(self) -> Self {
        Self { stride: [1, self.stride[1]], padding: [0, self.padding[1]] }
    }
}

/// Convolves images `[batch, in, height, width]` with `[out, in, kernel height, kernel width]`, and adds a bias `[out]` to
/// `[batch, out, height, width]`; differentiable in all three.
///
/// # Panics
/// When the channels do not agree, the kernel is larger than the padded image, or a stride is zero.
#[must_use]
pub fn conv2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    options: ConvOptions,
) -> Tensor<4> {
    let [images, inputs, high, wide] = x.dims();
    let [outputs, of_weight, kernel_high, kernel_wide] = weight.dims();
    assert_channels("convolution", [inputs, of_weight], outputs, bias);
    let geometry = geometry([images, inputs, outputs], [high, wide], [kernel_high, kernel_wide], options);
    let shape = [images, outputs, geometry.output[0], geometry.output[1]];
    fused(Kind::Straight, geometry, x, weight, bias, shape)
        .unwrap_or_else(|| plain::conv2d(x, weight, bias, options))
}

/// [`conv2d`] of rows `[batch, in, width]` with `[out, in, kernel]`; of the options only the widths are used.
#[must_use]
pub fn conv1d(
    x: &Tensor<3>,
    weight: &Tensor<3>,
    bias: Option<&Tensor<1>>,
    options: ConvOptions,
) -> Tensor<3> {
    let [images, inputs, wide] = x.dims();
    let [outputs, of_weight, kernel] = weight.dims();
    assert_channels("convolution", [inputs, of_weight], outputs, bias);
    let geometry = geometry([images, inputs, outputs], [1, wide], [1, kernel], options.of_rows());
    fused(Kind::Straight, geometry, x, weight, bias, [images, outputs, geometry.output[1]])
        .unwrap_or_else(|| plain::conv1d(x, weight, bias, options))
}

/// What takes gradients of a convolution's outputs to those of its inputs, as an operation of its own: from rows `[batch,
/// in, width]` and `[in, out, kernel]` to `[batch, out, (width - 1)·stride + kernel - 2·padding]`.
///
/// With kernel 4, stride 2 and padding 1 it doubles the width. The rest is as for [`conv1d`].
#[must_use]
pub fn conv_transpose1d(
    x: &Tensor<3>,
    weight: &Tensor<3>,
    bias: Option<&Tensor<1>>,
    options: ConvOptions,
) -> Tensor<3> {
    let [images, inputs, wide] = x.dims();
    let [of_weight, outputs, kernel] = weight.dims();
    assert_channels("transposed convolution", [inputs, of_weight], outputs, bias);
    let options = options.of_rows();
    let whole = (wide.saturating_sub(1)) * options.stride[1] + kernel;
    let padding = 2 * options.padding[1];
    assert!(whole > padding, "a padding of {} leaves nothing of {whole}", options.padding[1]);
    // The convolution that this one goes back through has its channels the other way round.
    let geometry = geometry([images, outputs, inputs], [1, whole - padding], [1, kernel], options);
    fused(Kind::Transposed, geometry, x, weight, bias, [images, outputs, whole - padding])
        .unwrap_or_else(|| plain::conv_transpose1d(x, weight, bias, options))
}

fn assert_channels(what: &str, [inputs, of_weight]: [usize; 2], outputs: usize, bias: Option<&Tensor<1>>) {
    assert!(inputs == of_weight, "a {what} of {of_weight} channels is given {inputs}");
    if let Some(bias) = bias {
        assert!(bias.dims() == [outputs], "a bias of {:?} is not one of {outputs} channels", bias.dims());
    }
}

fn geometry(
    [images, inputs, outputs]: [usize; 3],
    input: [usize; 2],
    kernel: [usize; 2],
    options: ConvOptions,
) -> Geometry {
    let ConvOptions { stride, padding } = options;
    let output = [0, 1].map(|axis| {
        let room = input[axis] + 2 * padding[axis];
        assert!(stride[axis] > 0, "a kernel with stride 0 does not move");
        assert!(
            (1..=room).contains(&kernel[axis]),
            "a kernel of {kernel:?} does not fit into {input:?} with a padding of {padding:?}"
        );
        (room - kernel[axis]) / stride[axis] + 1
    });
    Geometry { images, inputs, outputs, input, kernel, output, stride, padding }
}

/// None when the tensors are not on the CPU in one of the precisions `f32` and `f64`, or when one is empty.
fn fused<const D: usize>(
    kind: Kind,
    geometry: Geometry,
    x: &Tensor<D>,
    weight: &Tensor<D>,
    bias: Option<&Tensor<1>>,
    shape: [usize; D],
) -> Option<Tensor<D>> {
    if x.shape().num_elements() == 0 || weight.shape().num_elements() == 0 {
        return None;
    }
    let inputs = Inputs::new().with(x)?.with(weight)?.with_optional(bias)?;
    if inputs.single() {
        inputs.run(Convolution::<f32> { kind, geometry, number: PhantomData }, shape)
    } else {
        inputs.run(Convolution::<f64> { kind, geometry, number: PhantomData }, shape)
    }
}

/// Which of the two ways is forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Straight,
    Transposed,
}

/// Inputs are images, weight and perhaps bias.
#[derive(Debug, Clone, Copy)]
struct Convolution<T> {
    kind: Kind,
    geometry: Geometry,
    number: PhantomData<T>,
}

impl<T: Lanes> Operation for Convolution<T> {
    type Number = T;
    type Kept = ();

    fn forward(&self, inputs: &[Host]) -> (Vec<T>, ()) {
        let (x, weight) = (inputs[0].values(), inputs[1].values());
        let bias = inputs.get(2).map(Host::values);
        let out = match self.kind {
            Kind::Straight => forward(&self.geometry, x, weight, bias),
            Kind::Transposed => transposed(&self.geometry, x, weight, bias),
        };
        (out, ())
    }

    fn backward(&self, inputs: &[Host], _kept: &(), out_gradient: &[T], wanted: &[bool]) -> Vec<Vec<T>> {
        let (geometry, g) = (&self.geometry, out_gradient);
        let (x, weight) = (inputs[0].values(), inputs[1].values());
        let gradient = |index: usize| match (self.kind, index) {
            _ if !wanted[index] => Vec::new(),
            (Kind::Straight, 0) => transposed(geometry, g, weight, None),
            (Kind::Straight, 1) => weight_gradient(geometry, x, g),
            (Kind::Straight, _) => bias_gradient(geometry, g),
            (Kind::Transposed, 0) => forward(geometry, g, weight, None),
            (Kind::Transposed, 1) => weight_gradient(geometry, g, x),
            (Kind::Transposed, _) => channel_sums(g, geometry.inputs, geometry.input[0] * geometry.input[1]),
        };
        (0..inputs.len()).map(gradient).collect()
    }
}
