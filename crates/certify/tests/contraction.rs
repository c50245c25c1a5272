//! Rates that are known in closed form, and what must not be certified.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use faer::Mat;
use proptest::prelude::*;
use thalweg_certify::{
    Contraction, Field, Function, Limits, Term, Verdict, best_contraction, cheap, contraction, verify,
};
use thalweg_noise::Noise;

fn rows<const N: usize, const M: usize>(values: [[f64; M]; N]) -> Mat<f64> {
    Mat::from_fn(N, M, |i, j| values[i][j])
}

fn field(linear: Mat<f64>, outer: Mat<f64>, inner: Mat<f64>, function: Function) -> Field {
    let bias = vec![0.0; inner.nrows()];
    Field { linear, terms: vec![Term { outer, inner, bias, function }] }
}

/// `-a x + b tanh x`.
fn scalar(a: f64, b: f64) -> Field {
    field(rows([[-a]]), rows([[b]]), rows([[1.0]]), Function::Tanh)
}

fn rate(field: &Field, limits: Limits) -> f64 {
    match best_contraction(field, limits) {
        Verdict::Certified(proof) => {
            verify(field, &proof).unwrap();
            proof.rate
        }
        Verdict::NotCertified { margin, sure } => panic!("not certified: {margin}, {sure}"),
    }
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
}

#[test]
fn one_coordinate() {
    close(rate(&scalar(1.0, 0.4), Limits::default()), 0.6);
    close(rate(&scalar(1.0, -0.4), Limits::default()), 1.0);
}

#[test]
fn a_shear_is_limited_by_the_condition_of_the_metric() {
    let shear = Field { linear: rows([[-1.0, 3.0], [0.0, -1.0]]), terms: vec![] };
    for condition in [1e3, 1e4] {
        let found = rate(&shear, Limits { condition, ..Limits::default() });
        close(found, 1.0 - 3.0 / (2.0 * f64::sqrt(condition)));
    }
}

/// A symmetric matrix whose largest eigenvalue is 0.7.
fn symmetric(n: usize) -> Mat<f64> {
    let mut noise = Noise::new(3);
    let draws = noise.normals(n * n);
    let half = Mat::from_fn(n, n, |i, j| draws[i * n + j] + draws[j * n + i]);
    let values = half.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    let largest = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    Mat::from_fn(n, n, |i, j| half[(i, j)] * 0.7 / largest)
}

#[test]
fn recurrent_networks_with_symmetric_weights() {
    let n = 4;
    let minus = || Mat::from_fn(n, n, |i, j| if i == j { -1.0 } else { 0.0 });
    let identity = || Mat::<f64>::identity(n, n);
    let limits = Limits { condition: 1e4, ..Limits::default() };
    close(rate(&field(minus(), symmetric(n), identity(), Function::Tanh), limits), 0.3);
    close(rate(&field(minus(), identity(), symmetric(n), Function::Tanh), limits), 0.3);
}

#[test]
fn what_does_not_contract_is_not_certified() {
    for (a, b) in [(1.0, 2.0), (1.0, 1.0), (-0.1, 0.0)] {
        let verdict = best_contraction(&scalar(a, b), Limits::default());
        assert!(matches!(verdict, Verdict::NotCertified { .. }), "{a} {b}: {verdict:?}");
    }
    let verdict = contraction(&scalar(1.0, 2.0), 0.0, Limits::default());
    assert!(matches!(verdict, Verdict::NotCertified { sure: true, .. }), "{verdict:?}");
    // A rate above the best one.
    let verdict = contraction(&scalar(1.0, 0.4), 0.61, Limits::default());
    assert!(matches!(verdict, Verdict::NotCertified { sure: true, .. }), "{verdict:?}");
    let verdict = contraction(&scalar(1.0, 0.4), 0.59, Limits::default());
    assert!(matches!(verdict, Verdict::Certified(_)), "{verdict:?}");
}

