//! The two floating-point types, with an exponential that vectorises.
//!
//! Loops over slices of these are compiled once for each width of SIMD (module `simd`). The compiler vectorises them
//! only if nothing in them branches or calls, so the library's exponential cannot be used. The one here is a reduction
//! to `[-ln 2 / 2, ln 2 / 2]` and a Taylor polynomial, good to two units in the last place.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};
use std::sync::Mutex;

use burn::tensor::Element;
use bytemuck::Pod;

/// `f32` or `f64`.
pub trait Real:
    Element
    + Pod
    + Send
    + Sync
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// The nearest value; folded by the compiler for a constant.
    fn of(value: f64) -> Self;

    /// The value in double precision.
    fn to_double(self) -> f64;

    /// `eˣ`. Arguments are clamped to where the result is a normal number, so it is never zero or infinite.
    fn exponential(self) -> Self;

    /// `|x|`.
    fn magnitude(self) -> Self;

    /// `√x`.
    fn root(self) -> Self;

    /// Coefficients `c` of the Chebyshev series `P` in `2t - 1` with `erfc(y) = t·exp(P(t) - y²)` for `y ≥ 0` and
    /// `t = 2/(2 + y)`, as many as the precision needs.
    fn erfc_series() -> &'static [Self];

    /// Buffers of this type that are kept for their next use.
    fn pool() -> &'static Mutex<Vec<Vec<Self>>>;

    /// How many odd powers of the inverse hyperbolic tangent the precision needs up to 1/3.
    const ARTANH_TERMS: usize;
}

/// Coefficients of `P` above in double precision, from a fit in 40 digits; those left out are below 10⁻¹⁷.
const ERFC: [f64; 27] = [
    -0.651_326_859_890_854_7,
    0.641_969_792_356_490_3,
    0.019_476_473_204_185_836,
    -0.009_561_514_786_808_632,
    -0.000_946_595_344_482_036_9,
    0.000_366_839_497_852_761_45,
    0.000_042_523_324_806_907_77,
    -0.000_020_278_578_112_534_243,
    -1.624_290_004_647_025_5e-6,
    1.303_655_835_580_523_2e-6,
    1.562_644_172_206_614_3e-8,
    -8.523_809_591_492_654e-8,
    6.529_054_439_098_851e-9,
    5.059_343_495_551_469e-9,
    -9.913_641_564_930_33e-10,
    -2.273_651_222_931_836e-10,
    9.646_791_102_015_527e-11,
    2.394_038_083_039_115e-12,
    -6.886_027_526_497_553e-12,
    8.944_879_273_090_726e-13,
    3.130_921_399_342_958e-13,
    -1.127_082_236_136_725_2e-13,
    3.810_905_255_189_232e-16,
    7.106_097_613_609_237e-15,
    -1.523_028_201_457_104e-15,
    -9.457_494_571_291_234e-17,
    1.210_237_189_224_279e-16,
];

/// The first twelve of [`ERFC`].
const ERFC_SINGLE: [f32; 12] = [
    -0.651_326_86,
    0.641_969_8,
    0.019_476_473,
    -0.009_561_514_8,
    -0.000_946_595_34,
    0.000_366_839_5,
    0.000_042_523_325,
    -0.000_020_278_578,
    -1.624_29e-6,
    1.303_655_8e-6,
    1.562_644_2e-8,
    -8.523_81e-8,
];

/// `1/k!`.
const INVERSE_FACTORIALS: [f64; 14] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// `Σ rᵏ/k!` up to `degree`.
#[inline(always)]
fn taylor<T: Real>(r: T, degree: usize) -> T {
    let mut sum = T::of(INVERSE_FACTORIALS[degree]);
    for k in (0..degree).rev() {
        sum = sum * r + T::of(INVERSE_FACTORIALS[k]);
    }
    sum
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_double(self) -> f64 {
        f64::from(self)
    }

    /// Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits, from where a shift takes it into the
    /// exponent of the result.
    #[inline(always)]
    fn exponential(self) -> Self {
        const ROUND: f32 = 12_582_912.0;
        // ln 2 in two parts, the first with so few digits that its product with a whole number is exact.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        let x = self.clamp(-87.0, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        let power = Self::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        taylor(r, 7) * power
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn erfc_series() -> &'static [Self] {
        &ERFC_SINGLE
    }

    fn pool() -> &'static Mutex<Vec<Vec<Self>>> {
        static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());
        &POOL
    }

    const ARTANH_TERMS: usize = 8;
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_double(self) -> f64 {
        self
    }

    /// As for `f32`, with 52 bits.
    #[inline(always)]
    fn exponential(self) -> Self {
        const ROUND: f64 = 6_755_399_441_055_744.0;
        const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
        const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        let x = self.clamp(-708.0, 709.0);
        let shifted = x * std::f64::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        let power = Self::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
        taylor(r, 13) * power
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn erfc_series() -> &'static [Self] {
        &ERFC
    }

    fn pool() -> &'static Mutex<Vec<Vec<Self>>> {
        static POOL: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());
        &POOL
    }

    const ARTANH_TERMS: usize = 17;
}

