//! The network simplex against POT, the assignment, and its own certificate.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{fixture, fixture_cost, noise_to_data, numbers};
use proptest::prelude::*;
use thalweg_noise::Noise;
use thalweg_ot::{Cost, OtError, TransportPlan, assign, network_simplex};

/// Solves, and checks everything that is true of any answer. `scale` is the size of the costs.
fn solve(a: &[f64], b: &[f64], cost: &Cost, scale: f64) -> TransportPlan {
    let plan = network_simplex(a, b, cost).unwrap();
    let total: f64 = a.iter().sum();
    for (marginal, weights) in plan.marginals().iter().zip([a, b]) {
        for (got, wanted) in marginal.iter().zip(weights) {
            assert!((got - wanted).abs() <= 1e-12 * total, "{got} {wanted}");
        }
    }
    assert!(plan.shipments.len() < a.len() + b.len(), "a basic solution has at most n + m - 1 entries");
    assert!(plan.shipments.iter().all(|s| s.mass > 0.0));
    let certificate = plan.certificate(cost);
    assert!(
        certificate.violation <= 1e-12 * scale && certificate.gap.abs() <= 1e-12 * scale * total,
        "{certificate:?}"
    );
    plan
}

fn weights(n: usize, zeros: usize, noise: &mut Noise) -> Vec<f64> {
    let raw: Vec<f64> = (0..n).map(|i| if i < zeros { 0.0 } else { noise.uniform() + 0.01 }).collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|w| w / total).collect()
}

#[test]
fn costs_agree_with_pot() {
    for problem in fixture("transport") {
        let cost = fixture_cost(&problem);
        let plan = solve(&numbers(&problem["a"]), &numbers(&problem["b"]), &cost, 30.0);
        let expected = problem["cost"].as_f64().unwrap();
        assert!((plan.cost - expected).abs() < 1e-10 * expected, "{} {expected}", plan.cost);
    }
}

#[test]
fn equal_weights_give_the_assignment() {
    let cost = noise_to_data(80, 80, 2, 1);
    let plan = solve(&[1.0 / 80.0; 80], &[1.0 / 80.0; 80], &cost, 20.0);
    let pairs: Vec<_> = plan.shipments.iter().map(|s| s.target).collect();
    assert_eq!(pairs, assign(&cost).unwrap().target_of);
}

#[test]
fn degenerate_problems_do_not_cycle() {
    // Whole weights and whole costs: most pivots move nothing, and most reduced costs are tied.
    let mut noise = Noise::new(2);
    for (n, m) in [(20, 20), (12, 36), (36, 12), (1, 9), (9, 1), (1, 1)] {
        let cost = Cost::from_values(n, m, (0..n * m).map(|_| noise.below(3) as f64 - 1.0).collect());
        solve(&vec![m as f64; n], &vec![n as f64; m], &cost, 1.0);
        let mut sparse = vec![0.0; n];
        sparse[n / 2] = (m * n) as f64;
        solve(&sparse, &vec![n as f64; m], &cost, 1.0);
    }
    solve(&[0.0, 0.0, 1.0], &[0.0, 1.0, 0.0], &Cost::from_values(3, 3, vec![7.0; 9]), 7.0);
}

#[test]
fn a_single_source_sends_to_all() {
    let plan = solve(&[1.0], &[0.25, 0.0, 0.75], &Cost::from_values(1, 3, vec![1.0, 2.0, -3.0]), 3.0);
    assert_eq!(plan.cost, 0.25 - 2.25);
    assert_eq!(
        plan.shipments.iter().map(|s| (s.source, s.target, s.mass)).collect::<Vec<_>>(),
        [(0, 0, 0.25), (0, 2, 0.75)]
    );
}

#[test]
fn a_problem_that_is_none_is_refused_with_the_reason() {
    let cost = Cost::from_values(2, 2, vec![0.0, 1.0, 1.0, 0.0]);
    let check = |a: &[f64], b: &[f64], expected: &str| {
        let message = network_simplex(a, b, &cost).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check(&[0.5, 0.5], &[0.5, 0.7], "the source weights sum to 1 but the target weights to 1.2");
    check(&[0.5], &[0.5, 0.5], "1 source weights were given for 2 points");
    check(&[0.5, 0.5], &[1.5, -0.5], "target weight 1 is -0.5");
    check(&[f64::NAN, 0.5], &[0.5, 0.5], "source weight 0 is NaN");
    check(&[0.0, 0.0], &[0.0, 0.0], "the source weights sum to 0");
    let empty = Cost::from_values(0, 2, vec![]);
    assert_eq!(network_simplex(&[], &[0.5, 0.5], &empty), Err(OtError::Empty { rows: 0, cols: 2 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_proves_itself(
        n in 1_usize..=60, m in 1_usize..=60, zeros in 0_usize..10, seed in any::<u64>(),
    ) {
        let mut noise = Noise::new(seed);
        let (a, b) = (weights(n, zeros.min(n - 1), &mut noise), weights(m, (zeros / 2).min(m - 1), &mut noise));
        solve(&a, &b, &noise_to_data(n, m, 2, seed), 30.0);
    }

    #[test]
    fn swapping_the_sides_keeps_the_cost(n in 1_usize..=20, m in 1_usize..=20, seed in any::<u64>()) {
        let mut noise = Noise::new(seed);
        let (a, b) = (weights(n, 0, &mut noise), weights(m, 0, &mut noise));
        let cost = noise_to_data(n, m, 2, seed);
        let swapped = Cost::from_values(m, n, (0..n * m).map(|k| cost.at(k % n, k / n)).collect());
        let (there, back) = (solve(&a, &b, &cost, 30.0).cost, solve(&b, &a, &swapped, 30.0).cost);
        prop_assert!((there - back).abs() < 1e-11, "{} {}", there, back);
    }
}
