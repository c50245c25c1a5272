//! Attention as an operation on tensors.

use std::marker::PhantomData;

use burn::tensor::Tensor;

use super::{Head, Order, Parts, PartsMut, plain};
use crate::Real;
use crate::pool::stale_vector;
use crate::tape::{Inputs, Operation};
use crate::tensor::Host;

/// `softmax(QKᵀ/√d)·V` for queries `[batch, heads, n, d]`, keys `[batch, heads, m, d]` and values `[batch, heads, m, e]`:
/// `[batch, heads, n, e]`, differentiable in all three. Memory grows with `n + m`, not with their product;
/// on devices other than the CPU the product is made.
///
/// # Panics
/// When the shapes do not agree.
#[must_use]
pub fn attention(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Tensor<4> {
    let [batch, heads, _, dim] = q.dims();
    let [keys, value_dim] = [v.dims()[2], v.dims()[3]];
    assert!(
        k.dims() == [batch, heads, keys, dim] && v.dims() == [batch, heads, keys, value_dim],
        "queries of {:?} do not go with keys of {:?} and values of {:?}",
        q.dims(),
        k.dims(),
        v.dims()
    );
    fused(q, k, v).unwrap_or_else(|| plain::attention(q, k, v))
}

/// None when the tensors are not on the CPU in one of the precisions `f32` and `f64`, or when one is empty.
fn fused(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Option<Tensor<4>> {
    let [batch, heads, queries, dim] = q.dims();
    let [keys, value_dim] = [v.dims()[2], v.dims()[3]];
    if [batch, heads, queries, dim, keys, value_dim].contains(&0) {
        return None;
    }
    let inputs = Inputs::new().with(q)?.with(k)?.with(v)?;
    let head = Head { order: Order::Places, queries, keys, dim, value_dim };
    run(inputs, head, [batch, heads, queries, value_dim])
}

/// [`attention`] of a convolution's output to itself: `[batch, heads·3·d, places]`, for each head first the numbers of its
/// queries, then of its keys, then of its values, to `[batch, heads·d, places]`. Nothing is cut apart or transposed on the
/// way.
///
/// # Panics
/// When the channels are not three times a multiple of the heads.
#[must_use]
pub fn channel_attention(qkv: &Tensor<3>, heads: usize) -> Tensor<3> {
    let channels = qkv.dims()[1];
    assert!(
        heads > 0 && channels.is_multiple_of(3 * heads),
        "{channels} channels do not make queries, keys and values of {heads} heads"
    );
    fused_channels(qkv, heads).unwrap_or_else(|| plain::channel_attention(qkv, heads))
}

/// [`fused`] for [`channel_attention`].
fn fused_channels(qkv: &Tensor<3>, heads: usize) -> Option<Tensor<3>> {
    let [batch, channels, places] = qkv.dims();
    let dim = channels / (3 * heads);
    if [batch, dim, places].contains(&0) {
        return None;
    }
    let head = Head { order: Order::Numbers, queries: places, keys: places, dim, value_dim: dim };
    run(Inputs::new().with(qkv)?, head, [batch, channels / 3, places])
}

fn run<const D: usize>(inputs: Inputs, head: Head, shape: [usize; D]) -> Option<Tensor<D>> {
    if inputs.single() {
        inputs.run(Attention::<f32> { head, number: PhantomData }, shape)
    } else {
        inputs.run(Attention::<f64> { head, number: PhantomData }, shape)
    }
}

/// Inputs are queries, keys and values, or all three of each head one after the other.
#[derive(Debug, Clone, Copy)]
struct Attention<T> {
    head: Head,
    number: PhantomData<T>,
}

impl<T> Attention<T> {
    /// Numbers of the queries, keys and values of a head.
    fn sizes(&self) -> [usize; 3] {
        let Head { queries, keys, dim, value_dim, .. } = self.head;
        [queries * dim, keys * dim, keys * value_dim]
    }
}

impl<T: Real> Attention<T> {
    fn parts<'a>(&self, inputs: &'a [Host]) -> Vec<Parts<'a, T>> {
        let [q, k, v] = self.sizes();
        match inputs {
            [together] => {
                let cut = |head: &'a [T]| [&head[..q], &head[q..q + k], &head[q + k..]];
                together.values::<T>().chunks(q + k + v).map(cut).collect()
            }
            _ => {
                let [queries, keys, values] = [0, 1, 2].map(|index| inputs[index].values::<T>());
                let rest = keys.chunks(k).zip(values.chunks(v));
                queries.chunks(q).zip(rest).map(|(q, (k, v))| [q, k, v]).collect()
            }
        }
    }

    fn parts_mut<'a>(&self, gradients: &'a mut [Vec<T>]) -> Vec<PartsMut<'a, T>> {
        let [q, k, v] = self.sizes();
        match gradients {
            [queries, keys, values] => {
                let rest = keys.chunks_mut(k).zip(values.chunks_mut(v));
                queries.chunks_mut(q).zip(rest).map(|(q, (k, v))| [q, k, v]).collect()
            }
            _ => {
                let cut = |head: &'a mut [T]| {
                    let (queries, rest) = head.split_at_mut(q);
                    let (keys, values) = rest.split_at_mut(k);
                    [queries, keys, values]
                };
                gradients.iter_mut().flat_map(|together| together.chunks_mut(q + k + v).map(cut)).collect()
            }
        }
    }
}

impl<T: Real> Operation for Attention<T> {
    type Number = T;
    /// The logarithm of each row's sum of exponentials.
    type Kept = Vec<T>;

    fn forward(&self, inputs: &[Host]) -> (Vec<T>, Vec<T>) {
        let heads = self.parts(inputs);
        let rows = heads.len() * self.head.queries;
        let (mut out, mut logarithms) = (stale_vector(rows * self.head.value_dim), stale_vector(rows));
        self.head.forward(heads, &mut out, &mut logarithms);
        (out, logarithms)
    }

    fn backward(&self, inputs: &[Host], kept: &Vec<T>, out_gradient: &[T], _wanted: &[bool]) -> Vec<Vec<T>> {
        let mut gradients: Vec<Vec<T>> =
            inputs.iter().map(|input| stale_vector(input.values::<T>().len())).collect();
        let heads = self.parts(inputs).into_iter().zip(self.parts_mut(&mut gradients)).collect();
        self.head.backward(heads, kept, out_gradient);
        gradients
    }
}
