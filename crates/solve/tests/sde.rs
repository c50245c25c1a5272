//! Stochastic sampling keeps the marginals of the flow.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_noise::Noise;
use thalweg_solve::{EulerMaruyama, Failure, InvalidSolve, Placement, Span, Times, to_host};

const MEAN: f64 = 1.5;
const DEVIATION: f64 = 0.7;

/// On the path `x_t = t x₁ + (1 − t) ε` to `N(1.5, 0.7²)`: the exact velocity `u` plus `½ g² s = η (t u − x)` for the
/// diffusion `g² = 2 η (1 − t)`.
fn drift(eta: f64, times: &Times, x: &Tensor<2>) -> Tensor<2> {
    let t = times.of(0);
    let variance = (t * DEVIATION).powi(2) + (1.0 - t).powi(2);
    let slope = (t * DEVIATION * DEVIATION - (1.0 - t)) / variance;
    let velocity = x.clone().sub_scalar(t * MEAN).mul_scalar(slope).add_scalar(MEAN);
    velocity.clone() + (velocity.mul_scalar(t) - x.clone()).mul_scalar(eta)
}

#[test]
fn any_amount_of_noise_ends_in_the_data_distribution() {
    let placement = Placement::cpu();
    let n = 20_000;
    for eta in [0.0, 0.5, 2.0] {
        let mut noise = Noise::at(11, "sde", 0);
        let x = placement.normal(&mut noise, [n, 1]);
        let solver = EulerMaruyama { span: Span::FORWARD, steps: 200 };
        let diffusion = |t: f64| (2.0 * eta * (1.0 - t)).sqrt();
        let end = solver.sample(x, &mut noise, |t, x| drift(eta, t, x), diffusion).unwrap();
        let values = to_host(&end);
        let mean = values.iter().sum::<f64>() / n as f64;
        let deviation = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        // Four standard errors of the mean and of the deviation, and the bias of 200 steps.
        assert!((mean - MEAN).abs() < 4.0 * 0.7 / 20_000_f64.sqrt() + 0.005, "η = {eta}: mean {mean}");
        assert!(
            (deviation - DEVIATION).abs() < 4.0 * 0.7 / 40_000_f64.sqrt() + 0.005,
            "η = {eta}: {deviation}"
        );
    }
}

#[test]
fn the_last_step_adds_no_noise() {
    let x: Tensor<1> = Placement::cpu_double().tensor(&[1.0, 2.0], [2]);
    let still = |_: &Times, x: &Tensor<1>| x.zeros_like();
    for span in [Span::FORWARD, Span::BACKWARD] {
        let once = EulerMaruyama { span, steps: 1 };
        let end = once.sample(x.clone(), &mut Noise::new(1), still, |_| 5.0).unwrap();
        assert_eq!(to_host(&end), [1.0, 2.0]);
        // Of two steps of ½ the first adds g √½ z.
        let twice = EulerMaruyama { span, steps: 2 };
        let end = to_host(&twice.sample(x.clone(), &mut Noise::new(1), still, |_| 5.0).unwrap());
        let z = Noise::new(1).normals(2);
        for i in 0..2 {
            assert!((end[i] - (1.0 + i as f64) - 5.0 * 0.5_f64.sqrt() * z[i]).abs() < 1e-14);
        }
    }
}

#[test]
fn samples_are_the_same_for_the_same_noise() {
    let x: Tensor<2> = Placement::cpu().full(0.3, [4, 1]);
    let run = |seed| {
        let solver = EulerMaruyama { span: Span::FORWARD, steps: 20 };
        let mut noise = Noise::new(seed);
        to_host(&solver.sample(x.clone(), &mut noise, |t, x| drift(1.0, t, x), |t| 1.0 - t).unwrap())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn failures_are_values() {
    let x: Tensor<1> = Placement::cpu().tensor(&[1.0, 2.0], [2]);
    let poison = |_: &Times, x: &Tensor<1>| x.clone().mul_scalar(f64::NAN);
    let run = |steps, end| {
        let solver = EulerMaruyama { span: Span { start: 0.0, end }, steps };
        solver.sample(x.clone(), &mut Noise::new(1), poison, |_| 1.0).unwrap_err()
    };
    assert_eq!(run(3, 1.0).reason, Failure::NotFinite);
    assert_eq!(to_host(&run(3, 1.0).last), [1.0, 2.0]);
    assert_eq!(run(0, 1.0).reason, Failure::Invalid(InvalidSolve::NoSteps));
    assert!(matches!(run(3, f64::NAN).reason, Failure::Invalid(InvalidSolve::Span { .. })));
    let empty: Tensor<1> = Placement::cpu().tensor(&[], [0]);
    let solver = EulerMaruyama { span: Span::FORWARD, steps: 2 };
    assert_eq!(solver.sample(empty, &mut Noise::new(1), |_, x| x.clone(), |_| 1.0).unwrap().dims(), [0]);
}
