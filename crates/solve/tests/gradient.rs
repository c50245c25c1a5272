//! Gradients through solves: equal to those of the plain tape, right by finite differences, in little memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::cell::Cell;

use burn::tensor::Tensor;
use common::{distance, starts};
use thalweg_solve::{
    Augmented, Checkpoints, Failure, InvalidSolve, Method, Placement, Save, Solver, Span, State, Steps,
    Times, integrate, record, to_host,
};

/// `x' = tanh(x W + t)`, a network of one layer.
fn layer(weights: &Tensor<2>, times: &Times, x: &Tensor<2>) -> Tensor<2> {
    let t = times.tensor(x).reshape([x.dims()[0], 1]);
    (x.clone().matmul(weights.clone()) + t).tanh()
}

/// The same with the integrals of its divergence and of its kinetic energy.
fn augmented_layer(weights: &Tensor<2>, times: &Times, state: &Augmented<2>) -> Augmented<2> {
    let velocity = layer(weights, times, &state.x);
    let slope = velocity.clone().square().neg().add_scalar(1.0);
    let diagonal = Tensor::cat((0..2).map(|i| weights.clone().slice([i..i + 1, i..i + 1])).collect(), 1);
    let divergence = slope.mul(diagonal).sum_dim(1);
    let kinetic = velocity.clone().square().mean_dim(1);
    Augmented::new(velocity, Tensor::cat(vec![divergence, kinetic], 1))
}

fn weights() -> [f64; 4] {
    [0.7, -1.1, 0.4, 0.9]
}

/// The loss and its gradient with respect to the final state.
fn loss(end: &Tensor<2>) -> Tensor<1> {
    end.clone().square().mul_scalar(0.5).sum()
}

fn solvers() -> Vec<Solver> {
    let grid = vec![0.0, 0.05, 0.2, 0.5, 0.6, 0.9, 1.0];
    let mut solvers = Method::ALL.map(|method| Solver::fixed(method, 7)).to_vec();
    solvers.push(Solver { method: Method::Rk4, steps: Steps::Grid(grid), max_steps: 6 });
    solvers.push(Solver::adaptive(Method::Dopri5, 1e-5));
    solvers.push(Solver::adaptive(Method::Heun, 1e-3));
    solvers
}

const CHECKPOINTS: [Checkpoints; 4] =
    [Checkpoints::EveryStep, Checkpoints::SquareRoot, Checkpoints::Every(3), Checkpoints::Every(1000)];

#[test]
fn checkpoints_give_the_gradient_of_the_plain_tape() {
    for placement in [Placement::cpu(), Placement::cpu_double()] {
        let tolerance = if placement.dtype == Placement::cpu().dtype { 2e-5 } else { 1e-13 };
        for solver in solvers() {
            for span in [Span::FORWARD, Span::BACKWARD] {
                let w = placement.tensor(&weights(), [2, 2]).autodiff().require_grad();
                let x = starts(&placement, 3).autodiff().require_grad();
                let end = integrate(&solver, span, x.clone(), &Save::End, |t, x| layer(&w, t, x)).unwrap();
                let gradients = loss(&end.state).backward();
                let (plain_w, plain_x) = (w.grad(&gradients).unwrap(), x.grad(&gradients).unwrap());
                for checkpoints in CHECKPOINTS {
                    let rate = |t: &Times, x: &Tensor<2>| layer(&w, t, x);
                    let recorded = record(&solver, span, starts(&placement, 3), checkpoints, rate).unwrap();
                    assert_eq!(distance(&recorded.solution.state, &end.state.clone().inner()), 0.0);
                    let mut sum = plain_w.zeros_like();
                    let x = recorded
                        .backward(recorded.solution.state.clone(), rate, |gradients| {
                            sum = sum.clone() + w.grad(gradients).unwrap();
                        })
                        .unwrap();
                    assert!(distance(&x, &plain_x) < tolerance, "{solver:?} {checkpoints:?}");
                    assert!(distance(&sum, &plain_w) < tolerance, "{solver:?} {checkpoints:?}");
                }
            }
        }
    }
}

/// The scalar of the finite differences below: a likelihood with a regulariser.
fn objective(state: &Augmented<2>) -> Tensor<1> {
    loss(&state.x) - state.column(0).sum().mul_scalar(1.5) + state.column(1).sum().mul_scalar(0.3)
}

