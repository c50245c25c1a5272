//! Schedules: how much data and how much noise a one-sided Gaussian path `x = α(t) x1 + σ(t) ε` holds at each time.
//!
//! Time runs from noise (`t = 0`) to data (`t = 1`). Each formula is written once, for host numbers and for tensors of
//! times. `1 - t` is formed first and differences of nearly equal numbers are avoided, so `f32` tensors give the
//! coefficients of their own (rounded) times to single precision up to the ends of the interval.

mod chain;
mod formulas;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::require;
use crate::{FlowError, Interval};
pub(crate) use formulas::wronskian;

/// `α` and `σ` of a one-sided path `x = α(t) x1 + σ(t) ε`, `ε ~ N(0, I)`.
///
/// In recipes: `{ kind = "variance-preserving", beta_min = 0.1 }`; what is left out takes its default.
// `Cosine {}` rather than `Cosine`: serde only refuses unknown keys beside a tag when the variant has braces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Optimal-transport path of Lipman et al.: `α = t`, `σ = 1 - (1 - σ_min) t`.
    Linear {
        /// Noise left at `t = 1`, in `[0, 1)`; default 0.
        #[serde(default)]
        sigma_min: f64,
    },
    /// `α = tⁿ`, `σ = 1 - tⁿ`.
    Polynomial {
        /// The exponent, at least 1; default 2.
        #[serde(default = "default_exponent")]
        n: f64,
    },
    /// `α = sin(πt/2)`, `σ = cos(πt/2)`: constant variance, finite velocities at both ends.
    Cosine {},
    /// `α = t`, `σ = √(1 - t²)`.
    LinearVp {},
    /// The variance-preserving diffusion of Song et al. run backwards: `α = exp(-T/2)`, `σ² = 1 - α²`, where `T` is
    /// the integral of `β` from 0 to `1 - t`.
    VariancePreserving {
        /// `β` at the data, positive; default 0.1.
        #[serde(default = "default_beta_min")]
        beta_min: f64,
        /// `β` at the noise, at least `beta_min`; default 20.
        #[serde(default = "default_beta_max")]
        beta_max: f64,
    },
    /// The variance-exploding diffusion: `α = 1`, `σ` falls geometrically from `sigma_max` to `sigma_min`.
    VarianceExploding {
        /// Noise left at `t = 1`, positive; default 0.01.
        #[serde(default = "default_ve_sigma_min")]
        sigma_min: f64,
        /// Deviation of the source, greater than `sigma_min`; default 50.
        #[serde(default = "default_ve_sigma_max")]
        sigma_max: f64,
    },
    /// The chain of DDPM: `K` steps that keep `1 - β` of the variance each, with `β` in equal steps from `beta_first` at
    /// the data to `beta_last` at the noise; `α² = ᾱ` is their product and `σ² = 1 - α²`.
    ///
    /// The step `k` is the time `1 - k/K`; `ᾱ` is continued between the steps, so this is a path like all others.
    DiscreteLinear {
        /// `K`, from 2 to 10 000; default 1000.
        #[serde(default = "default_steps")]
        steps: usize,
        /// `β` of the step next to the data, between 0 and 1; default 10⁻⁴.
        #[serde(default = "default_beta_first")]
        beta_first: f64,
        /// `β` of the step next to the noise, between 0 and 1; default 0.02.
        #[serde(default = "default_beta_last")]
        beta_last: f64,
    },
    /// The chain of Nichol and Dhariwal, as `DiscreteLinear` with the `ᾱ` of a squared cosine.
    DiscreteCosine {
        /// `K`, from 2 to 10 000; default 1000.
        #[serde(default = "default_steps")]
        steps: usize,
        /// What the cosine starts after, as a share of the chain, not negative; default 0.008.
        #[serde(default = "default_offset")]
        offset: f64,
        /// What no `β` exceeds, between 0 and 1; default 0.999.
        #[serde(default = "default_largest_beta")]
        largest_beta: f64,
    },
}

/// The longest chain whose first step is well inside the interval.
const LONGEST_CHAIN: usize = 10_000;

fn default_exponent() -> f64 {
    2.0
}
fn default_beta_min() -> f64 {
    0.1
}
fn default_beta_max() -> f64 {
    20.0
}
fn default_ve_sigma_min() -> f64 {
    0.01
}
fn default_ve_sigma_max() -> f64 {
    50.0
}
fn default_steps() -> usize {
    1000
}
fn default_beta_first() -> f64 {
    1e-4
}
fn default_beta_last() -> f64 {
    0.02
}
fn default_offset() -> f64 {
    0.008
}
fn default_largest_beta() -> f64 {
    0.999
}

