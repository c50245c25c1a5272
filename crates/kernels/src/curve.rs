//! Activation functions of single numbers, written so that loops over them vectorise.

use crate::activation::{SELU_ALPHA, SELU_SCALE};
use crate::real::{complementary_error_function, log_of_one_plus};
use crate::simd::{self, Loop};
use crate::{Activation, Real};

/// A function and its slope.
///
/// Both branches of every choice are computed and one is taken, which is what vectorises.
pub(crate) trait Curve<T: Real>: Copy {
    fn value(self, x: T) -> T;
    fn value_and_slope(self, x: T) -> (T, T);
}

/// A loop over an activation that is not known at compile time.
pub(crate) trait CurveLoop<T: Real> {
    /// The loop; to be marked `#[inline(always)]`.
    fn run<C: Curve<T>>(self, curve: C);
}

/// Runs a loop compiled for this activation and for the widest SIMD of this machine.
pub(crate) fn along<T: Real, L: CurveLoop<T>>(activation: Activation, body: L) {
    struct Along<L, C>(L, C);

    struct Marked<T, L, C>(Along<L, C>, std::marker::PhantomData<T>);

    impl<T: Real, L: CurveLoop<T>, C: Curve<T>> Loop for Marked<T, L, C> {
        type Output = ();

        #[inline(always)]
        fn run(self) {
            let Along(body, curve) = self.0;
            body.run(curve);
        }
    }

    fn go<T: Real, L: CurveLoop<T>, C: Curve<T>>(body: L, curve: C) {
        simd::widest(Marked::<T, L, C>(Along(body, curve), std::marker::PhantomData));
    }

    match activation {
        Activation::Silu => go(body, Silu),
        Activation::Relu => go(body, Relu),
        Activation::Elu => go(body, Elu { scale: T::of(1.0), below: T::of(1.0) }),
        Activation::Selu => {
            go(body, Elu { scale: T::of(SELU_SCALE), below: T::of(SELU_SCALE * SELU_ALPHA) });
        }
        Activation::Tanh => go(body, Tanh),
        Activation::Gelu => go(body, Gelu),
        Activation::Softplus { beta } => {
            go(body, Softplus { beta: T::of(beta), inverse: T::of(1.0 / beta) });
        }
    }
}

#[inline(always)]
fn select<T: Real>(condition: bool, yes: T, no: T) -> T {
    if condition { yes } else { no }
}

/// `1/(1 + e⁻ˣ)`, from the exponential of `-|x|`.
#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    let decay = (-x.magnitude()).exponential();
    select(x >= T::of(0.0), T::of(1.0), decay) / (T::of(1.0) + decay)
}

/// Exponentials are never zero, so a huge negative number times one is not small. From here on down nothing changes.
#[inline(always)]
fn not_far_below<T: Real>(x: T) -> T {
    select(x < T::of(-700.0), T::of(-700.0), x)
}

#[derive(Clone, Copy)]
struct Silu;

impl<T: Real> Curve<T> for Silu {
    #[inline(always)]
    fn value(self, x: T) -> T {
        let x = not_far_below(x);
        x * sigmoid(x)
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        let x = not_far_below(x);
        let gate = sigmoid(x);
        let value = x * gate;
        (value, gate + value * (T::of(1.0) - gate))
    }
}

#[derive(Clone, Copy)]
struct Relu;

impl<T: Real> Curve<T> for Relu {
    /// Written so that NaN stays NaN.
    #[inline(always)]
    fn value(self, x: T) -> T {
        select(x < T::of(0.0), T::of(0.0), x)
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        (self.value(x), select(x > T::of(0.0), T::of(1.0), T::of(0.0)))
    }
}

/// ELU and SELU: `scale·x` above 0 and `below·(eˣ - 1)` below.
#[derive(Clone, Copy)]
struct Elu<T> {
    scale: T,
    below: T,
}

