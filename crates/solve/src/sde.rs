//! Stochastic sampling by the method of Euler and Maruyama.

use burn::tensor::Tensor;
use thalweg_noise::Noise;

use crate::{Failure, InvalidSolve, Placement, SolveError, Span, State, Times};

/// `dX = drift(t, X) dt + diffusion(t) dW` in steps of equal size, in either direction of time.
///
/// Converges with order ½ path by path and with order 1 in distribution. The last step adds no noise: what is left of it
/// would only blur the samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EulerMaruyama {
    /// From where to where.
    pub span: Span,
    /// Number of steps, each with one evaluation of the drift.
    pub steps: usize,
}

impl EulerMaruyama {
    /// Moves `x` `[batch, ..]` from the start of the span to its end.
    ///
    /// `diffusion` is asked for at the start of each step but the last. Noise is drawn for the whole batch in each of
    /// these steps, so a sample's path depends on its place in the batch.
    ///
    /// # Errors
    /// When there is no step, when the span is not finite, or when values are not finite at the end; the error then holds the
    /// initial points.
    pub fn sample<const D: usize>(
        &self,
        x: Tensor<D>,
        noise: &mut Noise,
        mut drift: impl FnMut(&Times, &Tensor<D>) -> Tensor<D>,
        diffusion: impl Fn(f64) -> f64,
    ) -> Result<Tensor<D>, SolveError<Tensor<D>>> {
        if let Err(reason) = self.validate() {
            return Err(self.failure(Failure::Invalid(reason), 0, x));
        }
        let (placement, shape) = (Placement::of(&x), x.dims());
        let times = self.span.uniform(self.steps);
        let mut state = x.clone();
        for pair in times.windows(2) {
            let (time, step) = (pair[0], pair[1] - pair[0]);
            let movement = drift(&Times::Shared(time), &state).mul_scalar(step);
            state = state.add(movement);
            if pair[1] != self.span.end {
                let spread = diffusion(time) * step.abs().sqrt();
                state = state.add(placement.normal(noise, shape).mul_scalar(spread));
            }
        }
        if x.shape().num_elements() > 0 && state.finite().contains(&false) {
            return Err(self.failure(Failure::NotFinite, self.steps, x));
        }
        Ok(state)
    }

    fn validate(&self) -> Result<(), InvalidSolve> {
        let Span { start, end } = self.span;
        if !(start.is_finite() && end.is_finite()) {
            return Err(InvalidSolve::Span { start, end });
        }
        if self.steps == 0 { Err(InvalidSolve::NoSteps) } else { Ok(()) }
    }

    fn failure<const D: usize>(
        &self,
        reason: Failure,
        evaluations: usize,
        x: Tensor<D>,
    ) -> SolveError<Tensor<D>> {
        let batch = x.batch();
        SolveError {
            reason,
            span: self.span,
            reached: Times::Shared(self.span.start),
            samples: batch,
            last: Box::new(x),
            evaluations: vec![evaluations; batch],
        }
    }
}
