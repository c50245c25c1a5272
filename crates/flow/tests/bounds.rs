//! Bounds on the error of inference: golden values, and laws they must keep.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_flow::{GaussianFlow, InferenceErrors, Schedule, inference_errors};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, Tangent, VelocityField};

/// A field that is wrong by a constant.
struct Wrong<F>(F, f64);

impl<F: VelocityField<2>> VelocityField<2> for Wrong<F> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.0.velocity(t, x) + self.1
    }
}

impl<F: Tangent<2>> Tangent<2> for Wrong<F> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let (velocity, tangent) = self.0.velocity_and_tangent(t, x, dt, dx);
        (velocity + self.1, tangent)
    }
}

struct Linear(f64);

impl VelocityField<2> for Linear {
    fn velocity(&self, _t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        x * self.0
    }
}

impl Tangent<2> for Linear {
    fn velocity_and_tangent(
        &self,
        _t: Tensor<1>,
        x: Tensor<2>,
        _dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        (x * self.0, dx * self.0)
    }
}

fn uniform(steps: usize) -> Vec<f64> {
    (0..=steps).map(|n| n as f64 / steps as f64).collect()
}

fn end(values: &[Vec<f64>]) -> f64 {
    values[values.len() - 1][0]
}

fn gaussian(deviation: f64, wrong: f64, x0: &[f64], steps: usize) -> InferenceErrors {
    let placement = Placement::cpu_double();
    let schedule = Schedule::Linear { sigma_min: 0.0 };
    let truth = GaussianFlow::new(schedule, &[0.0], &[deviation * deviation], &placement).unwrap();
    let x0 = placement.tensor(x0, [x0.len(), 1]);
    inference_errors(&truth, &Wrong(truth.clone(), wrong), &x0, &uniform(steps)).unwrap()
}

#[test]
fn the_golden_values_of_a_gaussian() {
    let mut found = gaussian(0.5, 0.02, &[1.5], 16);
    let close = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-5 * expected, "{found}, not {expected}");
    };
    close(end(&found.measured), 0.049_907_3);
    close(end(&found.logarithmic), 0.087_936_7);
    close(found.field_error, 0.02);
    // Slope and acceleration are largest between the times at which they are looked at.
    assert!(found.slope <= 1.25 && found.slope > 1.24, "{}", found.slope);
    assert!(found.acceleration <= 4.192_63 && found.acceleration > 4.18, "{}", found.acceleration);
    (found.slope, found.acceleration) = (1.25, 1.5 * 1.25_f64.powf(1.5) / 0.5);
    close(found.uniform()[16], 0.281_743);
    close(found.closed(), 0.300_872);
    close(found.gronwall(), 0.487_497);
}

#[test]
fn the_golden_values_of_a_linear_field() {
    let placement = Placement::cpu_double();
    let golden = [
        (4, 0.549_747, 1.375_943),
        (16, 0.239_252, 0.420_985),
        (64, 0.138_831, 0.182_245),
        (256, 0.111_842, 0.122_560),
    ];
    for (steps, measured, closed) in golden {
        let x0 = placement.tensor(&[0.8], [1, 1]);
        let found = inference_errors(&Linear(1.3), &Wrong(Linear(1.3), -0.05), &x0, &uniform(steps)).unwrap();
        assert!((end(&found.measured) - measured).abs() < 2e-6, "{steps}: {}", end(&found.measured));
        assert!((found.closed() - closed).abs() < 2e-6, "{steps}: {}", found.closed());
    }
}

/// Every bound is above what it bounds, and the finer ones are below the coarser ones.
#[test]
fn bounds_bound_and_are_in_order() {
    let mut noise = Noise::new(7);
    for (deviation, wrong, steps) in [(0.5, 0.02, 4), (2.0, 0.1, 8), (0.2, 0.0, 12), (1.0, 0.3, 1)] {
        let x0 = noise.normals(20);
        let found = gaussian(deviation, wrong, &x0, steps);
        for n in 0..=steps {
            for i in 0..x0.len() {
                let [measured, fine, local] =
                    [&found.measured, &found.logarithmic, &found.local].map(|bound| bound[n][i]);
                let uniform = found.uniform()[n];
                assert!(
                    measured <= fine * (1.0 + 1e-9) + 1e-8,
                    "{deviation} {n} {i}: {measured} above {fine}"
                );
                assert!(fine <= local * (1.0 + 1e-12) && local <= uniform * (1.0 + 1e-12));
            }
        }
        assert!(found.uniform()[steps] <= found.closed() * (1.0 + 1e-12));
        assert!(found.uniform()[steps] <= found.gronwall_proved() * (1.0 + 1e-12));
        assert!((found.learning_part() + found.discretisation_part() - found.closed()).abs() < 1e-12);
        // Equality for a constant error, up to quadrature.
        assert!(found.exact.measured <= found.exact.bound * (1.0 + 1e-4) + 1e-9, "{:?}", found.exact);
        assert_eq!(found.exact.field_errors.len(), steps + 1);
    }
}

#[test]
fn a_perfect_field_has_only_the_error_of_its_steps() {
    let errors = |steps: usize| gaussian(0.5, 0.0, &[1.5, -0.3], steps);
    let (coarse, fine) = (errors(8), errors(64));
    assert_eq!(coarse.field_error, 0.0);
    assert_eq!((coarse.learning_part(), coarse.exact.bound), (0.0, 0.0));
    // First order: an eighth of the step, an eighth of the error.
    let ratio = end(&coarse.measured) / end(&fine.measured);
    assert!((ratio - 8.0).abs() < 1.0, "{ratio}");
}

#[test]
fn a_field_that_is_constant_carries_errors_unchanged() {
    let placement = Placement::cpu_double();
    let x0 = placement.tensor(&[0.8, -2.0], [1, 2]);
    let found = inference_errors(&Linear(0.0), &Wrong(Linear(0.0), 0.1), &x0, &uniform(5)).unwrap();
    let expected = 0.1 * 2.0_f64.sqrt();
    for value in
        [end(&found.measured), end(&found.local), found.closed(), found.gronwall(), found.exact.bound]
    {
        assert!((value - expected).abs() < 1e-9, "{value}");
    }
}
