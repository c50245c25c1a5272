//! Failed solves are values: they say why and what to try, hold the last good state, and end quickly.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::tensor::Tensor;
use common::{distance, oscillator, starts};
use thalweg_solve::{
    Control, Failure, InvalidSolve, Method, Placement, Save, SolveError, Solver, Span, Steps, Times,
    Tolerance, integrate, to_host,
};

type Outcome = SolveError<Tensor<2>>;

fn fail(solver: &Solver, save: &Save, rate: impl FnMut(&Times, &Tensor<2>) -> Tensor<2>) -> Outcome {
    integrate(solver, Span::FORWARD, starts(&Placement::cpu_double(), 3), save, rate).unwrap_err()
}

/// `x' = x²` from 2.5 and 1.2 becomes infinite at t = 0.4 and 5/6; from -0.1 it lives on.
fn blow_up(_: &Times, x: &Tensor<2>) -> Tensor<2> {
    let first = x.clone().narrow(1, 0, 1);
    Tensor::cat(vec![first.clone().square(), first.zeros_like()], 1)
}

#[test]
fn running_out_of_steps_keeps_the_state_that_was_reached() {
    let solver = Solver { max_steps: 5, ..Solver::adaptive(Method::Dopri5, 1e-9) };
    let error = fail(&solver, &Save::End, oscillator);
    assert_eq!(error.reason, Failure::MaxSteps(5));
    assert_eq!(error.samples, 3);
    let (time, start) = (error.time(), starts(&Placement::cpu_double(), 3));
    assert!(0.0 < time && time < 1.0);
    let span = Span { start: 0.0, end: time };
    let exact =
        integrate(&Solver::adaptive(Method::Dopri5, 1e-9), span, start, &Save::End, oscillator).unwrap();
    assert!(distance(&error.last, &exact.state) < 1e-7);
    let message = error.to_string();
    assert!(message.contains("5 steps did not reach the end; raise `max_steps`"), "{message}");
    assert!(message.contains("(3 of 3 samples)"), "{message}");
}

#[test]
fn a_singularity_is_a_step_too_small_for_the_batch() {
    let error = fail(&Solver::adaptive(Method::Dopri5, 1e-6), &Save::End, blow_up);
    assert!(matches!(error.reason, Failure::StepTooSmall(_)), "{:?}", error.reason);
    assert!((error.time() - 0.4).abs() < 1e-6, "{}", error.time());
    assert!(to_host(&error.last).iter().all(|x| x.is_finite()));
    assert!(error.evaluations[0] < 3000);
    assert!(error.to_string().contains("loosen the tolerance"), "{error}");
}

#[test]
fn a_singularity_of_one_sample_leaves_the_others_alone() {
    let error = fail(&Solver::adaptive(Method::Dopri5, 1e-6).per_sample(), &Save::End, blow_up);
    assert_eq!(error.samples, 2);
    let Times::PerSample(reached) = &error.reached else { panic!("{:?}", error.reached) };
    assert!((reached[0] - 0.4).abs() < 1e-6 && (reached[1] - 5.0 / 6.0).abs() < 1e-6, "{reached:?}");
    assert_eq!(reached[2], 1.0);
    assert!((error.time() - 0.4).abs() < 1e-6);
    let healthy = to_host(&error.last)[4];
    assert!((healthy - -0.1 / 1.1).abs() < 1e-5, "{healthy}");
}

#[test]
fn a_field_of_nan_ends_every_solve_quickly() {
    for solver in [
        Solver::default(),
        Solver::default().per_sample(),
        Solver::fixed(Method::Rk4, 10_000),
        Solver::fixed(Method::Dopri5, 3),
    ] {
        for poisoned_from in [0.0, 0.3] {
            let mut calls = 0;
            let error = fail(&solver, &Save::End, |times, x| {
                calls += 1;
                let poison = |sample| if times.of(sample) >= poisoned_from { f64::NAN } else { 1.0 };
                oscillator(times, x) * Placement::of(x).tensor(&[0, 1, 2].map(poison), [3, 1])
            });
            assert_eq!(error.reason, Failure::NotFinite, "{solver:?}");
            let steps_before = if matches!(solver.steps, Steps::Fixed(10_000)) { 4 * 3_000 } else { 0 };
            assert!(calls < 700 + steps_before, "{calls} calls of {solver:?}");
            assert!(to_host(&error.last).iter().all(|x| x.is_finite()));
            assert!((0.0..=0.3).contains(&error.time()), "{}", error.time());
            assert!(error.to_string().contains("NaN or infinite"), "{error}");
        }
    }
}