#[test]
fn functions_with_falling_parts_count_with_their_slopes() {
    // The slope of SiLU is at least -0.0998394.
    let found =
        rate(&field(rows([[-1.0]]), rows([[-1.0]]), rows([[1.0]]), Function::Silu), Limits::default());
    close(found, 1.0 - 0.099_839_4);
    let found = rate(
        &field(rows([[-1.0]]), rows([[-1.0]]), rows([[1.0]]), Function::LeakyRelu { slope: 0.3 }),
        Limits::default(),
    );
    close(found, 1.3);
}

#[test]
fn a_proof_that_was_touched_is_found_out() {
    let field = scalar(1.0, 0.4);
    let Verdict::Certified(proof) = best_contraction(&field, Limits::default()) else { panic!("no proof") };
    verify(&field, &proof).unwrap();
    let with = |change: &dyn Fn(&mut Contraction)| {
        let mut changed = proof.clone();
        change(&mut changed);
        verify(&field, &changed)
    };
    assert!(with(&|proof| proof.rate = 0.7).is_err());
    assert!(with(&|proof| proof.rate = f64::NAN).is_err());
    assert!(with(&|proof| proof.multipliers[0] = -1.0).is_err());
    assert!(with(&|proof| proof.multipliers.clear()).is_err());
    assert!(with(&|proof| proof.metric[(0, 0)] = -1.0).is_err());
    assert!(with(&|proof| proof.metric[(0, 0)] = f64::INFINITY).is_err());
    assert!(verify(&scalar(1.0, 0.9), &proof).is_err(), "a proof for another field");
}

#[test]
fn fields_with_mistakes_are_named() {
    let mut wrong = scalar(1.0, 0.4);
    wrong.terms[0].outer = Mat::zeros(2, 1);
    assert_eq!(wrong.check().unwrap_err(), "A1 is 2 × 1 and should be 1 × 1");
    let mut wrong = scalar(1.0, 0.4);
    wrong.linear[(0, 0)] = f64::NAN;
    assert_eq!(wrong.check().unwrap_err(), "A0 has NaN in row 0, column 0");
}

/// A random field with a strong linear decay.
fn random(n: usize, units: usize, seed: u64) -> Field {
    let mut noise = Noise::new(seed);
    let mut draw = |rows: usize, cols: usize, scale: f64| {
        let draws = noise.normals(rows * cols);
        Mat::from_fn(rows, cols, |i, j| scale * draws[i * cols + j])
    };
    let mut linear = draw(n, n, 0.3);
    for i in 0..n {
        linear[(i, i)] -= 2.5;
    }
    let scale = 0.7 / (n as f64).sqrt();
    let (outer, inner) = (draw(n, units, scale), draw(units, n, scale));
    field(linear, outer, inner, Function::Tanh)
}

#[test]
fn units_without_a_part_change_nothing() {
    // As a head before its training: no way back from the units, one of which sees nothing.
    let quiet = || field(diagonal(3, -0.25), Mat::zeros(3, 4), Mat::zeros(4, 3), Function::Tanh);
    let mut seeing = quiet();
    seeing.terms[0].inner = Mat::from_fn(4, 3, |k, i| if k == 0 { 0.0 } else { (k + i) as f64 });
    let mut acting = quiet();
    acting.terms[0].outer = Mat::from_fn(3, 4, |i, k| (k + i) as f64);
    let mut nearly = seeing.clone();
    nearly.terms[0].outer = Mat::from_fn(3, 4, |_, _| 1e-10);
    for field in [quiet(), seeing, acting, nearly, Field { linear: diagonal(3, -0.25), terms: vec![] }] {
        close(rate(&field, Limits::default()), 0.25);
    }
}

#[test]
fn the_best_rate_does_not_depend_on_units() {
    let plain = random(3, 5, 9);
    let expected = rate(&plain, Limits::default());
    for unit in [1e-3, 1e3] {
        // Another unit of time.
        let mut scaled = plain.clone();
        scaled.linear = &plain.linear * faer::Scale(unit);
        scaled.terms[0].outer = &plain.terms[0].outer * faer::Scale(unit);
        let found = rate(&scaled, Limits::default());
        assert!((found / unit - expected).abs() < 1e-4 * expected, "{unit}: {found} {expected}");
    }
}

