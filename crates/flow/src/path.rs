//! Probability paths: where a pair `(x0, x1)` is at time `t`, and how fast it moves (FORMULAS §1.1, §1.2).
//!
//! A model trained on the velocities of pairs learns their mean, which moves the whole distribution. One-sided paths
//! take `x0` for Gaussian noise; two-sided paths carry any source to the data.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, per_sample};

use crate::error::require;
use crate::{Coefficients, FlowError, Interval, Schedule};

/// A probability path between source `x0` (`t = 0`) and data `x1` (`t = 1`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PathConfig {
    /// `α(t) x1 + σ(t) ε`, where `x0 = s ε` is a draw of the schedule's Gaussian source `N(0, s²I)`.
    OneSided {
        /// How data replaces noise; default linear.
        #[serde(default)]
        schedule: Schedule,
    },
    /// `(1 - t) x0 + t x1 + σε` with velocity `x1 - x0` (I-CFM; OT-CFM with an optimal-transport coupling).
    ///
    /// The ends are smoothed too: the path leads from `p0 * N(0, σ²I)` to `q * N(0, σ²I)`.
    Linear {
        /// Constant noise, not negative; default 0.
        #[serde(default)]
        sigma: f64,
    },
    /// `cos(πt/2) x0 + sin(πt/2) x1`.
    Trigonometric {},
    /// Brownian bridges of variance `σ²` between the pairs (SB-CFM): Schrödinger's bridge if the coupling is entropic
    /// with regularisation `2σ²`.
    SchroedingerBridge {
        /// Deviation of the Brownian motion, positive; default 1.
        #[serde(default = "default_bridge_sigma")]
        sigma: f64,
        /// Times are kept in `[clip, 1 - clip]`, since the second moment of the velocity is not integrable at the
        /// ends; in `(0, ½)`, default 10⁻³.
        #[serde(default = "default_clip")]
        clip: f64,
    },
    /// `(1 - t) x0 + t x1 + γ(t) z` with `γ² = a t (1 - t)` (Albergo and Vanden-Eijnden).
    StochasticInterpolant {
        /// Strength of the latent noise, positive; default 1.
        #[serde(default = "default_strength")]
        a: f64,
        /// Times are kept in `[clip, 1 - clip]`, since `γ̇` has no bound at the ends; in `(0, ½)`, default 10⁻³.
        #[serde(default = "default_clip")]
        clip: f64,
        /// Whether each pair gives two rows, with `+z` and `-z`: twice the work, and the loss keeps a bounded variance
        /// towards the ends; default true.
        #[serde(default = "default_antithetic")]
        antithetic: bool,
    },
}

fn default_bridge_sigma() -> f64 {
    1.0
}
fn default_clip() -> f64 {
    1e-3
}
fn default_strength() -> f64 {
    1.0
}
fn default_antithetic() -> bool {
    true
}

impl Default for PathConfig {
    /// Straight lines without noise.
    fn default() -> Self {
        PathConfig::Linear { sigma: 0.0 }
    }
}

/// Points on the paths of a batch of pairs, with the velocities a model is to learn.
#[derive(Debug, Clone)]
pub struct PathSample<const D: usize> {
    /// Times `[rows]`.
    pub t: Tensor<1>,
    /// Points `[rows, ..]`.
    pub x: Tensor<D>,
    /// Velocity of each pair at its point, `[rows, ..]`: the target of training.
    pub velocity: Tensor<D>,
    /// The unit normal noise in each point `[rows, ..]`, for paths that have any: the target of a noise or score head.
    pub noise: Option<Tensor<D>>,
    /// Rows made of each pair. With 2, row `i + batch` is the mirror of row `i`, so conditions must be repeated.
    pub rows_per_pair: usize,
}

/// The law of the source, as far as a path needs to know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// `N(0, deviation² I)`.
    Gaussian {
        /// Standard deviation of every coordinate.
        deviation: f64,
    },
    /// Anything else, such as a second data set.
    Other,
}

