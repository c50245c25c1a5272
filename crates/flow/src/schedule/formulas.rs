//! The formulas of every schedule, written once for host numbers and tensors.

use std::f64::consts::FRAC_PI_2;

use super::chain::Chain;
use super::{Coefficients, Schedule};
use crate::Interval;
use crate::number::Number;

/// `D = α̇σ - ασ̇`; both terms have the same sign, so nothing cancels.
pub(crate) fn wronskian<T: Number>(c: &Coefficients<T>) -> T {
    c.alpha_dot.clone() * c.sigma.clone() - c.alpha.clone() * c.sigma_dot.clone()
}

impl Schedule {
    pub(super) fn coefficients<T: Number>(&self, t: T) -> Coefficients<T> {
        match *self {
            Schedule::Linear { sigma_min } => Coefficients {
                // 1 - (1 - m) t without losing the small end value m at t = 1.
                sigma: t.clone().complement() + t.clone().scale(sigma_min),
                alpha_dot: t.constant(1.0),
                sigma_dot: t.constant(sigma_min - 1.0),
                alpha: t,
            },
            Schedule::Polynomial { n } => {
                let alpha = t.clone().powf(n);
                let slope = t.powf(n - 1.0).scale(n);
                Coefficients {
                    sigma: alpha.clone().complement(),
                    alpha,
                    sigma_dot: -slope.clone(),
                    alpha_dot: slope,
                }
            }
            Schedule::Cosine {} => {
                // The cosine as a sine of the complement: exactly 0 at t = 1.
                let alpha = t.clone().scale(FRAC_PI_2).sin();
                let sigma = t.complement().scale(FRAC_PI_2).sin();
                Coefficients {
                    alpha_dot: sigma.clone().scale(FRAC_PI_2),
                    sigma_dot: alpha.clone().scale(-FRAC_PI_2),
                    alpha,
                    sigma,
                }
            }
            Schedule::LinearVp {} => {
                let sigma = (t.clone().complement() * t.clone().shift(1.0)).sqrt();
                Coefficients {
                    alpha_dot: t.constant(1.0),
                    sigma_dot: -(t.clone() / sigma.clone()),
                    alpha: t,
                    sigma,
                }
            }
            Schedule::VariancePreserving { beta_min, beta_max } => {
                let s = t.complement();
                let rise = beta_max - beta_min;
                let beta = s.clone().scale(rise).shift(beta_min);
                let total = s.clone() * s.scale(0.5 * rise).shift(beta_min);
                diffusion(total, beta)
            }
            Schedule::DiscreteLinear { .. } | Schedule::DiscreteCosine { .. } => {
                let total = self.chain().at(t);
                diffusion(total.value, total.rate)
            }
            Schedule::VarianceExploding { sigma_min, sigma_max } => {
                let rate = (sigma_max / sigma_min).ln();
                let sigma = t.clone().complement().scale(rate).exp().scale(sigma_min);
                Coefficients {
                    alpha: t.constant(1.0),
                    alpha_dot: t.constant(0.0),
                    sigma_dot: sigma.clone().scale(-rate),
                    sigma,
                }
            }
        }
    }

    /// The second time derivatives `(α̈, σ̈)`, which tangents in the direction of time need.
    pub(crate) fn accelerations<T: Number>(&self, t: T) -> (T, T) {
        let zero = t.constant(0.0);
        match *self {
            Schedule::Linear { .. } => (zero.clone(), zero),
            // 0 · t⁻¹ would not be a number at t = 0.
            Schedule::Polynomial { n: 1.0 } => (zero.clone(), zero),
            Schedule::Polynomial { n } => {
                let bend = t.powf(n - 2.0).scale(n * (n - 1.0));
                (bend.clone(), -bend)
            }
            Schedule::Cosine {} => {
                let c = self.coefficients(t);
                (c.alpha.scale(-FRAC_PI_2 * FRAC_PI_2), c.sigma.scale(-FRAC_PI_2 * FRAC_PI_2))
            }
            Schedule::LinearVp {} => (zero, -self.coefficients(t).sigma.powf(-3.0)),
            Schedule::VariancePreserving { beta_min, beta_max } => {
                let rise = beta_max - beta_min;
                let beta = t.clone().complement().scale(rise).shift(beta_min);
                let bend = t.constant(rise);
                diffusion_accelerations(self.coefficients(t), beta, bend)
            }
            Schedule::DiscreteLinear { .. } | Schedule::DiscreteCosine { .. } => {
                let total = self.chain().at(t.clone());
                diffusion_accelerations(self.coefficients(t), total.rate, total.bend)
            }
            Schedule::VarianceExploding { sigma_min, sigma_max } => {
                let rate = (sigma_max / sigma_min).ln();
                (zero, self.coefficients(t).sigma.scale(rate * rate))
            }
        }
    }