/// The derivative of `|z|²_P / 2` along the difference of two solutions, divided by `|z|²_P`: at most minus the rate.
fn worst_growth(field: &Field, metric: &Mat<f64>, noise: &mut Noise) -> f64 {
    let n = field.dim();
    let mut worst = f64::NEG_INFINITY;
    for _ in 0..50 {
        let [x, y] = [(); 2].map(|()| Mat::from_fn(n, 1, |_, _| 2.0 * noise.normal()));
        let rate = |x: &Mat<f64>| {
            let mut sum = &field.linear * x;
            for term in &field.terms {
                let inside = &term.inner * x;
                sum += &term.outer
                    * Mat::from_fn(inside.nrows(), 1, |k, _| (inside[(k, 0)] + term.bias[k]).tanh());
            }
            sum
        };
        let (z, dz) = (&x - &y, rate(&x) - rate(&y));
        let product = |a: &Mat<f64>, b: &Mat<f64>| (a.transpose() * metric * b)[(0, 0)];
        worst = worst.max(product(&z, &dz) / product(&z, &z));
    }
    worst
}

fn diagonal(n: usize, by: f64) -> Mat<f64> {
    Mat::from_fn(n, n, |i, j| if i == j { by } else { 0.0 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn differences_of_solutions_shrink_as_fast_as_is_proved(n in 1usize..=5, units in 1usize..=6, seed: u64) {
        let field = random(n, units, seed);
        let quick = cheap(&field);
        match best_contraction(&field, Limits { precision: 1e-3, ..Limits::default() }) {
            Verdict::Certified(proof) => {
                verify(&field, &proof).unwrap();
                let growth = worst_growth(&field, &proof.metric, &mut Noise::new(seed ^ 1));
                prop_assert!(growth <= -proof.rate + 1e-9, "{growth} with a rate of {}", proof.rate);
                // The Euclidean bound is one metric among all.
                prop_assert!(quick.euclidean <= proof.rate + 2e-3, "{} {}", quick.euclidean, proof.rate);
            }
            Verdict::NotCertified { .. } => prop_assert!(quick.euclidean <= 1e-6, "{}", quick.euclidean),
        }
        let growth = worst_growth(&field, &Mat::identity(n, n), &mut Noise::new(seed ^ 2));
        prop_assert!(growth <= -quick.euclidean + 1e-9);
    }

    #[test]
    fn no_rate_above_the_best_has_a_proof(
        n in 1usize..=5, units in 0usize..=6, decay in 0.0..4.0, exponent in -3i32..=3, seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let mut draw = |rows: usize, cols: usize, scale: f64| {
            let draws = noise.normals(rows * cols);
            Mat::from_fn(rows, cols, |i, j| scale * draws[i * cols + j])
        };
        let unit = 10.0_f64.powi(exponent);
        let linear = (draw(n, n, 0.5) - diagonal(n, decay)) * faer::Scale(unit);
        // The same field in another unit of time and with other sizes inside and outside of the functions.
        let (outer, inner) = (draw(n, units, 0.7 * unit * unit.sqrt()), draw(units, n, 0.7 / unit.sqrt()));
        let field = field(linear, outer, inner, Function::Tanh);
        let limits = Limits { precision: 1e-4, ..Limits::default() };
        match best_contraction(&field, limits) {
            Verdict::Certified(proof) => {
                verify(&field, &proof).unwrap();
                let above = contraction(&field, proof.rate * 1.002 + 1e-3 * unit, limits);
                prop_assert!(matches!(above, Verdict::NotCertified { .. }), "{} {above:?}", proof.rate);
            }
            Verdict::NotCertified { .. } => {
                let above = contraction(&field, 1e-3 * unit, limits);
                prop_assert!(matches!(above, Verdict::NotCertified { .. }), "{above:?}");
            }
        }
    }
}
