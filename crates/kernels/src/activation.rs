//! Activation functions with their slopes, as operations on tensors of any back end.
//!
//! A slope is written with ordinary tensor operations, so that reverse mode through it gives the second derivative,
//! which the gradient of a divergence needs. No operation here leaves the finite numbers for a large argument, neither
//! forwards nor backwards: exponentials are only taken of what is not positive.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// SELU's two constants, which make a layer keep mean 0 and variance 1 (Klambauer et al., 2017).
pub(crate) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
pub(crate) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// The function between two layers, applied to every entry.
///
/// For training by likelihood take a smooth one: the second derivative of ReLU is zero almost everywhere, so the
/// gradient of a divergence sees only the weights and not where the kinks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Activation {
    /// `x·σ(x)`, also called swish.
    #[default]
    Silu,
    /// `max(x, 0)`, with slope 0 at 0.
    Relu,
    /// `x` above 0 and `eˣ - 1` below.
    Elu,
    /// `λ·x` above 0 and `λα·(eˣ - 1)` below, with the self-normalising constants.
    Selu,
    /// The hyperbolic tangent.
    Tanh,
    /// `x·Φ(x)` with the exact normal distribution function, not its approximation by tanh.
    Gelu,
    /// `ln(1 + exp(βx)) / β`: ReLU for large `β`.
    Softplus {
        /// The sharpness `β` of the bend at 0; 1 by default.
        #[serde(default = "one")]
        beta: f64,
    },
}

fn one() -> f64 {
    1.0
}

impl Activation {
    /// The value at every entry.
    #[must_use]
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => activation::silu(x),
            Self::Relu => activation::relu(x),
            Self::Tanh => tanh(x),
            Self::Gelu => activation::gelu(x),
            Self::Elu => {
                let decay = below_zero(x.clone()).exp();
                activation::relu(x) + (decay - 1.0)
            }
            Self::Selu => {
                let decay = below_zero(x.clone()).exp();
                activation::relu(x) * SELU_SCALE + (decay - 1.0) * (SELU_SCALE * SELU_ALPHA)
            }
            // The logarithm of the sigmoid is stable on both sides, and its own reverse mode is right at 0, where a
            // softplus put together from |x| and max(x, 0) has gradient 0.
            Self::Softplus { beta } => activation::log_sigmoid(x * -beta) * (-1.0 / beta),
        }
    }

    /// No slope is steeper than this, rounded up in the fifth digit.
    #[must_use]
    pub fn steepest(self) -> f64 {
        match self {
            Self::Silu => 1.0999,
            Self::Gelu => 1.1290,
            Self::Selu => 1.7582,
            Self::Relu | Self::Elu | Self::Tanh | Self::Softplus { .. } => 1.0,
        }
    }

    /// The value and the slope at every entry; what they share is computed once.
    #[must_use]
    pub fn with_slope<const D: usize>(self, x: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        match self {
            Self::Silu => {
                let gate = activation::sigmoid(x.clone());
                let value = x * gate.clone();
                // σ + xσ(1 - σ) = σ + value - value·σ.
                let slope = gate.clone() + value.clone() - value.clone() * gate;
                (value, slope)
            }
            Self::Relu => {
                let positive = x.clone().greater_elem(0.0);
                let slope = x.zeros_like().mask_fill(positive, 1.0);
                (activation::relu(x), slope)
            }
            Self::Elu => {
                let decay = below_zero(x.clone()).exp();
                (activation::relu(x) + (decay.clone() - 1.0), decay)
            }
            Self::Selu => {
                let positive = x.clone().greater_elem(0.0);
                let decay = below_zero(x.clone()).exp() * (SELU_SCALE * SELU_ALPHA);
                let value = activation::relu(x) * SELU_SCALE + (decay.clone() - SELU_SCALE * SELU_ALPHA);
                (value, decay.mask_fill(positive, SELU_SCALE))
            }
            Self::Tanh => {
                let value = tanh(x);
                let slope = (value.clone() * value.clone()) * -1.0 + 1.0;
                (value, slope)
            }
            Self::Gelu => {
                // Products with reciprocals throughout: the gradient that burn 0.22 gives of a quotient by a number is
                // rounded to single precision.
                let cumulative = ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
                let density = (x.clone() * x.clone() * -0.5).exp() * (0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
                let slope = cumulative.clone() + x.clone() * density;
                (x * cumulative, slope)
            }
            Self::Softplus { beta } => (self.apply(x.clone()), activation::sigmoid(x * beta)),
        }
    }
}

/// `2σ(2x) - 1`: three times faster on the CPU than the library's hyperbolic tangent, and as exact in absolute terms.
fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::sigmoid(x * 2.0) * 2.0 - 1.0
}

/// `min(x, 0)`, which keeps the gradient at 0.
fn below_zero<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clamp_max(0.0)
}
