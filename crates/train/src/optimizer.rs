//! Adam and AdamW (Kingma and Ba 2015, Loshchilov and Hutter 2019), keyed by parameter name.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::parameters::{self, ByName};

/// Which optimiser, and its constants; the learning rate comes from its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// `adam` adds the weight decay to the gradient, `adamw` shrinks the weights directly.
    pub kind: OptimizerKind,
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Strength of the weight decay.
    pub weight_decay: f64,
}

/// See [`OptimizerConfig::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with L2 regularisation.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { kind: OptimizerKind::Adam, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl OptimizerConfig {
    /// Says what is impossible about these constants: the field and the reason.
    ///
    /// # Errors
    /// The name of the first field with an impossible value, and why it is.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        for beta in self.betas {
            if !(0.0..1.0).contains(&beta) {
                return Err(("betas", format!("decay rates lie in [0, 1), not {beta}")));
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(("epsilon", format!("must be a positive number, not {}", self.epsilon)));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err((
                "weight_decay",
                format!("must be zero or a positive number, not {}", self.weight_decay),
            ));
        }
        Ok(())
    }
}

/// The state of Adam: two moments for each parameter, and how many updates they have seen.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// First and second moments by parameter name; a parameter joins at its first gradient.
    pub(crate) first: ByName,
    pub(crate) second: ByName,
    pub(crate) updates: u64,
}

impl Optimizer {
    /// An optimiser that has seen no gradient yet.
    #[must_use]
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, first: ByName::new(), second: ByName::new(), updates: 0 }
    }

    /// Moves every parameter that has a gradient by one update of size `learning_rate`.
    #[must_use]
    pub fn update<M: Module>(&mut self, model: M, mut gradients: ByName, learning_rate: f64) -> M {
        self.updates += 1;
        let [beta1, beta2] = self.config.betas;
        // An exponent beyond i32 would leave both corrections at exactly 1 anyway.
        let updates = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let step_size = learning_rate / (1.0 - beta1.powi(updates));
        let root_of_correction = (1.0 - beta2.powi(updates)).sqrt();
        parameters::map(model, |name, value| {
            let Some(gradient) = gradients.remove(name) else { return value };
            let (value, gradient) = self.decay(value, gradient, learning_rate);
            let first = moment(self.first.remove(name), gradient.clone(), beta1);
            let second = moment(self.second.remove(name), gradient.square(), beta2);
            let scale = second.clone().sqrt().div_scalar(root_of_correction).add_scalar(self.config.epsilon);
            let value = value - first.clone().div(scale).mul_scalar(step_size);
            self.first.insert(name.to_string(), first);
            self.second.insert(name.to_string(), second);
            value
        })
    }

    fn decay(&self, value: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> (Tensor<1>, Tensor<1>) {
        let strength = self.config.weight_decay;
        if strength == 0.0 {
            return (value, gradient);
        }
        match self.config.kind {
            OptimizerKind::Adam => {
                let gradient = gradient + value.clone().mul_scalar(strength);
                (value, gradient)
            }
            OptimizerKind::Adamw => (value.mul_scalar(1.0 - learning_rate * strength), gradient),
        }
    }
}

/// The exponential moving average of `value`, started at zero.
fn moment(average: Option<Tensor<1>>, value: Tensor<1>, decay: f64) -> Tensor<1> {
    let news = value.mul_scalar(1.0 - decay);
    match average {
        Some(average) => average.mul_scalar(decay) + news,
        None => news,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use serde::Deserialize;
    use thalweg_solve::{Placement, to_host};

    use super::*;

    #[derive(Module, Debug)]
    struct One {
        values: Param<Tensor<1>>,
    }

    #[derive(Deserialize)]
    struct Fixture {
        start: Vec<f64>,
        gradients: Vec<Vec<f64>>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        kind: OptimizerKind,
        learning_rate: f64,
        betas: [f64; 2],
        weight_decay: f64,
        values: Vec<Vec<f64>>,
    }

    #[test]
    fn updates_are_those_of_pytorch() {
        let text = include_str!("../../../fixtures/train/adam.json");
        let fixture: Fixture = serde_json::from_str(text).unwrap();
        let placement = Placement::cpu();
        for case in fixture.cases {
            let config = OptimizerConfig {
                kind: case.kind,
                betas: case.betas,
                epsilon: 1e-8,
                weight_decay: case.weight_decay,
            };
            let mut optimizer = Optimizer::new(config);
            let mut model = One { values: Param::from_tensor(placement.tensor(&fixture.start, [5])) };
            for (gradient, expected) in fixture.gradients.iter().zip(case.values) {
                let gradients = ByName::from([("values".to_string(), placement.tensor(gradient, [5]))]);
                model = optimizer.update(model, gradients, case.learning_rate);
                for (value, expected) in to_host(&model.values.val()).into_iter().zip(expected) {
                    assert!(
                        (value - expected).abs() < 2e-6 * (1.0 + expected.abs()),
                        "{value}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_parameter_without_a_gradient_stays() {
        let placement = Placement::cpu();
        let model = One { values: Param::from_tensor(placement.tensor(&[1.0, 2.0], [2])) };
        let model = Optimizer::new(OptimizerConfig::default()).update(model, ByName::new(), 0.1);
        assert_eq!(to_host(&model.values.val()), [1.0, 2.0]);
    }
}
