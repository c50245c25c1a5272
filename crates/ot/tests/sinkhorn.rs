//! The entropic solver against POT and against its two limits.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{fixture, fixture_cost, noise_to_data, numbers};
use thalweg_noise::Noise;
use thalweg_ot::{Cost, Sinkhorn, assign, network_simplex};

const TIGHT: f64 = 1e-12;

#[test]
fn balanced_plans_agree_with_pot() {
    for problem in fixture("sinkhorn") {
        let cost = fixture_cost(&problem);
        let (a, b) = (numbers(&problem["a"]), numbers(&problem["b"]));
        let settings = Sinkhorn {
            tolerance: TIGHT,
            max_iterations: 100_000,
            ..Sinkhorn::new(problem["epsilon"].as_f64().unwrap())
        };
        let plan = settings.solve(&a, &b, &cost).unwrap();
        assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
        let expected = numbers(&problem["plan"]);
        for (k, expected) in expected.iter().enumerate() {
            let mass = plan.mass(k / b.len(), k % b.len());
            assert!((mass - expected).abs() < 1e-9, "{mass} {expected}");
        }
        let value: f64 = expected.iter().zip(cost.values()).map(|(p, c)| p * c).sum();
        assert!((plan.transport_cost() - value).abs() < 1e-8, "{} {value}", plan.transport_cost());
    }
}

#[test]
fn unbalanced_plans_agree_with_pot() {
    for problem in fixture("unbalanced") {
        let cost = fixture_cost(&problem);
        let (a, b) = (numbers(&problem["a"]), numbers(&problem["b"]));
        let settings = Sinkhorn {
            marginal_penalty: problem["penalty"].as_f64(),
            tolerance: TIGHT,
            ..Sinkhorn::new(problem["epsilon"].as_f64().unwrap())
        };
        let plan = settings.solve(&a, &b, &cost).unwrap();
        assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
        for (k, expected) in numbers(&problem["plan"]).iter().enumerate() {
            let mass = plan.mass(k / b.len(), k % b.len());
            assert!((mass - expected).abs() < 1e-8, "{mass} {expected}");
        }
    }
}

#[test]
fn marginals_are_the_weights() {
    let cost = noise_to_data(20, 15, 2, 1);
    let plan = Sinkhorn { tolerance: TIGHT, ..Sinkhorn::new(0.3) }.solve_uniform(&cost).unwrap();
    for j in 0..15 {
        let marginal: f64 = (0..20).map(|i| plan.mass(i, j)).sum();
        assert!((marginal - 1.0 / 15.0).abs() < 1e-13, "{marginal}");
    }
    let error: f64 =
        (0..20).map(|i| ((0..15).map(|j| plan.mass(i, j)).sum::<f64>() - 1.0 / 20.0).abs()).sum();
    assert!(error <= TIGHT, "{error}");
    for i in 0..20 {
        let row = plan.row(i);
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        assert!((row[3] - 20.0 * plan.mass(i, 3)).abs() < 1e-11);
    }
}

#[test]
fn a_small_regularisation_gives_the_assignment() {
    let cost = noise_to_data(12, 12, 2, 2);
    let exact = assign(&cost).unwrap();
    let plan = Sinkhorn { max_iterations: 20_000, ..Sinkhorn::new(1e-3) }.solve_uniform(&cost).unwrap();
    assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
    // The entropic cost exceeds the exact one by at most ε log n.
    assert!((plan.transport_cost() - exact.cost / 12.0).abs() < 1e-3 * 12_f64.ln());
    let likeliest: Vec<usize> = (0..12)
        .map(|i| plan.row(i).iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0)
        .collect();
    assert_eq!(likeliest, exact.target_of);
}

#[test]
fn a_large_regularisation_gives_the_product() {
    let cost = noise_to_data(9, 7, 2, 3);
    let plan = Sinkhorn::new(1e9).solve_uniform(&cost).unwrap();
    assert!(plan.converged && plan.iterations <= 3, "{}", plan.iterations);
    for i in 0..9 {
        for j in 0..7 {
            assert!((plan.mass(i, j) - 1.0 / 63.0).abs() < 1e-8);
        }
    }
}

