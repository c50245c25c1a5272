//! Scaling of a network's input and output, for paths whose points or velocities grow.
//!
//! Along a variance-exploding schedule points have size `σ_max` at the noise and velocities grow with them. The network
//! `F` then works on unit scale: `v(t, x) = c_out(t) F(t, c_in(t) x)` with `c_in = 1/√(α²s² + σ²)`, one over the size of
//! a point for data of deviation `s`, and `c_out = √(α̇²s² + σ̇²)`, the size of a target velocity.

use burn::tensor::Tensor;
use thalweg_solve::{Tangent, VelocityField, per_sample};

use crate::Schedule;

/// The scales of a schedule for data of a given size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preconditioning {
    /// The schedule of the path.
    pub schedule: Schedule,
    /// Standard deviation of a coordinate of the data, positive.
    pub data_deviation: f64,
}

impl Preconditioning {
    /// `c_in(t)` `[batch]`: what points are multiplied by.
    #[must_use]
    pub fn input_scale(&self, t: Tensor<1>) -> Tensor<1> {
        let c = self.schedule.at_times(t);
        self.size(c.alpha, c.sigma).recip()
    }

    /// `c_out(t)` `[batch]`: what the network's output is multiplied by.
    #[must_use]
    pub fn output_scale(&self, t: Tensor<1>) -> Tensor<1> {
        let c = self.schedule.at_times(t);
        self.size(c.alpha_dot, c.sigma_dot)
    }

    /// `1/c_out²` `[batch]`: the weight of the squared error of velocities that makes the loss that of the network's
    /// own unit-size output. Infinite where the path stands still (polynomial schedules at `t = 0`).
    #[must_use]
    pub fn loss_weight(&self, t: Tensor<1>) -> Tensor<1> {
        let scale = self.output_scale(t);
        (scale.clone() * scale).recip()
    }

    /// `c_out(t) F(t, c_in(t) x)` for the network `F`.
    #[must_use]
    pub fn wrap<F>(self, network: F) -> Preconditioned<F> {
        Preconditioned { network, scales: self }
    }

    fn size(&self, of_data: Tensor<1>, of_noise: Tensor<1>) -> Tensor<1> {
        let data = of_data * self.data_deviation;
        (data.clone() * data + of_noise.clone() * of_noise).sqrt()
    }
}

/// A network between its input and output scales; see [`Preconditioning`].
#[derive(Debug, Clone)]
pub struct Preconditioned<F> {
    /// The network, whose input and output have unit size.
    pub network: F,
    /// Both scales.
    pub scales: Preconditioning,
}

impl<const D: usize, F: VelocityField<D>> VelocityField<D> for Preconditioned<F> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<D>) -> Tensor<D> {
        let scaled = x * per_sample::<D>(self.scales.input_scale(t.clone()));
        self.network.velocity(t.clone(), scaled) * per_sample::<D>(self.scales.output_scale(t))
    }

    fn takes_any_rows(&self) -> bool {
        self.network.takes_any_rows()
    }
}

impl<const D: usize, F: Tangent<D>> Tangent<D> for Preconditioned<F> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<D>,
        dt: Tensor<1>,
        dx: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        let c = self.scales.schedule.at_times(t.clone());
        let (alpha_ddot, sigma_ddot) = self.scales.schedule.accelerations(t.clone());
        let data_variance = self.scales.data_deviation.powi(2);
        let input = self.scales.size(c.alpha.clone(), c.sigma.clone()).recip();
        let output = self.scales.size(c.alpha_dot.clone(), c.sigma_dot.clone());
        let half_growth = c.alpha * c.alpha_dot.clone() * data_variance + c.sigma * c.sigma_dot.clone();
        let input_rate = -(input.clone().powi_scalar(3) * half_growth) * dt.clone();
        let output_rate = (c.alpha_dot * alpha_ddot * data_variance + c.sigma_dot * sigma_ddot)
            / output.clone()
            * dt.clone();

        let direction = dx * per_sample::<D>(input.clone()) + x.clone() * per_sample::<D>(input_rate);
        let scaled = x * per_sample::<D>(input);
        let (value, dvalue) = self.network.velocity_and_tangent(t, scaled, dt, direction);
        let tangent = value.clone() * per_sample::<D>(output_rate) + dvalue * per_sample::<D>(output.clone());
        (value * per_sample::<D>(output), tangent)
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        let input = self.scales.input_scale(t.clone());
        let output = self.scales.output_scale(t.clone());
        let scaled = x * per_sample::<D>(input.clone());
        let (value, divergence) = self.network.velocity_and_divergence(t, scaled);
        (value * per_sample::<D>(output.clone()), divergence * input * output)
    }
}

#[cfg(test)]
mod tests {
    use thalweg_noise::Noise;
    use thalweg_solve::{Placement, to_host};

    use super::*;
    use crate::oracle::check_tangent;
    use crate::{GaussianFlow, PathConfig};

    const VE: Schedule = Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 50.0 };

    #[test]
    fn inputs_and_weighted_targets_have_unit_size() {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(1);
        let n = 40_000;
        for schedule in [VE, Schedule::Linear { sigma_min: 0.0 }] {
            let scales = Preconditioning { schedule, data_deviation: 2.0 };
            for time in [0.02, 0.5, 0.98] {
                let t = placement.full(time, [n]);
                let x0 = placement.normal::<2>(&mut noise, [n, 1]) * schedule.source_deviation();
                let x1 = placement.normal::<2>(&mut noise, [n, 1]) * 2.0;
                let path = PathConfig::OneSided { schedule };
                let sample = path.sample(x0, x1, t.clone(), &mut noise);
                let mean_square = |x: Tensor<2>| to_host(&x).iter().map(|x| x * x).sum::<f64>() / n as f64;
                let input = mean_square(sample.x * per_sample(scales.input_scale(t.clone())));
                let target = mean_square(sample.velocity * per_sample(scales.loss_weight(t).sqrt()));
                // Four standard errors of a mean square of normals, √(2/n).
                let allowed = 4.0 * (2.0 / n as f64).sqrt();
                assert!((input - 1.0).abs() < allowed && (target - 1.0).abs() < allowed, "{input} {target}");
            }
        }
    }

    #[test]
    fn tangents_and_divergences_are_exact() {
        let placement = Placement::cpu_double();
        let schedule = Schedule::VarianceExploding { sigma_min: 0.1, sigma_max: 5.0 };
        let network =
            GaussianFlow::new(Schedule::Cosine {}, &[1.0, 0.5], &[2.0, 0.3, 0.3, 0.5], &placement).unwrap();
        for schedule in [schedule, Schedule::Cosine {}] {
            check_tangent(&Preconditioning { schedule, data_deviation: 1.3 }.wrap(network.clone()), 2);
        }
    }
}
