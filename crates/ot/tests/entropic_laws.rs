//! The fast entropic solver against a slow one of a few lines, and what must hold of any answer it calls converged.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::noise_to_data;
use proptest::prelude::*;
use thalweg_noise::Noise;
use thalweg_ot::{Cost, EntropicPlan, Points, Sinkhorn, assign};

const TIGHT: f64 = 1e-13;

/// The textbook iteration in the log domain from zero potentials, without annealing, until nothing moves.
fn reference(settings: &Sinkhorn, a: &[f64], b: &[f64], cost: &Cost) -> Vec<f64> {
    let epsilon = settings.regularisation;
    let damping = settings.marginal_penalty.map_or(1.0, |penalty| penalty / (penalty + epsilon));
    let (n, m) = (cost.rows(), cost.cols());
    let (mut f, mut g) = (vec![0.0; n], vec![0.0; m]);
    let update = |weights: &[f64], reduced: &dyn Fn(usize) -> f64| {
        let least = (0..weights.len()).map(reduced).fold(f64::INFINITY, f64::min);
        let sum: f64 = (0..weights.len()).map(|k| weights[k] * ((least - reduced(k)) / epsilon).exp()).sum();
        damping * (least - epsilon * sum.ln())
    };
    for _ in 0..20_000 {
        let old = f.clone();
        f = (0..n).map(|i| update(b, &|j| cost.at(i, j) - g[j])).collect();
        g = (0..m).map(|j| update(a, &|i| cost.at(i, j) - f[i])).collect();
        if f.iter().zip(&old).all(|(new, old): (&f64, &f64)| (new - old).abs() < TIGHT * epsilon) {
            break;
        }
    }
    (0..n * m)
        .map(|k| a[k / m] * b[k % m] * ((f[k / m] + g[k % m] - cost.values()[k]) / epsilon).exp())
        .collect()
}

