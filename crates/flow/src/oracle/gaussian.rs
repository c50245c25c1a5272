//! Gaussian data.

use burn::tensor::Tensor;
use thalweg_solve::{Placement, Tangent, VelocityField};

use super::component::{Component, motion};
use crate::{FlowError, Schedule};

/// The marginal velocity for data `N(m, S)`.
///
/// Its flow is affine. For every schedule with `α(0) = 0`, `σ(0) = 1`, `α(1) = 1` and `σ(1) = 0` the final map is
/// `m + S^(1/2) x0` with the symmetric root, whatever happens between.
#[derive(Debug, Clone)]
pub struct GaussianFlow {
    schedule: Schedule,
    component: Component,
}

impl GaussianFlow {
    /// Data of mean `mean` `[dim]` and covariance `covariance` `[dim, dim]` row by row.
    pub fn new(
        schedule: Schedule,
        mean: &[f64],
        covariance: &[f64],
        placement: &Placement,
    ) -> Result<Self, FlowError> {
        schedule.validate()?;
        Ok(Self { schedule, component: Component::new("the Gaussian", mean, covariance, placement)? })
    }

    /// The log-density `[batch]` of the marginal at times `t` `[batch]` and points `x` `[batch, dim]`.
    #[must_use]
    pub fn log_density(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<1> {
        let batch = x.dims()[0];
        self.component.view(&self.schedule.at_times(t), x).log_density().reshape([batch])
    }
}

impl VelocityField<2> for GaussianFlow {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.component.view(&self.schedule.at_times(t), x).velocity()
    }

    fn takes_any_rows(&self) -> bool {
        true
    }
}

impl Tangent<2> for GaussianFlow {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let (c, accelerations) = motion(&self.schedule, t);
        let view = self.component.view(&c, x);
        (view.velocity(), view.tangent(accelerations, dt, dx).0)
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let batch = x.dims()[0];
        let view = self.component.view(&self.schedule.at_times(t), x);
        (view.velocity(), view.divergence().reshape([batch]))
    }
}

#[cfg(test)]
mod tests {
    use thalweg_solve::to_host;

    use super::*;
    use crate::oracle::check_tangent;

    const COVARIANCE: [f64; 4] = [1.44, 0.6, 0.6, 0.61];

    #[test]
    fn tangents_and_divergences_are_exact() {
        for schedule in [
            Schedule::Linear { sigma_min: 0.01 },
            Schedule::Polynomial { n: 2.5 },
            Schedule::Cosine {},
            Schedule::LinearVp {},
            Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
            Schedule::VarianceExploding { sigma_min: 0.1, sigma_max: 5.0 },
            Schedule::DiscreteLinear { steps: 23, beta_first: 1e-3, beta_last: 0.4 },
        ] {
            let flow =
                GaussianFlow::new(schedule, &[1.0, -2.0], &COVARIANCE, &Placement::cpu_double()).unwrap();
            check_tangent(&flow, 2);
        }
    }

    #[test]
    fn the_density_at_the_end_is_that_of_the_data() {
        let placement = Placement::cpu_double();
        let flow = GaussianFlow::new(Schedule::Cosine {}, &[1.0, -2.0], &COVARIANCE, &placement).unwrap();
        let x = placement.tensor(&[0.5, -1.0], [1, 2]);
        let found = to_host(&flow.log_density(placement.full(1.0, [1]), x))[0];
        // (x - m)ᵀ S⁻¹ (x - m) with det S = 1.44·0.61 - 0.36 = 0.5184.
        let square = (0.61 * 0.25 + 2.0 * 0.6 * 0.5 + 1.44) / 0.5184;
        let expected = -0.5 * (square + 0.5184_f64.ln()) - std::f64::consts::TAU.ln();
        assert!((found - expected).abs() < 1e-13, "{found} {expected}");
    }

    #[test]
    fn unusable_covariances_are_refused() {
        let check = |covariance: &[f64], expected: &str| {
            let made = GaussianFlow::new(Schedule::Cosine {}, &[0.0, 0.0], covariance, &Placement::cpu());
            let message = made.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(&[1.0, 0.0, 0.0], "3 entries for a mean of dimension 2");
        check(&[1.0, 0.5, 0.0, 1.0], "not symmetric");
        check(&[1.0, 2.0, 2.0, 1.0], "negative eigenvalue -1");
        check(&[1.0, f64::NAN, f64::NAN, 1.0], "not finite");
    }
}