/// `ln(1 + u)` for `0 ≤ u ≤ 1`, as `2 artanh(u/(2 + u))`.
#[inline(always)]
pub(crate) fn log_of_one_plus<T: Real>(u: T) -> T {
    let s = u / (T::of(2.0) + u);
    let square = s * s;
    let mut sum = T::of(0.0);
    for k in (0..T::ARTANH_TERMS).rev() {
        sum = sum * square + T::of(1.0 / (2 * k + 1) as f64);
    }
    T::of(2.0) * s * sum
}

/// `erfc(y)` for `y ≥ 0`.
#[inline(always)]
pub(crate) fn complementary_error_function<T: Real>(y: T) -> T {
    let two = T::of(2.0);
    let t = two / (two + y);
    // Clenshaw's recurrence.
    let u = two * t - T::of(1.0);
    let (mut next, mut after) = (T::of(0.0), T::of(0.0));
    let series = T::erfc_series();
    for &c in series[1..].iter().rev() {
        (next, after) = (c + two * u * next - after, next);
    }
    let sum = series[0] + u * next - after;
    t * (sum - y * y).exponential()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(range: f64) -> impl Iterator<Item = f64> {
        (0..=20_000).map(move |k| range * (f64::from(k) / 10_000.0 - 1.0))
    }

    #[test]
    fn exponentials_are_good_to_two_units_in_the_last_place() {
        for x in arguments(87.0) {
            let single = x as f32;
            let (found, expected) = (f64::from(single.exponential()), f64::from(single).exp());
            assert!((found / expected - 1.0).abs() < 1.2e-7, "{single}: {found} {expected}");
        }
        for x in arguments(700.0) {
            let (found, expected) = (x.exponential(), x.exp());
            assert!((found / expected - 1.0).abs() < 4.4e-16, "{x}: {found} {expected}");
        }
        assert_eq!(0f32.exponential(), 1.0);
        assert_eq!(0f64.exponential(), 1.0);
    }

    #[test]
    fn exponentials_saturate_and_keep_nan() {
        for x in [f32::INFINITY, 1e30, -1e30, f32::NEG_INFINITY] {
            assert!(x.exponential().is_normal(), "{x}");
        }
        for x in [f64::INFINITY, 1e300, -1e300, f64::NEG_INFINITY] {
            assert!(x.exponential().is_normal(), "{x}");
        }
        assert!(f32::NAN.exponential().is_nan() && f64::NAN.exponential().is_nan());
    }

    #[test]
    fn logarithms_of_one_plus() {
        for k in 0..=10_000 {
            let u = f64::from(k) / 10_000.0;
            assert!((log_of_one_plus(u) - u.ln_1p()).abs() <= 5e-16 * u.ln_1p(), "{u}");
            let single = u as f32;
            let expected = f64::from(single).ln_1p();
            let found = f64::from(log_of_one_plus(single));
            assert!((found - expected).abs() <= 2.4e-7 * expected, "{u}: {found} {expected}");
        }
    }

    /// Values of erfc from a table with 20 digits.
    #[test]
    fn error_functions_are_those_of_the_tables() {
        let table = [
            (0.0, 1.0),
            (0.1, 0.887_537_083_981_715),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_034_8e-12),
        ];
        for (y, expected) in table {
            let found: f64 = complementary_error_function(y);
            assert!((found / expected - 1.0).abs() < 4e-15, "{y}: {found} {expected}");
            let found = f64::from(complementary_error_function(y as f32));
            assert!((found / f64::from(expected as f32) - 1.0).abs() < 4e-6, "{y}: {found} {expected}");
        }
    }
}
