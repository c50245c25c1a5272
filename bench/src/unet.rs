//! The U-Nets that are compared with the peers': the layers of `thalweg-kernels` in the shapes others use.

mod action;
mod image;
mod layers;

pub use action::{ACTION, ActionUnet, HORIZON, OBSERVATION};
pub use image::ImageUnet;
pub use layers::Init;

use burn::tensor::Tensor;
use thalweg_solve::Placement;

/// Where a tensor is, without automatic differentiation.
fn placement_of<const D: usize>(x: &Tensor<D>) -> Placement {
    let Placement { device, dtype } = Placement::of(x);
    Placement { device: if device.is_autodiff() { device.inner() } else { device }, dtype }
}
