//! A module as a list of named, flat parameters.
//!
//! Names are the dotted paths of the fields that hold the parameters (`layers.0.weight`), so everything that must
//! survive the program (weights, averages, optimiser moments) is keyed by what the user can read, never by an
//! identifier drawn at random.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use thalweg_run::{HostTensor, RunError, Tensors, Values};
use thalweg_solve::Placement;

/// Flat tensors by parameter name, in the order of the names.
pub type ByName = BTreeMap<String, Tensor<1>>;

/// Calls `visit` with the name, the shape and the flat value of every parameter, without its place in any tape.
pub fn for_each<M: Module>(module: &M, visit: impl FnMut(&str, &[usize], Tensor<1>)) {
    module.visit(&mut Visit { path: Path::default(), visit });
}

/// The flat values of all parameters.
pub fn by_name<M: Module>(module: &M) -> ByName {
    let mut values = ByName::new();
    for_each(module, |name, _, value| {
        values.insert(name.to_string(), value);
    });
    values
}

/// Replaces every parameter by `update(name, flat value)`.
///
/// Parameters that were leaves of a tape are leaves again; the values given to `update` belong to none.
///
/// # Panics
/// When `update` changes the number of values.
pub fn map<M: Module>(module: M, update: impl FnMut(&str, Tensor<1>) -> Tensor<1>) -> M {
    module.map(&mut Map { path: Path::default(), update })
}

/// Takes the gradient of every parameter of `module` out of a backward pass.
///
/// Parameters the loss does not depend on are absent.
pub fn take_gradients<M: Module>(module: &M, gradients: &mut Gradients) -> ByName {
    let mut taken = Take { path: Path::default(), gradients, by_name: ByName::new() };
    module.visit(&mut taken);
    taken.by_name
}

/// The parameters on the host, to be written into a checkpoint.
pub fn to_host<M: Module>(module: &M) -> Tensors {
    let mut tensors = Tensors::new();
    for_each(module, |name, shape, value| tensors.insert(name, host_tensor(&value, shape)));
    tensors
}

/// A flat tensor on the host, with the shape it had.
pub fn host_tensor(value: &Tensor<1>, shape: &[usize]) -> HostTensor {
    let values = value.to_data().convert::<f32>().iter::<f32>().collect::<Vec<f32>>();
    HostTensor::new(shape, values)
}

/// The module with the values of `tensors`.
///
/// # Errors
/// When names or shapes differ; the message lists the first differences.
pub fn load<M: Module>(module: M, tensors: &Tensors) -> Result<M, RunError> {
    let mut expected = BTreeMap::new();
    for_each(&module, |name, shape, _| {
        expected.insert(name.to_string(), shape.to_vec());
    });
    tensors.compare(&expected)?;
    Ok(map(module, |name, old| match tensors.get(name) {
        Some(tensor) => from_host(tensor, &Placement::of(&old)),
        None => old,
    }))
}

/// A flat tensor from the host.
pub fn from_host(tensor: &HostTensor, placement: &Placement) -> Tensor<1> {
    match tensor.values() {
        Values::F32(values) => placement.tensor_f32(values.clone(), [values.len()]),
        Values::F64(values) => placement.tensor(values, [values.len()]),
    }
}

/// The field of [`Stages`](crate::Stages) whose parameters are named as those of a flow alone.
const UNNAMED: &str = "flow";

/// The names of the fields on the way from the module to the parameter being visited.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str) {
        self.0.push(name.to_string());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        let own = usize::from(self.0.first().is_some_and(|first| first == UNNAMED));
        self.0[own..].join(".")
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let values = tensor.shape().num_elements();
    tensor.reshape([values])
}

struct Visit<F> {
    path: Path,
    visit: F,
}

impl<F: FnMut(&str, &[usize], Tensor<1>)> ModuleVisitor for Visit<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff();
        (self.visit)(&self.path.name(), &value.dims(), flat(value));
    }
}

struct Map<F> {
    path: Path,
    update: F,
}

impl<F: FnMut(&str, Tensor<1>) -> Tensor<1>> ModuleMapper for Map<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        param.map(|value| {
            let tracked = value.is_autodiff();
            let is_leaf = value.is_require_grad();
            let value = value.without_autodiff();
            let shape = value.dims();
            let updated = (self.update)(&name, flat(value)).reshape(shape);
            match (tracked, is_leaf) {
                (true, true) => updated.autodiff().require_grad(),
                (true, false) => updated.autodiff(),
                (false, _) => updated,
            }
        })
    }
}

struct Take<'a> {
    path: Path,
    gradients: &'a mut Gradients,
    by_name: ByName,
}

impl ModuleVisitor for Take<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.gradients) {
            self.by_name.insert(self.path.name(), flat(gradient));
        }
    }
}
