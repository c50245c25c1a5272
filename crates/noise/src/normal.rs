//! Pairs of standard normals from random words, by Box and Muller, with functions of our own.
//!
//! The logarithm, sine and cosine here are polynomials made of additions and multiplications alone. So the numbers are
//! the same bits on every machine, which those of a system's library are not, and a loop over them vectorises.

use crate::philox;

/// `2π · 2⁻⁵³ · k` has these sines and cosines; the sine's terms up to θ¹⁷, the cosine's up to θ¹⁶.
const SINE: [f64; 9] = [
    1.0,
    -1.0 / 6.0,
    1.0 / 120.0,
    -1.0 / 5_040.0,
    1.0 / 362_880.0,
    -1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 355_687_428_096_000.0,
];
const COSINE: [f64; 9] = [
    1.0,
    -1.0 / 2.0,
    1.0 / 24.0,
    -1.0 / 720.0,
    1.0 / 40_320.0,
    -1.0 / 3_628_800.0,
    1.0 / 479_001_600.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 20_922_789_888_000.0,
];

/// Terms of the inverse hyperbolic tangent up to the argument 0.172.
const ARTANH_TERMS: usize = 12;

/// Blocks that are worked on together.
const LANES: usize = 16;

/// Adding this to a number below 2⁵¹ rounds it to a whole one, which is then in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The two normals of a block.
#[inline(always)]
pub(crate) fn pair(words: [u32; 4]) -> (f64, f64) {
    let radius_bits = u64::from(words[0]) | u64::from(words[1]) << 32;
    let angle_bits = u64::from(words[2]) | u64::from(words[3]) << 32;
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * logarithm(1.0 - unit(radius_bits))).sqrt();
    let (sin, cos) = turn(unit(angle_bits));
    (radius * cos, radius * sin)
}

/// The upper 53 bits as a number in `[0, 1)`.
#[inline(always)]
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// `ln x` for normal `x` in `(0, 1]`, good to two units in the last place.
#[inline(always)]
fn logarithm(x: f64) -> f64 {
    // x = 2ⁿ·m with m in [√½, √2): subtracting the bits of √½ puts the border between exponents there.
    const ROOT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
    let shifted = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = (shifted as i64) >> 52;
    let m = f64::from_bits((shifted & 0x000F_FFFF_FFFF_FFFF).wrapping_add(ROOT_HALF));
    // As ROUND's bits plus a small integer: again no conversion.
    let n = f64::from_bits(ROUND.to_bits().wrapping_add(exponent as u64)) - ROUND;
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for k in (0..ARTANH_TERMS).rev() {
        sum = sum * square + 1.0 / (2 * k + 1) as f64;
    }
    n * std::f64::consts::LN_2 + 2.0 * s * sum
}

/// `sin 2πu` and `cos 2πu` for `u` in `[0, 1)`.
#[inline(always)]
fn turn(u: f64) -> (f64, f64) {
    let shifted = 4.0 * u + ROUND;
    let quarter = shifted.to_bits();
    let angle = std::f64::consts::TAU * (u - 0.25 * (shifted - ROUND));
    let square = angle * angle;
    let polynomial = |coefficients: &[f64; 9]| {
        let mut sum = coefficients[8];
        for k in (0..8).rev() {
            sum = sum * square + coefficients[k];
        }
        sum
    };
    let (sin, cos) = (angle * polynomial(&SINE), polynomial(&COSINE));
    // A quarter turn takes (sin, cos) to (cos, -sin); bit 1 of the count becomes the sign.
    let (s, c) = if quarter & 1 == 0 { (sin, cos) } else { (cos, -sin) };
    let sign = (quarter & 2) << 62;
    (f64::from_bits(s.to_bits() ^ sign), f64::from_bits(c.to_bits() ^ sign))
}

