//! The field of a certificate as plain data, and how it is used.

use faer::Mat;
use serde::{Deserialize, Serialize};
use thalweg_files::Fingerprint;

use super::Subject;
use crate::dense::{from_rows, to_rows};
use crate::{Field, Function, Input, Method, Term};

/// A [`Field`] with its time, its solver and its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// `A₀`, row after row.
    #[serde(rename = "A0")]
    pub linear: Vec<Vec<f64>>,
    /// The other terms.
    pub terms: Vec<TermRecord>,
    /// What the field is a field of.
    pub form: Form,
    /// The time `T` that solutions are followed for.
    pub horizon: f64,
    /// How they are computed; none when the solver chooses its steps as it goes.
    pub solver: Option<Solver>,
    /// What `g` may be.
    pub input: InputRange,
    /// Of all the above: a changed number is noticed although the proofs may still hold.
    pub fingerprint: String,
}

/// A [`Term`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermRecord {
    /// `f`.
    pub function: Function,
    /// `A`, row after row.
    #[serde(rename = "A")]
    pub outer: Vec<Vec<f64>>,
    /// `W`, row after row.
    #[serde(rename = "W")]
    pub inner: Vec<Vec<f64>>,
    /// `b`.
    #[serde(rename = "b")]
    pub bias: Vec<f64>,
}

/// What the field is a field of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `dx/dt = A₀x + Σ A f(Wx + b) + g`: any two points with the same input approach each other.
    Equilibrium,
    /// `dx/dt = A₀(x - y) + Σ A [f(Wx + b) - f(Wy + b)] + g` from `x = y`: two points with the same input **and the same
    /// anchor `y`** approach each other. That the end depends little on `y` does not follow.
    Anchored,
}

/// Equal steps of an explicit method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solver {
    /// The method.
    pub method: Method,
    /// How many steps it makes over the horizon.
    pub steps: u64,
}

/// What the input `g` may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputRange {
    /// Always this.
    Constant(Vec<f64>),
    /// Anything, at any time, whose coordinates are at most this in absolute value.
    Bound(f64),
    /// Anything, at any time, with coordinates between these.
    Between {
        /// The least value of each coordinate.
        low: Vec<f64>,
        /// The greatest.
        high: Vec<f64>,
    },
}

impl System {
    /// The system of a subject.
    #[must_use]
    pub fn of(subject: &Subject<'_>) -> Self {
        let record = |term: &Term| TermRecord {
            function: term.function,
            outer: to_rows(&term.outer),
            inner: to_rows(&term.inner),
            bias: term.bias.clone(),
        };
        let mut system = Self {
            linear: to_rows(&subject.field.linear),
            terms: subject.field.terms.iter().map(record).collect(),
            form: subject.form,
            horizon: subject.horizon,
            solver: subject.solver.clone(),
            input: subject.input.clone(),
            fingerprint: String::new(),
        };
        system.fingerprint = system.computed_fingerprint();
        system
    }

    /// The field.
    ///
    /// # Errors
    /// Names the matrix that is not one, or whose size is wrong.
    pub fn field(&self) -> Result<Field, String> {
        let n = self.linear.len();
        let matrix = |name: String, rows: &[Vec<f64>], cols: usize| from_rows(&name, rows, cols);
        let term = |(j, term): (usize, &TermRecord)| {
            let outer = matrix(format!("A{j}"), &term.outer, term.bias.len())?;
            let inner = matrix(format!("W{j}"), &term.inner, n)?;
            Ok(Term { outer, inner, bias: term.bias.clone(), function: term.function })
        };
        let linear = matrix("A0".to_string(), &self.linear, n)?;
        let terms = (1..).zip(&self.terms).map(term).collect::<Result<_, String>>()?;
        let field = Field { linear, terms };
        field.check()?;
        Ok(field)
    }

