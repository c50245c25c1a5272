//! Convolutions of images as matrix products whose large factor is never written out.
//!
//! An output is a sum over the numbers under the kernel. Written as a matrix, these numbers take as many times the memory
//! of the image as the kernel has entries; here they are read where they lie (module `tile`), so that a convolution costs
//! hardly more than its multiplications. A row of numbers is an image of height one.
//!
//! Jobs are cut by shapes alone and sums are added in order: the results do not depend on the number of threads.

mod abreast;
mod backward;
mod few;
mod job;
mod operation;
mod plain;
mod slide;
#[cfg(test)]
mod tests;
mod tile;
mod turn;
mod weights;

pub use operation::{ConvOptions, conv_transpose1d, conv1d, conv2d};

use crate::lanes::Lanes;
use crate::pool::stale_vector;
use slide::Slide;
use tile::PIECE;
use weights::Weights;

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
    let (terms, entries) = (geometry.terms(), geometry.entries());
    let weights = Weights {
        values: weight,
        rows: geometry.outputs,
        channels: geometry.inputs,
        entries,
        row_stride: terms,
        channel_stride: entries,
        turned: false,
    };
    if slide.abreast() {
        slide.apply_abreast(x, &weights.packed_by_entry(), bias, &mut out);
    } else {
        // The kernels of all channels follow each other, as if they were one.
        let weights = Weights { channels: 1, entries: terms, ..weights };
        slide.apply(x, &weights.packed(), bias, &mut out);
    }
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
    let entries = geometry.entries();
    let weights = Weights {
        values: weight,
        rows: geometry.inputs,
        channels: geometry.outputs,
        entries,
        row_stride: entries,
        channel_stride: geometry.terms(),
        turned: true,
    };
    let slide = Slide::backward(geometry);
    if slide.abreast() {
        slide.apply_abreast(out_gradient, &weights.packed_by_entry(), bias, &mut gradient);
    } else {
        slide.apply(out_gradient, &weights.packed(), bias, &mut gradient);
    }
    gradient
}
