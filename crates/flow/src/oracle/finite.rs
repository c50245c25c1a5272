//! A finite data set, every point equally likely.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use thalweg_ot::Points;
use thalweg_solve::{Placement, Tangent, VelocityField, per_sample};

use super::component::motion;
use crate::{Coefficients, Conversion, FlowError, Prediction, Schedule};

/// The marginal velocity for data that is one of finitely many points: what a model without any error would learn from
/// a training set, memory and all.
///
/// Between two points its Jacobian grows without bound as `σ → 0` (the stiffness of learned flows near `t = 1`), and at
/// `σ = 0` it is undefined. One evaluation costs `points · dim` for each row.
#[derive(Debug, Clone)]
pub struct FiniteDataFlow {
    schedule: Schedule,
    /// `[points, dim]`.
    points: Tensor<2>,
    /// Squared lengths `[1, points]`.
    squares: Tensor<2>,
}

/// The posterior over data points given where the path is.
struct Posterior {
    /// `[batch, points]`.
    responsibilities: Tensor<2>,
    /// `x · x_i`, `[batch, points]`.
    products: Tensor<2>,
    /// `E[x1 | x]`, `[batch, dim]`.
    data: Tensor<2>,
}

impl FiniteDataFlow {
    /// The flow towards `points`.
    pub fn new(schedule: Schedule, points: Points, placement: &Placement) -> Result<Self, FlowError> {
        schedule.validate()?;
        let tensor = placement.tensor::<2>(points.values(), [points.len(), points.dim()]);
        let squares = (tensor.clone() * tensor.clone()).sum_dim(1).transpose();
        Ok(Self { schedule, points: tensor, squares })
    }

    fn posterior(&self, c: &Coefficients<Tensor<1>>, x: Tensor<2>) -> Posterior {
        let alpha = per_sample::<2>(c.alpha.clone());
        let variance = per_sample::<2>(c.sigma.clone() * c.sigma.clone());
        let products = x.matmul(self.points.clone().transpose());
        // -‖x - αx_i‖²/2σ² up to a term that is the same for all points.
        let logits = (products.clone() - alpha.clone() * self.squares.clone() * 0.5) * alpha / variance;
        let responsibilities = softmax(logits, 1);
        let data = responsibilities.clone().matmul(self.points.clone());
        Posterior { responsibilities, products, data }
    }
}

const TO_VELOCITY: Conversion = Conversion { from: Prediction::Data, to: Prediction::Velocity };

impl VelocityField<2> for FiniteDataFlow {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        let c = self.schedule.at_times(t);
        let data = self.posterior(&c, x.clone()).data;
        TO_VELOCITY.apply(&c, x, data)
    }

    fn takes_any_rows(&self) -> bool {
        true
    }
}

impl Tangent<2> for FiniteDataFlow {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let (c, accelerations) = motion(&self.schedule, t);
        let Posterior { responsibilities, products, data } = self.posterior(&c, x.clone());
        let column = |a: &Tensor<1>| per_sample::<2>(a.clone());
        let (alpha, sigma) = (column(&c.alpha), column(&c.sigma));
        let (alpha_dot, sigma_dot) = (column(&c.alpha_dot), column(&c.sigma_dot));
        let time = column(&dt);

        // Derivatives of -‖x - αx_i‖²/2σ², again up to terms that all points share.
        let along = dx.clone().matmul(self.points.clone().transpose()) * alpha.clone();
        let shifted = products.clone() - alpha.clone() * self.squares.clone();
        let shrinking =
            (alpha.clone() * self.squares.clone() - products * 2.0) * alpha * sigma_dot / sigma.clone();
        let d_logits = (along + (alpha_dot * shifted + shrinking) * time) / (sigma.clone() * sigma);
        let mean = (responsibilities.clone() * d_logits.clone()).sum_dim(1);
        let d_data = (responsibilities * (d_logits - mean)).matmul(self.points.clone());

