//! What is wrong with a request, found before anything is evaluated.

use crate::Method;

/// A solver, span or list of times with which no solve can run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidSolve {
    /// An adaptive solve with a method that cannot estimate its error.
    #[error(
        "the method `{method}` has no error estimate and cannot choose its own steps; \
         use `heun`, `bosh3`, `dopri5` or `tsit5`, or write `steps = {{ fixed = 20 }}`"
    )]
    NoErrorEstimate {
        /// The method.
        method: Method,
    },
    /// No step at all.
    #[error(
        "a solve needs at least one step; give `fixed` and `max_steps` at least 1, and `grid` at least two times"
    )]
    NoSteps,
    /// More steps asked for than allowed.
    #[error("{steps} steps are asked for but `max_steps` is {max_steps}; raise it or take fewer steps")]
    TooManySteps {
        /// Asked for.
        steps: usize,
        /// Allowed.
        max_steps: usize,
    },
    /// A tolerance that no step or every step meets.
    #[error(
        "the {name} tolerance is {value}; both must be finite, the absolute one above 0 and the relative one not \
         negative"
    )]
    Tolerance {
        /// `relative` or `absolute`.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// A first step without size.
    #[error(
        "`first_step` is {step}; it must be finite and above 0 in both directions of time, or be left out"
    )]
    FirstStep {
        /// What was given.
        step: f64,
    },
    /// Times of a grid that turn back, repeat or are not finite.
    #[error("time {index} of the grid, {time}, is out of order; the times must rise or fall all the way")]
    GridOrder {
        /// Position of the first offender, from 0.
        index: usize,
        /// Its value.
        time: f64,
    },
    /// A grid for another span.
    #[error(
        "the grid does not run between the ends of the span, {start} and {end}; its first and last times must be these"
    )]
    GridEnds {
        /// Start of the span.
        start: f64,
        /// End of the span.
        end: f64,
    },
    /// A span with an end that is not finite.
    #[error("the span from {start} to {end} is not finite")]
    Span {
        /// Start of the span.
        start: f64,
        /// End of the span.
        end: f64,
    },
    /// A time to save at that is outside the span or out of order.
    #[error(
        "time {index} to save at, {time}, is outside the span from {start} to {end} or out of order; \
         give times inside it in the order in which the solve meets them"
    )]
    SaveTime {
        /// Position of the first offender, from 0.
        index: usize,
        /// Its value.
        time: f64,
        /// Start of the span.
        start: f64,
        /// End of the span.
        end: f64,
    },
    /// Something that needs common steps was asked of a solve with steps per sample.
    #[error("{what} needs one step size for the batch; use `control = \"shared\"`, fixed steps or a grid")]
    NeedsSharedSteps {
        /// What was asked for.
        what: &'static str,
    },
}
