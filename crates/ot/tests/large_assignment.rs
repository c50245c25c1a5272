//! Pairings large enough for sampling, auctions, searches and threads, against the network simplex and themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{brute_force, noise_to_data};
use proptest::prelude::*;
use thalweg_noise::Noise;
use thalweg_ot::{Assignment, Cost, Points, assign, network_simplex};

/// Solves, checks the permutation and the certificate, and compares the cost with that of the network simplex.
fn check(cost: &Cost) -> Assignment {
    let n = cost.rows();
    let answer = assign(cost).unwrap();
    let mut targets = answer.target_of.clone();
    targets.sort_unstable();
    assert_eq!(targets, (0..n).collect::<Vec<_>>());
    let size: f64 = cost.values().iter().fold(0.0, |size, c| size.max(c.abs()));
    let certificate = answer.certificate(cost);
    assert!(certificate.holds_within(1e-12 * size * n as f64), "{certificate:?} against {size}");
    let exact = network_simplex(&vec![1.0; n], &vec![1.0; n], cost).unwrap().cost;
    assert!((answer.cost - exact).abs() <= 1e-12 * size * n as f64, "{} {exact}", answer.cost);
    answer
}

#[test]
fn clouds_of_hundreds_of_points_are_paired() {
    for (n, dim) in [(127, 2), (256, 2), (400, 2), (256, 64), (401, 9)] {
        check(&noise_to_data(n, n, dim, n as u64));
    }
}

#[test]
fn unstructured_and_tied_costs_are_paired() {
    let mut noise = Noise::new(1);
    for n in [130, 260] {
        check(&Cost::from_values(n, n, (0..n * n).map(|_| noise.uniform()).collect()));
        check(&Cost::from_values(n, n, (0..n * n).map(|_| noise.below(3) as f64 - 1.0).collect()));
        check(&Cost::from_values(n, n, (0..n * n).map(|k| ((k / n) * (k % n)) as f64).collect()));
        check(&Cost::from_values(n, n, vec![0.0; n * n]));
        // Only one column is worth having, so all rows bid for it.
        check(&Cost::from_values(n, n, (0..n * n).map(|k| if k % n == 7 { 0.0 } else { 1.0 }).collect()));
        // Each row has its own offset, and each column too: every permutation is optimal but for rounding.
        check(&Cost::from_values(
            n,
            n,
            (0..n * n).map(|k| 0.1 * (k / n) as f64 - 0.3 * (k % n) as f64).collect(),
        ));
    }
}

#[test]
fn equal_clouds_duplicates_and_far_centres_are_paired() {
    let mut noise = Noise::new(2);
    let points = noise.normals(2 * 200);
    let x = Points::new(&points, 2);
    let identity: Vec<usize> = (0..200).collect();
    assert_eq!(check(&Cost::squared_euclidean(x, x)).target_of, identity);
    let doubled = [&points[..200], &points[..200]].concat();
    assert_eq!(check(&Cost::squared_euclidean(Points::new(&doubled, 2), Points::new(&doubled, 2))).cost, 0.0);
    let far: Vec<f64> = points.iter().map(|v| 1e4 + v).collect();
    check(&Cost::squared_euclidean(x, Points::new(&far, 2)));
}

#[test]
fn offsets_of_any_size_keep_the_pairing() {
    let base = noise_to_data(160, 160, 2, 3);
    let expected = check(&base).target_of;
    for offset in [-1e6, 1e3, 1e6] {
        let shifted = Cost::from_values(160, 160, base.values().iter().map(|c| c + offset).collect());
        assert_eq!(check(&shifted).target_of, expected);
    }
}

#[test]
fn clusters_in_the_order_of_the_data_do_not_mislead_the_sample() {
    // Every fourth point is from the same cluster, which a regular sample of a quarter would mistake for all.
    let mut noise = Noise::new(4);
    let n = 240;
    let mut cloud = || -> Vec<f64> { (0..n).map(|i| 10.0 * (i % 4) as f64 + noise.normals(1)[0]).collect() };
    let (x, y) = (cloud(), cloud());
    let answer = check(&Cost::squared_euclidean(Points::new(&x, 1), Points::new(&y, 1)));
    assert!(answer.target_of.iter().enumerate().all(|(i, j)| i % 4 == j % 4));
}

#[test]
fn the_answer_does_not_depend_on_the_number_of_threads() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let cost = noise_to_data(520, 520, 12, 5);
            (assign(&cost).unwrap(), cost)
        })
    };
    assert_eq!(on(1), on(4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_size_and_kind_of_cost_is_solved(n in 1_usize..=150, levels in 1_usize..200, seed in any::<u64>()) {
        let mut noise = Noise::new(seed);
        let fraction = if levels % 2 == 0 { 1.0 } else { 0.0 };
        let values = (0..n * n).map(|_| noise.below(levels) as f64 + fraction * noise.uniform());
        check(&Cost::from_values(n, n, values.collect()));
    }

    #[test]
    fn small_problems_agree_with_brute_force(n in 1_usize..=6, levels in 1_usize..20, seed in any::<u64>()) {
        let mut noise = Noise::new(seed);
        let cost = Cost::from_values(n, n, (0..n * n).map(|_| noise.below(levels) as f64).collect());
        prop_assert_eq!(check(&cost).cost, brute_force(&cost, n, 0, &mut vec![false; n]));
    }
}
