//! Fields with known solutions.
#![allow(dead_code, reason = "each test file uses some of them")]

use burn::tensor::Tensor;
use thalweg_solve::{Placement, Times, to_host};

/// A driven oscillator of van der Pol, the equation of `fixtures/make_solve.py`; points are `[batch, 2]`.
pub fn oscillator(times: &Times, x: &Tensor<2>) -> Tensor<2> {
    let t = times.tensor(x).reshape([x.dims()[0], 1]);
    let (x0, x1) = (x.clone().narrow(1, 0, 1), x.clone().narrow(1, 1, 1));
    let damping = x0.clone().square().neg().add_scalar(1.0).mul_scalar(2.0);
    let force = t.mul_scalar(3.0).sin().mul_scalar(0.5);
    Tensor::cat(vec![x1.clone(), damping * x1 - x0 + force], 1)
}

/// Starting points `[batch, 2]` that ask for very different step sizes of the oscillator.
pub fn starts(placement: &Placement, batch: usize) -> Tensor<2> {
    let values: Vec<f64> = (0..batch).flat_map(|i| [2.5 - 1.3 * i as f64, 0.2 + i as f64]).collect();
    placement.tensor(&values, [batch, 2])
}

/// The largest absolute difference.
pub fn distance<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    to_host(a).iter().zip(to_host(b)).fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()))
}
