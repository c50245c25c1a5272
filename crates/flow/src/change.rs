//! Change of schedule after training: a model trained on one schedule, sampled along another.
//!
//! Two one-sided paths with the same ratio `α : σ` at a time differ only by a factor of space, so the model's data and
//! noise predictions carry over: ask the trained model at the time of equal ratio and at the rescaled point, read `x̂1`
//! and `ε̂` off its velocity, and move with `α̇ x̂1 + σ̇ ε̂` of the wanted schedule.

use burn::tensor::Tensor;
use thalweg_solve::{VelocityField, per_sample};

use crate::{Conversion, Prediction, Schedule};

/// A velocity field along `wanted`, from a model of velocities along `trained`.
///
/// Both schedules must carry the same unit noise. Where `wanted` holds less data or less noise than `trained` ever did
/// (at `t = 0` of a model that starts with some data, or beyond the noise left at its end) the nearest trained time
/// is used.
#[derive(Debug, Clone)]
pub struct ChangedSchedule<F> {
    /// The velocity field that was trained.
    pub model: F,
    /// The schedule it was trained on.
    pub trained: Schedule,
    /// The schedule to sample along.
    pub wanted: Schedule,
}

impl<const D: usize, F: VelocityField<D>> VelocityField<D> for ChangedSchedule<F> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<D>) -> Tensor<D> {
        let here = self.wanted.at_times(t);
        let trained_time = self.trained.times_of_ratios(here.alpha.clone(), here.sigma.clone());
        let there = self.trained.at_times(trained_time.clone());
        // Equal ratios make this σ_trained / σ_wanted and α_trained / α_wanted at once, without 0/0 at the ends.
        let size = |alpha: &Tensor<1>, sigma: &Tensor<1>| {
            (alpha.clone() * alpha.clone() + sigma.clone() * sigma.clone()).sqrt()
        };
        let scale = size(&there.alpha, &there.sigma) / size(&here.alpha, &here.sigma);
        let x = x * per_sample::<D>(scale);
        let velocity = self.model.velocity(trained_time, x.clone());
        let read = |to| Conversion { from: Prediction::Velocity, to };
        let data = read(Prediction::Data).apply(&there, x.clone(), velocity.clone());
        let noise = read(Prediction::Noise).apply(&there, x, velocity);
        per_sample::<D>(here.alpha_dot) * data + per_sample::<D>(here.sigma_dot) * noise
    }

    fn takes_any_rows(&self) -> bool {
        self.model.takes_any_rows()
    }
}

#[cfg(test)]
mod tests {
    use thalweg_noise::Noise;
    use thalweg_solve::Placement;

    use super::*;
    use crate::GaussianFlow;

    /// The marginal velocity of a Gaussian is known along every schedule.
    #[test]
    fn the_exact_gaussian_velocity_changes_into_the_exact_gaussian_velocity() {
        let placement = Placement::cpu_double();
        let schedules = [
            Schedule::Linear { sigma_min: 0.0 },
            Schedule::Polynomial { n: 2.0 },
            Schedule::Cosine {},
            Schedule::LinearVp {},
            Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
            Schedule::DiscreteCosine { steps: 100, offset: 0.008, largest_beta: 0.9 },
        ];
        let flow = |schedule| {
            GaussianFlow::new(schedule, &[1.0, -2.0], &[1.44, 0.6, 0.6, 0.61], &placement).unwrap()
        };
        let x: Tensor<2> = placement.normal(&mut Noise::new(1), [5, 2]);
        let t = placement.tensor(&[0.1, 0.3, 0.5, 0.9, 0.99], [5]);
        for trained in schedules {
            for wanted in schedules {
                let changed = ChangedSchedule { model: flow(trained), trained, wanted };
                let found = changed.velocity(t.clone(), x.clone());
                let exact = flow(wanted).velocity(t.clone(), x.clone());
                let scale = 1.0 + exact.clone().abs().max().into_scalar::<f64>();
                let error = (found - exact).abs().max().into_scalar::<f64>();
                assert!(error < 1e-8 * scale, "{trained:?} → {wanted:?}: {error}");
            }
        }
    }

    #[test]
    fn the_ends_are_finite() {
        let placement = Placement::cpu();
        let (trained, wanted) = (Schedule::Cosine {}, Schedule::Linear { sigma_min: 0.0 });
        let model = GaussianFlow::new(trained, &[1.0], &[0.5], &placement).unwrap();
        let changed = ChangedSchedule { model, trained, wanted };
        let velocity = changed.velocity(placement.tensor(&[0.0, 1.0], [2]), placement.full::<2>(0.5, [2, 1]));
        assert!(velocity.abs().max().into_scalar::<f32>().is_finite());
    }
}
