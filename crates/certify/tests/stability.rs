//! Which fields are input-to-state stable by the inequality, and which must not be.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use faer::Mat;
use proptest::prelude::*;
use thalweg_certify::{
    Contraction, Field, Function, Limits, Stability, StabilityVerdict, Term, Verdict, best_contraction,
    stability, stability_of_contraction, verify_stability,
};
use thalweg_noise::Noise;

fn rows<const N: usize, const M: usize>(values: [[f64; M]; N]) -> Mat<f64> {
    Mat::from_fn(N, M, |i, j| values[i][j])
}

fn field(linear: Mat<f64>, outer: Mat<f64>, function: Function) -> Field {
    let n = linear.nrows();
    Field { linear, terms: vec![Term { outer, inner: Mat::identity(n, n), bias: vec![0.0; n], function }] }
}

fn certified(field: &Field) -> Stability {
    match stability(field) {
        StabilityVerdict::Certified(proof) => {
            verify_stability(field, &proof).unwrap();
            proof
        }
        StabilityVerdict::NotCertified { margin, sure } => panic!("not certified: {margin}, {sure}"),
    }
}

fn refused(field: &Field) {
    let verdict = stability(field);
    assert!(matches!(verdict, StabilityVerdict::NotCertified { .. }), "{verdict:?}");
}

const LEAKY: Function = Function::LeakyRelu { slope: 0.1 };

#[test]
fn fields_that_come_to_rest() {
    certified(&field(rows([[-1.0]]), rows([[0.5]]), Function::Tanh));
    certified(&field(rows([[-1.0]]), rows([[-3.0]]), Function::Tanh));
    certified(&field(rows([[-1.0]]), rows([[0.9]]), Function::Relu));
    certified(&Field { linear: rows([[-1.0, 3.0], [0.0, -1.0]]), terms: vec![] });
    // Diagonally stable, without any linear decay.
    certified(&field(Mat::zeros(2, 2), rows([[-1.0, 2.0], [-2.0, -1.0]]), LEAKY));
}

#[test]
fn what_contracts_is_stable() {
    let shear = Field { linear: rows([[-1.0, 3.0], [0.0, -1.0]]), terms: vec![] };
    let relu = field(rows([[-1.0]]), rows([[0.9]]), Function::Relu);
    let silu = field(rows([[-1.0, 0.5], [-0.5, -2.0]]), rows([[0.3, 0.1], [0.2, -0.7]]), Function::Silu);
    for field in [shear, relu, silu] {
        let Verdict::Certified(proof) = best_contraction(&field, Limits::default()) else {
            panic!("{field:?}")
        };
        // Near the best rate nothing is left for the margin.
        let proof = Contraction { rate: 0.9 * proof.rate, ..proof };
        verify_stability(&field, &stability_of_contraction(&field, &proof).unwrap()).unwrap();
    }
    // A proof of another field is none of this one.
    let two = field(rows([[-1.0]]), rows([[2.0]]), Function::Tanh);
    let proof = Contraction { rate: 0.6, metric: rows([[1.0]]), multipliers: vec![0.4] };
    assert!(stability_of_contraction(&two, &proof).is_none());
}

#[test]
fn fields_that_do_not() {
    // Several equilibria.
    refused(&field(rows([[-1.0]]), rows([[2.0]]), Function::Tanh));
    refused(&field(rows([[-1.0]]), rows([[2.0]]), Function::Relu));
    // An input of more than one carries it away.
    refused(&field(rows([[0.0]]), rows([[-1.0]]), Function::Tanh));
    // Every eigenvalue decays, but not with every slope.
    refused(&field(Mat::zeros(2, 2), rows([[1.0, -4.0], [4.0, -3.0]]), LEAKY));
}

#[test]
fn a_proof_that_was_touched_is_found_out() {
    let field = field(rows([[-1.0]]), rows([[0.5]]), Function::Tanh);
    let proof = certified(&field);
    let with = |change: &dyn Fn(&mut Stability)| {
        let mut changed = proof.clone();
        change(&mut changed);
        verify_stability(&field, &changed)
    };
    assert!(with(&|proof| proof.metric[(0, 0)] = -2.0).is_err());
    assert!(with(&|proof| proof.integrals[0] = f64::NAN).is_err());
    assert!(with(&|proof| proof.multipliers[2][0] = -1.0).is_err());
    assert!(with(&|proof| proof.gain[0] = 0.0).is_err());
    assert!(with(&|proof| proof.dissipation[0] *= 1e3).is_err());
    assert!(with(&|proof| proof.multipliers[0].clear()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The Lyapunov function falls along solutions.
    #[test]
    fn without_input_the_lyapunov_function_falls(n in 1usize..=4, seed: u64) {
        let mut noise = Noise::new(seed);
        let draws = noise.normals(2 * n * n);
        let linear = Mat::from_fn(n, n, |i, j| 0.3 * draws[i * n + j] - if i == j { 1.5 } else { 0.0 });
        let outer = Mat::from_fn(n, n, |i, j| 0.5 * draws[n * n + i * n + j]);
        let field = field(linear, outer, Function::Tanh);
        if let StabilityVerdict::Certified(proof) = stability(&field) {
            verify_stability(&field, &proof).unwrap();
            for _ in 0..30 {
                let x = Mat::from_fn(n, 1, |_, _| 3.0 * noise.normal());
                let f = Mat::from_fn(n, 1, |i, _| x[(i, 0)].tanh());
                let dx = &field.linear * &x + &field.terms[0].outer * &f;
                let along = (x.transpose() * &proof.metric * &dx)[(0, 0)];
                let integrals: f64 = (0..n).map(|i| proof.integrals[i] * f[(i, 0)] * dx[(i, 0)]).sum();
                prop_assert!(along + integrals < 0.0, "{along} {integrals}");
            }
        }
    }
}
