//! Parameters in another precision.

use burn::module::{ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

/// Casts every parameter; leaves of a tape become leaves of a tape of their own.
pub(crate) struct Cast {
    pub(crate) dtype: DType,
}

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let (recorded, is_leaf) = (value.is_autodiff(), value.is_require_grad());
            let value = value.without_autodiff().cast(self.dtype);
            match (recorded, is_leaf) {
                (true, true) => value.autodiff().require_grad(),
                (true, false) => value.autodiff(),
                (false, _) => value,
            }
        })
    }
}