/// Fills `out` with the pairs of consecutive blocks; `counter` is that of the first.
pub(crate) fn fill(out: &mut [[f64; 2]], counter: [u32; 4], key: [u32; 2]) {
    pulp::Arch::new().dispatch(Fill { out, counter, key });
}

/// Compiled once for every width of SIMD, the widest chosen at run time; all of them give the same bits.
struct Fill<'a> {
    out: &'a mut [[f64; 2]],
    counter: [u32; 4],
    key: [u32; 2],
}

impl pulp::WithSimd for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Self { out, counter: [first, a, b, c], key } = self;
        let mut next = first;
        let (groups, rest) = out.as_chunks_mut::<LANES>();
        for group in groups {
            let mut words = [[0; LANES]; 4];
            for lane in 0..LANES {
                let block = philox::block([next.wrapping_add(lane as u32), a, b, c], key);
                for word in 0..4 {
                    words[word][lane] = block[word];
                }
            }
            for lane in 0..LANES {
                let (x, y) = pair([words[0][lane], words[1][lane], words[2][lane], words[3][lane]]);
                group[lane] = [x, y];
            }
            next = next.wrapping_add(LANES as u32);
        }
        for out in rest {
            let (x, y) = pair(philox::block([next, a, b, c], key));
            *out = [x, y];
            next = next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Noise;

    #[test]
    fn logarithms_are_good_to_two_units_in_the_last_place() {
        let mut noise = Noise::new(1);
        let random = (0..100_000).map(|_| 1.0 - noise.uniform());
        let small = (0..53).map(|k| 0.5_f64.powi(k)).chain((0..53).map(|k| 1.0 - 0.5_f64.powi(k + 1)));
        for x in random.chain(small) {
            let (found, expected) = (logarithm(x), x.ln());
            assert!((found - expected).abs() <= 4.5e-16 * expected.abs(), "{x}: {found} against {expected}");
        }
    }

    #[test]
    fn turns_are_good_to_a_unit_of_one() {
        let mut noise = Noise::new(2);
        let random = (0..100_000).map(|_| noise.uniform());
        for u in random.chain((0..64).map(|k| f64::from(k) / 64.0)).chain([1.0 - f64::EPSILON / 2.0]) {
            let (sin, cos) = turn(u);
            let (expected_sin, expected_cos) = (std::f64::consts::TAU * u).sin_cos();
            // The reference rounds 2πu, up to 2π, before it takes the sine.
            assert!((sin - expected_sin).abs() < 1.2e-15, "{u}: {sin} against {expected_sin}");
            assert!((cos - expected_cos).abs() < 1.2e-15, "{u}: {cos} against {expected_cos}");
        }
        assert_eq!(turn(0.25), (1.0, 0.0));
        assert_eq!(turn(0.5).1, -1.0);
    }

    #[test]
    fn many_at_once_are_those_drawn_one_by_one() {
        for count in [1, 2, 3, 31, 32, 33, 1000] {
            let mut one_by_one = Noise::at(7, "here", 3);
            let mut at_once = one_by_one.clone();
            for start in 0..3 {
                // An odd start leaves the second of a pair over.
                let skipped: Vec<f64> = (0..start).map(|_| one_by_one.normal()).collect();
                assert_eq!(at_once.normals(start), skipped);
                let expected: Vec<u64> = (0..count).map(|_| one_by_one.normal().to_bits()).collect();
                let found: Vec<u64> = at_once.normals(count).into_iter().map(f64::to_bits).collect();
                assert_eq!(found, expected, "{count} after {start}");
            }
            assert_eq!(at_once.next_u64(), one_by_one.next_u64());
        }
    }

    /// These bits are the same on every machine.
    #[test]
    fn known_answers() {
        let bits: Vec<u64> = Noise::at(7, "batch", 1000).normals(3).into_iter().map(f64::to_bits).collect();
        assert_eq!(bits, [13_820_685_904_440_204_103, 13_833_230_469_648_715_416, 4_599_477_952_129_836_610]);
    }
}
