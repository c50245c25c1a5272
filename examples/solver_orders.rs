//! cargo run --release --example solver_orders
//!
//! Halve the step, and a method of order p makes an error 2^p times smaller. Every method of the library on
//! `dx/dt = x cos t` from x = 1, whose solution is exp(sin t): errors, the order they show, and what that costs.
#![allow(clippy::print_stdout)]

use std::error::Error;

use thalweg::burn::tensor::Tensor;
use thalweg::solve::{Method, Placement, Save, Solver, Span, per_sample, solve_field, to_host};

const STEPS: [usize; 4] = [10, 20, 40, 80];

fn main() -> Result<(), Box<dyn Error>> {
    let placement = Placement::cpu_double();
    let field = |t: Tensor<1>, x: Tensor<2>| x * per_sample(t.cos());
    let span = Span { start: 0.0, end: 2.0 };
    let exact = span.end.sin().exp();

    println!("errors at t = 2 after     {:>8}  {:>8}  {:>8}  {:>8}   order", 10, 20, 40, "80 steps");
    for method in Method::ALL {
        let mut errors = Vec::new();
        for steps in STEPS {
            let x = placement.tensor(&[1.0], [1, 1]);
            let solution = solve_field(&Solver::fixed(method, steps), span, x, &Save::End, &field)?;
            errors.push((to_host(&solution.state)[0] - exact).abs());
        }
        let slopes: Vec<f64> = errors.windows(2).map(|pair| (pair[0] / pair[1]).log2()).collect();
        let shown: Vec<String> = errors.iter().map(|error| format!("{error:8.1e}")).collect();
        println!("{:24}  {}   {:.2}", method.to_string(), shown.join("  "), slopes[slopes.len() - 1]);
    }

    println!(
        "\nadaptive, tolerance        {:>8}  {:>8}  {:>8}   error and evaluations",
        "1e-3", "1e-5", "1e-7"
    );
    for method in Method::ALL.into_iter().filter(|method| method.tableau().error.is_some()) {
        let mut shown = Vec::new();
        for tolerance in [1e-3, 1e-5, 1e-7] {
            let x = placement.tensor(&[1.0], [1, 1]);
            let solution = solve_field(&Solver::adaptive(method, tolerance), span, x, &Save::End, &field)?;
            let error = (to_host(&solution.state)[0] - exact).abs();
            shown.push(format!("{error:.0e}/{}", solution.evaluations[0]));
        }
        println!("{:25}  {:>8}  {:>8}  {:>8}", method.to_string(), shown[0], shown[1], shown[2]);
    }
    Ok(())
}