    /// The time at which `α : σ` is `data : noise`.
    pub(super) fn inverse_ratio<T: Number>(&self, data: T, noise: T) -> T {
        let size = (data.clone().square() + noise.clone().square()).sqrt();
        let (a, s) = (data / size.clone(), noise / size);
        let t = match *self {
            Schedule::Linear { sigma_min } => a.clone() / (s + a.scale(1.0 - sigma_min)),
            Schedule::Polynomial { n } => (a.clone() / (s + a)).powf(1.0 / n),
            Schedule::Cosine {} => a.atan2(s).scale(1.0 / FRAC_PI_2),
            Schedule::LinearVp {} => a,
            Schedule::VariancePreserving { beta_min, beta_max } => {
                let rise = beta_max - beta_min;
                // exp(T) = 1/α² = 1 + (σ/α)², then a quadratic for 1 - t in the form without cancellation.
                let total = (s / a).square().ln_1p().limit(0.0, beta_min + 0.5 * rise);
                let root = total.clone().scale(2.0 * rise).shift(beta_min * beta_min).sqrt();
                (total.scale(2.0) / root.shift(beta_min)).complement()
            }
            // exp(T) = 1/α² = 1 + (σ/α)².
            Schedule::DiscreteLinear { .. } | Schedule::DiscreteCosine { .. } => {
                self.chain().time_of((s / a).square().ln_1p())
            }
            Schedule::VarianceExploding { sigma_min, sigma_max } => {
                let rate = (sigma_max / sigma_min).ln();
                (s / a).scale(1.0 / sigma_min).ln().scale(1.0 / rate).limit(0.0, 1.0).complement()
            }
        };
        let Interval { start, end } = self.interval();
        t.limit(start, end)
    }

    /// The chain of a discrete schedule.
    fn chain(&self) -> std::rc::Rc<Chain> {
        match Chain::of(self) {
            Some(chain) => chain,
            None => unreachable!("only discrete schedules have a chain"),
        }
    }
}

/// `α = exp(-T/2)`, `σ² = 1 - α²`, from `T` and its rate `β` in the time to the data.
fn diffusion<T: Number>(total: T, beta: T) -> Coefficients<T> {
    let alpha = total.clone().scale(-0.5).exp();
    // 1 - exp(-T) = tanh(T/2) (1 + exp(-T)) keeps all digits for small T.
    let variance = total.scale(0.5).tanh() * alpha.clone().square().shift(1.0);
    let sigma = variance.sqrt();
    let alpha_dot = beta.scale(0.5) * alpha.clone();
    Coefficients { sigma_dot: -(alpha_dot.clone() * alpha.clone() / sigma.clone()), alpha_dot, alpha, sigma }
}

/// `(α̈, σ̈)` of a diffusion, from `β` and its slope in the time to the data.
fn diffusion_accelerations<T: Number>(c: Coefficients<T>, beta: T, bend: T) -> (T, T) {
    let alpha_ddot = c.alpha.clone() * (beta.square().scale(0.25) - bend.scale(0.5));
    // α² + σ² = 1, differentiated twice.
    let squares = c.alpha_dot.square() + c.sigma_dot.square() + c.alpha * alpha_ddot.clone();
    (alpha_ddot, -(squares / c.sigma))
}
