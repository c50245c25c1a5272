//! The offset of a second stage: what is added to its field from outside.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, to_host};

use super::config::OffsetConfig;
use super::zeroed;
use crate::linear::Linear;
use crate::{Activation, Condition, ConditionSpec};

/// `bound · tanh(perceptron(made, time, condition) / bound)`.
#[derive(Module, Debug)]
pub(crate) struct Offset {
    pub(crate) first: Linear,
    pub(crate) last: Linear,
    pub(crate) labels: Option<Param<Tensor<2>>>,
    #[module(skip)]
    pub(crate) bound: f64,
    #[module(skip)]
    pub(crate) condition: ConditionSpec,
}

/// What does not change on the way: the hidden layer without the time.
#[derive(Debug, Clone)]
pub(crate) struct Still {
    hidden: Tensor<2>,
    /// Whether it belongs to the rows of a batch.
    pub(crate) has_rows: bool,
}

impl Offset {
    pub(crate) fn init(
        config: &OffsetConfig,
        (dim, condition): (usize, ConditionSpec),
        anchored: bool,
        label_embedding: usize,
        noise: &mut Noise,
        placement: &Placement,
    ) -> Self {
        // The time comes first.
        let inputs = 1 + if anchored { dim } else { 0 } + condition.width(label_embedding);
        let first = Linear::init(inputs, config.width, noise, placement);
        let mut last = Linear::init(config.width, dim, noise, placement);
        last.weight = zeroed(&last.weight);
        last.bias = zeroed(&last.bias);
        let labels = match condition {
            ConditionSpec::Labels { classes } => {
                Some(Param::from_tensor(placement.normal(noise, [classes + 1, label_embedding])))
            }
            _ => None,
        };
        Self { first, last, labels, bound: config.bound, condition }
    }

    /// For one condition and, in an anchored stage, for what the flow has made.
    pub(crate) fn still(&self, condition: &Condition, made: Option<&Tensor<2>>) -> Still {
        if let Err(error) = self.condition.check(condition) {
            panic!("{error}");
        }
        let told = condition.vectors(self.labels.as_ref().map(Param::val).as_ref());
        let parts: Vec<Tensor<2>> = made.cloned().into_iter().chain(told).collect();
        let bias = self.first.bias.val().unsqueeze_dim(0);
        if parts.is_empty() {
            return Still { hidden: bias, has_rows: false };
        }
        let parts = Tensor::cat(parts, 1);
        let weight = self.first.weight.val().narrow(0, 1, parts.dims()[1]);
        Still { hidden: parts.matmul(weight) + bias, has_rows: true }
    }

    /// The offset at times from 0 to 1, `[batch, dim]`.
    pub(crate) fn at(&self, still: &Still, time: Tensor<1>) -> Tensor<2> {
        let hidden = HIDDEN.apply(self.hidden(still, time));
        squeezed(self.last.forward(hidden), self.bound)
    }

    /// The offset and its derivative along the direction `dt` of time.
    pub(crate) fn with_tangent(&self, still: &Still, time: Tensor<1>, dt: Tensor<1>) -> [Tensor<2>; 2] {
        let (hidden, slope) = HIDDEN.with_slope(self.hidden(still, time));
        let change = slope * (dt.unsqueeze_dim(1) * self.of_time());
        let value = squeezed(self.last.forward(hidden), self.bound);
        let share = value.clone() * (1.0 / self.bound);
        let slope = (share.clone() * share) * -1.0 + 1.0;
        [value, slope * self.last.tangent(change)]
    }

    /// Between which numbers each coordinate lies. Where nothing but the time and a class goes in, by following intervals
    /// through the layers; else by the bound alone.
    pub(crate) fn range(&self) -> Vec<[f64; 2]> {
        let told = match (self.condition, &self.labels) {
            (ConditionSpec::None, _) => None,
            (ConditionSpec::Labels { .. }, Some(table)) => Some(table.val()),
            _ => return vec![[-self.bound, self.bound]; self.last.bias.dims()[0]],
        };
        let [inputs, width] = self.first.weight.dims();
        let known = 1 + told.as_ref().map_or(0, |table| table.dims()[1]);
        if inputs != known {
            return vec![[-self.bound, self.bound]; self.last.bias.dims()[0]];
        }
        let bias = self.first.bias.val().unsqueeze_dim::<2>(0);
        let starts = match told {
            Some(table) => table.matmul(self.first.weight.val().narrow(0, 1, inputs - 1)) + bias,
            None => bias,
        };
        let (starts, of_time) = (to_host(&starts), to_host(&self.of_time()));
        let (last, last_bias) = (to_host(&self.last.weight.val()), to_host(&self.last.bias.val()));
        let dim = last_bias.len();
        let mut range = vec![[f64::INFINITY, f64::NEG_INFINITY]; dim];
        for start in starts.chunks_exact(width) {
            let hidden: Vec<[f64; 2]> =
                start.iter().zip(&of_time).map(|(a, b)| silu_range(a.min(a + b), a.max(a + b))).collect();
            for (i, [low, high]) in range.iter_mut().enumerate() {
                let sum = hidden.iter().enumerate().fold([last_bias[i]; 2], |[low, high], (k, [a, b])| {
                    let weight = last[k * dim + i];
                    [low + (weight * a).min(weight * b), high + (weight * a).max(weight * b)]
                });
                // Beyond what single precision rounds.
                let [a, b] = sum.map(|x| self.bound * (x / self.bound).tanh());
                let slack = 1e-5 * (1e-3 + (b - a) + a.abs().max(b.abs()));
                *low = low.min((a - slack).max(-self.bound));
                *high = high.max((b + slack).min(self.bound));
            }
        }
        range
    }

    fn hidden(&self, still: &Still, time: Tensor<1>) -> Tensor<2> {
        time.unsqueeze_dim::<2>(1) * self.of_time() + still.hidden.clone()
    }

    fn of_time(&self) -> Tensor<2> {
        self.first.weight.val().narrow(0, 0, 1)
    }
}

/// The function of the hidden layer.
const HIDDEN: Activation = Activation::Silu;

/// Where SiLU is least, and its value there, rounded outwards.
const SILU_LEAST: [f64; 2] = [-1.278_464_5, -0.278_464_6];

/// Between which numbers SiLU lies for arguments between two.
fn silu_range(low: f64, high: f64) -> [f64; 2] {
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let (a, b) = (silu(low), silu(high));
    let least = if low <= SILU_LEAST[0] && SILU_LEAST[0] <= high { SILU_LEAST[1] } else { a.min(b) };
    [least, a.max(b)]
}

/// Close to the identity for what is small, and never beyond the bound.
fn squeezed(x: Tensor<2>, bound: f64) -> Tensor<2> {
    activation::tanh(x * (1.0 / bound)) * bound
}