        let velocity = TO_VELOCITY.apply(&c, x.clone(), data.clone());
        let still = TO_VELOCITY.apply(&c, dx, d_data);
        let (p_dot, q_dot) = crate::prediction::velocity_weight_rates(Prediction::Data, &c, accelerations);
        let moving = per_sample::<2>(p_dot * dt.clone()) * x + per_sample::<2>(q_dot * dt) * data;
        (velocity, still + moving)
    }

    /// `σ̇/σ · dim + αD/σ³ · tr Cov(x1 | x)`.
    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let [batch, dim] = x.dims();
        let c = self.schedule.at_times(t);
        let Posterior { responsibilities, data, .. } = self.posterior(&c, x.clone());
        let second = (responsibilities * self.squares.clone()).sum_dim(1);
        let spread = (second - (data.clone() * data.clone()).sum_dim(1)).reshape([batch]);
        let stretch = c.alpha.clone() * c.wronskian() / c.sigma.clone().powi_scalar(3);
        let divergence = c.sigma_dot.clone() / c.sigma.clone() * dim as f64 + stretch * spread;
        (TO_VELOCITY.apply(&c, x, data), divergence)
    }
}

#[cfg(test)]
mod tests {
    use thalweg_solve::to_host;

    use super::*;
    use crate::oracle::check_tangent;
    use crate::{MixtureComponent, MixtureFlow};

    const DATA: [f64; 8] = [1.0, 0.5, -0.7, 0.2, 0.1, -1.0, 0.4, 0.9];

    #[test]
    fn tangents_and_divergences_are_exact() {
        for schedule in [
            Schedule::Linear { sigma_min: 0.05 },
            Schedule::Cosine {},
            Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
            Schedule::VarianceExploding { sigma_min: 0.3, sigma_max: 5.0 },
        ] {
            let flow =
                FiniteDataFlow::new(schedule, Points::new(&DATA, 2), &Placement::cpu_double()).unwrap();
            check_tangent(&flow, 2);
        }
    }

    #[test]
    fn it_is_a_mixture_of_points() {
        let placement = Placement::cpu_double();
        let schedule = Schedule::Linear { sigma_min: 0.0 };
        let flow = FiniteDataFlow::new(schedule, Points::new(&DATA, 2), &placement).unwrap();
        let part =
            |mean: &[f64]| MixtureComponent { weight: 1.0, mean: mean.to_vec(), covariance: vec![0.0; 4] };
        let parts: Vec<_> = DATA.chunks(2).map(part).collect();
        let mixture = MixtureFlow::new(schedule, &parts, &placement).unwrap();
        let (t, x) = (placement.tensor(&[0.2, 0.8], [2]), placement.tensor(&[0.3, -0.1, 0.5, 0.5], [2, 2]));
        let (a, b) = (flow.velocity(t.clone(), x.clone()), mixture.velocity(t, x));
        for (a, b) in to_host(&a).iter().zip(to_host(&b)) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    /// Half-way between two points at distance 2ρ the linear path stretches by tρ²/(1-t)³ - 1/(1-t).
    #[test]
    fn stiffness_between_two_points_is_that_of_the_formula() {
        let placement = Placement::cpu_double();
        let rho = 0.8;
        let points = [rho, -rho];
        let flow =
            FiniteDataFlow::new(Schedule::Linear { sigma_min: 0.0 }, Points::new(&points, 1), &placement)
                .unwrap();
        for time in [0.1, 0.5, 0.9, 0.99] {
            let (_, slope) =
                flow.velocity_and_divergence(placement.full(time, [1]), placement.full(0.0, [1, 1]));
            let rest: f64 = 1.0 - time;
            let expected = time * rho * rho / rest.powi(3) - 1.0 / rest;
            assert!((to_host(&slope)[0] / expected - 1.0).abs() < 1e-12);
        }
    }
}
