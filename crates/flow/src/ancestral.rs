//! Sampling in the steps of a diffusion model (FORMULAS §1.7): DDPM, DDIM, and everything between them, on any one-sided
//! path.
//!
//! Each step reads data and noise off the velocity, goes to where they would be at the next time, and may put fresh noise in
//! the place of a part of the old. All of the noise that one step of the forward process has added is DDPM, none is DDIM.
//! On a discrete schedule the steps are those of its chain, or an even choice of them.

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
    /// Steps, the last of which adds no noise; default 200. They are of equal size in time; on a discrete schedule they
    /// lead over the steps `⌊Ki/n⌋` of its chain, of which there must be as many.
    pub steps: usize,
    /// How much fresh noise takes the place of the old; default small.
    pub variance: StepVariance,
    /// The largest coordinate, in size, of the data that a step may read, in the units of the model. What is beyond is
    /// cut off, and the noise becomes what is left of the point. Left out, nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

impl Default for AncestralSampler {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            freshness: 1.0,
            steps: 200,
            variance: StepVariance::Small,
            clip: None,
        }
    }
}

/// The variance of DDPM's fresh noise. What remains of the old noise is the same under both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepVariance {
    /// That of the forward process given where it began, `β̃`: exact for a single point as data.
    #[default]
    Small,
    /// That of the forward process begun from unit normal data, for which it is exact: `β` on variance-preserving paths.
    Large,
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
    /// variance `(sσ'/σ)²`, of which `η²` is taken. With the large variance fresh noise has `η²s²(α'² + σ'²)/(α² + σ²)`.
    #[must_use]
    pub fn between(from: &Coefficients, to: &Coefficients, freshness: f64, variance: StepVariance) -> Self {
        let ratio = from.alpha / to.alpha;
        // Rounding may leave a little less than nothing.
        let added = (from.sigma * from.sigma - ratio * ratio * to.sigma * to.sigma).max(0.0);
        let small = if from.sigma == 0.0 { 0.0 } else { freshness * added.sqrt() * to.sigma / from.sigma };
        let fresh = match variance {
            StepVariance::Small => small,
            StepVariance::Large => {
                let [before, after] = [from, to].map(|c| c.alpha.hypot(c.sigma));
                freshness * added.sqrt() * after / before
            }
        };
        Self { data: to.alpha, old: (to.sigma * to.sigma - small * small).max(0.0).sqrt(), fresh }
    }
}

impl AncestralSampler {
    /// Checks that every setting is in its range.
    pub fn validate(&self) -> Result<(), FlowError> {
        self.schedule.validate()?;
        let accepted = (0.0..=1.0).contains(&self.freshness);
        require(accepted, "freshness of the ancestral sampler", self.freshness, "a share between 0 and 1")?;
        let (name, steps) = ("steps of the ancestral sampler", self.steps as f64);
        require(self.steps > 0, name, steps, "at least 1")?;
        let most = self.schedule.chain_length().unwrap_or(usize::MAX);
        require(self.steps <= most, name, steps, "no more than the discrete schedule has")?;
        let clip = self.clip.unwrap_or(1.0);
        require(clip > 0.0 && clip.is_finite(), "clip of the ancestral sampler", clip, "positive and finite")
    }

    /// The times between which the steps lead, from noise to data, one more than steps.
    #[must_use]
    pub fn times(&self) -> Vec<f64> {
        let interval = self.schedule.interval();
        let time = |i: usize| match self.schedule.chain_length() {
            None => interval.lerp(i as f64 / self.steps as f64),
            Some(chain) => 1.0 - (chain * (self.steps - i) / self.steps) as f64 / chain as f64,
        };
        (0..=self.steps).map(time).collect()
    }

