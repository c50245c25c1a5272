//! Where along the path training looks: samplers of time (FORMULAS §1.8).
//!
//! A sampler changes how much each time weighs in the loss, not the minimiser. [`TimeSampler::importance_weights`]
//! undoes it where the loss over uniform times is wanted.

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use crate::error::require;
use crate::{FlowError, Interval};

/// A density over the fraction `u` of a path's interval.
///
/// Draws are mapped onto the interval linearly rather than clamped to it, so that no time has a positive chance of its
/// own and importance weights stay exact.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeSampler {
    /// Independent uniform times.
    Uniform {},
    /// One time in each of `n` equal parts, all shifted by one uniform number and then shuffled: each time is uniform,
    /// and their mean over a batch varies far less.
    Stratified {},
    /// `u = 1/(1 + exp(-(mean + deviation z)))`: most draws in the middle (Esser et al.).
    LogitNormal {
        /// Mean of the log-odds; default 0.
        #[serde(default)]
        mean: f64,
        /// Deviation of the log-odds, positive; default 1.
        #[serde(default = "default_one")]
        deviation: f64,
    },
    /// `u ~ Beta(a, b)`. Local Flow Matching draws `Beta(1, 0.5)` in a time that runs from data to noise, which is
    /// `(0.5, 1)` here and leans towards the noise.
    Beta {
        /// First parameter, positive; default 1.
        #[serde(default = "default_one")]
        a: f64,
        /// Second parameter, positive; default 1.
        #[serde(default = "default_one")]
        b: f64,
    },
    /// One of the times `1 - k/K`, `k = 1, .., K`, each with the same chance: the steps of a discrete schedule.
    ///
    /// These are times of the path, not fractions of its interval.
    Grid {
        /// `K`, at least 2; default 1000.
        #[serde(default = "default_steps")]
        steps: usize,
    },
}

fn default_steps() -> usize {
    1000
}

fn default_one() -> f64 {
    1.0
}

impl Default for TimeSampler {
    /// Uniform.
    fn default() -> Self {
        TimeSampler::Uniform {}
    }
}

impl TimeSampler {
    /// `n` times inside `interval`. Every call draws new ones.
    #[must_use]
    pub fn sample(&self, n: usize, interval: Interval, noise: &mut Noise) -> Vec<f64> {
        let mut fractions: Vec<f64> = match *self {
            TimeSampler::Grid { steps } => {
                let time = |k: usize| (1.0 - k as f64 / steps as f64).clamp(interval.start, interval.end);
                return (0..n).map(|_| time(noise.below(steps) + 1)).collect();
            }
            TimeSampler::Uniform {} => (0..n).map(|_| noise.uniform()).collect(),
            TimeSampler::Stratified {} => {
                let shift = noise.uniform();
                (0..n).map(|i| (i as f64 + shift) / n as f64).collect()
            }
            TimeSampler::LogitNormal { mean, deviation } => {
                (0..n).map(|_| 1.0 / (1.0 + (-mean - deviation * noise.normal()).exp())).collect()
            }
            TimeSampler::Beta { a, b } => (0..n).map(|_| beta(a, b, noise)).collect(),
        };
        if matches!(self, TimeSampler::Stratified {}) {
            noise.shuffle(&mut fractions);
        }
        fractions.into_iter().map(|u| interval.lerp(u)).collect()
    }

    /// The density of the sampler at times inside `interval`, relative to the uniform density there.
    ///
    /// Its mean over uniform times is 1. Zero or infinite at the ends for some settings. 1 for times on a grid, whose
    /// means stand for integrals as sums over its cells.
    #[must_use]
    pub fn relative_density(&self, times: &[f64], interval: Interval) -> Vec<f64> {
        let fraction = |t: &f64| (t - interval.start) / interval.length();
        times.iter().map(fraction).map(|u| self.density(u)).collect()
    }

    /// Weights that turn means over this sampler's times into means over uniform times: one over the relative density.
    ///
    /// They average to 1 over the sampler's own draws. Where it hardly ever looks they grow without bound.
    #[must_use]
    pub fn importance_weights(&self, times: &[f64], interval: Interval) -> Vec<f64> {
        self.relative_density(times, interval).into_iter().map(f64::recip).collect()
    }

