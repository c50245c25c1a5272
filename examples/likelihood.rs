//! cargo run --release --example likelihood
//!
//! How good is a log-density that comes out of a differential equation? For Gaussian data both the velocity and the
//! density are known, so the question has an answer: the exact divergence against random probes, and the tolerance
//! of the solver.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use thalweg::flow::{Divergence, GaussianFlow, LogLikelihood, PathConfig, ProbeLaw, Schedule, sample};
use thalweg::noise::Noise;
use thalweg::solve::{Method, Placement, Solver, to_host};

const DIM: usize = 8;
const POINTS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    // N(m, S) with S = 1 on the diagonal and 0.8^|i-j| beside it.
    let mean: Vec<f64> = (0..DIM).map(|i| i as f64 / 4.0).collect();
    let covariance: Vec<f64> =
        (0..DIM * DIM).map(|k| 0.8_f64.powi((k / DIM).abs_diff(k % DIM) as i32)).collect();
    let placement = Placement::cpu_double();
    let schedule = Schedule::Cosine {};
    let field = GaussianFlow::new(schedule, &mean, &covariance, &placement)?;
    let path = PathConfig::OneSided { schedule };

    let tight = Solver::adaptive(Method::Dopri5, 1e-9);
    let x0 = placement.normal(&mut Noise::new(1), [POINTS, DIM]);
    let data = sample(&field, x0, &tight, path.interval())?.state;
    let exact = to_host(&field.log_density(placement.full(1.0, [POINTS]), data.clone()));
    println!("{POINTS} points in {DIM} dimensions, mean log-density {:.4} nats\n", mean_of(&exact));

    println!("exact divergence    largest error  evaluations");
    for tolerance in [1e-3, 1e-5, 1e-7, 1e-9] {
        let solver = Solver::adaptive(Method::Dopri5, tolerance);
        let likelihood = LogLikelihood { solver, ..LogLikelihood::for_path(&path) };
        let found = likelihood.evaluate(&field, data.clone(), &mut Noise::new(2))?;
        let errors = differences(&to_host(&found.log_density), &exact);
        let largest = errors.iter().fold(0.0_f64, |most, error| most.max(error.abs()));
        println!("tolerance {tolerance:7.0e}   {largest:13.1e}  {:11}", found.evaluations[0]);
    }

    println!("\nrandom probes       error of a point  by its standard error  error of the mean    time");
    for (law, name) in [(ProbeLaw::Rademacher, "signs"), (ProbeLaw::Gaussian, "normals")] {
        for probes in [1, 4, 16] {
            let divergence = Divergence::Hutchinson { probes, law };
            let likelihood =
                LogLikelihood { solver: tight.clone(), divergence, ..LogLikelihood::for_path(&path) };
            let started = Instant::now();
            let found = likelihood.evaluate(&field, data.clone(), &mut Noise::new(3))?;
            let seconds = started.elapsed().as_secs_f64();
            let errors = differences(&to_host(&found.log_density), &exact);
            let spread = root_mean_square(&errors);
            // Errors over standard errors should have size 1, if the standard errors are honest.
            let honest = found.standard_error.as_ref().map_or("-".to_string(), |stated| {
                format!("{:.2}", spread / root_mean_square(&to_host(stated)))
            });
            let mean = mean_of(&errors);
            println!(
                "{probes:2} {name:7}          {spread:16.3}  {honest:>21}  {mean:17.3}  {seconds:5.2} s"
            );
        }
    }
    println!("\nThe probes are unbiased: errors of single points are large, but those of the mean are not.");
    Ok(())
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn root_mean_square(values: &[f64]) -> f64 {
    mean_of(&values.iter().map(|x| x * x).collect::<Vec<_>>()).sqrt()
}
