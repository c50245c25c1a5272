//! Convolutions of images as matrix products whose large factor is never written out.
//!
//! An output is a sum over the numbers under the kernel. Written as a matrix, these numbers take as many times the memory
//! of the image as the kernel has entries; here they are read where they lie (module `tile`), so that a convolution costs
//! hardly more than its multiplications. A row of numbers is an image of height one.
//!
//! Jobs are cut by shapes alone and sums are added in order: the results do not depend on the number of threads.

mod backward;
mod few;
mod operation;
mod slide;
mod tile;

pub use operation::{ConvOptions, conv_transpose1d, conv1d, conv2d};

use crate::lanes::Lanes;
use crate::pool::stale_vector;
use slide::{Slide, packed};
use tile::PIECE;

/// The sizes of a convolution; pairs are height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub images: usize,
    /// Channels of an image.
    pub inputs: usize,
    /// Channels of what comes out.
    pub outputs: usize,
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub output: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
}

impl Geometry {
    /// Numbers that an output is made of.
    fn terms(&self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    fn output_len(&self) -> usize {
        self.images * self.outputs * self.output[0] * self.output[1]
    }

    fn input_len(&self) -> usize {
        self.images * self.inputs * self.input[0] * self.input[1]
    }

    /// Entries of the kernel for one pair of channels.
    fn entries(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// The outputs, from `weight` of `[outputs, inputs, kernel]`.
pub(crate) fn forward<T: Lanes>(geometry: &Geometry, x: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
    let mut out = stale_vector(geometry.output_len());
    let slide = Slide::forward(geometry);
    if slide.images * slide.positions() <= PIECE {
        slide.apply_to_few(x, weight, bias, &mut out);
        return out;
    }
    let (inputs, entries) = (geometry.inputs, geometry.entries());
    let weights = packed([geometry.outputs, inputs, entries], |output, input, entry| {
        weight[(output * inputs + input) * entries + entry]
    });
    slide.apply(x, &weights, bias, &mut out);
    out
}

/// The gradient of the input: the outputs of a transposed convolution, to which a bias may be added.
pub(crate) fn transposed<T: Lanes>(
    geometry: &Geometry,
    out_gradient: &[T],
    weight: &[T],
    bias: Option<&[T]>,
) -> Vec<T> {
    let mut gradient = stale_vector(geometry.input_len());
    let (entries, inputs) = (geometry.entries(), geometry.inputs);
    let weights = packed([inputs, geometry.outputs, entries], |input, output, entry| {
        weight[(output * inputs + input) * entries + (entries - 1 - entry)]
    });
    Slide::backward(geometry).apply(out_gradient, &weights, bias, &mut gradient);
    gradient
}
