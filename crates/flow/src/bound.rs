//! How far few steps of a learned field can lead astray: bounds on the error of inference, beside the error itself
//! (FORMULAS §4).
//!
//! The truth follows `u`; inference makes explicit steps of Euler along `v`, from the same noise. A step adds the error of
//! the field and that of the step, and the truth carries errors on:
//!
//! `‖ε(n+1)‖ ≤ aₙ‖ε(n)‖ + τδ + ½τ²M`, with `aₙ = 1 + τL`, or less where the truth contracts.
//!
//! What goes in is measured along each trajectory, so the bounds hold as far as the measurements do: the error of the field
//! is exact, slopes and accelerations are the largest at some points.

mod slopes;

use burn::tensor::Tensor;
use thalweg_solve::{
    Method, Placement, Save, SolveError, Solver, Span, Tangent, VelocityField, solve_field, to_host,
};

use slopes::{Slopes, jacobians};

/// Looks at a whole trajectory for quadratures and the acceleration of the truth, and at a step at least.
const LOOKS: usize = 256;
const LOOKS_AT_A_STEP: usize = 8;
/// Points between inference and truth at which slopes are measured.
const BETWEEN: usize = 5;
/// Tolerance of the trajectories that are taken for true.
const TRUE: f64 = 1e-10;

/// Errors of inference from some noise, and what bounds them. Everything is Euclidean, in the units of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceErrors {
    /// The ends of the steps.
    pub times: Vec<f64>,
    /// `‖ψ - φ‖` at each time, for each trajectory.
    pub measured: Vec<Vec<f64>>,
    /// The bound by the slopes along each trajectory.
    pub local: Vec<Vec<f64>>,
    /// The same with what contraction takes away.
    pub logarithmic: Vec<Vec<f64>>,
    /// The largest slope `L` of the truth that was met.
    pub slope: f64,
    /// The largest growth of small errors `μ`, negative where the truth contracts everywhere.
    pub growth: f64,
    /// The largest error of the field `δ`.
    pub field_error: f64,
    /// The largest acceleration `M` of the truth.
    pub acceleration: f64,
    /// Errors of the field alone, if it were solved exactly.
    pub exact: ExactInference,
}

/// What would be left with infinitely many steps: the part of the error that training has in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactInference {
    /// Root mean square of `u - v` over true points at each time.
    pub field_errors: Vec<f64>,
    /// Root mean square distance of the ends.
    pub measured: f64,
    /// `∫ exp(∫ μ) ‖u - v‖ dt` with the growth of the learned field, by quadrature: bounds it, and the Wasserstein
    /// distance.
    pub bound: f64,
}

impl InferenceErrors {
    /// Number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    fn step(&self, n: usize) -> f64 {
        self.times[n + 1] - self.times[n]
    }

    /// Time from the start to the end of step `n`.
    fn elapsed(&self, n: usize) -> f64 {
        self.times[n] - self.times[0]
    }

    /// The bound at each time with the largest slope, error and acceleration of all trajectories at every step.
    #[must_use]
    pub fn uniform(&self) -> Vec<f64> {
        let mut bounds = vec![0.0];
        for n in 0..self.steps() {
            bounds.push((1.0 + self.step(n) * self.slope) * bounds[n] + self.term(self.step(n)));
        }
        bounds
    }

    /// `(e^L - 1)/L · δ`: what errors of the field can come to, equation (5) of the paper.
    #[must_use]
    pub fn learning_part(&self) -> f64 {
        grown(self.slope, self.elapsed(self.steps())) * self.field_error
    }

    /// `(e^L - 1)/L · M/(2N)`: what the length of the steps can add to that.
    #[must_use]
    pub fn discretisation_part(&self) -> f64 {
        let longest = (0..self.steps()).map(|n| self.step(n)).fold(0.0, f64::max);
        grown(self.slope, self.elapsed(self.steps())) * 0.5 * self.acceleration * longest
    }

    /// Equation (5): the sum of both parts.
    #[must_use]
    pub fn closed(&self) -> f64 {
        self.learning_part() + self.discretisation_part()
    }

    /// Equation (4): `exp(L t(N-1)) Σ (δτ + ½Mτ²)`.
    #[must_use]
    pub fn gronwall(&self) -> f64 {
        (self.slope * self.elapsed(self.steps() - 1)).exp() * self.sum_of_terms()
    }

    /// The same with the exponent for which there is a proof, `t(N) - t(1)`.
    #[must_use]
    pub fn gronwall_proved(&self) -> f64 {
        let rest = self.elapsed(self.steps()) - self.elapsed(1);
        (self.slope * rest).exp() * self.sum_of_terms()
    }

    /// What a step adds at most.
    fn term(&self, tau: f64) -> f64 {
        self.field_error * tau + 0.5 * self.acceleration * tau * tau
    }

    fn sum_of_terms(&self) -> f64 {
        (0..self.steps()).map(|n| self.term(self.step(n))).sum()
    }
}

