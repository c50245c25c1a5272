//! cargo run --release --example own_field
//!
//! A velocity field of your own is a closure. Here it is the pendulum, whose energy is conserved, so that the error of a
//! solve can be seen without knowing the solution: states between the steps by dense output, tolerances one beside
//! the other, a step size for each sample, and a solve that fails as a value.
#![allow(clippy::print_stdout)]

use std::error::Error;

use thalweg::burn::tensor::Tensor;
use thalweg::solve::{Method, Placement, Save, Solver, Span, solve_field, to_host};

/// Angle and angular velocity: `θ' = ω`, `ω' = -sin θ`.
fn pendulum(_t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
    let [batch, _] = x.dims();
    let angle = x.clone().slice([0..batch, 0..1]);
    let speed = x.slice([0..batch, 1..2]);
    Tensor::cat(vec![speed, -angle.sin()], 1)
}

fn energy(angle: f64, speed: f64) -> f64 {
    0.5 * speed * speed - angle.cos()
}

fn main() -> Result<(), Box<dyn Error>> {
    let placement = Placement::cpu_double();
    let span = Span { start: 0.0, end: 10.0 };
    // A push that swings far, and one that barely does not go over the top.
    let x = placement.tensor(&[0.0, 1.0, 0.0, 1.999], [2, 2]);

    println!("time    swing: angle  energy      near the top: angle  energy");
    let solver = Solver::adaptive(Method::Dopri5, 1e-8);
    let solution = solve_field(&solver, span, x.clone(), &Save::evenly(span, 11), &pendulum)?;
    for (time, state) in &solution.saved {
        let s = to_host(state);
        println!(
            "{time:4.1}  {:13.6}  {:+.6}  {:19.6}  {:+.6}",
            s[0],
            energy(s[0], s[1]),
            s[2],
            energy(s[2], s[3])
        );
    }

    println!("\ntolerance  energy lost, at most  way back: error  evaluations  one step size each");
    for tolerance in [1e-3, 1e-5, 1e-7, 1e-9] {
        let solver = Solver::adaptive(Method::Dopri5, tolerance);
        let there = solve_field(&solver, span, x.clone(), &Save::End, &pendulum)?;
        let back = solve_field(&solver, span.reversed(), there.state.clone(), &Save::End, &pendulum)?;
        let each = solve_field(&solver.per_sample(), span, x.clone(), &Save::End, &pendulum)?;
        let (start, end) = (to_host(&x), to_host(&there.state));
        let lost = |i: usize| (energy(start[i], start[i + 1]) - energy(end[i], end[i + 1])).abs();
        let error = to_host(&(back.state - x.clone()).abs().max())[0];
        println!(
            "{tolerance:9.0e}  {:20.1e}  {error:15.1e}  {:11}  {:?}",
            lost(0).max(lost(2)),
            there.evaluations[0],
            each.evaluations
        );
    }

    println!("\nA field that grows without bound reaches infinity at t = 1, and the solver says so:");
    let explosive = |_t: Tensor<1>, x: Tensor<2>| x.clone() * x;
    let one = placement.tensor(&[1.0], [1, 1]);
    match solve_field(&Solver::default(), Span { start: 0.0, end: 2.0 }, one, &Save::End, &explosive) {
        Ok(_) => println!("which is not what happened"),
        Err(error) => {
            println!("{error}\nlast good state: {:.3e} at t = {:.6}", to_host(&*error.last)[0], error.time());
        }
    }
    Ok(())
}
