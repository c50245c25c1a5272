//! Formulas in time written once, for a host number and for a batch of times on a device.

use std::ops::{Add, Div, Mul, Neg, Sub};

use burn::tensor::Tensor;
use thalweg_solve::Placement;

/// What the coefficients of paths are computed with: an `f64`, or `[batch]` times as a tensor.
pub(crate) trait Number:
    Clone
    + Neg<Output = Self>
    + Add<Self, Output = Self>
    + Sub<Self, Output = Self>
    + Mul<Self, Output = Self>
    + Div<Self, Output = Self>
{
    fn scale(self, factor: f64) -> Self;
    fn shift(self, by: f64) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sqrt(self) -> Self;
    fn sin(self) -> Self;
    fn tanh(self) -> Self;
    fn powf(self, exponent: f64) -> Self;
    fn atan2(self, other: Self) -> Self;
    /// Limits to `[low, high]`; infinities too.
    fn limit(self, low: f64, high: f64) -> Self;
    fn floor(self) -> Self;
    /// 1 where it is, 0 where it is not.
    fn at_least(&self, other: &Self) -> Self;
    /// The entries of a table whose numbers these are.
    fn lookup(&self, table: &[f64]) -> Self;

    fn constant(&self, value: f64) -> Self {
        self.clone().scale(0.0).shift(value)
    }

    /// `1 - self`, exact for times in `[½, 1]`.
    fn complement(self) -> Self {
        -self.shift(-1.0)
    }

    fn square(self) -> Self {
        self.clone() * self
    }
}

impl Number for f64 {
    fn scale(self, factor: f64) -> Self {
        self * factor
    }
    fn shift(self, by: f64) -> Self {
        self + by
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn sin(self) -> Self {
        f64::sin(self)
    }
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    fn powf(self, exponent: f64) -> Self {
        f64::powf(self, exponent)
    }
    fn atan2(self, other: Self) -> Self {
        f64::atan2(self, other)
    }
    fn limit(self, low: f64, high: f64) -> Self {
        self.clamp(low, high)
    }
    fn floor(self) -> Self {
        f64::floor(self)
    }
    fn at_least(&self, other: &Self) -> Self {
        if self >= other { 1.0 } else { 0.0 }
    }
    fn lookup(&self, table: &[f64]) -> Self {
        table[*self as usize]
    }
}

impl Number for Tensor<1> {
    fn scale(self, factor: f64) -> Self {
        self.mul_scalar(factor)
    }
    fn shift(self, by: f64) -> Self {
        self.add_scalar(by)
    }
    fn exp(self) -> Self {
        Tensor::exp(self)
    }
    fn ln(self) -> Self {
        self.log()
    }
    fn ln_1p(self) -> Self {
        self.log1p()
    }
    fn sqrt(self) -> Self {
        Tensor::sqrt(self)
    }
    fn sin(self) -> Self {
        Tensor::sin(self)
    }
    fn tanh(self) -> Self {
        Tensor::tanh(self)
    }
    fn powf(self, exponent: f64) -> Self {
        self.powf_scalar(exponent)
    }
    fn atan2(self, other: Self) -> Self {
        Tensor::atan2(self, other)
    }
    fn limit(self, low: f64, high: f64) -> Self {
        self.clamp(low, high)
    }
    fn floor(self) -> Self {
        Tensor::floor(self)
    }
    fn at_least(&self, other: &Self) -> Self {
        let holds = self.clone().greater_equal(other.clone());
        self.zeros_like().mask_fill(holds, 1.0)
    }
    fn lookup(&self, table: &[f64]) -> Self {
        let table = Placement::of(self).tensor::<1>(table, [table.len()]);
        table.select(0, self.clone().int())
    }
    fn constant(&self, value: f64) -> Self {
        self.full_like(value)
    }
}
