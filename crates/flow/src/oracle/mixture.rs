//! Data from a mixture of Gaussians.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};
use thalweg_solve::{Placement, Tangent, VelocityField};

use super::component::{Component, View, motion};
use crate::error::require;
use crate::{Coefficients, FlowError, Schedule};

/// One Gaussian of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct MixtureComponent {
    /// Its share of the data, positive; shares need not sum to 1.
    pub weight: f64,
    /// Its mean `[dim]`.
    pub mean: Vec<f64>,
    /// Its covariance `[dim, dim]` row by row.
    pub covariance: Vec<f64>,
}

/// The marginal velocity for data from a mixture of Gaussians: the components' velocities, each weighted by the chance
/// that the point belongs to it.
///
/// One evaluation costs `components · dim²` for each point.
#[derive(Debug, Clone)]
pub struct MixtureFlow {
    schedule: Schedule,
    components: Vec<Component>,
    /// `[1, components]`, normalised.
    log_weights: Tensor<2>,
}

impl MixtureFlow {
    /// The flow towards the mixture of `parts`.
    ///
    /// # Panics
    /// When there are no parts or their dimensions differ.
    pub fn new(
        schedule: Schedule,
        parts: &[MixtureComponent],
        placement: &Placement,
    ) -> Result<Self, FlowError> {
        schedule.validate()?;
        assert!(!parts.is_empty(), "a mixture needs at least one component");
        assert!(
            parts.iter().all(|p| p.mean.len() == parts[0].mean.len()),
            "components of different dimensions"
        );
        let mut components = Vec::new();
        for (k, part) in parts.iter().enumerate() {
            let accepted = part.weight > 0.0 && part.weight.is_finite();
            require(accepted, "the weight of a component", part.weight, "positive and finite")?;
            components.push(Component::new(
                &format!("component {k}"),
                &part.mean,
                &part.covariance,
                placement,
            )?);
        }
        let weights: Vec<f64> = parts.iter().map(|p| p.weight.ln()).collect();
        let log_weights = log_softmax(placement.tensor(&weights, [1, parts.len()]), 1);
        Ok(Self { schedule, components, log_weights })
    }

    /// The log-density `[batch]` of the marginal at times `t` `[batch]` and points `x` `[batch, dim]`.
    #[must_use]
    pub fn log_density(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<1> {
        let batch = x.dims()[0];
        let c = self.schedule.at_times(t);
        let logs = self.components.iter().map(|k| k.view(&c, x.clone()).log_density()).collect();
        let joint = self.log_weights.clone() + Tensor::cat(logs, 1);
        let largest = joint.clone().max_dim(1);
        ((joint - largest.clone()).exp().sum_dim(1).log() + largest).reshape([batch])
    }

    /// The mean velocity at points `x` `[batch, dim]` where the path is `α x1 + σ ε` with these coefficients, `[batch]`
    /// each: that of the mixture's own schedule, or of another path.
    #[must_use]
    pub fn velocity_along(&self, c: &Coefficients<Tensor<1>>, x: Tensor<2>) -> Tensor<2> {
        let views: Vec<_> = self.components.iter().map(|k| k.view(c, x.clone())).collect();
        let r = self.responsibilities(views.iter().map(View::log_density).collect());
        average(&r, views.iter().map(View::velocity).collect())
    }

    /// The responsibilities from the components' log-densities, each `[batch, 1]`.
    fn responsibilities(&self, logs: Vec<Tensor<2>>) -> Tensor<2> {
        softmax(self.log_weights.clone() + Tensor::cat(logs, 1), 1)
    }
}

/// `Σ_k r_k a_k` for the columns `r_k` of `responsibilities`.
fn average(responsibilities: &Tensor<2>, values: Vec<Tensor<2>>) -> Tensor<2> {
    let weighted = values.into_iter().enumerate().map(|(k, a)| responsibilities.clone().narrow(1, k, 1) * a);
    weighted.reduce(|sum, term| sum + term).unwrap_or_else(|| responsibilities.clone())
}

impl VelocityField<2> for MixtureFlow {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.velocity_along(&self.schedule.at_times(t), x)
    }