impl<T: Real> Curve<T> for Elu<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        self.value_and_slope(x).0
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        let positive = x > T::of(0.0);
        // Not a number is not positive, and stays what it is through the exponential.
        let decay = self.below * select(positive, T::of(0.0), x).exponential();
        let value = select(positive, self.scale * x, decay - self.below);
        (value, select(positive, self.scale, decay))
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl<T: Real> Curve<T> for Tanh {
    #[inline(always)]
    fn value(self, x: T) -> T {
        let decay = (T::of(-2.0) * x.magnitude()).exponential();
        let size = (T::of(1.0) - decay) / (T::of(1.0) + decay);
        select(x < T::of(0.0), -size, size)
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        let value = self.value(x);
        (value, T::of(1.0) - value * value)
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl<T: Real> Curve<T> for Gelu {
    #[inline(always)]
    fn value(self, x: T) -> T {
        not_far_below(x) * normal_distribution(x)
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        let cumulative = normal_distribution(x);
        let density = T::of(0.398_942_280_401_432_7) * (T::of(-0.5) * x * x).exponential();
        let near = select(x.magnitude() > T::of(700.0), T::of(0.0), x);
        (not_far_below(x) * cumulative, cumulative + near * density)
    }
}

/// The distribution function of the standard normal, from the tail on the side of `x`.
#[inline(always)]
fn normal_distribution<T: Real>(x: T) -> T {
    let tail =
        T::of(0.5) * complementary_error_function(x.magnitude() * T::of(std::f64::consts::FRAC_1_SQRT_2));
    select(x > T::of(0.0), T::of(1.0) - tail, tail)
}

/// Where a softplus is taken to be flat, in units of its bend: what is left there, 10⁻¹¹ in single precision and 10⁻²² in
/// double, is below all rounding. Products of such numbers through some layers would become subnormal, with which processors
/// compute a hundred times slower.
#[inline(always)]
fn flat<T: Real>() -> T {
    let is_single = T::of(1.0) + T::of(1e-10) == T::of(1.0);
    if is_single { T::of(25.0) } else { T::of(50.0) }
}

#[derive(Clone, Copy)]
struct Softplus<T> {
    beta: T,
    inverse: T,
}

impl<T: Real> Curve<T> for Softplus<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        self.value_and_slope(x).0
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        let sharp = self.beta * x;
        let size = sharp.magnitude();
        let decay = select(size > flat::<T>(), T::of(0.0), (-size).exponential());
        let positive = select(sharp < T::of(0.0), T::of(0.0), x);
        let value = positive + log_of_one_plus(decay) * self.inverse;
        let slope = select(sharp >= T::of(0.0), T::of(1.0), decay) / (T::of(1.0) + decay);
        (value, slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 8] = [
        Activation::Silu,
        Activation::Relu,
        Activation::Elu,
        Activation::Selu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Softplus { beta: 1.0 },
        Activation::Softplus { beta: 20.0 },
    ];

    struct Both<'a, T> {
        x: &'a [T],
        values: &'a mut [T],
        slopes: &'a mut [T],
        alone: &'a mut [T],
    }

    impl<T: Real> CurveLoop<T> for Both<'_, T> {
        #[inline(always)]
        fn run<C: Curve<T>>(self, curve: C) {
            for i in 0..self.x.len() {
                (self.values[i], self.slopes[i]) = curve.value_and_slope(self.x[i]);
                self.alone[i] = curve.value(self.x[i]);
            }
        }
    }

    fn of<T: Real>(activation: Activation, x: &[T]) -> (Vec<T>, Vec<T>) {
        let zeros = vec![T::of(0.0); x.len()];
        let (mut values, mut slopes, mut alone) = (zeros.clone(), zeros.clone(), zeros);
        along(activation, Both { x, values: &mut values, slopes: &mut slopes, alone: &mut alone });
        for (value, alone) in values.iter().zip(&alone) {
            assert!(
                value == alone || value.to_double().is_nan() && alone.to_double().is_nan(),
                "{activation:?}"
            );
        }
        (values, slopes)
    }

    #[test]
    fn far_below_zero_nothing_is_left() {
        struct Far;

        impl CurveLoop<f32> for Far {
            #[inline(always)]
            fn run<C: Curve<f32>>(self, curve: C) {
                for x in [-1e3, -1e20, -1e38] {
                    let (value, slope) = curve.value_and_slope(x);
                    assert!(value.abs() < 1e-30 && slope.abs() < 1e-30, "{x}: {value} {slope}");
                    assert!(curve.value(x).abs() < 1e-30);
                }
            }
        }

        for activation in [Activation::Silu, Activation::Gelu, Activation::Relu] {
            along(activation, Far);
        }
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        let x: Vec<f64> = (-120..120).map(|i| 0.05 * f64::from(i) + 0.013).collect();
        let h = 1e-5;
        for activation in ALL {
            let (_, slopes) = of(activation, &x);
            let at = |shift: f64| of(activation, &x.iter().map(|x| x + shift).collect::<Vec<_>>()).0;
            for ((slope, up), down) in slopes.iter().zip(at(h)).zip(at(-h)) {
                let difference = (up - down) / (2.0 * h);
                assert!((slope - difference).abs() < 2e-8, "{activation:?}: {slope} against {difference}");
            }
        }
    }

    #[test]
    fn known_values() {
        let close = |activation, x: f64, expected: f64| {
            let found = of(activation, &[x]).0[0];
            assert!(
                (found - expected).abs() < 1e-15 * expected.abs().max(1.0),
                "{activation:?} {x}: {found}"
            );
            let single = of(activation, &[x as f32]).0[0];
            assert!(
                (f64::from(single) - expected).abs() < 3e-7 * expected.abs().max(1.0),
                "{activation:?} {x}"
            );
        };
        close(Activation::Silu, 1.0, 0.731_058_578_630_004_9);
        close(Activation::Tanh, -0.5, -0.462_117_157_260_009_75);
        close(Activation::Gelu, 1.0, 0.841_344_746_068_542_9);
        close(Activation::Gelu, -2.0, -0.045_500_263_896_358_42);
        close(Activation::Elu, -1.0, -0.632_120_558_828_557_7);
        close(Activation::Selu, 2.0, 2.101_401_974_710_961);
        close(Activation::Softplus { beta: 1.0 }, 0.0, std::f64::consts::LN_2);
        close(Activation::Softplus { beta: 20.0 }, 3.0, 3.0);
        close(Activation::Relu, -3.0, 0.0);
    }

    #[test]
    fn large_numbers_stay_finite_and_what_is_not_a_number_stays_so() {
        for activation in ALL {
            let (values, slopes) = of(activation, &[1e30_f32, -1e30, 200.0, -200.0, 0.0]);
            assert!(
                values.iter().chain(&slopes).all(|x| x.is_finite()),
                "{activation:?}: {values:?} {slopes:?}"
            );
            let (values, _) = of(activation, &[f32::NAN]);
            assert!(values[0].is_nan(), "{activation:?} hides that its argument is not a number");
        }
    }

    /// Numbers below the normal ones slow processors down a hundred times, and products of small slopes would be among them.
    #[test]
    fn a_sharp_softplus_is_flat_far_below_rather_than_tiny() {
        let x: Vec<f32> = (0..4000).map(|i| -6.0 + 0.0015 * i as f32).collect();
        let (values, slopes) = of(Activation::Softplus { beta: 20.0 }, &x);
        assert!(slopes.contains(&0.0) && slopes.iter().any(|slope| *slope > 0.0));
        for (value, slope) in values.iter().zip(&slopes) {
            assert!(*slope == 0.0 || *slope > 1e-12, "{slope:e}");
            assert!(*value == 0.0 || *value > 1e-14, "{value:e}");
        }
        // What is cut off is below the rounding of anything it is added to.
        let (exact, _) =
            of(Activation::Softplus { beta: 20.0 }, &x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>());
        assert!(
            values
                .iter()
                .zip(exact)
                .all(|(found, exact)| (f64::from(*found) - exact).abs() < 2e-8 * (1.0 + exact))
        );
    }
}
