//! Bounds on the error of inference: golden values, and laws they must keep.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_flow::{FixedSteps, GaussianFlow, InferenceErrors, Schedule, inference_errors};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Tangent, VelocityField};

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

fn uniform(method: Method, steps: usize) -> FixedSteps {
    FixedSteps { method, times: (0..=steps).map(|n| n as f64 / steps as f64).collect() }
}

fn euler(steps: usize) -> FixedSteps {
    uniform(Method::Euler, steps)
}

fn end(values: &[Vec<f64>]) -> f64 {
    values[values.len() - 1][0]
}

fn gaussian(deviation: f64, wrong: f64, x0: &[f64], steps: usize) -> InferenceErrors {
    let placement = Placement::cpu_double();
    let schedule = Schedule::Linear { sigma_min: 0.0 };
    let truth = GaussianFlow::new(schedule, &[0.0], &[deviation * deviation], &placement).unwrap();
    let x0 = placement.tensor(x0, [x0.len(), 1]);
    inference_errors(&truth, &Wrong(truth.clone(), wrong), &x0, &euler(steps)).unwrap()
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
        let found = inference_errors(&Linear(1.3), &Wrong(Linear(1.3), -0.05), &x0, &euler(steps)).unwrap();
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
    let found = inference_errors(&Linear(0.0), &Wrong(Linear(0.0), 0.1), &x0, &euler(5)).unwrap();
    let expected = 0.1 * 2.0_f64.sqrt();
    for value in
        [end(&found.measured), end(&found.local), found.closed(), found.gronwall(), found.exact.bound]
    {
        assert!((value - expected).abs() < 1e-9, "{value}");
    }
}

/// The methods of several stages; the first four have no negative coefficients.
const METHODS: [Method; 6] =
    [Method::Midpoint, Method::Heun, Method::Rk4, Method::Bosh3, Method::Dopri5, Method::Tsit5];

/// A field that is wrong by a wave, not the same anywhere.
struct Wavy<F> {
    field: F,
    height: f64,
}

impl<F: VelocityField<2>> VelocityField<2> for Wavy<F> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        let wave = (x.clone() * 2.0 + t.clone().unsqueeze_dim::<2>(1)).sin();
        self.field.velocity(t, x) + wave * self.height
    }
}

impl<F: Tangent<2>> Tangent<2> for Wavy<F> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let phase = x.clone() * 2.0 + t.clone().unsqueeze_dim::<2>(1);
        let turned = dx.clone() * 2.0 + dt.clone().unsqueeze_dim::<2>(1);
        let (velocity, tangent) = self.field.velocity_and_tangent(t, x, dt, dx);
        (velocity + phase.clone().sin() * self.height, tangent + phase.cos() * turned * self.height)
    }
}

/// Along `ẋ = 1.3x`, with a learned field that is too slow everywhere, every inequality of the proof is an equality
/// as long as no coefficient of the method is negative.
#[test]
fn the_bound_by_slopes_is_attained_by_every_method_without_negative_coefficients() {
    let placement = Placement::cpu_double();
    for method in &METHODS[..4] {
        for steps in [1, 3, 8] {
            let x0 = placement.tensor(&[0.8], [1, 1]);
            let slow = Wrong(Linear(1.3), -0.05);
            let found = inference_errors(&Linear(1.3), &slow, &x0, &uniform(*method, steps)).unwrap();
            let (measured, bound) = (end(&found.measured), end(&found.local));
            assert!((measured - bound).abs() < 1e-10, "{method}, {steps}: {measured}, bound {bound}");
            assert!((end(&found.logarithmic) - bound).abs() < 1e-10);
            assert!((found.slope - 1.3).abs() < 1e-12 && (found.field_error - 0.05).abs() < 1e-12);
            assert_eq!(found.acceleration, 0.0);
        }
    }
    // By hand: one step of RK4 of the whole length, R(z) = 1 + z + z²/2 + z³/6 + z⁴/24.
    let x0 = placement.tensor(&[0.8], [1, 1]);
    let slow = Wrong(Linear(1.3), -0.05);
    let found = inference_errors(&Linear(1.3), &slow, &x0, &uniform(Method::Rk4, 1)).unwrap();
    let z = 1.3_f64;
    let stretch = 1.0 + z / 2.0 + z * z / 6.0 + z.powi(3) / 24.0;
    let rest = 0.8 * (z.exp() - (1.0 + z * stretch));
    assert!((found.truncation - rest).abs() < 1e-9, "{}", found.truncation);
    assert!((found.step_slope() - 1.3 * stretch).abs() < 1e-12);
    assert!((found.step_error() - 0.05 * stretch).abs() < 1e-12);
    assert!((found.uniform()[1] - (0.05 * stretch + rest)).abs() < 1e-9);
}

