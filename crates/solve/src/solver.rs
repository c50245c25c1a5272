//! How to solve: the method, the steps and the tolerances, as written in recipes.

use serde::{Deserialize, Serialize};

use crate::{InvalidSolve, Method, Span};

/// How `integrate` solves: a method, its steps, and when to give up.
///
/// The defaults are `dopri5` with steps chosen by the method at relative and absolute tolerance 1e-5, one step size for
/// the batch, and at most 10,000 steps. In a recipe:
///
/// ```toml
/// solver = { method = "rk4", steps = { fixed = 20 } }
/// solver = { method = "tsit5", steps = { adaptive = { tolerance = { relative = 1e-7 }, control = "per-sample" } } }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solver {
    /// The Runge–Kutta method; `dopri5` by default.
    pub method: Method,
    /// Where the steps end; adaptive by default.
    pub steps: Steps,
    /// A solve of more steps than this, rejected ones included, fails; 10,000 by default.
    pub max_steps: usize,
}

impl Default for Solver {
    fn default() -> Self {
        Self {
            method: Method::Dopri5,
            steps: Steps::Adaptive {
                tolerance: Tolerance::default(),
                control: Control::Shared,
                first_step: None,
            },
            max_steps: 10_000,
        }
    }
}

impl Solver {
    /// `steps` steps of equal size.
    #[must_use]
    pub fn fixed(method: Method, steps: usize) -> Self {
        Self { method, steps: Steps::Fixed(steps), max_steps: steps.max(1) }
    }

    /// Steps as large as the tolerance, used both as relative and as absolute one, allows for the batch as a whole.
    #[must_use]
    pub fn adaptive(method: Method, tolerance: f64) -> Self {
        let steps = Steps::Adaptive {
            tolerance: Tolerance { relative: tolerance, absolute: tolerance },
            control: Control::Shared,
            first_step: None,
        };
        Self { method, steps, ..Self::default() }
    }

    /// The same solver with a step size for each sample; steps that are not adaptive stay as they are.
    #[must_use]
    pub fn per_sample(mut self) -> Self {
        if let Steps::Adaptive { control, .. } = &mut self.steps {
            *control = Control::PerSample;
        }
        self
    }

    /// Checks everything that does not depend on the span.
    ///
    /// # Errors
    /// When no solve could run with these settings; the message says what to change.
    pub fn validate(&self) -> Result<(), InvalidSolve> {
        let count = match &self.steps {
            Steps::Fixed(steps) => *steps,
            Steps::Grid(nodes) => {
                check_grid(nodes)?;
                nodes.len() - 1
            }
            Steps::Adaptive { tolerance, first_step, .. } => {
                if self.method.tableau().error.is_none() {
                    return Err(InvalidSolve::NoErrorEstimate { method: self.method });
                }
                tolerance.validate()?;
                if let Some(step) = first_step.filter(|step| !(step.is_finite() && *step > 0.0)) {
                    return Err(InvalidSolve::FirstStep { step });
                }
                1
            }
        };
        if count == 0 || self.max_steps == 0 {
            return Err(InvalidSolve::NoSteps);
        }
        if count > self.max_steps {
            return Err(InvalidSolve::TooManySteps { steps: count, max_steps: self.max_steps });
        }
        Ok(())
    }

    /// The ends of the steps for steps that are known beforehand, in the direction of the span.
    pub(crate) fn nodes(&self, span: Span) -> Result<Option<Vec<f64>>, InvalidSolve> {
        match &self.steps {
            Steps::Fixed(steps) => Ok(Some(span.uniform(*steps))),
            Steps::Grid(nodes) => {
                let ends = (nodes.first().copied(), nodes.last().copied());
                if ends == (Some(span.start), Some(span.end)) {
                    Ok(Some(nodes.clone()))
                } else if ends == (Some(span.end), Some(span.start)) {
                    Ok(Some(nodes.iter().rev().copied().collect()))
                } else {
                    Err(InvalidSolve::GridEnds { start: span.start, end: span.end })
                }
            }
            Steps::Adaptive { .. } => Ok(None),
        }
    }
}

/// Where the steps of a solve end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Steps {
    /// So many steps of equal size.
    Fixed(usize),
    /// Steps between the given times, both ends of the span included. The times rise or fall all the way; a solve in
    /// the other direction walks them backward.
    Grid(Vec<f64>),
    /// Steps as large as a tolerance allows.
    Adaptive {
        /// How large the estimated error of one step may be.
        #[serde(default)]
        tolerance: Tolerance,
        /// Whose error decides.
        #[serde(default)]
        control: Control,
        /// Size of the first step tried; when absent it is guessed at the price of one more evaluation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_step: Option<f64>,
    },
}

/// The error of a coordinate that is just tolerable in a step: `absolute + relative · |x|`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tolerance {
    /// In units of the coordinate itself; 1e-5 by default. Below about 1e-6 it needs double precision.
    pub relative: f64,
    /// In units of the problem; 1e-5 by default, and never zero, because coordinates may be.
    pub absolute: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { relative: 1e-5, absolute: 1e-5 }
    }
}

impl Tolerance {
    fn validate(&self) -> Result<(), InvalidSolve> {
        if !(self.relative >= 0.0 && self.relative.is_finite()) {
            return Err(InvalidSolve::Tolerance { name: "relative", value: self.relative });
        }
        if !(self.absolute > 0.0 && self.absolute.is_finite()) {
            return Err(InvalidSolve::Tolerance { name: "absolute", value: self.absolute });
        }
        Ok(())
    }
}

/// Whose error chooses the step size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// One step size for the batch from the root mean square error over its samples.
    #[default]
    Shared,
    /// A step size for each sample: neither its result nor its number of evaluations depends on its batch mates, as
    /// long as the rows of the field do not. The solve goes on without the samples that are done where the field takes
    /// any rows; otherwise, and where times on the way are saved, they are evaluated along, masked and not counted.
    PerSample,
}

fn check_grid(nodes: &[f64]) -> Result<(), InvalidSolve> {
    if nodes.len() < 2 {
        return Err(InvalidSolve::NoSteps);
    }
    if let Some(index) = nodes.iter().position(|time| !time.is_finite()) {
        return Err(InvalidSolve::GridOrder { index, time: nodes[index] });
    }
    let rising = nodes[1] > nodes[0];
    let wrong = |pair: &[f64]| if rising { pair[1] <= pair[0] } else { pair[1] >= pair[0] };
    match nodes.windows(2).position(wrong) {
        Some(before) => Err(InvalidSolve::GridOrder { index: before + 1, time: nodes[before + 1] }),
        None => Ok(()),
    }
}
