//! Reconstructions against what can be computed by hand: gradients, covariances, penalties, and what small batches do.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_flow::{
    Covariance, FlowError, Interval, Reconstruction, Regularisation, assignment_distance, debiased_distance,
};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Solver, Tangent, VelocityField, to_host};

/// `v = a·x + b` in every coordinate.
struct Affine {
    a: Tensor<2>,
    b: Tensor<2>,
}

impl Affine {
    fn new([a, b]: [f64; 2], placement: &Placement) -> Self {
        let leaf = |value: f64| placement.tensor(&[value], [1, 1]).autodiff().require_grad();
        Self { a: leaf(a), b: leaf(b) }
    }
}

impl VelocityField<2> for Affine {
    fn velocity(&self, _t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        x * self.a.clone() + self.b.clone()
    }
}

impl Tangent<2> for Affine {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        _dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        (self.velocity(t, x), dx * self.a.clone())
    }
}

fn through(solver: Solver) -> Reconstruction {
    Reconstruction { solver, interval: Interval::UNIT, regularisation: Regularisation::NONE }
}

fn value(loss: &Tensor<1>) -> f64 {
    to_host(loss)[0]
}

const NOISE: [f64; 4] = [-1.0, 0.5, 2.0, 0.25];
const DATA: [f64; 4] = [0.0, 1.5, 2.5, -1.0];

fn loss(parameters: [f64; 2], solver: &Solver) -> (f64, [f64; 2]) {
    let placement = Placement::cpu_double();
    let field = Affine::new(parameters, &placement);
    let x0 = placement.tensor(&NOISE, [4, 1]).autodiff();
    let x1 = placement.tensor(&DATA, [4, 1]).autodiff();
    let end = through(solver.clone()).solve(&field, x0, &mut Noise::new(1)).unwrap();
    assert!(end.penalty.is_none());
    let loss = Covariance::default().loss(end.x - x1);
    let gradients = loss.backward();
    let gradient = |parameter: &Tensor<2>| to_host(&parameter.grad(&gradients).unwrap())[0];
    (value(&loss), [gradient(&field.a), gradient(&field.b)])
}

#[test]
fn one_step_of_euler_is_a_regression_of_data_on_noise() {
    let [a, b] = [0.3, -0.2];
    let residual = |k: usize| DATA[k] - NOISE[k] - a * NOISE[k] - b;
    let mean = |of: &dyn Fn(usize) -> f64| (0..4).map(of).sum::<f64>() / 4.0;
    let (found, gradient) = loss([a, b], &Solver::fixed(Method::Euler, 1));
    assert!((found - mean(&|k| residual(k).powi(2))).abs() < 1e-12);
    assert!((gradient[0] + 2.0 * mean(&|k| residual(k) * NOISE[k])).abs() < 1e-12);
    assert!((gradient[1] + 2.0 * mean(&residual)).abs() < 1e-12);
}

