//! One model, four ways to read it: velocity, data, noise and score at the same point of a one-sided path
//! (FORMULAS §1.3).
//!
//! Each way is linear in each other, with weights that depend on time alone. From velocity nothing is ever divided by
//! `α`, and by `σ` only for the score, which makes it the one prediction that is well conditioned at both ends of the
//! linear and cosine schedules. Noise and score cannot be turned into velocity or data where `α = 0` (at `t = 0`), nor
//! data into velocity, noise or score where `σ = 0` (at `t = 1`).
//!
//! A conversion turns outputs of models into each other, and in the same way the velocity of a
//! [`PathSample`](crate::PathSample) into the target of a model that predicts something else.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_solve::{Tangent, VelocityField, per_sample};

use crate::number::Number;
use crate::schedule::wronskian;
use crate::{Coefficients, Schedule};

/// What a model's output means at a point `x = α x1 + σ ε`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// The mean velocity `E[α̇ x1 + σ̇ ε | x]`.
    #[default]
    Velocity,
    /// The mean data point `E[x1 | x]`.
    Data,
    /// The mean noise `E[ε | x]`.
    Noise,
    /// The gradient of the log-density of `x`, which is `-E[ε | x]/σ`.
    Score,
}

impl Prediction {
    /// All four.
    pub const ALL: [Prediction; 4] =
        [Prediction::Velocity, Prediction::Data, Prediction::Noise, Prediction::Score];

    /// The weight `w` for which `w ‖prediction error‖²` is the squared error of the velocity it implies.
    ///
    /// Infinite where the conversion to velocity divides by zero.
    #[must_use]
    pub fn velocity_loss_weight(self, c: &Coefficients) -> f64 {
        let (_, per_value) = (Conversion { from: self, to: Prediction::Velocity }).weights(c);
        per_value * per_value
    }
}

/// One of the sixteen arrows between predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// What is given.
    pub from: Prediction,
    /// What is wanted.
    pub to: Prediction,
}

impl Conversion {
    /// The wanted prediction `[batch, ..]` from the given `value` at the points `x`, at times with coefficients `c`.
    #[must_use]
    pub fn apply<const D: usize>(
        self,
        c: &Coefficients<Tensor<1>>,
        x: Tensor<D>,
        value: Tensor<D>,
    ) -> Tensor<D> {
        if self.from == self.to {
            return value;
        }
        let (of_x, of_value) = self.linear(c);
        per_sample::<D>(of_x) * x + per_sample::<D>(of_value) * value
    }

    /// The numbers `(p, q)` with which the wanted prediction is `p x + q value`.
    #[must_use]
    pub fn weights(self, c: &Coefficients) -> (f64, f64) {
        self.linear(c)
    }

    fn linear<T: Number>(self, c: &Coefficients<T>) -> (T, T) {
        let Coefficients { alpha, sigma, alpha_dot, sigma_dot } = c.clone();
        let zero = alpha.constant(0.0);
        let one = alpha.constant(1.0);
        let d = wronskian(c);
        match (self.from, self.to) {
            (from, to) if from == to => (zero, one),
            (Prediction::Velocity, Prediction::Data) => (-(sigma_dot / d.clone()), sigma / d),
            (Prediction::Velocity, Prediction::Noise) => (alpha_dot / d.clone(), -(alpha / d)),
            (Prediction::Velocity, _) => {
                let sigma_d = sigma * d;
                (-(alpha_dot / sigma_d.clone()), alpha / sigma_d)
            }
            (Prediction::Data, Prediction::Velocity) => (sigma_dot / sigma.clone(), d / sigma),
            (Prediction::Data, Prediction::Noise) => (one / sigma.clone(), -(alpha / sigma)),
            (Prediction::Data, _) => {
                let variance = sigma.square();
                (-(one / variance.clone()), alpha / variance)
            }
            (Prediction::Noise, Prediction::Velocity) => (alpha_dot / alpha.clone(), -(d / alpha)),
            (Prediction::Noise, Prediction::Data) => (one / alpha.clone(), -(sigma / alpha)),
            (Prediction::Noise, _) => (zero, -(one / sigma)),
            (Prediction::Score, Prediction::Velocity) => (alpha_dot / alpha.clone(), sigma * d / alpha),
            (Prediction::Score, Prediction::Data) => (one / alpha.clone(), sigma.square() / alpha),
            (Prediction::Score, _) => (zero, -sigma),
        }
    }
}

/// The velocity field of a model that predicts something else.
#[derive(Debug, Clone)]
pub struct PredictedVelocity<F> {
    /// The model; its `velocity` is whatever `prediction` says.
    pub model: F,
    /// What the model's output means.
    pub prediction: Prediction,
    /// The schedule it was trained on.
    pub schedule: Schedule,
}

impl<F> PredictedVelocity<F> {
    fn conversion(&self) -> Conversion {
        Conversion { from: self.prediction, to: Prediction::Velocity }
    }
}