impl Default for Schedule {
    /// The linear schedule without noise at the end.
    fn default() -> Self {
        Schedule::Linear { sigma_min: 0.0 }
    }
}

/// How far from `t = 1` the schedules stop whose `σ̇` grows without bound there, like `(1 - t)^(-1/2)`.
const END_GAP: f64 = 1e-5;

/// `α`, `σ` and their time derivatives at one time (`f64`) or at a batch of times (`Tensor<1>`, `[batch]`).
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients<T = f64> {
    /// Weight of the data.
    pub alpha: T,
    /// Weight of the noise.
    pub sigma: T,
    /// Time derivative of `alpha`, never negative.
    pub alpha_dot: T,
    /// Time derivative of `sigma`, never positive.
    pub sigma_dot: T,
}

impl Coefficients<f64> {
    /// `D = α̇σ - ασ̇`, positive inside the interval: what conversions between predictions divide by.
    #[must_use]
    pub fn wronskian(&self) -> f64 {
        wronskian(self)
    }
}

impl Coefficients<Tensor<1>> {
    /// `D = α̇σ - ασ̇` `[batch]`, positive inside the interval: what conversions between predictions divide by.
    #[must_use]
    pub fn wronskian(&self) -> Tensor<1> {
        wronskian(self)
    }
}

impl Schedule {
    /// The coefficients at one time.
    #[must_use]
    pub fn at(&self, t: f64) -> Coefficients {
        self.coefficients(t)
    }

    /// The coefficients at times `t` `[batch]`, in the precision of `t` and without reading it back.
    #[must_use]
    pub fn at_times(&self, t: Tensor<1>) -> Coefficients<Tensor<1>> {
        self.coefficients(t)
    }

    /// Where velocities are finite: `[0, 1]`, or `[0, 1 - 10⁻⁵]` for the variance-preserving schedules, which the
    /// discrete ones are too.
    #[must_use]
    pub fn interval(&self) -> Interval {
        match self {
            Schedule::LinearVp {}
            | Schedule::VariancePreserving { .. }
            | Schedule::DiscreteLinear { .. }
            | Schedule::DiscreteCosine { .. } => Interval::new(0.0, 1.0 - END_GAP),
            _ => Interval::new(0.0, 1.0),
        }
    }

    /// `K` of a discrete schedule, whose step `k` is the time `1 - k/K`; none for those in continuous time.
    #[must_use]
    pub fn chain_length(&self) -> Option<usize> {
        match *self {
            Schedule::DiscreteLinear { steps, .. } | Schedule::DiscreteCosine { steps, .. } => Some(steps),
            _ => None,
        }
    }

    /// Deviation of the Gaussian source at `t = 0`: `sigma_max` when variance explodes, else 1.
    ///
    /// The true marginal at `t = 0` is the data scaled by `α(0)` plus this noise; `α(0) = 0` but for
    /// variance-preserving (0.0066 with the defaults), discrete (0.0064 and 5·10⁻⁵) and variance-exploding (1) schedules, where calling it
    /// `N(0, s²I)` is the usual approximation.
    #[must_use]
    pub fn source_deviation(&self) -> f64 {
        match self {
            Schedule::VarianceExploding { sigma_max, .. } => *sigma_max,
            _ => 1.0,
        }
    }