impl PathConfig {
    /// Its name in recipes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            PathConfig::OneSided { .. } => "one-sided",
            PathConfig::Linear { .. } => "linear",
            PathConfig::Trigonometric {} => "trigonometric",
            PathConfig::SchroedingerBridge { .. } => "schroedinger-bridge",
            PathConfig::StochasticInterpolant { .. } => "stochastic-interpolant",
        }
    }

    /// Checks that every setting is in its documented range.
    pub fn validate(&self) -> Result<(), FlowError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let clippable = |x: f64| 0.0 < x && x < 0.5;
        match *self {
            PathConfig::OneSided { schedule } => schedule.validate(),
            PathConfig::Linear { sigma } => {
                let accepted = sigma >= 0.0 && sigma.is_finite();
                require(accepted, "sigma of the linear path", sigma, "finite and not negative")
            }
            PathConfig::Trigonometric {} => Ok(()),
            PathConfig::SchroedingerBridge { sigma, clip } => {
                require(positive(sigma), "sigma of the Schrödinger bridge", sigma, "positive and finite")?;
                require(
                    clippable(clip),
                    "clip of the Schrödinger bridge",
                    clip,
                    "between 0 and 0.5, both excluded",
                )
            }
            PathConfig::StochasticInterpolant { a, clip, .. } => {
                require(positive(a), "a of the stochastic interpolant", a, "positive and finite")?;
                require(
                    clippable(clip),
                    "clip of the stochastic interpolant",
                    clip,
                    "between 0 and 0.5, both excluded",
                )
            }
        }
    }

    /// Whether `x0` stands for Gaussian noise, so that no other source will do.
    #[must_use]
    pub fn needs_gaussian_source(&self) -> bool {
        matches!(self, PathConfig::OneSided { .. })
    }

    /// Deviation of the Gaussian source this path starts from, unless another source is given.
    #[must_use]
    pub fn source_deviation(&self) -> f64 {
        match self {
            PathConfig::OneSided { schedule } => schedule.source_deviation(),
            _ => 1.0,
        }
    }

    /// An error that says why if the path cannot start from `source`.
    pub fn check_source(&self, source: Source) -> Result<(), FlowError> {
        match source {
            Source::Other if self.needs_gaussian_source() => {
                Err(FlowError::GaussianSourceNeeded { path: self.name() })
            }
            Source::Gaussian { deviation } if self.needs_gaussian_source() => {
                let accepted = (deviation - self.source_deviation()).abs() <= 1e-12 * self.source_deviation();
                let expected = "that of the schedule: 1, or sigma_max when variance explodes";
                require(accepted, "the deviation of the source", deviation, expected)
            }
            _ => Ok(()),
        }
    }

    /// The times on which velocities are finite and models are trained and solved.
    ///
    /// Solves along clipped paths start from the source at `clip` and end at `1 - clip`: the little noise of the path at
    /// these times, of deviation about `σ√clip`, is the price.
    #[must_use]
    pub fn interval(&self) -> Interval {
        match *self {
            PathConfig::OneSided { schedule } => schedule.interval(),
            PathConfig::SchroedingerBridge { clip, .. } | PathConfig::StochasticInterpolant { clip, .. } => {
                Interval::new(clip, 1.0 - clip)
            }
            PathConfig::Linear { .. } | PathConfig::Trigonometric {} => Interval::UNIT,
        }
    }

    /// Rows [`PathConfig::sample`] makes of each pair: 2 for an antithetic interpolant, else 1.
    #[must_use]
    pub fn rows_per_pair(&self) -> usize {
        match self {
            PathConfig::StochasticInterpolant { antithetic: true, .. } => 2,
            _ => 1,
        }
    }

    /// Whether points hold noise of their own beside `x0` and `x1`.
    fn draws_noise(&self) -> bool {
        match *self {
            PathConfig::Linear { sigma } => sigma > 0.0,
            PathConfig::SchroedingerBridge { .. } | PathConfig::StochasticInterpolant { .. } => true,
            PathConfig::OneSided { .. } | PathConfig::Trigonometric {} => false,
        }
    }

    /// A point on the path of each pair: `x0`, `x1` are `[batch, ..]`, `t` is `[batch]` inside [`PathConfig::interval`].
    ///
    /// # Panics
    /// When the shapes differ.
    #[must_use]
    pub fn sample<const D: usize>(
        &self,
        x0: Tensor<D>,
        x1: Tensor<D>,
        t: Tensor<1>,
        noise: &mut Noise,
    ) -> PathSample<D> {
        let epsilon =
            if self.draws_noise() { Placement::of(&x1).normal(noise, x1.dims()) } else { x1.zeros_like() };
        self.sample_with(x0, x1, t, epsilon)
    }

    /// [`PathConfig::sample`] with given unit normal noise `epsilon` `[batch, ..]`; paths without noise ignore it.
    #[must_use]
    pub fn sample_with<const D: usize>(
        &self,
        x0: Tensor<D>,
        x1: Tensor<D>,
        t: Tensor<1>,
        epsilon: Tensor<D>,
    ) -> PathSample<D> {
        assert_eq!(x0.dims(), x1.dims(), "source and data of a path have different shapes");
        assert_eq!(t.dims()[0], x1.dims()[0], "a path needs one time for each pair");
        match *self {
            PathConfig::OneSided { schedule } => one_sided(&schedule, x0, x1, t),
            PathConfig::Linear { sigma } => {
                let velocity = x1 - x0.clone();
                let x = x0 + per_sample::<D>(t.clone()) * velocity.clone();
                let noisy = sigma > 0.0;
                let x = if noisy { x + epsilon.clone() * sigma } else { x };
                PathSample { t, x, velocity, noise: noisy.then_some(epsilon), rows_per_pair: 1 }
            }
            PathConfig::Trigonometric {} => {
                let c = Schedule::Cosine {}.at_times(t.clone());
                let x = per_sample::<D>(c.sigma) * x0.clone() + per_sample::<D>(c.alpha) * x1.clone();
                let velocity = per_sample::<D>(c.sigma_dot) * x0 + per_sample::<D>(c.alpha_dot) * x1;
                PathSample { t, x, velocity, noise: None, rows_per_pair: 1 }
            }
            // Both are a straight line plus √(a t (1 - t)) ε; the bridge has a = σ².
            PathConfig::SchroedingerBridge { sigma, .. } => bulge(sigma * sigma, x0, x1, t, epsilon),
            PathConfig::StochasticInterpolant { a, antithetic: false, .. } => bulge(a, x0, x1, t, epsilon),
            PathConfig::StochasticInterpolant { a, antithetic: true, .. } => {
                let twice = |x: Tensor<D>| Tensor::cat(vec![x.clone(), x], 0);
                let times = Tensor::cat(vec![t.clone(), t], 0);
                let mirrored = Tensor::cat(vec![epsilon.clone(), -epsilon], 0);
                PathSample { rows_per_pair: 2, ..bulge(a, twice(x0), twice(x1), times, mirrored) }
            }
        }
    }

    /// Weight `λ(t)` `[batch]` of the score head of a Schrödinger bridge: with it `‖λ s̃ + ε‖²` teaches `s̃` the drift
    /// correction `½σ² ∇ log p` (Tong et al., \[SF\]²M). `None` for other paths.
    #[must_use]
    pub fn score_weight(&self, t: Tensor<1>) -> Option<Tensor<1>> {
        match *self {
            PathConfig::SchroedingerBridge { sigma, .. } => {
                let spread = (t.clone() * (-t + 1.0)).sqrt();
                Some(spread * (2.0 / sigma))
            }
            _ => None,
        }
    }
}