    fn takes_any_rows(&self) -> bool {
        true
    }
}

impl Tangent<2> for MixtureFlow {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let (c, accelerations) = motion(&self.schedule, t);
        let views: Vec<_> = self.components.iter().map(|k| k.view(&c, x.clone())).collect();
        let r = self.responsibilities(views.iter().map(View::log_density).collect());
        let velocities: Vec<_> = views.iter().map(View::velocity).collect();
        let (tangents, d_logs): (Vec<_>, Vec<_>) =
            views.iter().map(|v| v.tangent(accelerations.clone(), dt.clone(), dx.clone())).unzip();
        let velocity = average(&r, velocities.clone());
        // The derivative of r_k is r_k (l_k - Σ r l), with l the derivatives of the log-densities.
        let d_mean = average(&r, d_logs.clone());
        let shifting = d_logs.into_iter().zip(velocities).map(|(l, u)| (l - d_mean.clone()) * u).collect();
        (velocity, average(&r, tangents) + average(&r, shifting))
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let batch = x.dims()[0];
        let c = self.schedule.at_times(t);
        let views: Vec<_> = self.components.iter().map(|k| k.view(&c, x.clone())).collect();
        let r = self.responsibilities(views.iter().map(View::log_density).collect());
        let velocity = average(&r, views.iter().map(View::velocity).collect());
        let score = average(&r, views.iter().map(View::score).collect());
        let own = views.iter().map(|v| v.divergence() + (v.score() * v.velocity()).sum_dim(1)).collect();
        let divergence = average(&r, own) - (score * velocity.clone()).sum_dim(1);
        (velocity, divergence.reshape([batch]))
    }
}

#[cfg(test)]
mod tests {
    use thalweg_solve::to_host;

    use super::*;
    use crate::GaussianFlow;
    use crate::oracle::check_tangent;

    fn two_modes(weight: f64) -> [MixtureComponent; 2] {
        let covariance = vec![0.3, 0.1, 0.1, 0.2];
        [
            MixtureComponent { weight, mean: vec![-1.0, 0.5], covariance },
            MixtureComponent { weight: 1.0, mean: vec![1.5, 0.0], covariance: vec![0.5, 0.0, 0.0, 0.4] },
        ]
    }

    #[test]
    fn tangents_and_divergences_are_exact() {
        for schedule in [
            Schedule::Linear { sigma_min: 0.0 },
            Schedule::Cosine {},
            Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
            Schedule::VarianceExploding { sigma_min: 0.1, sigma_max: 5.0 },
        ] {
            let flow = MixtureFlow::new(schedule, &two_modes(0.4), &Placement::cpu_double()).unwrap();
            check_tangent(&flow, 2);
        }
    }

    #[test]
    fn equal_parts_are_one_gaussian() {
        let placement = Placement::cpu_double();
        let part = two_modes(0.25)[0].clone();
        let mixture =
            MixtureFlow::new(Schedule::Cosine {}, &[part.clone(), part.clone(), part.clone()], &placement)
                .unwrap();
        let single =
            GaussianFlow::new(Schedule::Cosine {}, &part.mean, &part.covariance, &placement).unwrap();
        let x = placement.tensor(&[0.1, 0.2, -0.7, 1.3], [2, 2]);
        let t = placement.tensor(&[0.3, 1.0], [2]);
        let pairs = [
            (
                to_host(&mixture.velocity(t.clone(), x.clone())),
                to_host(&single.velocity(t.clone(), x.clone())),
            ),
            (to_host(&mixture.log_density(t.clone(), x.clone())), to_host(&single.log_density(t, x))),
        ];
        for (a, b) in pairs.iter().flat_map(|(a, b)| a.iter().zip(b)) {
            assert!((a - b).abs() < 1e-13, "{a} {b}");
        }
    }
}
