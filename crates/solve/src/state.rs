//! What `integrate` needs to know of the thing it moves.

use burn::tensor::{Bool, Int, Tensor, TensorData};

use crate::{Norms, Placement, Tolerance, per_sample, to_host};

/// A batch of points that a differential equation moves.
///
/// Rows are independent of each other in every method. Tensors are states whose rates are tensors; a point of a
/// manifold would advance by the exponential map.
pub trait State: Clone {
    /// The time derivative of a state.
    type Rate: Clone;

    /// Number of samples.
    fn batch(&self) -> usize;

    /// Device and precision for times and step sizes.
    fn placement(&self) -> Placement;

    /// This state moved by the sum of the terms; recorded on the tape when state or rates are tracked.
    #[must_use]
    fn advance(&self, terms: &[Term<'_, Self::Rate>]) -> Self;

    /// The size of the sum of `terms` measured against `tolerance` at `self` and `next`: 1 is just tolerable, NaN or
    /// infinity means that a value is not finite.
    ///
    /// Reads back to the host once and records nothing on the tape.
    fn error_norms(&self, next: &Self, terms: &[Term<'_, Self::Rate>], tolerance: &Tolerance) -> Norms;

    /// The size of the state itself in the same measure, used to guess a first step.
    fn sizes(&self, tolerance: &Tolerance) -> Norms;

    /// This point of a step as one at which the rate only leads to further points: it has no part in the end of the
    /// step, in its error or in what is saved. A state with integrals can say so to its rate, which may leave out the
    /// integrands there.
    #[must_use]
    fn on_the_way(self) -> Self {
        self
    }

    /// Samples of `chosen` where `mask` `[batch]` is true, of `other` elsewhere.
    #[must_use]
    fn choose(mask: &Tensor<1, Bool>, chosen: Self, other: Self) -> Self;

    /// The same for rates.
    #[must_use]
    fn choose_rate(mask: &Tensor<1, Bool>, chosen: Self::Rate, other: Self::Rate) -> Self::Rate;

    /// For each sample whether all its values are finite; one read-back.
    fn finite(&self) -> Vec<bool>;

    /// Some samples, in the order of `rows`.
    #[must_use]
    fn select(&self, rows: &[usize]) -> Self;

    /// The same for rates.
    #[must_use]
    fn select_rate(rate: &Self::Rate, rows: &[usize]) -> Self::Rate;

    /// The samples of several states, one after the other.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    fn concatenate(parts: Vec<Self>) -> Self;
}

/// One summand of a movement: `weight · rate`.
#[derive(Debug)]
pub struct Term<'a, R> {
    /// How far.
    pub weight: Weight,
    /// In which direction.
    pub rate: &'a R,
}

/// A step size, or a multiple of one.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful of them live for one step; a box would be one more allocation"
)]
pub enum Weight {
    /// One number for the batch; no tensor is made for it.
    Shared(f64),
    /// A tensor `[batch]`.
    PerSample(Tensor<1>),
}

impl Weight {
    /// This weight times a number.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Shared(weight) => Self::Shared(weight * factor),
            Self::PerSample(weight) => Self::PerSample(weight.clone().mul_scalar(factor)),
        }
    }

    /// `weight · tensor`, row by row.
    #[must_use]
    pub fn times<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Shared(weight) => tensor.mul_scalar(*weight),
            Self::PerSample(weight) => tensor.mul(per_sample(weight.clone())),
        }
    }
}

impl<const D: usize> State for Tensor<D> {
    type Rate = Self;

    fn batch(&self) -> usize {
        self.dims()[0]
    }

    fn placement(&self) -> Placement {
        Placement::of(self)
    }

    fn advance(&self, terms: &[Term<'_, Self>]) -> Self {
        match weighted_sum(terms.iter().map(|term| (&term.weight, term.rate.clone()))) {
            Some(movement) => self.clone().add(movement),
            None => self.clone(),
        }
    }

    fn error_norms(&self, next: &Self, terms: &[Term<'_, Self>], tolerance: &Tolerance) -> Norms {
        Norms::new(vec![match weighted_sum(untracked(terms)) {
            Some(error) => to_host(&scaled_rms(error, self, next, tolerance)),
            None => vec![0.0; self.batch()],
        }])
    }

    fn sizes(&self, tolerance: &Tolerance) -> Norms {
        Norms::new(vec![to_host(&scaled_rms(self.clone().inner(), self, self, tolerance))])
    }

    fn choose(mask: &Tensor<1, Bool>, chosen: Self, other: Self) -> Self {
        let mut shape = [1; D];
        shape[0] = other.dims()[0];
        let mask = mask.clone().reshape(shape).expand(other.dims());
        other.mask_where(mask, chosen)
    }

    fn choose_rate(mask: &Tensor<1, Bool>, chosen: Self, other: Self) -> Self {
        Self::choose(mask, chosen, other)
    }

    fn finite(&self) -> Vec<bool> {
        // Zero times a number is zero exactly when the number is finite.
        let sums = rows(self.clone().inner()).mul_scalar(0.0).sum_dim(1);
        to_host(&sums).into_iter().map(|sum| sum == 0.0).collect()
    }

    fn select(&self, rows: &[usize]) -> Self {
        let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let count = rows.len();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &self.placement().device);
        self.clone().select(0, indices)
    }

    fn select_rate(rate: &Self, rows: &[usize]) -> Self {
        State::select(rate, rows)
    }

    fn concatenate(parts: Vec<Self>) -> Self {
        Tensor::cat(parts, 0)
    }
}

/// The rates of some terms without their tapes.
pub(crate) fn untracked<'a, const D: usize>(
    terms: &'a [Term<'a, Tensor<D>>],
) -> impl Iterator<Item = (&'a Weight, Tensor<D>)> {
    terms.iter().map(|term| (&term.weight, term.rate.clone().inner()))
}

pub(crate) fn weighted_sum<'a, const D: usize>(
    terms: impl Iterator<Item = (&'a Weight, Tensor<D>)>,
) -> Option<Tensor<D>> {
    terms.map(|(weight, rate)| weight.times(rate)).reduce(Tensor::add)
}

/// `√(mean (eᵢ / (absolute + relative · max(|xᵢ|, |x'ᵢ|)))²)` over the coordinates of each sample, `[batch]`.
pub(crate) fn scaled_rms<const D: usize>(
    error: Tensor<D>,
    from: &Tensor<D>,
    to: &Tensor<D>,
    tolerance: &Tolerance,
) -> Tensor<1> {
    let batch = error.dims()[0];
    let magnitude = from.clone().inner().abs().max_pair(to.clone().inner().abs());
    let scale = magnitude.mul_scalar(tolerance.relative).add_scalar(tolerance.absolute);
    rows(error.div(scale).square()).mean_dim(1).sqrt().reshape([batch])
}

/// Points of any rank as rows `[batch, coordinates]`.
pub(crate) fn rows<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let shape = x.dims();
    x.reshape([shape[0], shape[1..].iter().product()])
}