    /// Checks that every setting is in its documented range.
    pub fn validate(&self) -> Result<(), FlowError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        match *self {
            TimeSampler::Uniform {} | TimeSampler::Stratified {} => Ok(()),
            TimeSampler::Grid { steps } => {
                require(steps >= 2, "steps of the grid of times", steps as f64, "at least 2")
            }
            TimeSampler::LogitNormal { mean, deviation } => {
                require(mean.is_finite(), "mean of the logit-normal times", mean, "finite")?;
                let name = "deviation of the logit-normal times";
                require(positive(deviation), name, deviation, "positive and finite")
            }
            TimeSampler::Beta { a, b } => {
                require(positive(a), "a of the beta times", a, "positive and finite")?;
                require(positive(b), "b of the beta times", b, "positive and finite")
            }
        }
    }

    fn density(&self, u: f64) -> f64 {
        match *self {
            TimeSampler::Uniform {} | TimeSampler::Stratified {} | TimeSampler::Grid { .. } => 1.0,
            TimeSampler::LogitNormal { mean, deviation } => {
                let z = ((u / (1.0 - u)).ln() - mean) / deviation;
                let normaliser = deviation * std::f64::consts::TAU.sqrt() * u * (1.0 - u);
                if normaliser == 0.0 { 0.0 } else { (-0.5 * z * z).exp() / normaliser }
            }
            TimeSampler::Beta { a, b } => {
                let log_normaliser = log_gamma(a + b) - log_gamma(a) - log_gamma(b);
                log_normaliser.exp() * u.powf(a - 1.0) * (1.0 - u).powf(b - 1.0)
            }
        }
    }
}

/// Closed inverses where there are any: one uniform number instead of two gamma variates.
fn beta(a: f64, b: f64, noise: &mut Noise) -> f64 {
    if b == 1.0 {
        noise.uniform().powf(1.0 / a)
    } else if a == 1.0 {
        1.0 - (1.0 - noise.uniform()).powf(1.0 / b)
    } else {
        noise.beta(a, b)
    }
}

