//! Stochastic sampling from a learned velocity (FORMULAS §1.6).
//!
//! For any `g(t)` the equation `dX = (u + ½g² s) dt + g dW` has the marginals of `dX = u dt`, where `s` is the score. With
//! `g² = 2ησ` the correction is `η(αu - α̇x)/D`: the division by `σ` in the score cancels, and the drift stays finite up
//! to `t = 1`.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::{EulerMaruyama, SolveError, Times, VelocityField, per_sample};

use crate::error::require;
use crate::{FlowError, Schedule};

/// Draws samples by a stochastic equation with the marginals of the flow.
///
/// Noise forgets errors made early on, at the price of many small steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StochasticSampler {
    /// The one-sided schedule the velocity was learned on; default linear.
    pub schedule: Schedule,
    /// `η`, the strength of the noise `g² = 2ησ`; 0 gives Euler's method for the flow; default 1.
    pub strength: f64,
    /// Steps of equal size, the last of which adds no noise; default 200.
    pub steps: usize,
}

impl Default for StochasticSampler {
    fn default() -> Self {
        Self { schedule: Schedule::default(), strength: 1.0, steps: 200 }
    }
}

/// The earliest time at which the coefficients of the drift are evaluated.
const EARLIEST: f64 = 1e-4;

impl StochasticSampler {
    /// Checks that every setting is in its range.
    pub fn validate(&self) -> Result<(), FlowError> {
        self.schedule.validate()?;
        let accepted = self.strength >= 0.0 && self.strength.is_finite();
        require(accepted, "strength of the stochastic sampler", self.strength, "finite and not negative")?;
        require(self.steps > 0, "steps of the stochastic sampler", self.steps as f64, "at least 1")
    }

    /// Moves source points `x0` `[batch, ..]` to the data end of the schedule's interval.
    ///
    /// # Errors
    /// Those of the solver; the error holds the initial points.
    pub fn sample<const D: usize>(
        &self,
        field: &impl VelocityField<D>,
        x0: Tensor<D>,
        noise: &mut Noise,
    ) -> Result<Tensor<D>, SolveError<Tensor<D>>> {
        let solver = EulerMaruyama { span: self.schedule.interval().span(), steps: self.steps };
        let drift = |times: &Times, x: &Tensor<D>| {
            let t = times.tensor(x);
            let velocity = field.velocity(t.clone(), x.clone());
            self.drift(t, x.clone(), velocity)
        };
        solver.sample(x0, noise, drift, |t| self.diffusion(t))
    }

    /// `g(t) = √(2ησ)`.
    #[must_use]
    pub fn diffusion(&self, t: f64) -> f64 {
        (2.0 * self.strength * self.schedule.at(t).sigma).sqrt()
    }

    /// `u + η(αu - α̇x)/D` `[batch, ..]` at times `t` `[batch]` and points `x`, from the velocity `u` there.
    #[must_use]
    pub fn drift<const D: usize>(&self, t: Tensor<1>, x: Tensor<D>, velocity: Tensor<D>) -> Tensor<D> {
        // Both ratios below have limits at t = 0 where the polynomial schedules divide nothing by nothing.
        let c = self.schedule.at_times(t.clamp_min(EARLIEST));
        let scale = c.wronskian().recip() * self.strength;
        let of_velocity = c.alpha * scale.clone() + 1.0;
        let of_x = c.alpha_dot * scale;
        per_sample::<D>(of_velocity) * velocity - per_sample::<D>(of_x) * x
    }
}