    /// Checks that every setting is in its documented range.
    pub fn validate(&self) -> Result<(), FlowError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        match *self {
            Schedule::Linear { sigma_min } => {
                let name = "sigma_min of the linear schedule";
                require((0.0..1.0).contains(&sigma_min), name, sigma_min, "at least 0 and below 1")
            }
            Schedule::Polynomial { n } => require(
                n >= 1.0 && n.is_finite(),
                "n of the polynomial schedule",
                n,
                "a finite number of at least 1",
            ),
            Schedule::Cosine {} | Schedule::LinearVp {} => Ok(()),
            Schedule::VariancePreserving { beta_min, beta_max } => {
                let name = "beta_min of the variance-preserving schedule";
                require(positive(beta_min), name, beta_min, "positive and finite")?;
                let name = "beta_max of the variance-preserving schedule";
                require(
                    positive(beta_max) && beta_max >= beta_min,
                    name,
                    beta_max,
                    "finite and at least beta_min",
                )
            }
            Schedule::VarianceExploding { sigma_min, sigma_max } => {
                let name = "sigma_min of the variance-exploding schedule";
                require(positive(sigma_min), name, sigma_min, "positive and finite")?;
                let name = "sigma_max of the variance-exploding schedule";
                require(
                    positive(sigma_max) && sigma_max > sigma_min,
                    name,
                    sigma_max,
                    "finite and above sigma_min",
                )
            }
            Schedule::DiscreteLinear { steps, beta_first, beta_last } => {
                chain_length("steps of the discrete linear schedule", steps)?;
                share("beta_first of the discrete linear schedule", beta_first)?;
                share("beta_last of the discrete linear schedule", beta_last)
            }
            Schedule::DiscreteCosine { steps, offset, largest_beta } => {
                chain_length("steps of the discrete cosine schedule", steps)?;
                let accepted = (0.0..=1.0).contains(&offset);
                let name = "offset of the discrete cosine schedule";
                require(accepted, name, offset, "between 0 and 1")?;
                share("largest_beta of the discrete cosine schedule", largest_beta)
            }
        }
    }

    /// The time in the interval at which `α : σ` is `data : noise`, both not negative and not both zero.
    ///
    /// Ratios that the schedule never reaches give the nearer end. This inverts the signal-to-noise ratio, which
    /// never falls along a schedule, without ever forming the ratio: either side may be zero.
    #[must_use]
    pub fn time_of_ratio(&self, data: f64, noise: f64) -> f64 {
        self.inverse_ratio(data, noise)
    }

    /// [`Schedule::time_of_ratio`] for `[batch]` tensors.
    #[must_use]
    pub fn times_of_ratios(&self, data: Tensor<1>, noise: Tensor<1>) -> Tensor<1> {
        self.inverse_ratio(data, noise)
    }
}

fn chain_length(name: &'static str, steps: usize) -> Result<(), FlowError> {
    require((2..=LONGEST_CHAIN).contains(&steps), name, steps as f64, "from 2 to 10000")
}