/// Gaussians of random covariance in two dimensions, whose slopes are the same everywhere, so that five points know
/// them.
#[test]
fn bounds_of_every_method_bound_and_are_in_order() {
    let mut noise = Noise::new(3);
    let placement = Placement::cpu_double();
    let schedule = Schedule::Linear { sigma_min: 0.0 };
    for (case, method) in METHODS.into_iter().cycle().take(18).enumerate() {
        let [a, b, c, d] = [0; 4].map(|_| noise.normals(1)[0]);
        let covariance = [a * a + b * b + 0.05, a * c + b * d, a * c + b * d, c * c + d * d + 0.05];
        let truth = GaussianFlow::new(schedule, &noise.normals(2), &covariance, &placement).unwrap();
        let learned = Wavy { field: truth.clone(), height: [0.0, 0.02, 0.3][case % 3] };
        let x0 = placement.tensor(&noise.normals(20), [10, 2]);
        let mut steps = uniform(method, [1, 2, 4, 9][case % 4]);
        if case % 2 == 1 {
            steps.times.iter_mut().for_each(|t| *t *= *t);
        }
        let found = inference_errors(&truth, &learned, &x0, &steps).unwrap();
        let uniform = found.uniform();
        for n in 0..steps.times.len() {
            for i in 0..10 {
                let [measured, fine, local] =
                    [&found.measured, &found.logarithmic, &found.local].map(|bound| bound[n][i]);
                let told =
                    format!("{method}, case {case}, step {n}: {measured}, {fine}, {local}, {}", uniform[n]);
                assert!(measured <= fine * (1.0 + 1e-9) + 1e-12, "{told}");
                assert!(fine <= local * (1.0 + 1e-12) && local <= uniform[n] * (1.0 + 1e-12), "{told}");
            }
        }
        let last = uniform[found.steps()];
        for coarse in [found.closed(), found.gronwall(), found.gronwall_proved()] {
            assert!(last <= coarse * (1.0 + 1e-12), "{method}: {last} above {coarse}");
        }
        assert!((found.learning_part() + found.discretisation_part() - found.closed()).abs() < 1e-9);
    }
}

#[test]
fn bounds_of_a_perfect_field_fall_with_the_order_of_the_method() {
    let placement = Placement::cpu_double();
    // Along a Gaussian around zero `midpoint` does better than its order, so this is none.
    let truth = Wavy { field: Linear(0.7), height: 0.5 };
    for (method, order) in [(Method::Midpoint, 2), (Method::Heun, 2), (Method::Bosh3, 3), (Method::Rk4, 4)] {
        let bounds = |steps: usize| {
            let x0 = placement.tensor(&[1.5, -0.3], [2, 1]);
            let found = inference_errors(&truth, &truth, &x0, &uniform(method, steps)).unwrap();
            assert_eq!((found.field_error, found.learning_part()), (0.0, 0.0));
            [end(&found.logarithmic), end(&found.local), found.closed()]
        };
        let expected = 2.0_f64.powi(order);
        for (coarse, fine) in bounds(16).into_iter().zip(bounds(32)) {
            let ratio = coarse / fine;
            assert!((ratio / expected - 1.0).abs() < 0.2, "{method}: {ratio}, not {expected}");
        }
    }
}

/// Where the truth contracts, what contraction takes away is worth having: the bound stays near the error.
#[test]
fn contraction_counts_for_every_method() {
    let placement = Placement::cpu_double();
    for method in METHODS {
        let x0 = placement.tensor(&[0.8, -2.0], [1, 2]);
        let wrong = Wrong(Linear(-6.0), 0.1);
        let found = inference_errors(&Linear(-6.0), &wrong, &x0, &uniform(method, 10)).unwrap();
        let (measured, fine, coarse) = (end(&found.measured), end(&found.logarithmic), end(&found.local));
        assert!(
            measured <= fine && fine < 3.0 * measured && coarse > 20.0 * fine,
            "{measured}, {fine}, {coarse}"
        );
    }
}