fn random_weights(count: usize, noise: &mut Noise) -> Vec<f64> {
    let weights: Vec<f64> = (0..count).map(|_| 0.1 + noise.uniform()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

fn check_against_reference(settings: Sinkhorn, cost: &Cost) {
    let mut noise = Noise::new(1);
    let (a, b) = (random_weights(cost.rows(), &mut noise), random_weights(cost.cols(), &mut noise));
    let settings = Sinkhorn { tolerance: 1e-12, max_iterations: 20_000, ..settings };
    let plan = settings.solve(&a, &b, cost).unwrap();
    assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
    for (k, expected) in reference(&settings, &a, &b, cost).into_iter().enumerate() {
        let (i, j) = (k / cost.cols(), k % cost.cols());
        assert!((plan.mass(i, j) - expected).abs() < 1e-9 * a[i], "{i}, {j}: {} {expected}", plan.mass(i, j));
    }
}

/// `Σ_i |P1_i - a_i|` and the same of the columns, from the entries of the plan alone.
fn marginal_errors(plan: &EntropicPlan, a: &[f64], b: &[f64]) -> [f64; 2] {
    let rows = a.iter().enumerate().map(|(i, a)| {
        let marginal: f64 = (0..b.len()).map(|j| plan.mass(i, j)).sum();
        (marginal - a).abs()
    });
    let cols = b.iter().enumerate().map(|(j, b)| {
        let marginal: f64 = (0..a.len()).map(|i| plan.mass(i, j)).sum();
        (marginal - b).abs()
    });
    [rows.sum(), cols.sum()]
}

/// What is said of the error of hard marginals must be true of the plan that is returned. The error is measured before
/// the last update, and an update never makes it larger.
fn check_honest(plan: &EntropicPlan, settings: &Sinkhorn, a: &[f64], b: &[f64]) {
    assert_eq!(plan.converged, plan.marginal_error <= settings.tolerance);
    let errors = marginal_errors(plan, a, b);
    assert!(
        errors.iter().all(|error| *error <= 1.000_001 * plan.marginal_error + 1e-11),
        "{errors:?} {}",
        plan.marginal_error
    );
}

/// The largest cost minus the smallest.
fn spread(cost: &Cost) -> f64 {
    let fold = |start: f64, pick: fn(f64, f64) -> f64| cost.values().iter().copied().fold(start, pick);
    fold(f64::NEG_INFINITY, f64::max) - fold(f64::INFINITY, f64::min)
}

#[test]
fn balanced_plans_are_those_of_the_slow_reference() {
    for (epsilon, seed) in [(0.1, 1), (0.5, 2), (5.0, 3), (100.0, 4)] {
        check_against_reference(Sinkhorn::new(epsilon), &noise_to_data(19, 13, 2, seed));
    }
}

#[test]
fn unbalanced_plans_are_those_of_the_slow_reference() {
    for (epsilon, penalty) in [(0.05, 0.02), (0.05, 1.0), (0.5, 10.0), (5.0, 0.5)] {
        let settings = Sinkhorn { marginal_penalty: Some(penalty), ..Sinkhorn::new(epsilon) };
        check_against_reference(settings, &noise_to_data(13, 19, 2, 5));
    }
}

#[test]
fn rows_and_columns_beyond_the_exponential_are_solved() {
    // The first source and the last target are so far away that, at this ε, exp(-C/ε) is zero along all of their row
    // and column; and the potentials that make up for it are large.
    let (far, epsilon) = (60.0, 0.5);
    let mut noise = Noise::new(6);
    let (mut x, mut y) = (noise.normals(24), noise.normals(24));
    x[0] += far;
    y[23] -= far;
    let cost = Cost::squared_euclidean(Points::new(&x, 2), Points::new(&y, 2));
    assert!(cost.row(0).iter().all(|c| (-c / epsilon).exp() == 0.0));
    let settings = Sinkhorn { tolerance: 1e-11, max_iterations: 10_000, ..Sinkhorn::new(epsilon) };
    let plan = settings.solve_uniform(&cost).unwrap();
    assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
    // The solution is the only plan of its form that has these marginals; the slow reference is still 4e-6 away from
    // it after 20,000 iterations.
    let uniform = [1.0 / 12.0; 12];
    check_honest(&plan, &settings, &uniform, &uniform);
    let likeliest = plan.row(0).into_iter().fold(0.0, f64::max);
    assert!(
        (likeliest - 1.0).abs() < 1e-12,
        "the far source wants the one target that is nearest to it: {likeliest}"
    );
}

#[test]
fn labels_far_apart_are_never_mixed() {
    let base = noise_to_data(24, 24, 2, 7);
    let same_label = |k: usize| (k / 24) % 3 == (k % 24) % 3;
    let values = base.values().iter().enumerate().map(|(k, c)| if same_label(k) { *c } else { c + 1e6 });
    let cost = Cost::from_values(24, 24, values.collect());
    let plan = Sinkhorn::new(0.5).solve_uniform(&cost).unwrap();
    assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
    assert!((0..24 * 24).all(|k| same_label(k) || plan.mass(k / 24, k % 24) == 0.0));
}

#[test]
fn tiny_weights_are_solved_and_weightless_points_have_finite_potentials() {
    let cost = noise_to_data(5, 5, 2, 8);
    let a = [0.0, 1e-250, 0.25, 0.25, 0.5];
    let b = [0.5, 0.25, 1e-120, 0.0, 0.25];
    let settings = Sinkhorn { tolerance: 1e-9, ..Sinkhorn::new(0.1) };
    let plan = settings.solve(&a, &b, &cost).unwrap();
    assert!(plan.converged, "{} after {}", plan.marginal_error, plan.iterations);
    let relative = |marginal: f64, weight: f64| (marginal / weight - 1.0).abs();
    for j in [0, 1, 2, 4] {
        let marginal: f64 = (0..5).map(|i| plan.mass(i, j)).sum();
        assert!(relative(marginal, b[j]) < 1e-12, "column {j}: {marginal}");
    }
    assert!((0..5).all(|k| plan.mass(0, k) == 0.0 && plan.mass(k, 3) == 0.0));
    assert!(plan.row_potentials.iter().chain(&plan.col_potentials).all(|p| p.is_finite()));
    // The rows of a weightless source follow its potential like those of any other.
    let row = plan.row(0);
    let direct =
        |j: usize| b[j] * ((plan.row_potentials[0] + plan.col_potentials[j] - cost.at(0, j)) / 0.1).exp();
    assert!((0..5).all(|j| (row[j] - direct(j)).abs() < 1e-9), "{row:?}");
}

#[test]
fn digits_that_the_potentials_do_not_have_are_not_claimed() {
    // A cost of 1e12 leaves 1e-4 of its unit to a potential, which at ε = 1e-3 says nothing about the plan.
    let base = noise_to_data(10, 10, 2, 9);
    let raised = Cost::from_values(10, 10, base.values().iter().map(|c| c + 1e12).collect());
    let plan = Sinkhorn::new(1e-3).solve_uniform(&raised).unwrap();
    assert!(!plan.converged && plan.marginal_error > 0.1, "{}", plan.marginal_error);
    let huge = Cost::from_values(10, 10, base.values().iter().map(|c| c * 1e290).collect());
    let plan = Sinkhorn { max_iterations: 20, ..Sinkhorn::new(0.5) }.solve_uniform(&huge).unwrap();
    assert!(!plan.converged);
    assert!(plan.row_potentials.iter().chain(&plan.col_potentials).all(|p| p.is_finite()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_small_regularisation_is_solved_honestly(n in 2_usize..=24, seed in any::<u64>()) {
        let cost = noise_to_data(n, n, 2, seed);
        let epsilon = 1e-3 * spread(&cost);
        let settings = Sinkhorn { max_iterations: 3_000, ..Sinkhorn::new(epsilon) };
        let plan = settings.solve_uniform(&cost).unwrap();
        let uniform = vec![1.0 / n as f64; n];
        check_honest(&plan, &settings, &uniform, &uniform);
        if plan.converged {
            let exact = assign(&cost).unwrap().cost / n as f64;
            let excess = plan.transport_cost() - exact;
            // Marginals that are wrong by the tolerance may save that much of the spread.
            prop_assert!(excess >= -4e-6 * spread(&cost), "{excess}");
            prop_assert!(excess <= epsilon * (n as f64).ln() + 4e-6 * spread(&cost), "{excess}");
        }
    }

    #[test]
    fn huge_costs_are_solved_in_their_own_units(n in 2_usize..=16, seed in any::<u64>(), digits in 0_i32..=280) {
        // A power of two changes no digit, so cost and ε on the same scale give the same plan.
        let cost = noise_to_data(n, n + 1, 2, seed);
        let scale = 2_f64.powi(3 * digits);
        let scaled = Cost::from_values(n, n + 1, cost.values().iter().map(|c| c * scale).collect());
        let plain = Sinkhorn { max_iterations: 200, ..Sinkhorn::new(0.5) };
        let plan = plain.solve_uniform(&cost).unwrap();
        let huge = Sinkhorn { regularisation: 0.5 * scale, ..plain }.solve_uniform(&scaled).unwrap();
        prop_assert_eq!(plan.iterations, huge.iterations);
        prop_assert_eq!(plan.converged, huge.converged);
        for k in 0..n * (n + 1) {
            let (plain, huge) = (plan.mass(k / (n + 1), k % (n + 1)), huge.mass(k / (n + 1), k % (n + 1)));
            prop_assert!((plain - huge).abs() < 1e-12, "{} {}", plain, huge);
        }
    }

    #[test]
    fn a_constant_added_to_the_cost_changes_nothing(n in 2_usize..=16, seed in any::<u64>(), shift in -1e6..1e6) {
        let cost = noise_to_data(n, n, 2, seed);
        let shifted = Cost::from_values(n, n, cost.values().iter().map(|c| c + shift).collect());
        let settings = Sinkhorn::new(0.5);
        let (plan, moved) = (settings.solve_uniform(&cost).unwrap(), settings.solve_uniform(&shifted).unwrap());
        prop_assert_eq!(plan.converged, moved.converged);
        for k in 0..n * n {
            prop_assert!((plan.mass(k / n, k % n) - moved.mass(k / n, k % n)).abs() < 1e-7);
        }
    }
}
