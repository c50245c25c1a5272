//! How far few steps of a learned field can lead astray: bounds on the error of inference, beside the error itself
//! (FORMULAS §4).
//!
//! The truth follows `u`; inference makes explicit steps along `v`, from the same noise. A step adds the error of the
//! field and that of the step, and the truth carries errors on. For Euler
//!
//! `‖ε(n+1)‖ ≤ aₙ‖ε(n)‖ + τδ + ½τ²M`, with `aₙ = 1 + τL`, or less where the truth contracts.
//!
//! For other methods slope and error come through the stages of the step, as `L_Φ` and `δ_Φ`, and what the step
//! itself errs on the truth is measured: `‖ε(n+1)‖ ≤ (1 + τL_Φ)‖ε(n)‖ + τδ_Φ + τρ`. This is the line of Euler with
//! `L_Φ`, `δ_Φ + ρ` and 0 in the places of `L`, `δ` and `M`, so what follows from one follows from the other.
//!
//! What goes in is measured along each trajectory, so the bounds hold as far as the measurements do: the error of the
//! field is exact, slopes and accelerations are the largest at some points.

mod measure;
mod slopes;
mod step;

use thalweg_solve::Method;

pub use measure::{FixedSteps, inference_errors};
pub use slopes::steepness;
use step::stretch;

/// Errors of inference from some noise, and what bounds them. Everything is Euclidean, in the units of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceErrors {
    /// The method of the steps.
    pub method: Method,
    /// The ends of the steps.
    pub times: Vec<f64>,
    /// `‖ψ - φ‖` at each time, for each trajectory.
    pub measured: Vec<Vec<f64>>,
    /// The bound by the slopes along each trajectory.
    pub local: Vec<Vec<f64>>,
    /// The same with what contraction takes away: by slope and growth of the step as a whole, of which the field
    /// itself is the case of Euler.
    pub logarithmic: Vec<Vec<f64>>,
    /// The largest slope `L` of the truth that was met.
    pub slope: f64,
    /// The largest growth of small errors `μ`, negative where the truth contracts everywhere.
    pub growth: f64,
    /// The largest error of the field `δ`.
    pub field_error: f64,
    /// The largest acceleration `M` of the truth; for Euler, and else 0.
    pub acceleration: f64,
    /// The largest distance `τρ` between the truth and one step from it along `u`, over the length of the step; for
    /// the other methods, 0 for Euler.
    pub truncation: f64,
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

    fn longest_step(&self) -> f64 {
        (0..self.steps()).map(|n| self.step(n)).fold(0.0, f64::max)
    }

    /// `L_Φ/L = δ_Φ/δ` of a step of this length: `|b|ᵀ(I - τL|A|)⁻¹1` with the coefficients of the method. One for
    /// Euler.
    #[must_use]
    pub fn stretch(&self, tau: f64) -> f64 {
        stretch(self.method, tau * self.slope)
    }

    /// The slope `L_Φ` of the longest step.
    #[must_use]
    pub fn step_slope(&self) -> f64 {
        self.slope * self.stretch(self.longest_step())
    }

    /// The error `δ_Φ` of the longest step.
    #[must_use]
    pub fn step_error(&self) -> f64 {
        self.field_error * self.stretch(self.longest_step())
    }

    /// The bound at each time with the largest slope, error and acceleration of all trajectories at every step.
    #[must_use]
    pub fn uniform(&self) -> Vec<f64> {
        let mut bounds = vec![0.0];
        for n in 0..self.steps() {
            let (tau, stretch) = (self.step(n), self.stretch(self.step(n)));
            let term = self.term(tau, self.field_error * stretch);
            bounds.push((1.0 + tau * (self.slope * stretch)) * bounds[n] + term);
        }
        bounds
    }

    /// `(e^L - 1)/L · δ`: what errors of the field can come to, equation (5) of the paper; with `L_Φ` and `δ_Φ` of
    /// the longest step where that is not one of Euler.
    #[must_use]
    pub fn learning_part(&self) -> f64 {
        grown(self.step_slope(), self.elapsed(self.steps())) * self.step_error()
    }

    /// `(e^L - 1)/L · M/(2N)`: what the length of the steps can add to that; `(e^L - 1)/L · ρ` with `L_Φ` for other
    /// methods.
    #[must_use]
    pub fn discretisation_part(&self) -> f64 {
        let grown = grown(self.step_slope(), self.elapsed(self.steps()));
        grown * 0.5 * self.acceleration * self.longest_step() + grown * self.truncation
    }

    /// Equation (5): the sum of both parts.
    ///
    /// For other methods than Euler too: with `C = (δ_Φ + ρ)/L_Φ` a step gives
    /// `‖ε(n+1)‖ + C ≤ (1 + τL_Φ)(‖ε(n)‖ + C)`, and `Π(1 + τL_Φ) ≤ exp(L_Φ Στ)`.
    #[must_use]
    pub fn closed(&self) -> f64 {
        self.learning_part() + self.discretisation_part()
    }

    /// Equation (4): `exp(L t(N-1)) Σ (δτ + ½Mτ²)`.
    ///
    /// For other methods it is `exp(L_Φ t(N-1)) Σ (δ_Φ + ρ)τ`, which holds on every grid: with `a = L_Φ t(N-1)` and
    /// `b` the last `L_Φτ` the recursion ends at most at `(e^a(1 + b) - 1)(δ_Φ + ρ)/L_Φ`, and `e^a - 1 ≤ a e^a`.
    #[must_use]
    pub fn gronwall(&self) -> f64 {
        (self.step_slope() * self.elapsed(self.steps() - 1)).exp() * self.sum_of_terms()
    }

    /// The same with the exponent for which there is a proof with accelerations too, `t(N) - t(1)`.
    #[must_use]
    pub fn gronwall_proved(&self) -> f64 {
        let rest = self.elapsed(self.steps()) - self.elapsed(1);
        (self.step_slope() * rest).exp() * self.sum_of_terms()
    }

    /// What a step adds at most, with this error of the step.
    fn term(&self, tau: f64, error: f64) -> f64 {
        error * tau + 0.5 * self.acceleration * tau * tau + self.truncation * tau
    }

    fn sum_of_terms(&self) -> f64 {
        let error = self.step_error();
        (0..self.steps()).map(|n| self.term(self.step(n), error)).sum()
    }
}

/// `(e^(LT) - 1)/L`, and `T` where nothing grows.
fn grown(slope: f64, time: f64) -> f64 {
    if slope.abs() < 1e-12 { time } else { (slope * time).exp_m1() / slope }
}
