//! The exponential moving average of the weights, which is what sampling uses.

use burn::module::Module;
use serde::{Deserialize, Serialize};
use thalweg_kernels::follow;

use crate::parameters;

/// How the average forgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageConfig {
    /// Weight of the old average in an update; 0 keeps no average: sampling uses the weights themselves.
    pub decay: f64,
    /// Lets the decay grow as `(1 + step) / (10 + step)` until it reaches its value, so that the average does not
    /// remember the random start for long.
    pub warm_up: bool,
}

impl Default for AverageConfig {
    fn default() -> Self {
        Self { decay: 0.999, warm_up: true }
    }
}

impl AverageConfig {
    /// Says what is impossible about this average: the field and the reason.
    ///
    /// # Errors
    /// The name of the field and why its value is impossible.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if (0.0..1.0).contains(&self.decay) {
            return Ok(());
        }
        Err(("decay", format!("a decay lies in [0, 1), not {}", self.decay)))
    }

    /// The decay of the update after `step` steps.
    #[must_use]
    pub fn decay_at(&self, step: u64) -> f64 {
        if !self.warm_up {
            return self.decay;
        }
        let step = step as f64;
        self.decay.min((1.0 + step) / (10.0 + step))
    }
}

/// Moves `average` towards `model`; `step` is how many optimiser steps the model has made.
#[must_use]
pub fn update<M: Module>(config: &AverageConfig, average: M, model: &M, step: u64) -> M {
    let decay = config.decay_at(step);
    let mut current = parameters::by_name(model);
    parameters::map(average, |name, old| match current.remove(name) {
        Some(new) if decay == 0.0 => new,
        Some(new) => {
            follow(old, &new, decay).unwrap_or_else(|old| old.mul_scalar(decay) + new.mul_scalar(1.0 - decay))
        }
        None => old,
    })
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use thalweg_solve::{Placement, to_host};

    use super::*;

    #[derive(Module, Debug)]
    struct One {
        value: Param<Tensor<1>>,
    }

    fn one(value: f64) -> One {
        One { value: Param::from_tensor(Placement::cpu().tensor(&[value], [1])) }
    }

    #[test]
    fn the_average_follows_its_recurrence() {
        let config = AverageConfig { decay: 0.9, warm_up: false };
        let mut average = one(0.0);
        let mut expected = 0.0;
        for (step, value) in [1.0, -2.0, 5.0].into_iter().enumerate() {
            average = update(&config, average, &one(value), step as u64 + 1);
            expected = 0.9 * expected + 0.1 * value;
        }
        assert!((to_host(&average.value.val())[0] - expected).abs() < 1e-6);
    }

    #[test]
    fn without_decay_the_average_is_the_model() {
        let config = AverageConfig { decay: 0.0, warm_up: true };
        assert_eq!(to_host(&update(&config, one(7.0), &one(3.0), 1).value.val()), [3.0]);
    }

    #[test]
    fn the_warm_up_forgets_the_start() {
        let config = AverageConfig { decay: 0.999, warm_up: true };
        assert!(config.decay_at(1) < 0.2 && config.decay_at(100) < 0.93);
        assert_eq!(config.decay_at(1_000_000), 0.999);
    }
}
