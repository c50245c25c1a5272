//! Steps that are really made never part solutions by more than is proved.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use faer::Mat;
use proptest::prelude::*;
use thalweg_certify::{
    Bounds, Contraction, Field, Function, Limits, Method, Term, Verdict, best_contraction, lipschitz,
};
use thalweg_noise::Noise;

fn method(name: &str, a: &[&[f64]], b: &[f64]) -> Method {
    let a = a.iter().map(|row| row.to_vec()).collect();
    Method { name: name.to_string(), a, b: b.to_vec() }
}

fn methods() -> [Method; 4] {
    let third = 1.0 / 3.0;
    [
        method("euler", &[&[]], &[1.0]),
        method("midpoint", &[&[], &[0.5]], &[0.0, 1.0]),
        method("heun", &[&[], &[1.0]], &[0.5, 0.5]),
        method(
            "rk4",
            &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
            &[0.5 * third, third, third, 0.5 * third],
        ),
    ]
}

fn linear(values: [[f64; 2]; 2]) -> Field {
    Field { linear: Mat::from_fn(2, 2, |i, j| values[i][j]), terms: vec![] }
}

/// One with a known metric and no search.
fn plain(rate: f64, n: usize) -> Contraction {
    Contraction { rate, metric: Mat::identity(n, n), multipliers: vec![] }
}

#[test]
fn eulers_method_on_a_spiral_contracts_up_to_a_fifth() {
    let bounds = Bounds::of(&linear([[-1.0, 3.0], [-3.0, -1.0]]), &plain(1.0, 2)).unwrap();
    assert!((bounds.lipschitz - 10.0_f64.sqrt()).abs() < 1e-9, "{bounds:?}");
    let [euler, _, _, rk4] = methods();
    assert!((bounds.largest_step(&euler) - 0.2).abs() < 1e-9, "{}", bounds.largest_step(&euler));
    assert!((bounds.factor(&euler, 0.1) - (1.0 - 0.2 + 0.1_f64).sqrt()).abs() < 1e-9);
    assert_eq!(bounds.fewest_steps(&euler, 1.0), Some(6), "at a step of 0.2 the factor is one");
    let largest = bounds.largest_step(&rk4);
    assert!(bounds.factor(&rk4, 0.999 * largest) < 1.0 && bounds.factor(&rk4, 1.001 * largest) > 1.0);
    let fewest = bounds.fewest_steps(&rk4, 1.0).unwrap();
    assert!(bounds.factor(&rk4, 1.0 / fewest as f64) < 1.0);
    assert!(bounds.factor(&rk4, 1.0 / (fewest - 1) as f64) >= 1.0);
    assert_eq!(Bounds { rate: 0.0, ..bounds }.largest_step(&rk4), 0.0);
    assert_eq!(Bounds { rate: 0.0, ..bounds }.fewest_steps(&rk4, 1.0), None);
}

#[test]
fn the_bound_of_one_unit_is_exact() {
    // The slope is between -1 and -0.6: the middle is -0.8, and 0.2 around it.
    let one = |x: f64| Mat::from_fn(1, 1, |_, _| x);
    let term = Term { outer: one(0.8), inner: one(0.5), bias: vec![0.0], function: Function::Tanh };
    let field = Field { linear: one(-1.0), terms: vec![term] };
    assert!((lipschitz(&field, &one(4.0)).unwrap() - 1.0).abs() < 1e-9);
    assert!(lipschitz(&field, &one(-1.0)).is_err());
    assert!(lipschitz(&field, &Mat::identity(2, 2)).is_err());
}

#[test]
fn methods_with_mistakes_are_named() {
    assert!(method("short", &[&[]], &[0.5]).check().is_err());
    assert!(method("implicit", &[&[0.5]], &[1.0]).check().is_err());
    assert!(method("empty", &[], &[]).check().is_err());
    assert!(method("broken", &[&[], &[f64::NAN]], &[0.5, 0.5]).check().is_err());
    assert!(!method("negative", &[&[], &[1.0]], &[2.0, -1.0]).averages());
}

fn step(field: &Field, method: &Method, h: f64, x: &[f64], input: &[f64]) -> Vec<f64> {
    let mut slopes: Vec<Vec<f64>> = Vec::new();
    let ahead = |weights: &[f64], slopes: &[Vec<f64>]| -> Vec<f64> {
        (0..x.len())
            .map(|i| x[i] + h * weights.iter().zip(slopes).map(|(a, k)| a * k[i]).sum::<f64>())
            .collect()
    };
    for row in &method.a {
        let stage = ahead(row, &slopes);
        slopes.push(field.value(&stage, input));
    }
    ahead(&method.b, &slopes)
}

fn distance(x: &[f64], y: &[f64], metric: &Mat<f64>) -> f64 {
    let z = Mat::from_fn(x.len(), 1, |i, _| x[i] - y[i]);
    (z.transpose() * metric * &z)[(0, 0)].sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_step_parts_solutions_by_more_than_its_factor(n in 1usize..=4, units in 0usize..=6, seed: u64) {
        let mut noise = Noise::new(seed);
        let mut draw = |rows: usize, cols: usize, size: f64| {
            let draws = noise.normals(rows * cols);
            Mat::from_fn(rows, cols, |i, j| size * draws[i * cols + j])
        };
        let linear = draw(n, n, 0.5) - Mat::<f64>::identity(n, n) * faer::Scale(2.5);
        let (outer, inner) = (draw(n, units, 0.5), draw(units, n, 0.7));
        let function = [Function::Tanh, Function::Silu, Function::LeakyRelu { slope: 0.2 }][units % 3];
        let field = Field { linear, terms: vec![Term { outer, inner, bias: vec![0.1; units], function }] };
        let limits = Limits { precision: 1e-2, ..Limits::default() };
        let Verdict::Certified(proof) = best_contraction(&field, limits) else { return Ok(()) };
        let bounds = Bounds::of(&field, &proof).unwrap();
        for method in methods() {
            let limit = bounds.largest_step(&method);
            prop_assert!(limit > 0.0);
            for h in [0.5 * limit, limit, 3.0 * limit] {
                let factor = bounds.factor(&method, h);
                let input = noise.normals(n);
                for size in [1e-3, 0.3, 3.0] {
                    let x: Vec<f64> = noise.normals(n).iter().map(|x| 2.0 * x).collect();
                    let y: Vec<f64> = noise.normals(n).iter().zip(&x).map(|(d, x)| x + size * d).collect();
                    let after =
                        distance(&step(&field, &method, h, &x, &input), &step(&field, &method, h, &y, &input), &proof.metric);
                    let before = distance(&x, &y, &proof.metric);
                    prop_assert!(after <= factor * before * (1.0 + 1e-9), "{} {h}: {after} {before} {factor}", method.name);
                }
            }
        }
    }
}
