//! Tensors of the CPU back end as slices, and slices as tensors.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor, TensorData};

use crate::{Real, pool};

/// The tensor's values in their order, copied only if they are not already so.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    tensor: FlexTensor,
}

impl Host {
    /// None for a tensor of another back end, or one that automatic differentiation follows.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.is_autodiff() {
            return None;
        }
        tensor.clone().try_into_primitive::<Flex>().ok().map(Self::new)
    }

    pub fn new(tensor: FlexTensor) -> Self {
        let ready = tensor.is_contiguous();
        Self { tensor: if ready { tensor } else { tensor.to_contiguous() } }
    }

    /// The shape of the tensor.
    pub fn shape(&self) -> Vec<usize> {
        self.tensor.layout().shape().iter().copied().collect()
    }

    /// Gives the memory to the pool if nobody else has the tensor.
    pub fn recycle<T: Real>(self) {
        if self.tensor.is_unique()
            && fills_its_memory(&self.tensor)
            && let Ok(values) = self.tensor.into_data().try_into_vec::<T>()
        {
            pool::give_back(values);
        }
    }

    /// The values.
    ///
    /// # Panics
    /// When `T` is not the precision of the tensor.
    pub fn values<T: Real>(&self) -> &[T] {
        match self.tensor.as_slice() {
            Some(values) => values,
            None => panic!("a tensor in {:?} has no values in {:?}", self.tensor.dtype(), T::dtype()),
        }
    }
}

/// A tensor of the CPU back end with these values.
pub(crate) fn tensor<const D: usize, T: Real>(values: Vec<T>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(primitive(values, &shape))
}

/// What [`tensor`] is made of.
pub(crate) fn primitive<T: Real>(values: Vec<T>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

/// Whether the values lie in order from the start of the memory to its end.
pub(crate) fn fills_its_memory(tensor: &FlexTensor) -> bool {
    tensor.layout().contiguous_offsets() == Some((0, tensor.bytes().len() / tensor.dtype().size()))
}

/// Whether the kernels know this precision.
pub(crate) fn is_known(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}