#[test]
fn a_hard_penalty_gives_the_balanced_plan() {
    let cost = noise_to_data(8, 8, 2, 4);
    let tight = Sinkhorn { tolerance: TIGHT, ..Sinkhorn::new(0.5) };
    let hard = tight.solve_uniform(&cost).unwrap();
    let soft = Sinkhorn { marginal_penalty: Some(1e8), ..tight }.solve_uniform(&cost).unwrap();
    for i in 0..8 {
        for j in 0..8 {
            assert!((hard.mass(i, j) - soft.mass(i, j)).abs() < 1e-7);
        }
    }
}

#[test]
fn running_out_of_iterations_is_said() {
    let cost = noise_to_data(30, 30, 2, 5);
    let plan =
        Sinkhorn { max_iterations: 2, tolerance: TIGHT, ..Sinkhorn::new(1e-3) }.solve_uniform(&cost).unwrap();
    assert!(!plan.converged);
    assert_eq!(plan.iterations, 2);
    assert!(plan.marginal_error > TIGHT && plan.marginal_error.is_finite());
    let plan = Sinkhorn { max_iterations: 0, ..Sinkhorn::new(1.0) }.solve_uniform(&cost).unwrap();
    assert!(!plan.converged);
}

#[test]
fn the_cost_is_never_rescaled() {
    // Scaling cost and ε together changes nothing; scaling the cost alone does.
    let cost = noise_to_data(10, 10, 2, 6);
    let dear = Cost::from_values(10, 10, cost.values().iter().map(|c| 50.0 * c).collect());
    let mass = |cost: &Cost, epsilon: f64| {
        Sinkhorn { tolerance: TIGHT, ..Sinkhorn::new(epsilon) }.solve_uniform(cost).unwrap().mass(0, 0)
    };
    assert!((mass(&cost, 0.7) - mass(&dear, 35.0)).abs() < 1e-12);
    assert!((mass(&cost, 0.7) - mass(&dear, 0.7)).abs() > 1e-3);
}

#[test]
fn zero_weights_take_no_part() {
    let cost = noise_to_data(4, 4, 2, 7);
    let weights = [0.0, 0.5, 0.25, 0.25];
    let plan = Sinkhorn::new(0.05).solve(&weights, &weights, &cost).unwrap();
    assert!(plan.converged);
    assert!((0..4).all(|k| plan.mass(0, k) == 0.0 && plan.mass(k, 0) == 0.0));
    let exact = network_simplex(&weights, &weights, &cost).unwrap().cost;
    assert!((plan.transport_cost() - exact).abs() < 0.05 * 3_f64.ln(), "{} {exact}", plan.transport_cost());
    assert!(plan.row(0).iter().all(|p| p.is_finite()));
}

#[test]
fn drawn_targets_follow_the_rows() {
    let cost = noise_to_data(3, 4, 2, 8);
    let plan = Sinkhorn::new(2.0).solve_uniform(&cost).unwrap();
    let mut noise = Noise::new(9);
    let mut counts = [0.0; 4];
    for _ in 0..20_000 {
        counts[plan.sample_targets(&mut noise)[1]] += 1.0 / 20_000.0;
    }
    for (share, probability) in counts.iter().zip(plan.row(1)) {
        // Four standard errors of a share of one half.
        assert!((share - probability).abs() < 4.0 * (0.25_f64 / 20_000.0).sqrt(), "{share} {probability}");
    }
}

#[test]
fn impossible_settings_are_refused_with_the_reason() {
    let cost = noise_to_data(2, 2, 2, 9);
    let check = |settings: Sinkhorn, b: &[f64], expected: &str| {
        let message = settings.solve(&[0.5, 0.5], b, &cost).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let half = [0.5, 0.5];
    check(Sinkhorn::new(0.0), &half, "regularisation is 0; it must be positive and finite");
    check(Sinkhorn::new(f64::NAN), &half, "regularisation is NaN");
    check(Sinkhorn { marginal_penalty: Some(-1.0), ..Sinkhorn::new(1.0) }, &half, "marginal_penalty is -1");
    check(Sinkhorn { tolerance: 0.0, ..Sinkhorn::new(1.0) }, &half, "tolerance is 0");
    check(Sinkhorn::new(1.0), &[0.5, 0.75], "the source weights sum to 1 but the target weights to 1.25");
    check(Sinkhorn::new(1.0), &[0.5, -0.5], "target weight 1 is -0.5");
    let bad = Cost::from_values(1, 1, vec![f64::NAN]);
    assert!(Sinkhorn::new(1.0).solve_uniform(&bad).is_err());
    assert!(Sinkhorn::new(1.0).solve_uniform(&Cost::from_values(0, 0, vec![])).is_err());
}
