//! Between host numbers and tensors.

use burn::tensor::{DType, Device, Tensor, TensorData};
use thalweg_noise::Noise;

/// Where tensors live and in which precision: what is needed to make one from host numbers.
///
/// Training runs in `f32`; likelihoods and tight tolerances run in `f64`.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The device, with or without automatic differentiation.
    pub device: Device,
    /// `F32` or `F64`.
    pub dtype: DType,
}

impl Placement {
    /// Single precision on the CPU, without automatic differentiation.
    #[must_use]
    pub fn cpu() -> Self {
        Self { device: Device::flex(), dtype: DType::F32 }
    }

    /// Double precision on the CPU, without automatic differentiation.
    #[must_use]
    pub fn cpu_double() -> Self {
        Self { device: Device::flex(), dtype: DType::F64 }
    }

    /// The placement of an existing tensor.
    #[must_use]
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        Self { device: tensor.device(), dtype: tensor.dtype() }
    }

    /// The same device and precision with automatic differentiation.
    #[must_use]
    pub fn autodiff(self) -> Self {
        Self { device: self.device.autodiff(), ..self }
    }

    /// A tensor with the given values in C order.
    ///
    /// # Panics
    /// When the number of values is not the product of `shape`.
    #[must_use]
    pub fn tensor<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D> {
        let data = TensorData::new(values.to_vec(), shape).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    /// A tensor from single-precision values in C order.
    ///
    /// # Panics
    /// When the number of values is not the product of `shape`.
    #[must_use]
    pub fn tensor_f32<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        let data = TensorData::new(values, shape).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    /// A tensor of one value.
    #[must_use]
    pub fn full<const D: usize>(&self, value: f64, shape: [usize; D]) -> Tensor<D> {
        Tensor::full(shape, value, (&self.device, self.dtype))
    }

    /// Standard normals.
    #[must_use]
    pub fn normal<const D: usize>(&self, noise: &mut Noise, shape: [usize; D]) -> Tensor<D> {
        self.tensor(&noise.normals(shape.iter().product()), shape)
    }
}

/// The values of a tensor in C order, read back to the host as `f64`.
#[must_use]
pub fn to_host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().convert::<f64>().iter::<f64>().collect()
}

/// A per-sample coefficient `[batch]` in a shape that broadcasts over points `[batch, ..]` of rank `D`.
#[must_use]
pub fn per_sample<const D: usize>(coefficient: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = coefficient.dims()[0];
    coefficient.reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_round_trip_in_both_precisions() {
        let values = [1.0, -2.5, 1.0 / 3.0, 1e-30, 4.0, 0.0];
        let double = Placement::cpu_double().tensor(&values, [2, 3]);
        assert_eq!(double.dtype(), DType::F64);
        assert_eq!(to_host(&double), values);
        let single = Placement::cpu().tensor(&values, [3, 2]);
        assert_eq!(single.dtype(), DType::F32);
        assert_eq!(to_host(&single), values.map(|x| f64::from(x as f32)));
        let tracked = Placement::cpu_double().autodiff();
        assert!(tracked.tensor(&values, [6]).is_autodiff());
    }
}
