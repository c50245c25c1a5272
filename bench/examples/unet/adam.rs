//! Adam on the parameters of a module, in the order in which they are visited.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Gradients, Tensor};
use thalweg_kernels::AdamUpdate;

const BETAS: [f64; 2] = [0.9, 0.999];
const LEARNING_RATE: f64 = 1e-4;

/// Both moments of every parameter.
#[derive(Default)]
pub struct Adam {
    moments: Vec<[Tensor<1>; 2]>,
    updates: i32,
}

impl Adam {
    /// The module after one update.
    pub fn update<M: Module>(&mut self, module: M, gradients: Gradients) -> M {
        self.updates += 1;
        let corrections = BETAS.map(|beta| 1.0 - beta.powi(self.updates));
        let update = AdamUpdate {
            betas: BETAS,
            step_size: LEARNING_RATE / corrections[0],
            root_of_correction: corrections[1].sqrt(),
            epsilon: 1e-8,
            pull: 0.0,
            shrink: 1.0,
        };
        let old = std::mem::take(&mut self.moments).into_iter();
        let mut pass = Pass { update, gradients, old, new: Vec::new() };
        let module = module.map(&mut pass);
        self.moments = pass.new;
        module
    }
}

struct Pass {
    update: AdamUpdate,
    gradients: Gradients,
    old: std::vec::IntoIter<[Tensor<1>; 2]>,
    new: Vec<[Tensor<1>; 2]>,
}

impl ModuleMapper for Pass {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let Some(gradient) = value.grad_remove(&mut self.gradients) else {
                panic!("every parameter of these networks has a gradient")
            };
            let (shape, count) = (value.dims(), value.shape().num_elements());
            let gradient = gradient.reshape([count]);
            let [first, second] =
                self.old.next().unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
            let state = [value.without_autodiff().reshape([count]), first, second];
            let Ok([value, first, second]) = self.update.apply(state, &gradient) else {
                panic!("this benchmark runs on the CPU")
            };
            self.new.push([first, second]);
            value.reshape(shape).autodiff().require_grad()
        })
    }
}
