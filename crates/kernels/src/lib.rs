//! Fused operations for the CPU.
//!
//! The tensor library multiplies matrices as fast as the processor can and loses the lead around the products: every
//! bias, activation and slope is a pass of its own over memory. The operations here do between two products all that
//! has to be done in one pass, keep pieces of the batch in the cache, share them among the threads once, and carry
//! their own way back for automatic differentiation. Where they do not apply, on other devices above all, ordinary
//! operations do the same: here for convolutions, norms and attention, in the crate of the networks for whole perceptrons.
//!
//! Everything numerical is on slices and does not know tensors; [`operation`](Perceptron) joins the two.

mod activation;
mod attention;
#[cfg(test)]
mod compare;
mod convolution;
mod curve;
mod group_norm;
mod lanes;
mod memory;
mod operation;
mod perceptron;
mod pool;
mod product;
mod real;
mod simd;
mod tape;
mod tensor;
mod threads;
mod update;

pub use activation::Activation;
pub use attention::{attention, channel_attention};
pub use convolution::{ConvOptions, conv_transpose1d, conv1d, conv2d};
pub use group_norm::{GroupNormOptions, group_norm};
pub use memory::keep_freed_memory;
pub use operation::{MovingFeatures, Perceptron};
pub use perceptron::Architecture;
pub use real::Real;
pub use threads::on_the_pool;
pub use update::{AdamUpdate, follow, sum_of_squares};
