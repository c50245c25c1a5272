//! A point that carries running integrals with it: log-density, kinetic energy, Jacobian norm.

use burn::tensor::{Bool, Tensor};

use crate::state::{rows, scaled_rms, untracked, weighted_sum};
use crate::{Norms, Placement, State, Term, Tolerance, to_host};

/// Points together with a few numbers per sample that are integrated along the way.
///
/// Likelihoods and their regularisers are plain solves of this state, so there is no second solver for them. A rate has
/// the same shape: the velocity in `x` and the integrands in `accumulated`.
///
/// Error control looks at the root mean square over the coordinates of `x` and at each of the first `controlled`
/// accumulators by itself, and the largest of these counts (see [`Norms`]): a log-density is as accurate as the tolerance asks however
/// many coordinates the point has. The accumulators behind them follow without a say in the step size.
#[derive(Debug, Clone)]
pub struct Augmented<const D: usize> {
    /// The points `[batch, ..]`.
    pub x: Tensor<D>,
    /// The integrals `[batch, k]`.
    pub accumulated: Tensor<2>,
    /// How many of the `k` integrals take part in error control, counted from the first; read from the state, not from
    /// its rates.
    pub controlled: usize,
    /// Whether the integrands at this point count. Where they do not, because the method gives this stage no weight of
    /// its own, a rate may put any finite numbers in their place.
    pub integrands_count: bool,
}

impl<const D: usize> Augmented<D> {
    /// Points `[batch, ..]` with accumulators `[batch, k]`, all of which take part in error control.
    ///
    /// # Panics
    /// When the two have different numbers of rows.
    #[must_use]
    pub fn new(x: Tensor<D>, accumulated: Tensor<2>) -> Self {
        let [samples, controlled] = accumulated.dims();
        assert_eq!(x.dims()[0], samples, "points and accumulators must have the same number of rows");
        Self { x, accumulated, controlled, integrands_count: true }
    }

    /// Points with `k` accumulators that start at zero.
    #[must_use]
    pub fn zeroed(x: Tensor<D>, k: usize) -> Self {
        let accumulated = Placement::of(&x).full(0.0, [x.dims()[0], k]);
        Self::new(x, accumulated)
    }

    /// The same state with only the first `n` accumulators in error control.
    ///
    /// # Panics
    /// When there are fewer than `n`.
    #[must_use]
    pub fn controlling(self, n: usize) -> Self {
        let k = self.accumulated.dims()[1];
        assert!(n <= k, "cannot control {n} accumulators of {k}");
        Self { controlled: n, ..self }
    }

    /// Accumulator `i` as `[batch]`.
    #[must_use]
    pub fn column(&self, i: usize) -> Tensor<1> {
        self.accumulated.clone().narrow(1, i, 1).reshape([self.accumulated.dims()[0]])
    }

    /// The norms of the points joined with those of the controlled accumulators, whose error is `[batch, k]`.
    fn join(&self, points: Tensor<1>, error: &Tensor<2>, next: &Tensor<2>, tolerance: &Tolerance) -> Norms {
        let batch = self.x.dims()[0];
        let mut parts = vec![points];
        for i in 0..self.controlled {
            let column = |tensor: &Tensor<2>| tensor.clone().narrow(1, i, 1);
            parts.push(scaled_rms(column(error), &column(&self.accumulated), &column(next), tolerance));
        }
        let count = parts.len();
        let all = to_host(&Tensor::cat(parts, 0));
        Norms::new((0..count).map(|part| all[part * batch..(part + 1) * batch].to_vec()).collect())
    }
}

impl<const D: usize> State for Augmented<D> {
    type Rate = Self;

    fn batch(&self) -> usize {
        self.x.dims()[0]
    }

    fn placement(&self) -> Placement {
        Placement::of(&self.x)
    }

    fn advance(&self, terms: &[Term<'_, Self>]) -> Self {
        let (points, integrals) = split(terms);
        Self {
            x: self.x.advance(&points),
            accumulated: self.accumulated.advance(&integrals),
            controlled: self.controlled,
            integrands_count: true,
        }
    }

    fn error_norms(&self, next: &Self, terms: &[Term<'_, Self>], tolerance: &Tolerance) -> Norms {
        let (points, integrals) = split(terms);
        match (weighted_sum(untracked(&points)), weighted_sum(untracked(&integrals))) {
            (Some(points), Some(integrals)) => {
                let points = scaled_rms(points, &self.x, &next.x, tolerance);
                self.join(points, &integrals, &next.accumulated, tolerance)
            }
            _ => Norms::new(vec![vec![0.0; self.batch()]]),
        }
    }

    fn sizes(&self, tolerance: &Tolerance) -> Norms {
        let points = scaled_rms(self.x.clone().inner(), &self.x, &self.x, tolerance);
        self.join(points, &self.accumulated.clone().inner(), &self.accumulated, tolerance)
    }

    fn on_the_way(self) -> Self {
        Self { integrands_count: false, ..self }
    }

    fn choose(mask: &Tensor<1, Bool>, chosen: Self, other: Self) -> Self {
        Self {
            x: State::choose(mask, chosen.x, other.x),
            accumulated: State::choose(mask, chosen.accumulated, other.accumulated),
            ..other
        }
    }

    fn choose_rate(mask: &Tensor<1, Bool>, chosen: Self, other: Self) -> Self {
        Self::choose(mask, chosen, other)
    }

    fn finite(&self) -> Vec<bool> {
        Tensor::cat(vec![rows(self.x.clone().inner()), self.accumulated.clone().inner()], 1).finite()
    }

    fn select(&self, rows: &[usize]) -> Self {
        Self { x: State::select(&self.x, rows), accumulated: State::select(&self.accumulated, rows), ..*self }
    }

    fn select_rate(rate: &Self, rows: &[usize]) -> Self {
        rate.select(rows)
    }

    fn concatenate(parts: Vec<Self>) -> Self {
        let Self { controlled, integrands_count, .. } = parts[0];
        let (x, accumulated) = parts.into_iter().map(|part| (part.x, part.accumulated)).unzip();
        Self {
            x: State::concatenate(x),
            accumulated: State::concatenate(accumulated),
            controlled,
            integrands_count,
        }
    }
}

fn split<'a, const D: usize>(
    terms: &'a [Term<'a, Augmented<D>>],
) -> (Vec<Term<'a, Tensor<D>>>, Vec<Term<'a, Tensor<2>>>) {
    let points = terms.iter().map(|term| Term { weight: term.weight.clone(), rate: &term.rate.x });
    let integrals =
        terms.iter().map(|term| Term { weight: term.weight.clone(), rate: &term.rate.accumulated });
    (points.collect(), integrals.collect())
}
