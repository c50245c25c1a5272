//! Diagnostics of couplings: how far a batch is from the whole, and how spread out a plan is.

use thalweg_noise::Noise;
use thalweg_ot::{EntropicPlan, Points};

use super::{Conditions, CouplingConfig};
use crate::FlowError;

/// An experiment: the mean cost of a pair for growing batches.
///
/// Transport inside a batch costs more than transport between the laws, by about `n^(-2/d)` for large `d`, and less and
/// less as the batch grows; where the curve is flat, a larger batch buys nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchBias {
    /// Batch sizes to try.
    pub sizes: Vec<usize>,
    /// Batches of each size, at least two.
    pub repetitions: usize,
}

/// What pairs cost at one batch size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchCost {
    /// Points on each side.
    pub size: usize,
    /// Mean squared distance of a pair.
    pub cost: f64,
    /// Standard error of `cost` over the batches.
    pub standard_error: f64,
}

impl BatchBias {
    /// Measures `coupling` on batches from `draw(n, noise)`, which returns `n` source and `n` data points of
    /// dimension `dim`, row by row.
    ///
    /// # Panics
    /// When fewer than two repetitions are asked for.
    pub fn measure(
        &self,
        coupling: &CouplingConfig,
        dim: usize,
        mut draw: impl FnMut(usize, &mut Noise) -> [Vec<f64>; 2],
        noise: &mut Noise,
    ) -> Result<Vec<BatchCost>, FlowError> {
        assert!(self.repetitions >= 2, "a standard error needs at least two batches");
        let mut report = Vec::with_capacity(self.sizes.len());
        for &size in &self.sizes {
            let mut costs = Vec::with_capacity(self.repetitions);
            for _ in 0..self.repetitions {
                let [x0, x1] = draw(size, noise);
                let (x0, x1) = (Points::new(&x0, dim), Points::new(&x1, dim));
                costs.push(coupling.pair(x0, x1, Conditions::None, noise)?.cost);
            }
            let n = costs.len() as f64;
            let cost = costs.iter().sum::<f64>() / n;
            let variance = costs.iter().map(|c| (c - cost).powi(2)).sum::<f64>() / (n - 1.0);
            report.push(BatchCost { size, cost, standard_error: (variance / n).sqrt() });
        }
        Ok(report)
    }
}

/// The entropy of a plan of `rows × cols` masses scaled to total 1, in nats: `ln n` for a permutation of `n` points,
/// `2 ln n` for the independent coupling.
#[must_use]
pub fn plan_entropy(plan: &EntropicPlan, rows: usize, cols: usize) -> f64 {
    let masses = || (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))).map(|(i, j)| plan.mass(i, j));
    let total: f64 = masses().sum();
    masses().filter(|m| *m > 0.0).map(|m| m / total).map(|p| -p * p.ln()).sum()
}
