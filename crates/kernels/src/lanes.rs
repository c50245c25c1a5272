//! Vectors of either precision, for the few loops that the compiler does not vectorise well enough by itself.
//!
//! A product keeps its sums in registers; whether the compiler finds that out from a plain loop is a matter of luck. With
//! the vectors named it is not. Everything here is inlined into a loop compiled for one width of SIMD.

use pulp::Simd;

use crate::Real;

/// A number of which a register holds several.
pub(crate) trait Lanes: Real {
    /// A register full.
    type Vector<S: Simd>: Copy;

    /// How many numbers it holds: a power of two, at most 16.
    fn count<S: Simd>() -> usize;

    /// The same number everywhere.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// The first numbers of the slice.
    fn load<S: Simd>(simd: S, from: &[Self]) -> Self::Vector<S>;

    /// Writes over the first numbers of the slice.
    fn store<S: Simd>(simd: S, into: &mut [Self], vector: Self::Vector<S>);

    /// `a·b + c`, rounded once where the processor can.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// The sum of all numbers.
    fn sum<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
}

impl Lanes for f32 {
    type Vector<S: Simd> = S::f32s;

    #[inline(always)]
    fn count<S: Simd>() -> usize {
        S::F32_LANES
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f32s {
        simd.splat_f32s(value)
    }

    #[inline(always)]
    fn load<S: Simd>(_simd: S, from: &[Self]) -> S::f32s {
        S::as_simd_f32s(from).0[0]
    }

    #[inline(always)]
    fn store<S: Simd>(_simd: S, into: &mut [Self], vector: S::f32s) {
        S::as_mut_simd_f32s(into).0[0] = vector;
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(a, b, c)
    }

    #[inline(always)]
    fn sum<S: Simd>(simd: S, vector: S::f32s) -> Self {
        simd.reduce_sum_f32s(vector)
    }
}

impl Lanes for f64 {
    type Vector<S: Simd> = S::f64s;

    #[inline(always)]
    fn count<S: Simd>() -> usize {
        S::F64_LANES
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f64s {
        simd.splat_f64s(value)
    }

    #[inline(always)]
    fn load<S: Simd>(_simd: S, from: &[Self]) -> S::f64s {
        S::as_simd_f64s(from).0[0]
    }

    #[inline(always)]
    fn store<S: Simd>(_simd: S, into: &mut [Self], vector: S::f64s) {
        S::as_mut_simd_f64s(into).0[0] = vector;
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_e_f64s(a, b, c)
    }

    #[inline(always)]
    fn sum<S: Simd>(simd: S, vector: S::f64s) -> Self {
        simd.reduce_sum_f64s(vector)
    }
}