impl<const D: usize, F: VelocityField<D>> VelocityField<D> for PredictedVelocity<F> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<D>) -> Tensor<D> {
        let value = self.model.velocity(t.clone(), x.clone());
        self.conversion().apply(&self.schedule.at_times(t), x, value)
    }

    fn takes_any_rows(&self) -> bool {
        self.model.takes_any_rows()
    }
}

impl<const D: usize, F: Tangent<D>> Tangent<D> for PredictedVelocity<F> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<D>,
        dt: Tensor<1>,
        dx: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        let (value, dvalue) = self.model.velocity_and_tangent(t.clone(), x.clone(), dt.clone(), dx.clone());
        if self.prediction == Prediction::Velocity {
            return (value, dvalue);
        }
        let c = self.schedule.at_times(t.clone());
        let (p, q) = self.conversion().linear(&c);
        let (p_dot, q_dot) = velocity_weight_rates(self.prediction, &c, self.schedule.accelerations(t));
        let velocity = per_sample::<D>(p.clone()) * x.clone() + per_sample::<D>(q.clone()) * value.clone();
        let moving = per_sample::<D>(p_dot * dt.clone()) * x + per_sample::<D>(q_dot * dt) * value;
        (velocity, moving + per_sample::<D>(p) * dx + per_sample::<D>(q) * dvalue)
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        let (value, divergence) = self.model.velocity_and_divergence(t.clone(), x.clone());
        let coordinates: usize = x.dims()[1..].iter().product();
        let c = self.schedule.at_times(t);
        let (p, q) = self.conversion().linear(&c);
        (self.conversion().apply(&c, x, value), p * coordinates as f64 + q * divergence)
    }
}

/// Time derivatives of the weights of a conversion to velocity.
pub(crate) fn velocity_weight_rates(
    from: Prediction,
    c: &Coefficients<Tensor<1>>,
    (alpha_ddot, sigma_ddot): (Tensor<1>, Tensor<1>),
) -> (Tensor<1>, Tensor<1>) {
    let Coefficients { alpha, sigma, alpha_dot, sigma_dot } = c.clone();
    let d = wronskian(c);
    let d_dot = alpha_ddot.clone() * sigma.clone() - alpha.clone() * sigma_ddot.clone();
    let quotient_rate = |top: Tensor<1>, top_dot: Tensor<1>, bottom: &Tensor<1>, bottom_dot: &Tensor<1>| {
        (top_dot - top * bottom_dot.clone() / bottom.clone()) / bottom.clone()
    };
    match from {
        Prediction::Velocity => (d.zeros_like(), d.zeros_like()),
        Prediction::Data => (
            quotient_rate(sigma_dot.clone(), sigma_ddot, &sigma, &sigma_dot),
            quotient_rate(d, d_dot, &sigma, &sigma_dot),
        ),
        Prediction::Noise => (
            quotient_rate(alpha_dot.clone(), alpha_ddot, &alpha, &alpha_dot),
            -quotient_rate(d, d_dot, &alpha, &alpha_dot),
        ),
        Prediction::Score => (
            quotient_rate(alpha_dot.clone(), alpha_ddot, &alpha, &alpha_dot),
            quotient_rate(sigma.clone() * d.clone(), sigma_dot * d + sigma * d_dot, &alpha, &alpha_dot),
        ),
    }
}

/// The step of DDIM between two times of any one-sided path, `x' = α' x̂1 + σ' ε̂` (FORMULAS §1.7).
///
/// `from` and `to` hold the coefficients at the two times, `velocity` `[batch, ..]` is that at `x` and the first time.
/// On the linear path with `sigma_min = 0` this is the step of Euler's method.
#[must_use]
pub fn ddim_step<const D: usize>(
    from: &Coefficients<Tensor<1>>,
    to: &Coefficients<Tensor<1>>,
    x: Tensor<D>,
    velocity: Tensor<D>,
) -> Tensor<D> {
    let read = |to| Conversion { from: Prediction::Velocity, to };
    let data = read(Prediction::Data).apply(from, x.clone(), velocity.clone());
    let noise = read(Prediction::Noise).apply(from, x, velocity);
    per_sample::<D>(to.alpha.clone()) * data + per_sample::<D>(to.sigma.clone()) * noise
}

#[cfg(test)]
mod tests {
    use thalweg_noise::Noise;
    use thalweg_solve::{Placement, to_host};

    use super::*;
    use crate::GaussianFlow;
    use crate::oracle::check_tangent;

    const SCHEDULES: [Schedule; 8] = [
        Schedule::Linear { sigma_min: 0.05 },
        Schedule::Polynomial { n: 2.0 },
        Schedule::Cosine {},
        Schedule::LinearVp {},
        Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
        Schedule::VarianceExploding { sigma_min: 0.05, sigma_max: 5.0 },
        Schedule::DiscreteLinear { steps: 23, beta_first: 1e-3, beta_last: 0.4 },
        Schedule::DiscreteCosine { steps: 23, offset: 0.008, largest_beta: 0.999 },
    ];

