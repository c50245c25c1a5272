//! Group normalisation by ordinary operations, on whatever device.

use burn::tensor::Tensor;

use super::GroupNormOptions;

pub(super) fn group_norm<const D: usize>(
    x: &Tensor<D>,
    affine: Option<[&Tensor<1>; 2]>,
    film: Option<[&Tensor<2>; 2]>,
    options: GroupNormOptions,
) -> Tensor<D> {
    let shape = x.dims();
    let [batch, channels] = [shape[0], shape[1]];
    let positions: usize = shape[2..].iter().product();
    let grouped = x.clone().reshape([batch, options.groups, channels / options.groups * positions]);
    let centred = grouped.clone() - grouped.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2);
    let mut y = (centred / (variance + options.epsilon).sqrt()).reshape([batch, channels, positions]);
    if let Some([gamma, beta]) = affine {
        let of_channels = |tensor: &Tensor<1>| tensor.clone().reshape([1, channels, 1]);
        y = y * of_channels(gamma) + of_channels(beta);
    }
    if let Some([scale, shift]) = film {
        let of_samples = |tensor: &Tensor<2>| tensor.clone().reshape([batch, channels, 1]);
        y = y * (of_samples(scale) + 1.0) + of_samples(shift);
    }
    match options.activation {
        Some(activation) => activation.apply(y),
        None => y,
    }
    .reshape(shape)
}
