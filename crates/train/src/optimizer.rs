//! Adam and AdamW (Kingma and Ba 2015, Loshchilov and Hutter 2019), keyed by parameter name.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_kernels::AdamUpdate;

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
        let update = self.constants(learning_rate);
        parameters::map(model, |name, value| {
            let Some(gradient) = gradients.remove(name) else { return value };
            let zeros = || gradient.zeros_like();
            let first = self.first.remove(name).unwrap_or_else(zeros);
            let second = self.second.remove(name).unwrap_or_else(zeros);
            let moved = update.apply([value, first, second], &gradient);
            let [value, first, second] = moved.unwrap_or_else(|state| plain(&update, state, gradient));
            self.first.insert(name.to_string(), first);
            self.second.insert(name.to_string(), second);
            value
        })
    }

    fn constants(&self, learning_rate: f64) -> AdamUpdate {
        let OptimizerConfig { kind, betas, epsilon, weight_decay } = self.config;
        // An exponent beyond i32 would leave both corrections at exactly 1 anyway.
        let updates = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let [correction1, correction2] = betas.map(|beta| 1.0 - beta.powi(updates));
        let (pull, shrink) = match kind {
            OptimizerKind::Adam => (weight_decay, 1.0),
            OptimizerKind::Adamw => (0.0, 1.0 - learning_rate * weight_decay),
        };
        let step_size = learning_rate / correction1;
        AdamUpdate { betas, step_size, root_of_correction: correction2.sqrt(), epsilon, pull, shrink }
    }
}

/// The update with ordinary operations, for devices that do not have it as one.
fn plain(update: &AdamUpdate, state: [Tensor<1>; 3], gradient: Tensor<1>) -> [Tensor<1>; 3] {
    let AdamUpdate { betas: [beta1, beta2], step_size, root_of_correction, epsilon, pull, shrink } = *update;
    let [value, first, second] = state;
    let gradient = gradient + value.clone().mul_scalar(pull);
    let first = first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let second = second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
    let scale = second.clone().sqrt().div_scalar(root_of_correction).add_scalar(epsilon);
    let value = value.mul_scalar(shrink) - first.clone().div(scale).mul_scalar(step_size);
    [value, first, second]
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use serde::Deserialize;
    use thalweg_noise::Noise;
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
    fn the_one_pass_and_ordinary_operations_agree() {
        let placement = Placement::cpu_double();
        let tensor = |seed: u64| placement.tensor::<1>(&Noise::new(seed).normals(37), [37]);
        let state = [tensor(1), tensor(2), tensor(3).square()];
        let update = AdamUpdate {
            betas: [0.8, 0.95],
            step_size: 0.02,
            root_of_correction: 0.3,
            epsilon: 1e-3,
            pull: 0.1,
            shrink: 0.9,
        };
        let fused = update.apply(state.clone(), &tensor(4)).expect("the tensors are on the CPU");
        for (fused, plain) in fused.iter().zip(plain(&update, state, tensor(4))) {
            for (a, b) in to_host(fused).into_iter().zip(to_host(&plain)) {
                assert!((a - b).abs() < 1e-14, "{a} against {b}");
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

    /// Moments of a unit that has died fade to nothing, and not to numbers that are slow to compute with.
    #[test]
    fn moments_without_gradients_become_zero() {
        let placement = Placement::cpu();
        let mut optimizer = Optimizer::new(OptimizerConfig::default());
        let mut model = One { values: Param::from_tensor(placement.tensor(&[1.0], [1])) };
        for step in 0..2000 {
            let gradient = if step == 0 { 1.0 } else { 0.0 };
            let gradients = ByName::from([("values".to_string(), placement.tensor(&[gradient], [1]))]);
            model = optimizer.update(model, gradients, 1e-3);
            let first = to_host(&optimizer.first["values"])[0];
            assert!(first == 0.0 || first.abs() >= 1e-30, "{first:e} after {step}");
        }
        assert_eq!(to_host(&optimizer.first["values"]), [0.0]);
        assert!(to_host(&optimizer.second["values"])[0] > 0.0);
    }
}