    /// Moves source points `x0` `[batch, ..]` to the data end of the schedule's interval, with one evaluation a step; on
    /// a discrete schedule to the data that the last step reads.
    ///
    /// Numbers that stop being finite are handed on as they are.
    #[must_use]
    pub fn sample<const D: usize>(
        &self,
        field: &impl VelocityField<D>,
        x0: Tensor<D>,
        noise: &mut Noise,
    ) -> Tensor<D> {
        let placement = Placement::of(&x0);
        let (shape, mut x) = (x0.dims(), x0);
        let times = self.times();
        for (step, ends) in times.windows(2).enumerate() {
            let t = placement.full::<1>(ends[0], [shape[0]]);
            let velocity = field.velocity(t.clone(), x.clone());
            let (from, to) = (self.schedule.at(ends[0]), self.schedule.at(ends[1]));
            let coefficients = self.schedule.at_times(t);
            let read = |to| {
                let arrow = Conversion { from: Prediction::Velocity, to };
                arrow.apply(&coefficients, x.clone(), velocity.clone())
            };
            let (data, old) = match self.clip {
                None => (read(Prediction::Data), read(Prediction::Noise)),
                Some(clip) => {
                    let data = read(Prediction::Data).clamp(-clip, clip);
                    let old = (x.clone() - data.clone() * from.alpha) / from.sigma;
                    (data, old)
                }
            };
            let freshness = if step + 1 == self.steps { 0.0 } else { self.freshness };
            let made = AncestralStep::between(&from, &to, freshness, self.variance);
            let mut moved = data * made.data + old * made.old;
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
            let ddpm = of_x_and_noise(AncestralStep::between(&from, &to, 1.0, StepVariance::Small));
            let expected = [
                1.0 / (1.0 - beta).sqrt(),
                -beta / (1.0 - bar).sqrt() / (1.0 - beta).sqrt(),
                ((1.0 - bar_next) / (1.0 - bar) * beta).sqrt(),
            ];
            for (found, expected) in ddpm.into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{ddpm:?}, not {expected}");
            }
            let eta = 0.6;
            let half = AncestralStep::between(&from, &to, eta, StepVariance::Small);
            let fresh = eta * ((1.0 - bar_next) / (1.0 - bar) * (1.0 - bar / bar_next)).sqrt();
            assert!((half.fresh - fresh).abs() < 1e-12);
            assert!((half.old - (1.0 - bar_next - fresh * fresh).max(0.0).sqrt()).abs() < 1e-12);
        }
    }

    /// Of `N(0, 1)` data `x'` is normal, and so is its law given `x`: with the large variance a step is a draw from it.
    #[test]
    fn the_large_variance_is_exact_for_unit_normal_data() {
        let exploding = Schedule::VarianceExploding { sigma_min: 0.1, sigma_max: 5.0 };
        for schedule in [VP, Schedule::Cosine {}, Schedule::Linear { sigma_min: 0.1 }, exploding] {
            for (now, next) in [(0.0, 0.3), (0.3, 0.31), (0.6, 0.9)] {
                let [from, to] = [now, next].map(|t| schedule.at(t));
                let [before, after] = [&from, &to].map(|c| c.alpha.powi(2) + c.sigma.powi(2));
                let made = AncestralStep::between(&from, &to, 1.0, StepVariance::Large);
                let of_x = (made.data * from.alpha + made.old * from.sigma) / before;
                let variance = of_x * of_x * before + made.fresh * made.fresh;
                assert!((variance - after).abs() < 1e-12 * after, "{schedule:?}: {variance}, not {after}");
                if (after - before).abs() < 1e-12 {
                    let beta = 1.0 - (from.alpha / to.alpha).powi(2);
                    assert!((made.fresh - beta.sqrt()).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn without_fresh_noise_it_is_ddim_on_every_path() {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(3);
        let x0: Tensor<2> = placement.normal(&mut noise, [4, 2]);
        for schedule in [VP, Schedule::Cosine {}, Schedule::Linear { sigma_min: 0.1 }] {
            let field = GaussianFlow::new(schedule, &[1.0, 0.5], &[2.0, 0.3, 0.3, 0.5], &placement).unwrap();
            let sampler = AncestralSampler { schedule, freshness: 0.0, steps: 7, ..Default::default() };
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
            let made = AncestralStep::between(&from, &to, share, StepVariance::Small);
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
            let sampler = AncestralSampler { schedule: VP, freshness, steps, ..Default::default() };
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
        for clip in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(AncestralSampler { clip: Some(clip), ..sampler }.validate().is_err());
        }
        let schedule = Schedule::DiscreteCosine { steps: 50, offset: 0.008, largest_beta: 0.999 };
        assert!(AncestralSampler { schedule, steps: 50, ..sampler }.validate().is_ok());
        let message = AncestralSampler { schedule, steps: 51, ..sampler }.validate().unwrap_err().to_string();
        assert!(message.contains("is 51; it must be no more than the discrete schedule has"), "{message}");
    }
}