fn one_sided<const D: usize>(
    schedule: &Schedule,
    x0: Tensor<D>,
    x1: Tensor<D>,
    t: Tensor<1>,
) -> PathSample<D> {
    let c = schedule.at_times(t.clone());
    let deviation = schedule.source_deviation();
    let noise = if deviation == 1.0 { x0 } else { x0 / deviation };
    data_in_noise(c, noise, x1, t)
}

/// `α x1 + σ ε` with its velocity, for coefficients `[batch]` at times `t`.
pub(crate) fn data_in_noise<const D: usize>(
    c: Coefficients<Tensor<1>>,
    noise: Tensor<D>,
    data: Tensor<D>,
    t: Tensor<1>,
) -> PathSample<D> {
    let x = per_sample::<D>(c.alpha) * data.clone() + per_sample::<D>(c.sigma) * noise.clone();
    let velocity = per_sample::<D>(c.alpha_dot) * data + per_sample::<D>(c.sigma_dot) * noise.clone();
    PathSample { t, x, velocity, noise: Some(noise), rows_per_pair: 1 }
}

/// `(1 - t) x0 + t x1 + γ ε` with `γ = √(a t (1 - t))`. The velocity `x1 - x0 + γ̇ ε` uses the noise itself: dividing
/// `x - μ` by `γ²` would lose all digits near the ends.
fn bulge<const D: usize>(
    a: f64,
    x0: Tensor<D>,
    x1: Tensor<D>,
    t: Tensor<1>,
    epsilon: Tensor<D>,
) -> PathSample<D> {
    let rest = -t.clone() + 1.0;
    let gamma = (t.clone() * rest.clone() * a).sqrt();
    let gamma_dot = (rest - t.clone()) * (0.5 * a) / gamma.clone();
    let straight = x1 - x0.clone();
    let x = x0 + per_sample::<D>(t.clone()) * straight.clone() + per_sample::<D>(gamma) * epsilon.clone();
    let velocity = straight + per_sample::<D>(gamma_dot) * epsilon.clone();
    PathSample { t, x, velocity, noise: Some(epsilon), rows_per_pair: 1 }
}