#[test]
fn gradients_go_through_every_solver() {
    for solver in [
        Solver::fixed(Method::Euler, 5),
        Solver::fixed(Method::Rk4, 3),
        Solver::adaptive(Method::Dopri5, 1e-6),
        Solver::adaptive(Method::Dopri5, 1e-6).per_sample(),
    ] {
        let (_, gradient) = loss([0.7, 0.4], &solver);
        let h = 1e-5;
        for (index, found) in gradient.into_iter().enumerate() {
            let at = |sign: f64| {
                let mut parameters = [0.7, 0.4];
                parameters[index] += sign * h;
                loss(parameters, &solver).0
            };
            let expected = (at(1.0) - at(-1.0)) / (2.0 * h);
            // Steps that adapt move a little with the parameters, and are constants for the gradient.
            assert!(
                (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                "{solver:?}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn penalties_are_the_energy_and_the_slope_of_the_path() {
    let placement = Placement::cpu_double();
    let x0 = || placement.tensor(&[0.5, -1.0, 2.0, 3.0, 0.0, 1.0], [2, 3]);
    let penalty = |parameters: [f64; 2], kinetic: f64, jacobian: f64| {
        let regularisation = Regularisation { kinetic, jacobian, ..Regularisation::NONE };
        let solver = Solver::fixed(Method::Rk4, 4);
        let reconstruction = Reconstruction { regularisation, ..through(solver) };
        let field = Affine::new(parameters, &placement);
        value(&reconstruction.solve(&field, x0(), &mut Noise::new(3)).unwrap().penalty.unwrap())
    };
    assert!((penalty([0.0, 2.0], 0.5, 0.0) - 0.5 * 3.0 * 4.0).abs() < 1e-12);
    assert!((penalty([0.8, 0.0], 0.0, 2.0) - 2.0 * 3.0 * 0.64).abs() < 1e-12);
    assert!((penalty([0.0, 2.0], 0.5, 2.0) - 6.0).abs() < 1e-12);
}

#[test]
fn covariances_weigh_coordinates() {
    let placement = Placement::cpu_double();
    let residual = || placement.tensor(&[1.0, 10.0, -3.0, 20.0], [2, 2]);
    let close = |covariance: Covariance, expected: f64| {
        let found = value(&covariance.loss(residual()));
        assert!((found - expected).abs() < 1e-12, "{covariance:?}: {found}");
    };
    close(Covariance::Scalar {}, (1.0 + 100.0 + 9.0 + 400.0) / 4.0);
    close(Covariance::Diagonal { variances: vec![1.0, 100.0] }, (1.0 + 1.0 + 9.0 + 4.0) / 4.0);
    close(Covariance::Learned {}, (5.0_f64.ln() + 250.0_f64.ln()) / 2.0);
    // In other units a learned covariance has the same gradient, because only a constant is added.
    let scaled = value(&Covariance::Learned {}.loss(residual() * 7.0));
    let plain = value(&Covariance::Learned {}.loss(residual()));
    assert!((scaled - plain - 2.0 * 7.0_f64.ln()).abs() < 1e-12);
    let still = placement.full(0.0, [2, 2]);
    assert!(value(&Covariance::Learned {}.loss(still)).is_finite());

    let refused =
        |variances: &[f64], dim| Covariance::Diagonal { variances: variances.to_vec() }.validate(dim);
    assert!(matches!(refused(&[1.0, 0.0], None), Err(FlowError::Setting { value, .. }) if value == 0.0));
    assert!(refused(&[1.0, f64::NAN], None).is_err());
    assert!(refused(&[], None).is_err());
    assert!(refused(&[1.0], Some(2)).is_err());
    assert!(refused(&[1.0, 2.0], Some(2)).is_ok());
}

/// Of normal points made smaller by a gain, in eight dimensions and 64 at once: the distance with pairs of the batch is
/// least for points that have lost a third of their spread, as order statistics predict (0.662); the debiased one for
/// those that have lost none.
#[test]
fn small_batches_reward_lost_spread_unless_their_bias_is_taken_out() {
    let placement = Placement::cpu_double();
    let (n, dim, gains) = (64, 8, [0.4, 0.66, 1.0, 1.2]);
    let (mut biased, mut debiased) = ([0.0; 4], [0.0; 4]);
    let mut noise = Noise::new(5);
    for _ in 0..12 {
        let (x, y): (Tensor<2>, Tensor<2>) =
            (placement.normal(&mut noise, [2 * n, dim]), placement.normal(&mut noise, [2 * n, dim]));
        for (k, gain) in gains.into_iter().enumerate() {
            let small = x.clone() * gain;
            let first = |cloud: &Tensor<2>| cloud.clone().narrow(0, 0, n);
            biased[k] += value(&assignment_distance(&first(&small), &first(&y)).unwrap());
            debiased[k] += value(&debiased_distance(&small, &y).unwrap());
        }
    }
    let least = |values: [f64; 4]| (0..4).min_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
    assert_eq!((least(biased), least(debiased)), (1, 2), "{biased:?}, {debiased:?}");
    assert!(debiased[2].abs() < 0.03 * biased[2], "{debiased:?}, {biased:?}");
}

#[test]
fn clouds_that_are_not_finite_have_no_distance() {
    let placement = Placement::cpu_double();
    let x = placement.tensor(&[0.0, f64::NAN], [2, 1]);
    assert!(assignment_distance(&x, &placement.full(0.0, [2, 1])).is_err());
}
