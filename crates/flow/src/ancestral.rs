//! Sampling in the steps of a diffusion model (FORMULAS §1.7): DDPM, DDIM, and everything between them, on any one-sided
//! path.
//!
//! Each step reads data and noise off the velocity, goes to where they would be at the next time, and may put fresh noise in
//! the place of a part of the old. All of the noise that one step of the forward process has added is DDPM, none is DDIM.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, VelocityField};

use crate::error::require;
use crate::{Coefficients, Conversion, FlowError, Prediction, Schedule};

/// Draws samples step by step from noise to data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AncestralSampler {
    /// The one-sided schedule the velocity was learned on; default linear.
    pub schedule: Schedule,
    /// `η`, the share of noise that is fresh: 0 is DDIM, 1 is DDPM; default 1.
    pub freshness: f64,
    /// Steps of equal size in time, the last of which adds no noise; default 200.
    pub steps: usize,
}

impl Default for AncestralSampler {
    fn default() -> Self {
        Self { schedule: Schedule::default(), freshness: 1.0, steps: 200 }
    }
}

/// What a step makes of the data `x̂` and the noise `ε̂` that it reads: `data · x̂ + old · ε̂ + fresh · z`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AncestralStep {
    /// The weight of the data.
    pub data: f64,
    /// The weight of the noise that was there.
    pub old: f64,
    /// The weight of fresh noise.
    pub fresh: f64,
}

impl AncestralStep {
    /// The step between two times with these coefficients, of which the second has less noise.
    ///
    /// The forward process has added noise of variance `s² = σ² - (α/α')² σ'²` between them; DDPM's posterior has the
    /// variance `(sσ'/σ)²`, of which `η²` is taken.
    #[must_use]
    pub fn between(from: &Coefficients, to: &Coefficients, freshness: f64) -> Self {
        let ratio = from.alpha / to.alpha;
        // Rounding may leave a little less than nothing.
        let added = (from.sigma * from.sigma - ratio * ratio * to.sigma * to.sigma).max(0.0);
        let fresh = if from.sigma == 0.0 { 0.0 } else { freshness * added.sqrt() * to.sigma / from.sigma };
        Self { data: to.alpha, old: (to.sigma * to.sigma - fresh * fresh).max(0.0).sqrt(), fresh }
    }
}

impl AncestralSampler {
    /// Checks that every setting is in its range.
    pub fn validate(&self) -> Result<(), FlowError> {
        self.schedule.validate()?;
        let accepted = (0.0..=1.0).contains(&self.freshness);
        require(accepted, "freshness of the ancestral sampler", self.freshness, "a share between 0 and 1")?;
        require(self.steps > 0, "steps of the ancestral sampler", self.steps as f64, "at least 1")
    }

    /// Moves source points `x0` `[batch, ..]` to the data end of the schedule's interval, with one evaluation a step.
    ///
    /// Numbers that stop being finite are handed on as they are.
    #[must_use]
    pub fn sample<const D: usize>(
        &self,
        field: &impl VelocityField<D>,
        x0: Tensor<D>,
        noise: &mut Noise,
    ) -> Tensor<D> {
        let interval = self.schedule.interval();
        let placement = Placement::of(&x0);
        let (shape, mut x) = (x0.dims(), x0);
        for step in 0..self.steps {
            let [now, next] = [step, step + 1].map(|k| interval.lerp(k as f64 / self.steps as f64));
            let t = placement.full::<1>(now, [shape[0]]);
            let velocity = field.velocity(t.clone(), x.clone());
            let coefficients = self.schedule.at_times(t);
            let read = |to| {
                let arrow = Conversion { from: Prediction::Velocity, to };
                arrow.apply(&coefficients, x.clone(), velocity.clone())
            };
            let is_last = step + 1 == self.steps;
            let freshness = if is_last { 0.0 } else { self.freshness };
            let made = AncestralStep::between(&self.schedule.at(now), &self.schedule.at(next), freshness);
            let mut moved = read(Prediction::Data) * made.data + read(Prediction::Noise) * made.old;
            if made.fresh > 0.0 {
                moved = moved + placement.normal(noise, shape) * made.fresh;
            }
            x = moved;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use thalweg_solve::to_host;

    use super::*;
    use crate::{GaussianFlow, ddim_step};

    const VP: Schedule = Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 };

    /// In the words of DDPM: `ᾱ` at two steps of its chain.
    #[test]
    fn a_step_is_that_of_ddpm_and_of_ddim() {
        for (now, next) in [(0.2, 0.25), (0.7, 0.71), (0.9, 1.0)] {
            let [from, to] = [now, next].map(|t| VP.at(t));
            let [bar, bar_next] = [&from, &to].map(|c| c.alpha * c.alpha);
            let beta = 1.0 - bar / bar_next;
            // Of x and ε̂, with x̂ = (x - √(1 - ᾱ) ε̂)/√ᾱ.
            let of_x_and_noise = |step: AncestralStep| {
                let of_x = step.data / bar.sqrt();
                [of_x, step.old - of_x * (1.0 - bar).sqrt(), step.fresh]
            };
            let ddpm = of_x_and_noise(AncestralStep::between(&from, &to, 1.0));
            let expected = [
                1.0 / (1.0 - beta).sqrt(),
                -beta / (1.0 - bar).sqrt() / (1.0 - beta).sqrt(),
                ((1.0 - bar_next) / (1.0 - bar) * beta).sqrt(),
            ];
            for (found, expected) in ddpm.into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{ddpm:?}, not {expected}");
            }
            let eta = 0.6;
            let half = AncestralStep::between(&from, &to, eta);
            let fresh = eta * ((1.0 - bar_next) / (1.0 - bar) * (1.0 - bar / bar_next)).sqrt();
            assert!((half.fresh - fresh).abs() < 1e-12);
            assert!((half.old - (1.0 - bar_next - fresh * fresh).max(0.0).sqrt()).abs() < 1e-12);
        }
    }

