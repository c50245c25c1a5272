//! Fused operations for the CPU.
//!
//! The tensor library multiplies matrices as fast as the processor can and loses the lead around the products: every
//! bias, activation and slope is a pass of its own over memory. The operations here do between two products all that
//! has to be done in one pass, keep pieces of the batch in the cache, share them among the threads once, and carry
//! their own way back for automatic differentiation. On other devices they decline, and the caller's ordinary
//! operations do the same.
//!
//! Everything numerical is on slices and does not know tensors; [`operation`](Perceptron) joins the two.

mod activation;
mod curve;
mod operation;
mod perceptron;
mod pool;
mod product;
mod real;
mod simd;
mod tensor;
mod update;

pub use activation::Activation;
pub use operation::Perceptron;
pub use perceptron::Architecture;
pub use real::Real;
pub use update::{AdamUpdate, follow, sum_of_squares};
