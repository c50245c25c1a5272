//! What the comparisons with plain operations share.

use std::fmt::Debug;

use burn::tensor::{DType, Device, Tensor, TensorData};
use thalweg_noise::Noise;

/// Whose operation is run: the fused one or the ordinary ones behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Ours,
    Plain,
}

/// Standard normal numbers.
pub fn normal<const D: usize>(shape: [usize; D], seed: u64, dtype: DType, device: &Device) -> Tensor<D> {
    let values = Noise::new(seed).normals(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape).convert_dtype(dtype), (device, dtype))
}

/// The values of a tensor in double precision.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

/// The output of a function of three tensors, and the gradients of its inner product with random numbers.
pub fn gradients<const A: usize, const B: usize, const C: usize, const D: usize>(
    a: &Tensor<A>,
    b: &Tensor<B>,
    c: &Tensor<C>,
    seed: u64,
    function: impl Fn(&Tensor<A>, &Tensor<B>, &Tensor<C>) -> Tensor<D>,
) -> [Vec<f64>; 4] {
    let (a, b, c) = (a.clone().require_grad(), b.clone().require_grad(), c.clone().require_grad());
    let out = function(&a, &b, &c);
    let direction = normal(out.dims(), seed, out.dtype(), &out.device());
    let tape = (out.clone() * direction).sum().backward();
    // What a function does not use has no gradient.
    let gradient = |found: Option<Vec<f64>>| found.unwrap_or_default();
    [
        values(out),
        gradient(a.grad(&tape).map(values)),
        gradient(b.grad(&tape).map(values)),
        gradient(c.grad(&tape).map(values)),
    ]
}

/// Ours against plain, relative to the largest entry: 1e-9 in double precision, 1e-4 in single.
pub fn assert_close(ours: &[Vec<f64>], plain: &[Vec<f64>], dtype: DType, case: &impl Debug) {
    let tolerance = if dtype == DType::F64 { 1e-9 } else { 1e-4 };
    for (place, (ours, plain)) in ours.iter().zip(plain).enumerate() {
        assert_eq!(ours.len(), plain.len(), "length of {place} in {case:?}");
        let scale = plain.iter().fold(1.0f64, |scale, x| scale.max(x.abs()));
        for (index, (a, b)) in ours.iter().zip(plain).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * scale,
                "{place}[{index}]: {a} is not {b} ({dtype:?}, {case:?})"
            );
        }
    }
}