    /// What is wrong with everything but the field, if anything.
    ///
    /// # Errors
    /// Says what.
    pub fn check_use(&self) -> Result<(), String> {
        if !(self.horizon.is_finite() && self.horizon > 0.0) {
            return Err(format!("a horizon of {}", self.horizon));
        }
        if let Some(solver) = &self.solver {
            solver.method.check()?;
            if !(1..=1 << 40).contains(&solver.steps) {
                return Err(format!("{} steps", solver.steps));
            }
        }
        match &self.input {
            InputRange::Constant(input) => {
                if input.len() != self.linear.len() || input.iter().any(|x| !x.is_finite()) {
                    return Err(format!("the input {input:?} of {} coordinates", self.linear.len()));
                }
            }
            InputRange::Bound(bound) => {
                if !(bound.is_finite() && *bound >= 0.0) {
                    return Err(format!("the input has the bound {bound}"));
                }
            }
            InputRange::Between { low, high } => {
                let n = self.linear.len();
                if low.len() != n || high.len() != n {
                    return Err(format!("the input has {} and {} ends", low.len(), high.len()));
                }
                let ordered = |(a, b): (&f64, &f64)| a.is_finite() && b.is_finite() && a <= b;
                if !low.iter().zip(high).all(ordered) {
                    return Err("the input has ends that are not in order".to_string());
                }
            }
        }
        Ok(())
    }

    /// The fingerprint of everything but the fingerprint: whatever decides what is claimed.
    #[must_use]
    pub fn computed_fingerprint(&self) -> String {
        let mut fingerprint = Fingerprint::default();
        let mut rows = |rows: &[Vec<f64>]| {
            fingerprint.indices(&[rows.len()]);
            rows.iter().for_each(|row| fingerprint.numbers(row));
        };
        rows(&self.linear);
        for term in &self.terms {
            rows(&term.outer);
            rows(&term.inner);
            rows(std::slice::from_ref(&term.bias));
        }
        rows(&[vec![self.horizon]]);
        match &self.input {
            InputRange::Constant(input) => rows(std::slice::from_ref(input)),
            InputRange::Between { low, high } => rows(&[low.clone(), high.clone()]),
            InputRange::Bound(_) => {}
        }
        // Names and what else has no rows, by their spelling.
        let functions: Vec<Function> = self.terms.iter().map(|term| term.function).collect();
        let bound = match self.input {
            InputRange::Bound(bound) => Some(bound),
            InputRange::Constant(_) | InputRange::Between { .. } => None,
        };
        fingerprint.bytes(super::json::fingerprint(&(functions, self.form, &self.solver, bound)).as_bytes());
        fingerprint.text()
    }

    /// The middle of what the input may be, and how far it may be from there in the Euclidean norm.
    pub(super) fn with_input<T>(&self, action: impl FnOnce(Input<'_>) -> T) -> T {
        let [middle, reach] = self.middle_and_reach();
        let deviation = reach.iter().map(|x| x * x).sum::<f64>().sqrt();
        action(Input { value: &middle, deviation })
    }

    /// The middle of the input and how far each of its coordinates may be from there.
    fn middle_and_reach(&self) -> [Vec<f64>; 2] {
        let n = self.linear.len();
        match &self.input {
            InputRange::Constant(input) => [input.clone(), vec![0.0; n]],
            InputRange::Bound(bound) => [vec![0.0; n], vec![*bound; n]],
            InputRange::Between { low, high } => {
                let ends = || low.iter().zip(high);
                // Beyond what the halves are rounded by.
                let reach = |(a, b): (&f64, &f64)| 0.5 * (b - a) + 1e-15 * (a.abs() + b.abs());
                [ends().map(|(a, b)| 0.5 * (a + b)).collect(), ends().map(reach).collect()]
            }
        }
    }

    /// A bound of `sup ‖F(0, u)‖`, or of `sup ‖g‖` for an anchored field, in the norm of a metric: over a box of inputs by
    /// the sum of the metric's absolute entries, or by its largest eigenvalue, whichever is less.
    pub(super) fn push(&self, field: &Field, metric: &Mat<f64>, largest: f64) -> f64 {
        let n = field.dim();
        let norm = |x: &[f64]| {
            let sum: f64 = (0..n).map(|i| x[i] * (0..n).map(|j| metric[(i, j)] * x[j]).sum::<f64>()).sum();
            sum.max(0.0).sqrt()
        };
        let zero = vec![0.0; n];
        let at_origin = match self.form {
            Form::Equilibrium => field.value(&zero, &zero),
            Form::Anchored => zero,
        };
        let [middle, reach] = self.middle_and_reach();
        let pushed: Vec<f64> = at_origin.iter().zip(&middle).map(|(a, b)| a + b).collect();
        let entries: f64 =
            (0..n).map(|j| (0..n).map(|i| reach[i] * metric[(i, j)].abs() * reach[j]).sum::<f64>()).sum();
        let square: f64 = reach.iter().map(|x| x * x).sum();
        norm(&pushed) + entries.min(largest * square).sqrt()
    }
}
