//! The penalty that pushes a free second stage towards negative diagonal dominance (FORMULAS §6.8).

use burn::tensor::{Tensor, activation};
use thalweg_solve::Placement;

use super::Residual;
use super::config::{Dominance, DominanceOf, HeadConfig};
use super::structure::{Matrices, identity};
use crate::Activation;

impl Residual {
    /// `weight · Σ max(0, Rᵢᵢ + Σ |Rᵢₖ| + margin)`, `[1]`; none for stages without the penalty.
    #[must_use]
    pub fn penalty(&self) -> Option<Tensor<1>> {
        let HeadConfig::Free { dominance, .. } = &self.config else { return None };
        let Dominance { weight, margin, of } = dominance;
        if *weight == 0.0 {
            return None;
        }
        let matrices = self.structured.as_ref()?.matrices();
        let excess = match of {
            DominanceOf::Linear => excess(matrices.linear.clone(), matrices.linear),
            DominanceOf::Jacobian => {
                let [low, high] = extremes(&matrices);
                let size = low.abs().max_pair(high.clone().abs());
                excess(high, size)
            }
        };
        Some(activation::relu(excess + *margin).sum() * *weight)
    }
}

/// `Rᵢᵢ + Σ_{k≠i} |Rᵢₖ|` with the diagonal of one matrix and the sizes of another, rows for inputs: `i` counts columns.
fn excess(diagonal: Tensor<2>, sizes: Tensor<2>) -> Tensor<2> {
    let dim = diagonal.dims()[0];
    let on = identity(dim, &Placement::of(&diagonal));
    let off = on.clone() * -1.0 + 1.0;
    (diagonal * on + sizes.abs() * off).sum_dim(0)
}

/// The least and the greatest value of each entry of the Jacobian, for any slopes.
fn extremes(matrices: &Matrices) -> [Tensor<2>; 2] {
    let dim = matrices.linear.dims()[0];
    let (mut low, mut high) = (matrices.linear.clone(), matrices.linear.clone());
    for term in &matrices.terms {
        let units = term.bias.dims()[0];
        let [least, greatest] = slopes(term.function);
        // What each unit adds at slope one, `[units, inputs, outputs]`.
        let inner = term.inner.clone().transpose().reshape([units, dim, 1]);
        let product = inner * term.outer.clone().reshape([units, 1, dim]);
        let (up, down) = (activation::relu(product.clone()), activation::relu(product * -1.0));
        let sum = |tensor: Tensor<3>| -> Tensor<2> { tensor.sum_dim(0).squeeze_dim(0) };
        let (up, down) = (sum(up), sum(down));
        high = high + up.clone() * greatest - down.clone() * least;
        low = low + up * least - down * greatest;
    }
    [low, high]
}

/// Least and greatest slope, rounded outwards.
fn slopes(function: Activation) -> [f64; 2] {
    match function {
        // Of these the slopes of opposite arguments add up to one.
        Activation::Silu | Activation::Gelu => [1.0 - function.steepest(), function.steepest()],
        _ => [0.0, function.steepest()],
    }
}
