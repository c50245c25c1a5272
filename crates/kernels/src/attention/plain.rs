//! Attention by ordinary operations, on whatever device.

use burn::tensor::{Tensor, activation};

pub(super) fn attention(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Tensor<4> {
    let scale = 1.0 / (q.dims()[3] as f64).sqrt();
    activation::softmax(q.clone().matmul(k.clone().transpose()) * scale, 3).matmul(v.clone())
}

pub(super) fn channel_attention(qkv: &Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, channels, places] = qkv.dims();
    let dim = channels / (3 * heads);
    let cut = qkv.clone().reshape([batch, heads, 3 * dim, places]);
    let part =
        |part: usize| cut.clone().slice([0..batch, 0..heads, part * dim..(part + 1) * dim]).transpose();
    attention(&part(0), &part(1), &part(2)).transpose().reshape([batch, heads * dim, places])
}
