//! Operations on tensors with their own way back, and their place on the tape of automatic differentiation.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients as Tape;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};

use crate::Real;
use crate::operation::{Recorded, lifted};
use crate::tensor::{Host, is_known, primitive};

/// What an operation does on slices, in one precision.
pub(crate) trait Operation: Debug + Clone + Send + Sync + 'static {
    /// `f32` or `f64`.
    type Number: Real;

    /// What the way back needs beside the inputs.
    type Kept: Debug + Clone + Send + Sync + 'static;

    /// The values of the output, and what to keep.
    fn forward(&self, inputs: &[Host]) -> (Vec<Self::Number>, Self::Kept);

    /// The gradient of each input; anything for those that are not wanted.
    fn backward(
        &self,
        inputs: &[Host],
        kept: &Self::Kept,
        out_gradient: &[Self::Number],
        wanted: &[bool],
    ) -> Vec<Vec<Self::Number>>;
}

/// The tensors that go into an operation: all on the CPU and in one precision.
pub(crate) struct Inputs {
    tensors: Vec<Recorded>,
    dtype: Option<DType>,
    recorded: bool,
}

impl Inputs {
    pub fn new() -> Self {
        Self { tensors: Vec::new(), dtype: None, recorded: false }
    }

    /// One more; nothing when it does not suit.
    pub fn with<const D: usize>(mut self, tensor: &Tensor<D>) -> Option<Self> {
        let dtype = tensor.dtype();
        if !is_known(dtype) || self.dtype.is_some_and(|other| other != dtype) {
            return None;
        }
        self.dtype = Some(dtype);
        self.recorded |= tensor.is_autodiff();
        self.tensors.push(lifted(tensor)?);
        Some(self)
    }

    /// One more, if there is one.
    pub fn with_optional<const D: usize>(self, tensor: Option<&Tensor<D>>) -> Option<Self> {
        match tensor {
            Some(tensor) => self.with(tensor),
            None => Some(self),
        }
    }

    /// Whether they are in single precision.
    pub fn single(&self) -> bool {
        self.dtype == Some(DType::F32)
    }

    /// Runs the operation, and records it if any input is recorded.
    ///
    /// The number of parents is a constant of the type of a step, so there is one type for each number.
    pub fn run<O: Operation, const D: usize>(self, operation: O, shape: [usize; D]) -> Option<Tensor<D>> {
        if !self.recorded {
            let hosts: Vec<Host> =
                self.tensors.into_iter().map(|tensor| Host::new(tensor.into_parts().0)).collect();
            let (out, _) = operation.forward(&hosts);
            return Some(Tensor::from_primitive::<Flex>(primitive(out, &shape)));
        }
        match self.tensors.len() {
            1 => self.record::<O, 1, D>(operation, shape),
            2 => self.record::<O, 2, D>(operation, shape),
            3 => self.record::<O, 3, D>(operation, shape),
            4 => self.record::<O, 4, D>(operation, shape),
            5 => self.record::<O, 5, D>(operation, shape),
            _ => None,
        }
    }

    fn record<O: Operation, const N: usize, const D: usize>(
        self,
        operation: O,
        shape: [usize; D],
    ) -> Option<Tensor<D>> {
        let (tensors, guards): (Vec<_>, Vec<_>) = self.tensors.into_iter().map(Recorded::into_parts).unzip();
        let Ok(guards) = <[_; N]>::try_from(guards) else { return None };
        let hosts: Vec<Host> = tensors.into_iter().map(Host::new).collect();
        let step = Step::<O>(std::marker::PhantomData);
        let prepared =
            Backward::<Flex, N>::prepare::<NoCheckpointing>(step, guards).compute_bound().stateful();
        let out = match prepared {
            OpsKind::Tracked(prepared) => {
                let (out, kept) = operation.forward(&hosts);
                prepared.finish(Saved { operation, hosts, kept }, primitive(out, &shape))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(primitive(operation.forward(&hosts).0, &shape)),
        };
        Some(Tensor::from_primitive::<Autodiff<Flex>>(out))
    }
}

#[derive(Debug, Clone)]
struct Saved<O: Operation> {
    operation: O,
    hosts: Vec<Host>,
    kept: O::Kept,
}

#[derive(Debug)]
struct Step<O>(std::marker::PhantomData<O>);

impl<O: Operation, const N: usize> Backward<Flex, N> for Step<O> {
    type State = Saved<O>;

    fn backward(self, ops: Ops<Saved<O>, N>, tape: &mut Tape, _checkpointer: &mut Checkpointer) {
        let Saved { operation, hosts, kept } = ops.state;
        let out_gradient = Host::new(tape.consume::<Flex>(&ops.node));
        let wanted: Vec<bool> = ops.parents.iter().map(Option::is_some).collect();
        let gradients = operation.backward(&hosts, &kept, out_gradient.values(), &wanted);
        out_gradient.recycle::<O::Number>();
        for ((parent, values), host) in ops.parents.into_iter().zip(gradients).zip(hosts) {
            if let Some(parent) = parent {
                tape.register::<Flex>(parent.id, primitive(values, &host.shape()));
            }
            host.recycle::<O::Number>();
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// Or the comparisons of fused with ordinary operations would compare the latter with themselves.
    #[test]
    fn floats_on_the_cpu_are_taken_with_and_without_a_tape() {
        let (device, recorded) = (Device::flex(), Device::flex().autodiff());
        for dtype in [DType::F32, DType::F64] {
            let tensor = |device: &Device| Tensor::<2>::zeros([2, 3], (device, dtype));
            let inputs = Inputs::new().with(&tensor(&device)).and_then(|all| all.with(&tensor(&recorded)));
            assert!(inputs.is_some_and(|inputs| inputs.recorded && inputs.single() == (dtype == DType::F32)));
        }
        let of = |dtype| Tensor::<1>::zeros([2], (&device, dtype));
        let mixed = Inputs::new().with(&of(DType::F32)).and_then(|all| all.with(&of(DType::F64)));
        assert!(mixed.is_none());
        assert!(Inputs::new().with(&of(DType::F16)).is_none());
    }
}
