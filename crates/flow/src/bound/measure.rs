//! Inference beside the truth, and what of both goes into the bounds.

use burn::tensor::Tensor;
use thalweg_solve::{
    Method, Placement, Save, SolveError, Solver, Span, Tangent, VelocityField, solve_field, to_host,
};

use super::slopes::{Slopes, jacobians};
use super::step::{MeanSlope, Stage, Step, stretch};
use super::{ExactInference, InferenceErrors};

/// Looks at a whole trajectory for quadratures and the acceleration of the truth, and at a step at least.
const LOOKS: usize = 256;
const LOOKS_AT_A_STEP: usize = 8;
/// Points between inference and truth at which slopes are measured.
const BETWEEN: usize = 5;
/// Tolerance of the trajectories that are taken for true.
const TRUE: f64 = 1e-10;

/// The steps of inference.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedSteps {
    /// The method.
    pub method: Method,
    /// The ends of the steps, two at least and rising.
    pub times: Vec<f64>,
}

/// Follows the truth `u` and steps along `v` from the points `x0` `[batch, dim]`, in double precision, and measures
/// what the bounds need.
///
/// Takes `dim` tangents of `u` at five points for every stage of each step and trajectory; twice as many for other
/// methods than Euler.
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
    steps: &FixedSteps,
) -> Result<InferenceErrors, SolveError<Tensor<2>>> {
    let FixedSteps { method, times } = steps;
    let [.., end] = &times[..] else { panic!("steps need times") };
    assert!(times.len() > 1, "steps need two times at least");
    let span = Span { start: times[0], end: *end };
    let looks = (LOOKS / (times.len() - 1)).max(LOOKS_AT_A_STEP);
    let truth = followed(u, span, x0, fine(times, looks))?;
    let batch = x0.dims()[0];
    let mut errors = InferenceErrors {
        method: *method,
        times: times.clone(),
        measured: vec![vec![0.0; batch]],
        local: vec![vec![0.0; batch]],
        logarithmic: vec![vec![0.0; batch]],
        slope: 0.0,
        growth: f64::NEG_INFINITY,
        field_error: 0.0,
        acceleration: 0.0,
        truncation: 0.0,
        exact: exact(u, v, &truth, looks)?,
    };

    let mut phi = x0.clone();
    for n in 0..times.len() - 1 {
        let step = Step { method: *method, start: times[n], end: times[n + 1] };
        let tau = step.length();
        let (made, true_path) = (step.along(v, &phi), &truth[n * looks..=(n + 1) * looks]);
        let found = Measured::of(u, step, &made, true_path);
        let last = errors.local.len() - 1;
        let (local, logarithmic) = (0..batch)
            .map(|i| found.bounds(i, tau, errors.local[last][i], errors.logarithmic[last][i]))
            .unzip();
        errors.local.push(local);
        errors.logarithmic.push(logarithmic);

        errors.slope = errors.slope.max(largest(found.slopes.iter().map(|s| s.steepest)));
        errors.growth = errors.growth.max(largest(found.slopes.iter().map(|s| s.growth)));
        errors.field_error = errors.field_error.max(largest(found.wrong.iter().copied()));
        match &found.whole {
            None => errors.acceleration = errors.acceleration.max(largest(found.lost.iter().copied())),
            Some(_) => errors.truncation = errors.truncation.max(largest(found.lost.iter().copied())),
        }
        phi = phi + step.mean_slope(&made) * tau;
        errors.measured.push(norms(&(truth[(n + 1) * looks].1.clone() - phi.clone())));
    }
    Ok(errors)
}

/// What was met in one step, for each trajectory.
struct Measured {
    method: Method,
    /// Of `u` between inference and truth, largest of the stages.
    slopes: Vec<Slopes>,
    /// `‖u - v‖` where inference goes, largest of the stages.
    wrong: Vec<f64>,
    /// The acceleration of the truth for Euler, and `ρ` for other methods.
    lost: Vec<f64>,
    /// For other methods than Euler, where the two above are not the whole.
    whole: Option<Whole>,
}

/// The step taken as one of Euler along its mean slope.
struct Whole {
    slopes: Vec<Slopes>,
    wrong: Vec<f64>,
}

impl Measured {
    /// `made` are the stages of inference, `truth` is what is true from the start of the step to its end.
    fn of(u: &impl Tangent<2>, step: Step, made: &[Stage], truth: &[(f64, Tensor<2>)]) -> Self {
        let (phi, psi, end) = (&made[0].x, &truth[0].1, &truth[truth.len() - 1].1);
        let of_truth = step.along(u, psi);
        let batch = phi.dims()[0];
        let (mut slopes, mut wrong) = (Vec::new(), vec![0.0_f64; batch]);
        for (made, of_truth) in made.iter().zip(&of_truth) {
            let clock = Placement::of(phi).full(made.time, [batch]);
            let apart = norms(&(u.velocity(clock, made.x.clone()) - made.slope.clone()));
            wrong = wrong.into_iter().zip(apart).map(|(a, b)| a.max(b)).collect();
            let here = steepest(u, made.time, &made.x, &of_truth.x);
            slopes = if slopes.is_empty() { here } else { greater(slopes, here) };
        }
        let method = step.method;
        if method == Method::Euler {
            return Self { method, slopes, wrong, lost: accelerations(u, truth), whole: None };
        }
        let arrived = psi.clone() + step.mean_slope(&of_truth) * step.length();
        let lost = norms(&((end.clone() - arrived) / step.length()));
        let along_u = MeanSlope { field: u, step };
        let clock = Placement::of(phi).full(step.start, [batch]);
        let apart = norms(&(along_u.velocity(clock, phi.clone()) - step.mean_slope(made)));
        let whole = Whole { slopes: steepest(&along_u, step.start, phi, psi), wrong: apart };
        Self { method, slopes, wrong, lost, whole: Some(whole) }
    }

    /// The bound by slopes and the one with contraction of a trajectory, after the step.
    fn bounds(&self, i: usize, tau: f64, local: f64, logarithmic: f64) -> (f64, f64) {
        let (slopes, wrong) = (self.slopes[i], self.wrong[i]);
        let Some(whole) = &self.whole else {
            let grow = |by: f64, kept: f64| by * kept + tau * wrong + 0.5 * tau * tau * self.lost[i];
            return (
                grow(slopes.amplification(tau), local),
                grow(slopes.least_amplification(tau), logarithmic),
            );
        };
        let stretched = tau * stretch(self.method, tau * slopes.steepest);
        let through = |kept: f64| slopes.amplification(stretched) * kept + stretched * wrong;
        let at_once = whole.slopes[i].least_amplification(tau) * logarithmic + tau * whole.wrong[i];
        let lost = tau * self.lost[i];
        // Both hold, and neither is always the smaller one.
        (through(local) + lost, through(logarithmic).min(at_once) + lost)
    }
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, f64::max)
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
    (1..BETWEEN).map(at).fold(at(0), greater)
}

fn greater(some: Vec<Slopes>, others: Vec<Slopes>) -> Vec<Slopes> {
    some.into_iter().zip(others).map(|(a, b)| a.max(b)).collect()
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
