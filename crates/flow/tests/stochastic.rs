//! Stochastic sampling keeps the marginals of the flow (FORMULAS §1.6).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use thalweg_flow::{Conversion, GaussianFlow, Prediction, Schedule, StochasticSampler, sample};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Solver, to_host};

const SCHEDULE: Schedule = Schedule::Linear { sigma_min: 0.0 };

#[test]
fn the_end_has_the_moments_of_the_data_whatever_the_noise() {
    let placement = Placement::cpu_double();
    let flow = GaussianFlow::new(SCHEDULE, &[1.5], &[0.49], &placement).unwrap();
    let n = 10_000;
    for strength in [0.5, 2.0] {
        let sampler = StochasticSampler { schedule: SCHEDULE, strength, steps: 200 };
        let mut noise = Noise::new(1);
        let x0 = placement.normal::<2>(&mut noise, [n, 1]);
        let x = to_host(&sampler.sample(&flow, x0, &mut noise).unwrap());
        let mean = x.iter().sum::<f64>() / n as f64;
        let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        // Four standard errors, 0.7/√n and 0.7/√2n, and the bias of 200 steps of order 1.
        assert!((mean - 1.5).abs() < 0.028 + 0.005, "η = {strength}: mean {mean}");
        assert!((deviation - 0.7).abs() < 0.02 + 0.005, "η = {strength}: deviation {deviation}");
    }
}

#[test]
fn without_noise_it_is_eulers_method() {
    let placement = Placement::cpu_double();
    let flow = GaussianFlow::new(SCHEDULE, &[1.5], &[0.49], &placement).unwrap();
    let x0 = placement.normal::<2>(&mut Noise::new(2), [5, 1]);
    let sampler = StochasticSampler { schedule: SCHEDULE, strength: 0.0, steps: 10 };
    let stochastic = sampler.sample(&flow, x0.clone(), &mut Noise::new(3)).unwrap();
    let euler = sample(&flow, x0, &Solver::fixed(Method::Euler, 10), SCHEDULE.interval()).unwrap().state;
    for (a, b) in to_host(&stochastic).iter().zip(to_host(&euler)) {
        assert!((a - b).abs() < 1e-14, "{a} {b}");
    }
}

/// The correction is η σ times the score of the marginal.
#[test]
fn the_drift_is_velocity_plus_half_the_squared_noise_times_score() {
    let placement = Placement::cpu_double();
    let schedule = Schedule::Cosine {};
    let sampler = StochasticSampler { schedule, strength: 0.7, steps: 1 };
    let (t, x) = (placement.tensor(&[0.2, 0.6], [2]), placement.tensor::<2>(&[0.5, -1.0], [2, 1]));
    let velocity = placement.tensor::<2>(&[1.0, 2.0], [2, 1]);
    let drift = to_host(&sampler.drift(t.clone(), x.clone(), velocity.clone()));
    let to_score = Conversion { from: Prediction::Velocity, to: Prediction::Score };
    let score = to_host(&to_score.apply(&schedule.at_times(t), x, velocity));
    for (i, (time, u)) in [(0.2, 1.0), (0.6, 2.0)].into_iter().enumerate() {
        let expected = u + 0.5 * sampler.diffusion(time).powi(2) * score[i];
        assert!((drift[i] - expected).abs() < 1e-13);
    }
}

#[test]
fn impossible_settings_are_named() {
    let sampler = StochasticSampler { schedule: SCHEDULE, strength: 1.0, steps: 0 };
    let message = sampler.validate().unwrap_err().to_string();
    assert_eq!(message, "steps of the stochastic sampler is 0; it must be at least 1");
    let read = serde_json::from_str::<StochasticSampler>;
    assert_eq!(read("{}").unwrap(), StochasticSampler { schedule: SCHEDULE, strength: 1.0, steps: 200 });
    assert!(read(r#"{"eta": 1}"#).is_err());
}
