//! What comes out of a solve: a solution, or a failure that says why and still holds the last good state.

use std::fmt;

use crate::{InvalidSolve, Span, Times};

/// The outcome of a solve.
#[derive(Debug, Clone)]
pub struct Solution<S> {
    /// The state at the end of the span.
    pub state: S,
    /// The times asked for and the states there, in the order of integration.
    pub saved: Vec<(f64, S)>,
    /// For each sample how often the field was evaluated for it, the probe for the first step and rejected steps
    /// included. What a batch mate made the machine compute in vain is not counted.
    pub evaluations: Vec<usize>,
    /// For each sample the number of steps taken.
    pub accepted: Vec<usize>,
    /// For each sample the number of steps tried in vain.
    pub rejected: Vec<usize>,
    /// The ends of the steps taken, from start to end of the span; empty when every sample has steps of its own.
    pub grid: Vec<f64>,
}

impl<S> Solution<S> {
    /// Mean number of evaluations per sample, 0 for an empty batch.
    #[must_use]
    pub fn mean_evaluations(&self) -> f64 {
        self.evaluations.iter().sum::<usize>() as f64 / self.evaluations.len().max(1) as f64
    }
}

/// A solve that did not reach its end.
pub struct SolveError<S> {
    /// Why it stopped.
    pub reason: Failure,
    /// What was to be solved.
    pub span: Span,
    /// The times that were reached; the time of `last`.
    pub reached: Times,
    /// How many samples failed. With one step size for the batch, all of them unless some values were not finite.
    pub samples: usize,
    /// The last good state. With steps per sample, those that did not fail are at the end of the span.
    pub last: Box<S>,
    /// For each sample how often the field was evaluated for it.
    pub evaluations: Vec<usize>,
}

/// Why a solve stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The step limit was used up.
    MaxSteps(usize),
    /// The tolerance asked for a step that rounding would swallow; it holds the size of the step.
    StepTooSmall(f64),
    /// The field or the state took a value that is not finite.
    NotFinite,
    /// The request made no sense; nothing was evaluated.
    Invalid(InvalidSolve),
}

impl<S> SolveError<S> {
    /// The same report without the state, for callers that pass it on.
    #[must_use]
    pub fn without_state(self) -> SolveError<()> {
        self.map(|_| ())
    }

    /// The same report with another form of the state.
    #[must_use]
    pub fn map<T>(self, form: impl FnOnce(S) -> T) -> SolveError<T> {
        let Self { reason, span, reached, samples, last, evaluations } = self;
        SolveError { reason, span, reached, samples, last: Box::new(form(*last)), evaluations }
    }

    /// The time of the sample that is furthest from the end.
    #[must_use]
    pub fn time(&self) -> f64 {
        match &self.reached {
            Times::Shared(time) => *time,
            Times::PerSample(times) => times
                .iter()
                .copied()
                .fold(self.span.end, |worst, time| if self.span.before(time, worst) { time } else { worst }),
        }
    }
}

impl<S> fmt::Display for SolveError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Failure::Invalid(reason) = &self.reason {
            return write!(f, "{reason}");
        }
        let Span { start, end } = self.span;
        let (time, samples) = (self.time(), self.samples);
        let total = self.evaluations.len();
        write!(
            f,
            "the solve from t = {start} to {end} stopped at t = {time:.6} ({samples} of {total} samples): "
        )?;
        match &self.reason {
            Failure::MaxSteps(limit) => write!(
                f,
                "{limit} steps did not reach the end; raise `max_steps`, loosen the tolerance, or look for a field \
                 that changes very fast there"
            ),
            Failure::StepTooSmall(step) => write!(
                f,
                "the tolerance needs steps below {step:.1e}, which rounding swallows; loosen the tolerance, use double \
                 precision, or end the span before the field becomes singular"
            ),
            Failure::NotFinite => write!(
                f,
                "the field or the state became NaN or infinite; use more or smaller steps, keep away from the ends \
                 where the path is singular, or check the model's weights"
            ),
            Failure::Invalid(_) => Ok(()),
        }
    }
}

/// Without the state, whose numbers would bury the reason.
impl<S> fmt::Debug for SolveError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SolveError")
            .field("reason", &self.reason)
            .field("span", &self.span)
            .field("time", &self.time())
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

impl<S> std::error::Error for SolveError<S> {}