    /// With x1 and ε known, every prediction is known, so each of the arrows has one right answer.
    #[test]
    fn all_arrows_on_all_schedules() {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(1);
        let [x1, epsilon]: [Tensor<2>; 2] =
            [placement.normal(&mut noise, [5, 3]), placement.normal(&mut noise, [5, 3])];
        for schedule in SCHEDULES {
            let c = schedule.at_times(placement.tensor(&[0.1, 0.3, 0.5, 0.7, 0.9], [5]));
            let mix = |a: &Tensor<1>, b: &Tensor<1>| {
                per_sample::<2>(a.clone()) * x1.clone() + per_sample::<2>(b.clone()) * epsilon.clone()
            };
            let x = mix(&c.alpha, &c.sigma);
            let truth = |prediction| match prediction {
                Prediction::Velocity => mix(&c.alpha_dot, &c.sigma_dot),
                Prediction::Data => x1.clone(),
                Prediction::Noise => epsilon.clone(),
                Prediction::Score => -epsilon.clone() / per_sample::<2>(c.sigma.clone()),
            };
            for from in Prediction::ALL {
                for to in Prediction::ALL {
                    let found = Conversion { from, to }.apply(&c, x.clone(), truth(from));
                    let scale = truth(to).abs().max().into_scalar::<f64>();
                    let error = (found - truth(to)).abs().max().into_scalar::<f64>();
                    assert!(error < 1e-11 * (1.0 + scale), "{schedule:?} {from:?} → {to:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn velocity_is_well_conditioned_at_both_ends_of_linear_and_cosine() {
        for schedule in [Schedule::Linear { sigma_min: 0.0 }, Schedule::Cosine {}] {
            for t in [0.0, 1.0] {
                for to in [Prediction::Data, Prediction::Noise] {
                    let (p, q) = Conversion { from: Prediction::Velocity, to }.weights(&schedule.at(t));
                    assert!(p.is_finite() && q.is_finite(), "{schedule:?} at {t} → {to:?}");
                }
            }
            let noise_at_start = Prediction::Noise.velocity_loss_weight(&schedule.at(0.0));
            let data_at_end = Prediction::Data.velocity_loss_weight(&schedule.at(1.0));
            assert!(noise_at_start.is_infinite() && data_at_end.is_infinite());
        }
    }

    #[test]
    fn loss_weights_are_those_of_the_table() {
        for schedule in SCHEDULES {
            let c = schedule.at(0.4);
            let d = c.wronskian();
            let check = |prediction: Prediction, expected: f64| {
                let weight = prediction.velocity_loss_weight(&c);
                assert!(
                    (weight / expected - 1.0).abs() < 1e-12,
                    "{schedule:?} {prediction:?}: {weight} {expected}"
                );
            };
            check(Prediction::Velocity, 1.0);
            check(Prediction::Noise, (d / c.alpha).powi(2));
            check(Prediction::Data, (d / c.sigma).powi(2));
            check(Prediction::Score, (c.sigma * d / c.alpha).powi(2));
        }
    }

    /// The probability-flow equation of the variance-preserving diffusion: u = ½β(1 - t)(x + s).
    #[test]
    fn the_variance_preserving_velocity_is_the_probability_flow() {
        let schedule = Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 };
        for t in [0.01, 0.5, 0.99] {
            let arrow = Conversion { from: Prediction::Score, to: Prediction::Velocity };
            let (p, q) = arrow.weights(&schedule.at(t));
            let half_beta = 0.5 * (0.1 + (1.0 - t) * 19.9);
            assert!(
                (p / half_beta - 1.0).abs() < 1e-12 && (q / half_beta - 1.0).abs() < 1e-12,
                "{t}: {p} {q}"
            );
        }
    }

    #[test]
    fn velocities_of_other_predictions_have_exact_tangents() {
        let placement = Placement::cpu_double();
        for schedule in SCHEDULES {
            for prediction in Prediction::ALL {
                // Any field will do for a model.
                let model =
                    GaussianFlow::new(Schedule::Cosine {}, &[1.0, 0.5], &[2.0, 0.3, 0.3, 0.5], &placement)
                        .unwrap();
                check_tangent(&PredictedVelocity { model, prediction, schedule }, 2);
            }
        }
    }

    #[test]
    fn ddim_on_the_linear_path_is_euler() {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(2);
        let x: Tensor<2> = placement.normal(&mut noise, [4, 3]);
        let velocity: Tensor<2> = placement.normal(&mut noise, [4, 3]);
        let schedule = Schedule::Linear { sigma_min: 0.0 };
        let at = |t| schedule.at_times(placement.full(t, [4]));
        let stepped = ddim_step(&at(0.3), &at(0.55), x.clone(), velocity.clone());
        let euler = x + velocity * 0.25;
        for (a, b) in to_host(&stepped).iter().zip(to_host(&euler)) {
            assert!((a - b).abs() < 2e-15, "{a} {b}");
        }
    }
}
