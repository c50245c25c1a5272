//! Gradients through a solve in little memory by discretising first and differentiating then.
//!
//! The forward solve keeps no tape, only the states at the borders of segments of steps. Backward, each segment is solved
//! once more with the tape and differentiated. The gradient is that of what was computed, to rounding: the steps taken
//! are replayed with their sizes as constants. With `n` steps, states at every `k`-th step and a tape of `k` steps are alive
//! at once, which is least for `k = √n`. The price is one more evaluation of the field per stage.

use burn::tensor::{Gradients, Tensor};

use crate::control::Tuning;
use crate::integrate::{Request, integrate_observed};
use crate::{
    Augmented, Control, InvalidSolve, Method, Save, Solution, SolveError, Solver, Span, State, Steps, Times,
    integrate,
};

/// How many states the forward solve keeps for the backward one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checkpoints {
    /// The state before every step: `n` states, and a tape of one step at a time.
    EveryStep,
    /// About `√n` states and a tape of about `√n` steps, together at most `3√n + 3`, also when the number of steps is not
    /// known beforehand.
    #[default]
    SquareRoot,
    /// The state before every so many steps, at least 1.
    Every(usize),
}

/// A state through which gradients flow.
pub trait Differentiable: State {
    /// The state without automatic differentiation.
    #[must_use]
    fn untracked(self) -> Self;

    /// The rate without automatic differentiation.
    #[must_use]
    fn untracked_rate(rate: Self::Rate) -> Self::Rate;

    /// The state as a leaf whose gradient is wanted.
    #[must_use]
    fn leaf(self) -> Self;

    /// The sum of products of all numbers of two states, `[1]`.
    #[must_use]
    fn dot(&self, other: &Self) -> Tensor<1>;

    /// Takes the gradient of this leaf; zero where nothing depends on it.
    #[must_use]
    fn take_gradient(&self, gradients: &mut Gradients) -> Self;
}

/// Solves like [`integrate`] without a tape and keeps what [`Recorded::backward`] needs.
///
/// # Errors
/// Those of [`integrate`]; steps per sample are refused, because they have no common grid to replay.
pub fn record<S: Differentiable>(
    solver: &Solver,
    span: Span,
    initial: S,
    checkpoints: Checkpoints,
    mut rate: impl FnMut(&Times, &S) -> S::Rate,
) -> Result<Recorded<S>, SolveError<S>> {
    if matches!(solver.steps, Steps::Adaptive { control: Control::PerSample, .. }) {
        let reason = InvalidSolve::NeedsSharedSteps { what: "a recorded solve" };
        return Err(SolveError::refused(reason, span, initial));
    }
    let initial = initial.untracked();
    let mut borders = Borders::new(checkpoints, initial.clone());
    let request = Request { solver, span, save: &Save::End, tuning: Tuning::DEFAULT, any_rows: false };
    let untracked = |times: &Times, state: &S| S::untracked_rate(rate(times, state));
    let solution = integrate_observed(&request, initial, untracked, |state| borders.passed(state))?;
    Ok(Recorded { method: solver.method, every: borders.every, borders: borders.states, solution })
}

/// A solve whose gradient can be taken.
#[derive(Debug, Clone)]
pub struct Recorded<S> {
    /// The outcome of the forward solve, without a tape.
    pub solution: Solution<S>,
    method: Method,
    every: usize,
    /// The states before steps `0, every, 2 every, ..`.
    borders: Vec<S>,
}

impl<S: Differentiable> Recorded<S> {
    /// Number of states kept.
    #[must_use]
    pub fn stored_states(&self) -> usize {
        self.borders.len()
    }

    /// Number of steps on the tape at once in the backward solve.
    #[must_use]
    pub fn longest_segment(&self) -> usize {
        self.every.min(self.solution.grid.len() - 1)
    }