#[test]
fn gradients_of_points_and_integrals_agree_with_finite_differences() {
    let placement = Placement::cpu_double();
    let adaptive = Solver::adaptive(Method::Tsit5, 1e-4);
    for solver in [Solver::fixed(Method::Rk4, 7), Solver::fixed(Method::Dopri5, 4), adaptive] {
        let w = placement.tensor(&weights(), [2, 2]).autodiff().require_grad();
        let initial = Augmented::zeroed(starts(&placement, 3), 2);
        let rate = |t: &Times, state: &Augmented<2>| augmented_layer(&w, t, state);
        let recorded = record(&solver, Span::FORWARD, initial, Checkpoints::SquareRoot, rate).unwrap();
        let end = recorded.solution.state.clone();
        let cotangent = Augmented::new(end.x.clone(), placement.tensor(&[-1.5, 0.3].repeat(3), [3, 2]));
        let mut sum = w.clone().inner().zeros_like();
        let collect = |gradients: &mut _| sum = sum.clone() + w.grad(gradients).unwrap();
        let by_start = recorded.backward(cotangent, rate, collect).unwrap();
        // Steps are constants of the gradient, so the differences keep the grid.
        let replay = Solver {
            method: solver.method,
            steps: Steps::Grid(recorded.solution.grid.clone()),
            max_steps: 10_000,
        };
        let value = |w: &[f64], x: &[f64]| {
            let initial = Augmented::zeroed(placement.tensor(x, [3, 2]), 2);
            let w = placement.tensor(w, [2, 2]);
            let rate = |t: &Times, state: &Augmented<2>| augmented_layer(&w, t, state);
            let end = integrate(&replay, Span::FORWARD, initial, &Save::End, rate).unwrap().state;
            to_host(&objective(&end))[0]
        };
        let (w0, x0) = (weights().to_vec(), to_host(&starts(&placement, 3)));
        let check = |ours: f64, difference: f64| {
            assert!((ours - difference).abs() < 1e-6 * ours.abs().max(1.0), "{ours} is not {difference}");
        };
        let h = 1e-5;
        let moved = |v: &[f64], i: usize, by: f64| {
            let mut v = v.to_vec();
            v[i] += by;
            v
        };
        for (i, ours) in to_host(&sum).into_iter().enumerate() {
            check(ours, (value(&moved(&w0, i, h), &x0) - value(&moved(&w0, i, -h), &x0)) / (2.0 * h));
        }
        for (i, ours) in to_host(&by_start.x).into_iter().enumerate() {
            check(ours, (value(&w0, &moved(&x0, i, h)) - value(&w0, &moved(&x0, i, -h))) / (2.0 * h));
        }
        // The integrals start as constants that are only added to.
        assert_eq!(to_host(&by_start.accumulated), [-1.5, 0.3].repeat(3));
    }
}

/// The most stages on a tape at once, counted by the calls of the field between two releases.
fn longest_tape(steps: usize, checkpoints: Checkpoints) -> (usize, usize) {
    let placement = Placement::cpu();
    let w = placement.tensor(&weights(), [2, 2]).autodiff().require_grad();
    let (alive, most) = (Cell::new(0), Cell::new(0));
    let rate = |t: &Times, x: &Tensor<2>| {
        // The forward solve must leave no tape: what it hands to the field is not tracked.
        if x.is_tracked() {
            alive.set(alive.get() + 1);
            most.set(most.get().max(alive.get()));
        }
        layer(&w, t, x)
    };
    let solver = Solver::fixed(Method::Euler, steps);
    let recorded = record(&solver, Span::FORWARD, starts(&placement, 1), checkpoints, rate).unwrap();
    assert_eq!(most.get(), 0);
    assert!(!recorded.solution.state.is_autodiff());
    recorded.backward(recorded.solution.state.clone(), rate, |_| alive.set(0)).unwrap();
    assert_eq!(most.get(), recorded.longest_segment());
    (recorded.stored_states(), most.get())
}

#[test]
fn memory_grows_with_the_root_of_the_number_of_steps() {
    for steps in [1, 2, 5, 16, 100, 127, 128, 129, 400, 1000] {
        let (states, tape) = longest_tape(steps, Checkpoints::SquareRoot);
        assert!((states + tape) as f64 <= 3.0 * (steps as f64).sqrt() + 3.0, "{steps}: {states} + {tape}");
        assert_eq!(longest_tape(steps, Checkpoints::EveryStep).1, 1);
        assert_eq!(longest_tape(steps, Checkpoints::Every(10)).1, steps.min(10));
        assert_eq!(longest_tape(steps, Checkpoints::Every(usize::MAX)), (1, steps));
    }
}

#[test]
fn steps_per_sample_cannot_be_recorded_but_are_on_the_plain_tape() {
    let placement = Placement::cpu_double();
    let solver = Solver::adaptive(Method::Dopri5, 1e-9).per_sample();
    let w = placement.tensor(&weights(), [2, 2]).autodiff().require_grad();
    let rate = |t: &Times, x: &Tensor<2>| layer(&w, t, x);
    let error =
        record(&solver, Span::FORWARD, starts(&placement, 3), Checkpoints::SquareRoot, rate).unwrap_err();
    assert!(matches!(error.reason, Failure::Invalid(InvalidSolve::NeedsSharedSteps { .. })));
    // With a tight tolerance both kinds of control approach the same gradient.
    let by_w = |solver: &Solver| {
        let end = integrate(solver, Span::FORWARD, starts(&placement, 3), &Save::End, rate).unwrap().state;
        w.grad(&loss(&end).backward()).unwrap()
    };
    assert!(distance(&by_w(&solver), &by_w(&Solver::adaptive(Method::Dopri5, 1e-9))) < 1e-7);
}

#[test]
fn an_empty_batch_has_an_empty_gradient() {
    let empty: Tensor<2> = Placement::cpu().tensor(&[], [0, 2]);
    let rate = |_: &Times, x: &Tensor<2>| x.clone();
    let recorded =
        record(&Solver::default(), Span::FORWARD, empty.clone(), Checkpoints::SquareRoot, rate).unwrap();
    assert_eq!(recorded.backward(empty, rate, |_| {}).unwrap().batch(), 0);
}