    #[test]
    fn without_fresh_noise_it_is_ddim_on_every_path() {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(3);
        let x0: Tensor<2> = placement.normal(&mut noise, [4, 2]);
        for schedule in [VP, Schedule::Cosine {}, Schedule::Linear { sigma_min: 0.1 }] {
            let field = GaussianFlow::new(schedule, &[1.0, 0.5], &[2.0, 0.3, 0.3, 0.5], &placement).unwrap();
            let sampler = AncestralSampler { schedule, freshness: 0.0, steps: 7 };
            let found = sampler.sample(&field, x0.clone(), &mut Noise::new(1));
            let interval = schedule.interval();
            let mut x = x0.clone();
            for step in 0..7 {
                let [now, next] =
                    [step, step + 1].map(|k| placement.full::<1>(interval.lerp(f64::from(k) / 7.0), [4]));
                let velocity = field.velocity(now.clone(), x.clone());
                x = ddim_step(&schedule.at_times(now), &schedule.at_times(next), x, velocity);
            }
            for (a, b) in to_host(&found).into_iter().zip(to_host(&x)) {
                assert!((a - b).abs() < 1e-9, "{schedule:?}: {a}, {b}");
            }
        }
    }

    /// The variance that the steps make of `N(0, v)`, of which the denoiser is linear.
    fn variance_after(steps: usize, freshness: f64, variance: f64) -> f64 {
        let at = |k: usize| VP.at(VP.interval().lerp(k as f64 / steps as f64));
        (0..steps).fold(at(0).sigma.powi(2), |before, step| {
            let (from, to) = (at(step), at(step + 1));
            let total = from.alpha.powi(2) * variance + from.sigma.powi(2);
            let (data, noise) = (from.alpha * variance / total, from.sigma / total);
            let share = if step + 1 == steps { 0.0 } else { freshness };
            let made = AncestralStep::between(&from, &to, share);
            (made.data * data + made.old * noise).powi(2) * before + made.fresh * made.fresh
        })
    }

    #[test]
    fn the_variance_of_a_gaussian_is_that_of_the_recursion_which_converges_to_the_truth() {
        let placement = Placement::cpu_double();
        let (variance, rows) = (0.3, 40_000);
        let field = GaussianFlow::new(VP, &[0.0], &[variance], &placement).unwrap();
        for (steps, freshness) in [(5, 1.0), (5, 0.5), (60, 1.0), (60, 0.0)] {
            let expected = variance_after(steps, freshness, variance);
            let deviation = VP.at(0.0).sigma;
            let x0: Tensor<2> = placement.normal(&mut Noise::new(5), [rows, 1]) * deviation;
            let sampler = AncestralSampler { schedule: VP, freshness, steps };
            let found = to_host(&sampler.sample(&field, x0, &mut Noise::new(6)));
            let found = found.iter().map(|x| x * x).sum::<f64>() / rows as f64;
            // Four standard errors of a variance.
            let error = 4.0 * expected * (2.0 / rows as f64).sqrt();
            assert!((found - expected).abs() < error, "{steps}, {freshness}: {found}, {expected}");
        }
        for freshness in [0.0, 1.0] {
            let error = |steps: usize| (variance_after(steps, freshness, variance) - variance).abs();
            assert!(error(1600) < 0.3 * error(400) && error(6400) < 3e-3 * variance, "{freshness}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let sampler = AncestralSampler::default();
        assert!(sampler.validate().is_ok());
        assert!(AncestralSampler { steps: 0, ..sampler }.validate().is_err());
        for freshness in [-0.1, 1.1, f64::NAN] {
            assert!(AncestralSampler { freshness, ..sampler }.validate().is_err());
        }
    }
}