/// `(e^(LT) - 1)/L`, and `T` where nothing grows.
fn grown(slope: f64, time: f64) -> f64 {
    if slope.abs() < 1e-12 { time } else { (slope * time).exp_m1() / slope }
}

/// Follows the truth `u` and steps of Euler along `v` from the points `x0` `[batch, dim]`, in double precision, and
/// measures what the bounds need. `times` are the ends of the steps, two at least and rising.
///
/// Takes `dim` tangents of `u` at five points for every step and trajectory.
///
/// # Errors
/// When the truth cannot be followed, or is not finite.
///
/// # Panics
/// When there are no two times.
pub fn inference_errors(
    u: &impl Tangent<2>,
    v: &impl Tangent<2>,
    x0: &Tensor<2>,
    times: &[f64],
) -> Result<InferenceErrors, SolveError<Tensor<2>>> {
    let [.., end] = times else { panic!("steps need times") };
    assert!(times.len() > 1, "steps need two times at least");
    let span = Span { start: times[0], end: *end };
    let looks = (LOOKS / (times.len() - 1)).max(LOOKS_AT_A_STEP);
    let truth = followed(u, span, x0, fine(times, looks))?;
    let batch = x0.dims()[0];
    let mut errors = InferenceErrors {
        times: times.to_vec(),
        measured: vec![vec![0.0; batch]],
        local: vec![vec![0.0; batch]],
        logarithmic: vec![vec![0.0; batch]],
        slope: 0.0,
        growth: f64::NEG_INFINITY,
        field_error: 0.0,
        acceleration: 0.0,
        exact: exact(u, v, &truth, looks)?,
    };

    let mut phi = x0.clone();
    for n in 0..times.len() - 1 {
        let (t, tau) = (times[n], times[n + 1] - times[n]);
        let clock = || Placement::of(&phi).full(t, [batch]);
        let velocity = v.velocity(clock(), phi.clone());
        let wrong = norms(&(u.velocity(clock(), phi.clone()) - velocity.clone()));
        let slopes = steepest(u, t, &phi, &truth[n * looks].1);
        let fastest = accelerations(u, &truth[n * looks..=(n + 1) * looks]);
        let last = errors.local.len() - 1;
        let grow = |kept: &[f64], by: &dyn Fn(&Slopes) -> f64| {
            let term = |i: usize| by(&slopes[i]) * kept[i] + tau * wrong[i] + 0.5 * tau * tau * fastest[i];
            (0..batch).map(term).collect::<Vec<f64>>()
        };
        let local = grow(&errors.local[last], &|slopes| slopes.amplification(tau));
        let logarithmic = grow(&errors.logarithmic[last], &|slopes| slopes.least_amplification(tau));
        errors.local.push(local);
        errors.logarithmic.push(logarithmic);

        let largest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        errors.slope = errors.slope.max(largest(&slopes.iter().map(|s| s.steepest).collect::<Vec<_>>()));
        errors.growth = errors.growth.max(largest(&slopes.iter().map(|s| s.growth).collect::<Vec<_>>()));
        errors.field_error = errors.field_error.max(largest(&wrong));
        errors.acceleration = errors.acceleration.max(largest(&fastest));
        phi = phi + velocity * tau;
        errors.measured.push(norms(&(truth[(n + 1) * looks].1.clone() - phi.clone())));
    }
    Ok(errors)
}