#[test]
fn one_sample_of_nan_does_not_spoil_those_with_steps_of_their_own() {
    let poison = |times: &Times, x: &Tensor<2>| oscillator(times, x).slice_fill([1..2, 0..2], f64::NAN);
    let solver = Solver::default().per_sample();
    let error = fail(&solver, &Save::End, poison);
    assert_eq!((error.reason.clone(), error.samples, error.time()), (Failure::NotFinite, 1, 0.0));
    let start = starts(&Placement::cpu_double(), 3);
    let healthy = integrate(&solver, Span::FORWARD, start.clone(), &Save::End, oscillator).unwrap().state;
    for (sample, expected) in [(0, &healthy), (1, &start), (2, &healthy)] {
        let row = |x: &Tensor<2>| to_host(&x.clone().narrow(0, sample, 1));
        assert_eq!(row(&error.last), row(expected));
    }
}

#[test]
fn overflow_between_the_looks_is_found() {
    // Each slope is finite in single precision, their sum is not.
    let x = Placement::cpu().tensor(&[3e38, 0.0], [1, 2]);
    let push = |_: &Times, x: &Tensor<2>| x.zeros_like().add_scalar(2e38);
    for solver in [Solver::fixed(Method::Euler, 3), Solver::fixed(Method::Euler, 100)] {
        let error = integrate(&solver, Span::FORWARD, x.clone(), &Save::End, push).unwrap_err();
        assert_eq!((error.reason.clone(), error.samples), (Failure::NotFinite, 1));
        assert!(to_host(&error.last).iter().all(|x| x.is_finite()));
    }
}

fn check_refused(solver: &Solver, save: &Save, expected: &InvalidSolve, message: &str) {
    let error = fail(solver, save, |_, _| panic!("a solve that makes no sense evaluates nothing"));
    assert_eq!(error.reason, Failure::Invalid(expected.clone()));
    assert_eq!(error.evaluations, [0, 0, 0]);
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn requests_that_make_no_sense_are_refused_with_advice() {
    let good = Solver::default();
    let end = Save::End;
    let tolerance = |relative, absolute| Solver {
        steps: Steps::Adaptive {
            tolerance: Tolerance { relative, absolute },
            control: Control::Shared,
            first_step: None,
        },
        ..Solver::default()
    };
    let grid = |nodes: &[f64]| Solver { steps: Steps::Grid(nodes.to_vec()), ..Solver::default() };
    check_refused(
        &Solver::adaptive(Method::Rk4, 1e-5),
        &end,
        &InvalidSolve::NoErrorEstimate { method: Method::Rk4 },
        "`rk4` has no error estimate",
    );
    check_refused(&Solver::fixed(Method::Euler, 0), &end, &InvalidSolve::NoSteps, "at least one step");
    check_refused(
        &Solver { max_steps: 0, ..good.clone() },
        &end,
        &InvalidSolve::NoSteps,
        "at least one step",
    );
    check_refused(
        &Solver { max_steps: 10, ..Solver::fixed(Method::Euler, 11) },
        &end,
        &InvalidSolve::TooManySteps { steps: 11, max_steps: 10 },
        "11 steps are asked for but `max_steps` is 10",
    );
    check_refused(
        &tolerance(1e-5, 0.0),
        &end,
        &InvalidSolve::Tolerance { name: "absolute", value: 0.0 },
        "the absolute tolerance is 0; both must be finite, the absolute one above 0",
    );
    check_refused(
        &tolerance(-1.0, 1e-5),
        &end,
        &InvalidSolve::Tolerance { name: "relative", value: -1.0 },
        "the relative tolerance is -1; both must be finite, the absolute one above 0 and the relative one not negative",
    );
    check_refused(&grid(&[0.0]), &end, &InvalidSolve::NoSteps, "at least two times");
    check_refused(
        &grid(&[0.0, 0.5, 0.5, 1.0]),
        &end,
        &InvalidSolve::GridOrder { index: 2, time: 0.5 },
        "time 2 of the grid, 0.5, is out of order",
    );
    check_refused(
        &grid(&[0.0, 0.9]),
        &end,
        &InvalidSolve::GridEnds { start: 0.0, end: 1.0 },
        "the ends of the span, 0 and 1",
    );
    for (times, index) in [(vec![0.5, 0.2], 1), (vec![0.5, 1.5], 1), (vec![-0.1], 0), (vec![f64::NAN], 0)] {
        let error = fail(&good, &Save::At(times), oscillator);
        assert!(
            matches!(error.reason, Failure::Invalid(InvalidSolve::SaveTime { index: i, .. }) if i == index)
        );
    }
    check_refused(
        &good.clone().per_sample(),
        &Save::Steps,
        &InvalidSolve::NeedsSharedSteps { what: "saving every step" },
        "saving every step needs one step size for the batch",
    );
    let span = Span { start: 0.0, end: f64::INFINITY };
    let x = starts(&Placement::cpu(), 1);
    let error = integrate(&good, span, x, &end, oscillator).unwrap_err();
    assert!(error.to_string().contains("is not finite"), "{error}");
}

#[test]
fn errors_travel_without_their_state() {
    let error = fail(&Solver { max_steps: 1, ..Solver::default() }, &Save::End, oscillator);
    let message = error.to_string();
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(error.without_state());
    assert_eq!(boxed.to_string(), message);
}
