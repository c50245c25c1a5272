//! Group normalisation as an operation on tensors.

use std::marker::PhantomData;

use burn::tensor::Tensor;

use super::{Moments, Norm, plain};
use crate::pool::stale_vector;
use crate::tape::{Inputs, Operation};
use crate::tensor::Host;
use crate::{Activation, Real};

/// What is normalised together, and what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNormOptions {
    /// Groups of consecutive channels; a divisor of their number.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Applied at the end.
    pub activation: Option<Activation>,
}

/// Normalises each group of channels of `[batch, channels, ..]` over its channels and positions, scales and shifts each
/// channel by `affine` (`γ` and `β`, `[channels]`), then each channel of each sample by `film` (`s` and `b`, `[batch,
/// channels]`) to `y·(1 + s) + b`, and applies the activation; differentiable in all.
///
/// # Panics
/// When the groups do not divide the channels, or the shapes do not agree.
#[must_use]
pub fn group_norm<const D: usize>(
    x: &Tensor<D>,
    affine: Option<[&Tensor<1>; 2]>,
    film: Option<[&Tensor<2>; 2]>,
    options: GroupNormOptions,
) -> Tensor<D> {
    let shape = x.dims();
    assert!(D >= 2, "a group norm needs a batch of channels, not {shape:?}");
    let (batch, channels) = (shape[0], shape[1]);
    let groups = options.groups;
    assert!(groups > 0 && channels.is_multiple_of(groups), "{channels} channels do not make {groups} groups");
    for tensor in affine.iter().flatten() {
        assert!(tensor.dims() == [channels], "{channels} channels are given scales of {:?}", tensor.dims());
    }
    for tensor in film.iter().flatten() {
        let found = tensor.dims();
        assert!(found == [batch, channels], "{batch} × {channels} channels are modulated by {found:?}");
    }
    fused(x, affine, film, options).unwrap_or_else(|| plain::group_norm(x, affine, film, options))
}

/// None when the tensors are not on the CPU in one of the precisions `f32` and `f64`, or when one is empty.
fn fused<const D: usize>(
    x: &Tensor<D>,
    affine: Option<[&Tensor<1>; 2]>,
    film: Option<[&Tensor<2>; 2]>,
    options: GroupNormOptions,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    if shape.contains(&0) {
        return None;
    }
    let mut inputs = Inputs::new().with(x)?;
    for tensor in affine.into_iter().flatten() {
        inputs = inputs.with(tensor)?;
    }
    for tensor in film.into_iter().flatten() {
        inputs = inputs.with(tensor)?;
    }
    let positions = shape[2..].iter().product();
    let layout =
        Layout { channels: shape[1], positions, affine: affine.is_some(), film: film.is_some(), options };
    if inputs.single() {
        inputs.run(GroupNorm::<f32> { layout, number: PhantomData }, shape)
    } else {
        inputs.run(GroupNorm::<f64> { layout, number: PhantomData }, shape)
    }
}

#[derive(Debug, Clone, Copy)]
struct Layout {
    channels: usize,
    positions: usize,
    /// Which of the optional inputs are there.
    affine: bool,
    film: bool,
    options: GroupNormOptions,
}

/// Inputs are `x`, then `γ` and `β` if there are any, then `s` and `b` if there are any.
#[derive(Debug, Clone, Copy)]
struct GroupNorm<T> {
    layout: Layout,
    number: PhantomData<T>,
}

impl<T: Real> GroupNorm<T> {
    fn norm<'a>(&self, inputs: &'a [Host]) -> Norm<'a, T> {
        let Layout { channels, positions, affine, film, options } = self.layout;
        let GroupNormOptions { groups, epsilon, activation } = options;
        let pair = |first: usize| [inputs[first].values(), inputs[first + 1].values()];
        let affine_pair = affine.then(|| pair(1));
        let film = film.then(|| pair(if affine { 3 } else { 1 }));
        Norm { channels, positions, groups, epsilon, activation, affine: affine_pair, film }
    }
}

impl<T: Real> Operation for GroupNorm<T> {
    type Number = T;
    type Kept = Vec<Moments<T>>;

    fn forward(&self, inputs: &[Host]) -> (Vec<T>, Vec<Moments<T>>) {
        let x = inputs[0].values();
        let mut out = stale_vector(x.len());
        let moments = self.norm(inputs).forward(x, &mut out);
        (out, moments)
    }

    fn backward(
        &self,
        inputs: &[Host],
        kept: &Vec<Moments<T>>,
        out_gradient: &[T],
        _wanted: &[bool],
    ) -> Vec<Vec<T>> {
        let (norm, x) = (self.norm(inputs), inputs[0].values());
        let mut gradient = stale_vector(x.len());
        let sums = norm.backward(x, kept, out_gradient, &mut gradient);
        let mut gradients = vec![gradient];
        if self.layout.affine {
            gradients.extend(norm.affine_gradient(&sums));
        }
        if self.layout.film {
            gradients.extend(norm.film_gradient(&sums));
        }
        gradients
    }
}