fn share(name: &'static str, value: f64) -> Result<(), FlowError> {
    require((1e-12..1.0).contains(&value), name, value, "at least 1e-12 and below 1")
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use thalweg_solve::{Placement, to_host};

    use super::*;

    fn all() -> [Schedule; 10] {
        [
            Schedule::Linear { sigma_min: 0.0 },
            Schedule::Linear { sigma_min: 1e-2 },
            Schedule::Polynomial { n: 1.0 },
            Schedule::Polynomial { n: 2.5 },
            Schedule::Cosine {},
            Schedule::LinearVp {},
            Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
            Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 50.0 },
            // Steps that no time below falls on, where second derivatives jump.
            Schedule::DiscreteLinear { steps: 23, beta_first: 1e-3, beta_last: 0.4 },
            Schedule::DiscreteCosine { steps: 23, offset: 0.008, largest_beta: 0.999 },
        ]
    }

    #[test]
    fn derivatives_are_those_of_finite_differences() {
        for schedule in all() {
            for t in [0.05, 0.3, 0.5, 0.77, 0.95] {
                let h = 1e-5;
                let (before, now, after) = (schedule.at(t - h), schedule.at(t), schedule.at(t + h));
                let close = |slope: f64, exact: f64| (slope - exact).abs() < 1e-6 * (1.0 + exact.abs());
                assert!(
                    close((after.alpha - before.alpha) / (2.0 * h), now.alpha_dot),
                    "{schedule:?} α̇ at {t}"
                );
                assert!(
                    close((after.sigma - before.sigma) / (2.0 * h), now.sigma_dot),
                    "{schedule:?} σ̇ at {t}"
                );
                let (alpha_ddot, sigma_ddot) = schedule.accelerations(t);
                let bend = (after.alpha_dot - before.alpha_dot) / (2.0 * h);
                assert!(close(bend, alpha_ddot), "{schedule:?} α̈ at {t}: {bend} {alpha_ddot}");
                let bend = (after.sigma_dot - before.sigma_dot) / (2.0 * h);
                assert!(close(bend, sigma_ddot), "{schedule:?} σ̈ at {t}: {bend} {sigma_ddot}");
            }
        }
    }

    #[test]
    fn wronskians_are_those_of_the_table() {
        for t in [0.1_f64, 0.4, 0.9] {
            let check = |schedule: Schedule, expected: f64| {
                let d = schedule.at(t).wronskian();
                assert!((d - expected).abs() < 1e-13 * expected, "{schedule:?} at {t}: {d}, not {expected}");
            };
            check(Schedule::Linear { sigma_min: 0.3 }, 1.0);
            check(Schedule::Polynomial { n: 3.0 }, 3.0 * t * t);
            check(Schedule::Cosine {}, FRAC_PI_2);
            check(Schedule::LinearVp {}, 1.0 / (1.0 - t * t).sqrt());
            let vp = Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 };
            check(vp, vp.at(t).alpha_dot / vp.at(t).sigma);
            let ve = Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 50.0 };
            check(ve, -ve.at(t).sigma_dot);
        }
    }

    #[test]
    fn the_ends_are_those_of_the_formulas() {
        let vp = Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 };
        assert!((vp.at(0.0).alpha - 0.00657).abs() < 5e-6);
        let ve = Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 50.0 };
        assert!((ve.at(0.0).sigma - ve.source_deviation()).abs() < 1e-12);
        assert_eq!(ve.at(1.0).sigma, 0.01);
        for schedule in all() {
            let Interval { start, end } = schedule.interval();
            for t in [start, end] {
                let c = schedule.at(t);
                assert!(
                    [c.alpha, c.sigma, c.alpha_dot, c.sigma_dot].iter().all(|x| x.is_finite()),
                    "{schedule:?} {t}"
                );
            }
        }
        assert_eq!(Schedule::Cosine {}.at(1.0).sigma, 0.0);
    }

    #[test]
    fn tensors_agree_with_the_host_at_their_own_rounded_times() {
        for (placement, tolerance) in [(Placement::cpu_double(), 1e-13), (Placement::cpu(), 3e-5)] {
            for schedule in all() {
                let end = schedule.interval().end;
                let t = placement.tensor(&[0.0, 1e-3, 0.25, 0.5, 0.9, 0.999, end], [7]);
                let tensors = schedule.at_times(t.clone());
                let columns = [tensors.alpha, tensors.sigma, tensors.alpha_dot, tensors.sigma_dot];
                let columns = columns.map(|c| to_host(&c));
                for (i, t) in to_host(&t).into_iter().enumerate() {
                    let c = schedule.at(t);
                    for (column, exact) in columns.iter().zip([c.alpha, c.sigma, c.alpha_dot, c.sigma_dot]) {
                        let error = (column[i] - exact).abs();
                        assert!(
                            error <= tolerance * exact.abs() + 1e-7,
                            "{schedule:?} at {t}: {} {exact}",
                            column[i]
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_ratio_is_inverted_to_the_ends() {
        for schedule in all() {
            let interval = schedule.interval();
            for t in [interval.start, 1e-4, 0.2, 0.5, 0.8, 0.999, interval.end] {
                let c = schedule.at(t);
                let back = schedule.time_of_ratio(3.0 * c.alpha, 3.0 * c.sigma);
                assert!((back - t).abs() < 1e-9, "{schedule:?} at {t}: {back}");
            }
            assert!((schedule.time_of_ratio(0.0, 1.0) - interval.start).abs() < 1e-15, "{schedule:?}");
            assert_eq!(schedule.time_of_ratio(1.0, 0.0), interval.end, "{schedule:?}");
        }
    }

    #[test]
    fn recipes_write_every_default_and_refuse_unknown_keys() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text);
        let vp = read(r#"{"kind": "variance-preserving"}"#).unwrap();
        let written = serde_json::to_string(&vp).unwrap();
        assert_eq!(written, r#"{"kind":"variance-preserving","beta_min":0.1,"beta_max":20.0}"#);
        assert_eq!(read(&written).unwrap(), vp);
        for wrong in
            [r#"{"kind": "cosine", "sigma": 1}"#, r#"{"kind": "linear", "sigma": 1}"#, r#"{"kind": "cos"}"#]
        {
            assert!(read(wrong).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn impossible_settings_are_named() {
        let check = |schedule: Schedule, expected: &str| {
            let message = schedule.validate().unwrap_err().to_string();
            assert_eq!(message, expected);
        };
        check(
            Schedule::Linear { sigma_min: 1.0 },
            "sigma_min of the linear schedule is 1; it must be at least 0 and below 1",
        );
        check(
            Schedule::VarianceExploding { sigma_min: 2.0, sigma_max: 1.0 },
            "sigma_max of the variance-exploding schedule is 1; it must be finite and above sigma_min",
        );
        check(
            Schedule::Polynomial { n: f64::NAN },
            "n of the polynomial schedule is NaN; it must be a finite number of at least 1",
        );
        assert!(all().iter().all(|s| s.validate().is_ok()));
    }
}