/// The times with so many equal parts in each step.
fn fine(times: &[f64], looks: usize) -> Vec<f64> {
    let parts = times
        .windows(2)
        .flat_map(|ends| (0..looks).map(move |k| ends[0] + (ends[1] - ends[0]) * k as f64 / looks as f64));
    parts.chain(times.last().copied()).collect()
}

type Path = Vec<(f64, Tensor<2>)>;

fn followed(
    field: &impl VelocityField<2>,
    span: Span,
    x0: &Tensor<2>,
    times: Vec<f64>,
) -> Result<Path, SolveError<Tensor<2>>> {
    let solver = Solver { max_steps: 1_000_000, ..Solver::adaptive(Method::Dopri5, TRUE) };
    Ok(solve_field(&solver, span, x0.clone(), &Save::At(times), field)?.saved)
}

/// The slopes of the field that are largest between two clouds, for each of their points.
fn steepest(field: &impl Tangent<2>, t: f64, from: &Tensor<2>, to: &Tensor<2>) -> Vec<Slopes> {
    let step = (to.clone() - from.clone()) / (BETWEEN - 1) as f64;
    let at = |k: usize| -> Vec<Slopes> {
        jacobians(field, t, from.clone() + step.clone() * k as f64).iter().map(Slopes::of).collect()
    };
    (1..BETWEEN)
        .map(at)
        .fold(at(0), |steepest, here| steepest.into_iter().zip(here).map(|(a, b)| a.max(b)).collect())
}

/// The largest `‖∂ₜu + (∇u)u‖` along a piece of each trajectory.
fn accelerations(field: &impl Tangent<2>, path: &[(f64, Tensor<2>)]) -> Vec<f64> {
    let mut largest = vec![0.0_f64; path[0].1.dims()[0]];
    for (t, x) in path {
        let t = Placement::of(x).full(*t, [x.dims()[0]]);
        let velocity = field.velocity(t.clone(), x.clone());
        let (_, change) = field.velocity_and_tangent(t.clone(), x.clone(), t.ones_like(), velocity);
        for (largest, norm) in largest.iter_mut().zip(norms(&change)) {
            *largest = largest.max(norm);
        }
    }
    largest
}

/// Errors of the learned field along true paths, and of its exact solution.
fn exact(
    u: &impl Tangent<2>,
    v: &impl Tangent<2>,
    truth: &Path,
    looks: usize,
) -> Result<ExactInference, SolveError<Tensor<2>>> {
    let (mut errors, mut growths) = (Vec::new(), Vec::new());
    for (t, x) in truth {
        let clock = || Placement::of(x).full(*t, [x.dims()[0]]);
        let apart = norms(&(u.velocity(clock(), x.clone()) - v.velocity(clock(), x.clone())));
        errors.push(root_mean_square(&apart));
        let slopes = jacobians(v, *t, x.clone());
        growths.push(
            slopes.iter().map(|jacobian| Slopes::of(jacobian).growth).fold(f64::NEG_INFINITY, f64::max),
        );
    }
    // Backwards, so that the growth from each time to the end is known: both integrals by the trapezoidal rule.
    let (mut exponent, mut bound) = (0.0, 0.0);
    for n in (0..truth.len() - 1).rev() {
        let width = truth[n + 1].0 - truth[n].0;
        let later = f64::exp(exponent) * errors[n + 1];
        exponent += 0.5 * width * (growths[n] + growths[n + 1]);
        bound += 0.5 * width * (later + f64::exp(exponent) * errors[n]);
    }
    let (start, end) = (&truth[0], &truth[truth.len() - 1]);
    let span = Span { start: start.0, end: end.0 };
    let learned = followed(v, span, &start.1, vec![end.0])?;
    let apart = norms(&(end.1.clone() - learned[0].1.clone()));
    let field_errors = errors.iter().step_by(looks).copied().collect();
    Ok(ExactInference { field_errors, measured: root_mean_square(&apart), bound })
}

fn norms(x: &Tensor<2>) -> Vec<f64> {
    to_host(&x.clone().square().sum_dim(1).sqrt())
}

fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len().max(1) as f64).sqrt()
}
