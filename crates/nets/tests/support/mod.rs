//! What several test files need: parameters by path, and networks with parameters that both languages can compute.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use thalweg_nets::{ConditionSpec, Mlp, MlpConfig};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, to_host};

/// `scale · sin(phase + 1.7 k)` over the flat index k; `pattern` of `fixtures/make_nets.py`.
pub fn pattern(count: usize, phase: f64, scale: f64) -> Vec<f64> {
    (0..count).map(|k| scale * (phase + 1.7 * k as f64).sin()).collect()
}

/// A network whose parameters follow the pattern of the fixtures.
pub fn patterned(config: &MlpConfig, dim: usize, condition: ConditionSpec, placement: &Placement) -> Mlp {
    let mlp = config.init(dim, condition, &mut Noise::new(0), placement);
    let mut next = 0;
    let order: Vec<String> = parameters(&mlp).into_iter().map(|p| p.path).collect();
    map(mlp, |path, shape| {
        assert_eq!(path, order[next], "visitors and mappers walk in the same order");
        next += 1;
        pattern(shape.iter().product(), 0.3 + (next - 1) as f64, 0.8)
    })
}

/// One parameter of a network.
pub struct Parameter {
    pub path: String,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

/// The parameters in the order of their declaration.
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut collect = Collect { path: Vec::new(), gradients: None, found: Vec::new() };
    module.visit(&mut collect);
    collect.found
}

/// The gradients of all parameters by path, zero where the loss does not depend on them.
pub fn gradients<M: Module>(module: &M, gradients: &Gradients) -> BTreeMap<String, Vec<f64>> {
    let mut collect = Collect { path: Vec::new(), gradients: Some(gradients), found: Vec::new() };
    module.visit(&mut collect);
    collect.found.into_iter().map(|p| (p.path, p.values)).collect()
}

/// The module with every parameter replaced by `values(path, shape)`.
pub fn map<M: Module>(module: M, values: impl FnMut(&str, &[usize]) -> Vec<f64>) -> M {
    module.map(&mut Replace { path: Vec::new(), values })
}

struct Collect<'a> {
    path: Vec<String>,
    gradients: Option<&'a Gradients>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let values = match self.gradients {
            None => to_host(&value),
            Some(gradients) => match value.grad(gradients) {
                Some(gradient) => to_host(&gradient),
                None => vec![0.0; value.shape().num_elements()],
            },
        };
        self.found.push(Parameter { path: self.path.join("."), shape: value.dims().to_vec(), values });
    }
}

struct Replace<F> {
    path: Vec<String>,
    values: F,
}

impl<F: FnMut(&str, &[usize]) -> Vec<f64>> ModuleMapper for Replace<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        param.map(|old| {
            let new = Placement::of(&old).tensor(&(self.values)(&path, &old.dims()), old.dims());
            if old.is_require_grad() { new.require_grad() } else { new }
        })
    }
}

/// The largest `|a - b| / max(1, |b|)`.
pub fn worst(actual: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    actual.iter().zip(expected).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
}

/// Fails when two lists differ by more than a tolerance, absolute below 1 and relative above.
pub fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let error = worst(actual, expected);
    assert!(error <= tolerance, "{what}: off by {error:.1e}\n  got      {actual:?}\n  expected {expected:?}");
}