/// `ln Γ(x)` for positive `x`, by Stirling's series above 10 and the recurrence below; absolute error under 1e-13.
fn log_gamma(x: f64) -> f64 {
    let mut shift = 0.0;
    let mut y = x;
    while y < 10.0 {
        shift -= y.ln();
        y += 1.0;
    }
    let inverse = 1.0 / (y * y);
    let series = (1.0 / 12.0
        - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse * (1.0 / 1680.0 - inverse / 1188.0))))
        / y;
    shift + (y - 0.5) * y.ln() - y + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TimeSampler; 6] = [
        TimeSampler::Uniform {},
        TimeSampler::Stratified {},
        TimeSampler::LogitNormal { mean: 0.5, deviation: 0.8 },
        TimeSampler::Beta { a: 1.0, b: 0.5 },
        TimeSampler::Beta { a: 1.5, b: 1.0 },
        TimeSampler::Beta { a: 2.0, b: 3.0 },
    ];

    #[test]
    fn times_stay_in_the_interval_and_differ_from_draw_to_draw() {
        let interval = Interval::new(0.001, 0.999);
        for sampler in ALL {
            let mut noise = Noise::new(1);
            let (first, second) =
                (sampler.sample(500, interval, &mut noise), sampler.sample(500, interval, &mut noise));
            assert!(interval.check(first.iter().chain(&second).copied()).is_ok(), "{sampler:?}");
            assert!(first.iter().zip(&second).all(|(a, b)| a != b), "{sampler:?} reused times");
        }
    }

    #[test]
    fn draws_follow_the_stated_density() {
        let n = 40_000;
        for sampler in ALL {
            let times = sampler.sample(n, Interval::UNIT, &mut Noise::new(2));
            let parts = 8;
            for part in 0..parts {
                let (low, high) =
                    (f64::from(part) / f64::from(parts), f64::from(part + 1) / f64::from(parts));
                let found = times.iter().filter(|t| (low..high).contains(*t)).count() as f64 / n as f64;
                let middle = |i: i32| low + (high - low) * (f64::from(i) + 0.5) / 2000.0;
                let grid: Vec<f64> = (0..2000).map(middle).collect();
                let density = sampler.relative_density(&grid, Interval::UNIT);
                let expected = density.iter().sum::<f64>() / 2000.0 * (high - low);
                // Four standard errors, and the midpoint rule's error at the pole of Beta(1, ½).
                let allowed = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt() + 2e-3;
                assert!((found - expected).abs() < allowed, "{sampler:?} part {part}: {found} {expected}");
            }
        }
    }

    /// E[f(t) w(t)] under the sampler is the integral of f.
    #[test]
    fn importance_weights_restore_uniform_means() {
        let interval = Interval::new(0.1, 0.9);
        for sampler in
            [ALL[0], ALL[1], TimeSampler::Beta { a: 1.0, b: 0.5 }, TimeSampler::Beta { a: 1.2, b: 1.3 }]
        {
            let times = sampler.sample(100_000, interval, &mut Noise::new(3));
            let weights = sampler.importance_weights(&times, interval);
            let mean = times.iter().zip(&weights).map(|(t, w)| t * t * w).sum::<f64>() / times.len() as f64;
            let expected = (0.9_f64.powi(3) - 0.1_f64.powi(3)) / 3.0 / 0.8;
            assert!((mean - expected).abs() < 5e-3, "{sampler:?}: {mean} {expected}");
        }
    }

    /// χ² of `K` cells is below `K + 4√(2K)` but for one draw in ten thousand.
    #[test]
    fn a_grid_gives_each_of_its_times_the_same_chance() {
        let (steps, n) = (40, 40_000);
        let sampler = TimeSampler::Grid { steps };
        let times = sampler.sample(n, Interval::new(0.0, 1.0 - 1e-5), &mut Noise::new(5));
        let mut counts = vec![0.0; steps];
        for t in &times {
            let k = (1..=steps).find(|&k| *t == 1.0 - k as f64 / steps as f64);
            counts[k.expect("a time of the grid") - 1] += 1.0;
        }
        let mean = n as f64 / steps as f64;
        let chi: f64 = counts.iter().map(|count: &f64| (count - mean).powi(2) / mean).sum();
        assert!(chi < 40.0 + 4.0 * 80_f64.sqrt(), "{chi}");
        assert!(sampler.importance_weights(&times, Interval::UNIT).iter().all(|w| *w == 1.0));
        assert!(TimeSampler::Grid { steps: 1 }.validate().is_err());
    }

    #[test]
    fn strata_hold_one_time_each() {
        let mut times = TimeSampler::Stratified {}.sample(64, Interval::UNIT, &mut Noise::new(4));
        times.sort_by(f64::total_cmp);
        for (i, t) in times.iter().enumerate() {
            assert_eq!((t * 64.0) as usize, i);
        }
    }

    #[test]
    fn log_gamma_has_its_known_values() {
        let check =
            |x: f64, expected: f64| assert!((log_gamma(x) - expected).abs() < 1e-12, "{x}: {}", log_gamma(x));
        check(0.5, 0.5 * std::f64::consts::PI.ln());
        check(1.0, 0.0);
        check(5.0, 24_f64.ln());
        check(20.0, 39.339_884_187_199_49);
    }

    #[test]
    fn impossible_settings_are_named() {
        let message = TimeSampler::Beta { a: 0.0, b: 1.0 }.validate().unwrap_err().to_string();
        assert_eq!(message, "a of the beta times is 0; it must be positive and finite");
        let read = serde_json::from_str::<TimeSampler>;
        assert_eq!(
            read(r#"{"kind":"logit-normal"}"#).unwrap(),
            TimeSampler::LogitNormal { mean: 0.0, deviation: 1.0 }
        );
        assert!(read(r#"{"kind":"uniform","a":1}"#).is_err());
    }
}