    /// The gradient with respect to the initial state of a scalar whose gradient with respect to the final state is
    /// `cotangent`.
    ///
    /// `rate` must be the field of the forward solve. Its parameters' gradients come in parts: `collect` is called with
    /// those of each segment, from the last to the first, and adds them up.
    ///
    /// # Errors
    /// When `rate` returns values that are not finite, which the field of the forward solve did not.
    pub fn backward(
        &self,
        cotangent: S,
        mut rate: impl FnMut(&Times, &S) -> S::Rate,
        mut collect: impl FnMut(&mut Gradients),
    ) -> Result<S, SolveError<S>> {
        let mut cotangent = cotangent.untracked();
        if cotangent.batch() == 0 {
            return Ok(cotangent);
        }
        let grid = &self.solution.grid;
        for (segment, border) in self.borders.iter().enumerate().rev() {
            let first = segment * self.every;
            let last = (first + self.every).min(grid.len() - 1);
            if first == last {
                continue;
            }
            let solver = Solver {
                method: self.method,
                steps: Steps::Grid(grid[first..=last].to_vec()),
                max_steps: last - first,
            };
            let span = Span { start: grid[first], end: grid[last] };
            let leaf = border.clone().leaf();
            let end = integrate(&solver, span, leaf.clone(), &Save::End, &mut rate)?.state;
            let mut gradients = end.dot(&cotangent).backward();
            cotangent = leaf.take_gradient(&mut gradients);
            collect(&mut gradients);
        }
        Ok(cotangent)
    }
}

/// The states kept so far, of a solve that may still be long.
struct Borders<S> {
    states: Vec<S>,
    every: usize,
    steps: usize,
    /// Whether to keep fewer as the solve grows longer.
    thins_out: bool,
}

impl<S: Clone> Borders<S> {
    fn new(checkpoints: Checkpoints, initial: S) -> Self {
        let (every, thins_out) = match checkpoints {
            Checkpoints::EveryStep => (1, false),
            Checkpoints::SquareRoot => (1, true),
            Checkpoints::Every(steps) => (steps.max(1), false),
        };
        Self { states: vec![initial], every, steps: 0, thins_out }
    }

    /// After each accepted step. The state after the last step is kept too when it falls on a border, for nothing is
    /// known of the end here.
    fn passed(&mut self, state: &S) {
        self.steps += 1;
        if self.steps.is_multiple_of(self.every) {
            self.states.push(state.clone());
        }
        // Between k and 2k states at every k-th step: k grows like the root of the number of steps.
        if self.thins_out && self.states.len() > 2 * self.every {
            let mut index = 0;
            self.states.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
        }
    }
}

impl<const D: usize> Differentiable for Tensor<D> {
    fn untracked(self) -> Self {
        self.inner()
    }

    fn untracked_rate(rate: Self) -> Self {
        rate.inner()
    }

    fn leaf(self) -> Self {
        self.inner().autodiff().require_grad()
    }

    fn dot(&self, other: &Self) -> Tensor<1> {
        self.clone().mul(other.clone()).sum()
    }

    fn take_gradient(&self, gradients: &mut Gradients) -> Self {
        self.grad_remove(gradients).unwrap_or_else(|| self.clone().inner().zeros_like())
    }
}

impl<const D: usize> Differentiable for Augmented<D> {
    fn untracked(self) -> Self {
        Self { x: self.x.inner(), accumulated: self.accumulated.inner(), ..self }
    }

    fn untracked_rate(rate: Self) -> Self {
        rate.untracked()
    }

    fn leaf(self) -> Self {
        Self { x: self.x.leaf(), accumulated: self.accumulated.leaf(), ..self }
    }

    fn dot(&self, other: &Self) -> Tensor<1> {
        self.x.dot(&other.x).add(self.accumulated.dot(&other.accumulated))
    }

    fn take_gradient(&self, gradients: &mut Gradients) -> Self {
        Self {
            x: self.x.take_gradient(gradients),
            accumulated: self.accumulated.take_gradient(gradients),
            controlled: self.controlled,
            integrands_count: self.integrands_count,
        }
    }
}
