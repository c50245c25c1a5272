//! Convolutions by the tensor library, on whatever device.

use burn::tensor::ops::{ConvOptions as Options, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

use super::ConvOptions;

pub(super) fn conv2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    ConvOptions { stride, padding }: ConvOptions,
) -> Tensor<4> {
    module::conv2d(x.clone(), weight.clone(), bias.cloned(), Options::new(stride, padding, [1, 1], 1))
}

pub(super) fn conv1d(
    x: &Tensor<3>,
    weight: &Tensor<3>,
    bias: Option<&Tensor<1>>,
    ConvOptions { stride: [_, stride], padding: [_, padding] }: ConvOptions,
) -> Tensor<3> {
    module::conv1d(x.clone(), weight.clone(), bias.cloned(), Options::new([stride], [padding], [1], 1))
}

pub(super) fn conv_transpose1d(
    x: &Tensor<3>,
    weight: &Tensor<3>,
    bias: Option<&Tensor<1>>,
    ConvOptions { stride: [_, stride], padding: [_, padding] }: ConvOptions,
) -> Tensor<3> {
    let options = ConvTransposeOptions::new([stride], [padding], [0], [1], 1);
    module::conv_transpose1d(x.clone(), weight.clone(), bias.cloned(), options)
}
