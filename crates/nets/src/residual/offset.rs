//! The offset of a second stage: what is added to its field from outside.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

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
        let told = condition.vectors(self.labels.as_ref().map(|table| table.val()).as_ref());
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

    fn hidden(&self, still: &Still, time: Tensor<1>) -> Tensor<2> {
        time.unsqueeze_dim::<2>(1) * self.of_time() + still.hidden.clone()
    }

    fn of_time(&self) -> Tensor<2> {
        self.first.weight.val().narrow(0, 0, 1)
    }
}

/// The function of the hidden layer.
const HIDDEN: Activation = Activation::Silu;

/// Close to the identity for what is small, and never beyond the bound.
fn squeezed(x: Tensor<2>, bound: f64) -> Tensor<2> {
    activation::tanh(x * (1.0 / bound)) * bound
}
