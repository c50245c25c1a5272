//! One-to-one and partial pairings against brute force, sorting, scipy, and their own certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{brute_force, fixture, fixture_cost, indices, noise_to_data};
use proptest::prelude::*;
use thalweg_noise::Noise;
use thalweg_ot::{Assignment, Cost, OtError, Points, assign, partial_assign};

/// Solves, and checks everything that is true of any answer. `scale` is the size of the costs.
fn solve(cost: &Cost, scale: f64) -> Assignment {
    let answer = assign(cost).unwrap();
    let mut seen = vec![false; cost.cols()];
    for &target in &answer.target_of {
        // Pairing with replacement silently drops samples: every target must occur exactly once.
        assert!(!std::mem::replace(&mut seen[target], true), "target {target} is used twice");
    }
    let tolerance = 1e-12 * scale * cost.rows() as f64;
    let certificate = answer.certificate(cost);
    assert!(certificate.holds_within(tolerance), "{certificate:?} against {tolerance}");
    for (i, &j) in answer.target_of.iter().enumerate() {
        let slack = cost.at(i, j) - answer.row_duals[i] - answer.col_duals[j];
        assert!(slack.abs() <= tolerance, "pair {i}, {j} has slack {slack}");
    }
    answer
}

#[test]
fn the_optimum_is_that_of_brute_force() {
    let mut noise = Noise::new(1);
    for n in 1..=7 {
        for _ in 0..5 {
            // Half of the costs are drawn from five values, so that ties abound.
            let tied: Vec<f64> = (0..n * n).map(|_| noise.below(5) as f64 - 2.0).collect();
            for values in [tied, noise.normals(n * n)] {
                let cost = Cost::from_values(n, n, values);
                let best = brute_force(&cost, n, 0, &mut vec![false; n]);
                assert!((solve(&cost, 5.0).cost - best).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn answers_agree_with_scipy() {
    for problem in fixture("assignment") {
        let cost = fixture_cost(&problem);
        let answer = solve(&cost, 10.0);
        let expected = problem["cost"].as_f64().unwrap();
        assert!((answer.cost - expected).abs() < 1e-9 * expected, "{} {expected}", answer.cost);
        assert_eq!(answer.target_of, indices(&problem["target_of"]));
    }
}

#[test]
fn on_a_line_the_optimum_is_sorting() {
    let mut noise = Noise::new(2);
    let (x, y) = (noise.normals(200), noise.normals(200));
    let answer = solve(&Cost::squared_euclidean(Points::new(&x, 1), Points::new(&y, 1)), 10.0);
    let order = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        order
    };
    for (i, j) in order(&x).into_iter().zip(order(&y)) {
        assert_eq!(answer.target_of[i], j);
    }
}

#[test]
fn ties_duplicates_and_extreme_scales_are_solved() {
    let n = 60;
    let constant = Cost::from_values(n, n, vec![3.5; n * n]);
    assert_eq!(solve(&constant, 3.5).cost, 3.5 * n as f64);
    assert_eq!(solve(&Cost::from_values(n, n, vec![0.0; n * n]), 1.0).cost, 0.0);

    // Four places only, so every point has fourteen doubles.
    let places: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
    assert_eq!(
        solve(&Cost::squared_euclidean(Points::new(&places, 1), Points::new(&places, 1)), 9.0).cost,
        0.0
    );

    // The product matrix is the classic bad case of assignment codes; its optimum reverses the order.
    let product = Cost::from_values(n, n, (0..n * n).map(|k| ((k / n) * (k % n)) as f64).collect());
    assert_eq!(solve(&product, (n * n) as f64).target_of, (0..n).rev().collect::<Vec<_>>());

    let base = noise_to_data(n, n, 2, 3);
    let expected = solve(&base, 10.0);
    for scale in [1e-290, 1e-12, 1e12, 1e290] {
        let scaled = Cost::from_values(n, n, base.values().iter().map(|c| c * scale).collect());
        assert_eq!(solve(&scaled, 10.0 * scale).target_of, expected.target_of, "scale {scale}");
    }
    let shifted = Cost::from_values(n, n, base.values().iter().map(|c| c - 1e6).collect());
    assert_eq!(solve(&shifted, 1e6).target_of, expected.target_of);
    assert_eq!(solve(&Cost::from_values(1, 1, vec![-2.0]), 2.0).target_of, [0]);
}

#[test]
fn small_costs_keep_their_digits_beside_large_ones() {
    // Seventeen orders of magnitude between the costs: a tolerance taken from the largest would drown the optimum.
    let mut noise = Noise::new(7);
    let cost = Cost::from_values(80, 80, (0..6400).map(|_| (40.0 * noise.uniform() - 20.0).exp()).collect());
    let answer = assign(&cost).unwrap();
    let certificate = answer.certificate(&cost);
    assert!(certificate.holds_within(1e-11 * answer.cost), "{certificate:?} against {}", answer.cost);
}

#[test]
fn an_infinite_label_penalty_never_crosses_labels() {
    let base = noise_to_data(48, 48, 2, 4);
    let label = |i: usize| i % 3;
    let values = (0..48 * 48).map(|k| {
        let penalty = if label(k / 48) == label(k % 48) { 0.0 } else { 1e6 };
        base.values()[k] + penalty
    });
    let answer = solve(&Cost::from_values(48, 48, values.collect()), 1e6);
    assert!(answer.target_of.iter().enumerate().all(|(i, &j)| label(i) == label(j)));
}

#[test]
fn what_cannot_be_paired_is_refused_with_the_reason() {
    let check = |cost: Cost, expected: &str| {
        let message = assign(&cost).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check(Cost::from_values(0, 0, vec![]), "the cost matrix is 0 × 0; give at least one point on each side");
    check(Cost::from_values(2, 3, vec![0.0; 6]), "cannot pair 2 sources with 3 targets one to one");
    check(Cost::from_values(2, 2, vec![0.0, f64::NAN, 0.0, 0.0]), "moving source 0 to target 1 is NaN");
    check(Cost::from_values(2, 2, vec![0.0, 0.0, f64::INFINITY, 0.0]), "moving source 1 to target 0 is inf");
    let error = partial_assign(&Cost::from_values(2, 3, vec![0.0; 6]), 3).unwrap_err();
    assert_eq!(error, OtError::TooMuchMass { mass: 3, rows: 2, cols: 3 });
}

#[test]
fn a_partial_optimum_is_that_of_brute_force() {
    let mut noise = Noise::new(5);
    for (rows, cols) in [(1, 1), (3, 5), (5, 5), (6, 4)] {
        for values in [noise.normals(rows * cols), vec![-1.0; rows * cols], vec![0.0; rows * cols]] {
            let cost = Cost::from_values(rows, cols, values);
            for mass in 0..=rows.min(cols) {
                let answer = partial_assign(&cost, mass).unwrap();
                assert_eq!(answer.pairs.len(), mass, "{answer:?}");
                assert!(answer.pairs.windows(2).all(|w| w[0].0 < w[1].0), "{answer:?}");
                let mut targets: Vec<_> = answer.pairs.iter().map(|pair| pair.1).collect();
                targets.sort_unstable();
                targets.dedup();
                assert_eq!(targets.len(), mass, "{answer:?}");
                let best = brute_force(&cost, mass, 0, &mut vec![false; cols]);
                assert!((answer.cost - best).abs() < 1e-12, "{} {best}", answer.cost);
            }
        }
    }
}

#[test]
fn a_complete_partial_assignment_is_the_assignment() {
    let cost = noise_to_data(50, 50, 3, 6);
    let partial = partial_assign(&cost, 50).unwrap();
    let complete = solve(&cost, 10.0);
    assert_eq!(partial.pairs, complete.target_of.into_iter().enumerate().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_proves_itself(n in 1_usize..=60, seed in any::<u64>(), levels in 1_usize..1000) {
        let mut noise = Noise::new(seed);
        let scale = levels as f64;
        let values = (0..n * n).map(|_| noise.below(levels) as f64 + if levels > 500 { noise.uniform() } else { 0.0 });
        solve(&Cost::from_values(n, n, values.collect()), scale);
    }

    #[test]
    fn pairing_commutes_with_reordering(n in 2_usize..=30, seed in any::<u64>()) {
        let cost = noise_to_data(n, n, 2, seed);
        let order = Noise::new(seed).permutation(n);
        let reordered = Cost::from_values(n, n, order.iter().flat_map(|&i| cost.row(i).to_vec()).collect());
        let (plain, permuted) = (solve(&cost, 10.0), solve(&reordered, 10.0));
        for (k, &i) in order.iter().enumerate() {
            prop_assert_eq!(permuted.target_of[k], plain.target_of[i]);
        }
    }
}
