//! Laws of couplings, conditional ones above all.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use thalweg_flow::{
    BatchBias, ConditionRule, Conditions, CouplingConfig, FlowError, PathConfig, plan_entropy,
};
use thalweg_noise::Noise;
use thalweg_ot::{Cost, Points, Sinkhorn};

const EXACT: CouplingConfig = CouplingConfig::OptimalTransport { conditions: ConditionRule::WithinGroups {} };

fn sinkhorn(regularisation: f64) -> CouplingConfig {
    CouplingConfig::Sinkhorn { regularisation: Some(regularisation), conditions: ConditionRule::Ignore {} }
}

fn clouds(n: usize, dim: usize, seed: u64) -> [Vec<f64>; 2] {
    let mut noise = Noise::new(seed);
    [noise.normals(n * dim), noise.normals(n * dim).into_iter().map(|x| 0.5 * x + 1.0).collect()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Sampling pairs with replacement would drop about a third of the batch.
    #[test]
    fn exact_transport_keeps_every_point_and_beats_chance(n in 1_usize..40, dim in 1_usize..4, seed: u64) {
        let [x0, x1] = clouds(n, dim, seed);
        let (x0, x1) = (Points::new(&x0, dim), Points::new(&x1, dim));
        let mut noise = Noise::new(seed);
        let exact = EXACT.pair(x0, x1, Conditions::None, &mut noise).unwrap();
        let chance = CouplingConfig::Independent {}.pair(x0, x1, Conditions::None, &mut noise).unwrap();
        prop_assert!(exact.is_permutation_of(n) && chance.is_permutation_of(n));
        prop_assert!(exact.cost <= chance.cost + 1e-12);
    }

    #[test]
    fn pairs_never_cross_labels(n in 1_usize..40, classes in 1_usize..5, seed: u64) {
        let [x0, x1] = clouds(n, 2, seed);
        let (x0, x1) = (Points::new(&x0, 2), Points::new(&x1, 2));
        let mut noise = Noise::new(seed);
        let labels: Vec<usize> = (0..n).map(|_| noise.below(classes)).collect();
        let conditions = Conditions::Labels(&labels);
        let heavy = CouplingConfig::OptimalTransport { conditions: ConditionRule::Weighted { weight: 1e6 } };
        let grouped = EXACT.pair(x0, x1, conditions, &mut noise).unwrap();
        let weighted = heavy.pair(x0, x1, conditions, &mut noise).unwrap();
        for pairing in [&grouped, &weighted] {
            prop_assert!(pairing.is_permutation_of(n));
            prop_assert!(pairing.source.iter().zip(&pairing.target).all(|(&i, &j)| labels[i] == labels[j]));
        }
        prop_assert!((grouped.cost - weighted.cost).abs() < 1e-9, "both cures agree when the weight is large");
        let free = EXACT.pair(x0, x1, Conditions::None, &mut noise).unwrap();
        prop_assert!(free.cost <= grouped.cost + 1e-12);
    }
}

/// Source and data N(0, 1), the label the sign of the data. Plain transport hands negative noise to the negative class;
/// within groups the noise of each class has mean zero.
#[test]
fn ignoring_conditions_skews_the_source_and_respecting_them_does_not() {
    let n = 400;
    let mut noise = Noise::new(5);
    let (x0, x1) = (noise.normals(n), noise.normals(n));
    let labels: Vec<usize> = x1.iter().map(|x| usize::from(*x > 0.0)).collect();
    let mut mean_source_of_positives = |rule| {
        let coupling = CouplingConfig::OptimalTransport { conditions: rule };
        let pairing = coupling
            .pair(Points::new(&x0, 1), Points::new(&x1, 1), Conditions::Labels(&labels), &mut noise)
            .unwrap();
        let chosen: Vec<f64> = (pairing.source.iter().zip(&pairing.target))
            .filter(|(_, j)| labels[**j] == 1)
            .map(|(i, _)| x0[*i])
            .collect();
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    // E|N(0,1)| = 0.798; the standard error of a mean of 200 normals is 0.07.
    assert!(mean_source_of_positives(ConditionRule::Ignore {}) > 0.5);
    assert!(mean_source_of_positives(ConditionRule::WithinGroups {}).abs() < 0.25);
    assert!(mean_source_of_positives(ConditionRule::Weighted { weight: 1e4 }).abs() < 0.25);
}

#[test]
fn vector_conditions_are_compared_by_direction_or_for_equality() {
    let (x0, x1) = ([0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]);
    let (x0, x1) = (Points::new(&x0, 1), Points::new(&x1, 1));
    let vectors = [1.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 1.0];
    let conditions = Conditions::Vectors(Points::new(&vectors, 2));
    let mut noise = Noise::new(1);
    let pairs = |rule: ConditionRule, noise: &mut Noise| {
        let coupling = CouplingConfig::OptimalTransport { conditions: rule };
        let mut pairing = coupling.pair(x0, x1, conditions, noise).unwrap();
        let mut pairs: Vec<_> = pairing.source.drain(..).zip(pairing.target.drain(..)).collect();
        pairs.sort_unstable();
        pairs
    };
    // Equal vectors: {0, 1}, {2}, {3}.
    assert_eq!(pairs(ConditionRule::WithinGroups {}, &mut noise), [(0, 1), (1, 0), (2, 2), (3, 3)]);
    // Equal directions: {0, 1}, {2, 3}.
    assert_eq!(pairs(ConditionRule::Weighted { weight: 1e3 }, &mut noise), [(0, 1), (1, 0), (2, 3), (3, 2)]);
    assert_eq!(pairs(ConditionRule::Ignore {}, &mut noise), [(0, 3), (1, 2), (2, 1), (3, 0)]);
}

#[test]
fn sinkhorn_goes_from_the_permutation_to_independence() {
    let n = 24;
    let [x0, x1] = clouds(n, 2, 3);
    let (x0, x1) = (Points::new(&x0, 2), Points::new(&x1, 2));
    let mut noise = Noise::new(4);
    let exact = EXACT.pair(x0, x1, Conditions::None, &mut noise).unwrap();
    let sharp = sinkhorn(0.005).pair(x0, x1, Conditions::None, &mut noise).unwrap();
    assert!((sharp.cost - exact.cost).abs() < 0.05, "{} {}", sharp.cost, exact.cost);
    assert!(sharp.repeats().distinct_targets > n - 4);

    let cost = Cost::squared_euclidean(x0, x1);
    let entropy = |regularisation| {
        plan_entropy(&Sinkhorn::new(regularisation).solve_uniform(&cost).unwrap(), n, n) / (n as f64).ln()
    };
    assert!((entropy(1e6) - 2.0).abs() < 1e-6);
    assert!(entropy(0.005) < 1.1);
    assert!(entropy(0.1) > entropy(0.01));
}

#[test]
fn a_plan_that_is_far_from_its_marginals_is_not_used() {
    let [x0, x1] = clouds(60, 2, 11);
    let pair =
        sinkhorn(1e-6).pair(Points::new(&x0, 2), Points::new(&x1, 2), Conditions::None, &mut Noise::new(0));
    let message = pair.unwrap_err().to_string();
    assert!(message.starts_with("Sinkhorn did not converge in 2000 iterations"), "{message}");
    assert!(message.contains("raise `regularisation` (now 0.000001)"), "{message}");
}

#[test]
fn partial_transport_leaves_the_outlier_out() {
    let x0 = [0.0, 1.0, 2.0, 3.0];
    let x1 = [0.1, 1.1, 2.1, 50.0];
    let coupling = CouplingConfig::Partial { fraction: 0.75, conditions: ConditionRule::Ignore {} };
    let pairing = coupling
        .pair(Points::new(&x0, 1), Points::new(&x1, 1), Conditions::None, &mut Noise::new(0))
        .unwrap();
    assert_eq!((pairing.len(), pairing.target.contains(&3)), (3, false));
    assert!((pairing.cost - 0.01).abs() < 1e-12);
}

#[test]
fn unbalanced_transport_draws_the_outlier_rarely() {
    let n = 40;
    let mut noise = Noise::new(6);
    let x0 = noise.normals(n);
    let mut x1 = noise.normals(n);
    x1[7] = 30.0;
    let coupling = CouplingConfig::Unbalanced {
        regularisation: Some(0.1),
        penalty: 1.0,
        conditions: ConditionRule::Ignore {},
    };
    let mut pair =
        || coupling.pair(Points::new(&x0, 1), Points::new(&x1, 1), Conditions::None, &mut noise).unwrap();
    let drawn = (0..10).flat_map(|_| pair().target).filter(|j| *j == 7).count();
    assert_eq!(pair().len(), n);
    assert_eq!(drawn, 0, "the outlier is far beyond what the penalty makes worth while");
}

#[test]
fn the_bridge_fixes_the_regularisation() {
    let open = CouplingConfig::Sinkhorn { regularisation: None, conditions: ConditionRule::WithinGroups {} };
    let bridge = PathConfig::SchroedingerBridge { sigma: 0.5, clip: 1e-3 };
    let CouplingConfig::Sinkhorn { regularisation, .. } = open.resolved_for(&bridge).unwrap() else {
        panic!()
    };
    assert_eq!(regularisation, Some(0.5));
    let error = open.resolved_for(&PathConfig::Linear { sigma: 0.0 }).unwrap_err();
    assert_eq!(error, FlowError::RegularisationMissing { coupling: "sinkhorn" });
    let given = sinkhorn(0.3).resolved_for(&bridge).unwrap();
    assert_eq!(given, sinkhorn(0.3));
}

/// The entropic plan between two unit normals with weight 2σ² is the static Schrödinger bridge of noise σ: a Gaussian of
/// correlation (√(σ⁴ + 4) - σ²)/2, the golden ratio's 0.618 for σ = 1.
#[test]
fn pairs_for_the_bridge_are_correlated_like_the_bridge() {
    let coupling = CouplingConfig::Sinkhorn { regularisation: None, conditions: ConditionRule::Ignore {} }
        .resolved_for(&PathConfig::SchroedingerBridge { sigma: 1.0, clip: 1e-3 })
        .unwrap();
    let (n, batches) = (200, 10);
    let mut noise = Noise::new(9);
    let mut product = 0.0;
    for _ in 0..batches {
        let (x0, x1) = (noise.normals(n), noise.normals(n));
        let pairing =
            coupling.pair(Points::new(&x0, 1), Points::new(&x1, 1), Conditions::None, &mut noise).unwrap();
        assert_eq!(pairing.repeats().distinct_sources, n);
        product += pairing.source.iter().zip(&pairing.target).map(|(&i, &j)| x0[i] * x1[j]).sum::<f64>();
    }
    let correlation = product / (n * batches) as f64;
    // The mean product of 2,000 such pairs has a standard error of 0.026.
    assert!((correlation - 0.618).abs() < 0.1, "{correlation}");
}

#[test]
fn couplings_that_look_at_nothing_need_no_points() {
    let mut noise = Noise::new(10);
    let shuffled = CouplingConfig::Independent {}.blind_sources(50, &mut noise).unwrap();
    assert_ne!(shuffled, (0..50).collect::<Vec<_>>(), "sorted batches must not stay paired");
    assert_eq!(CouplingConfig::Paired {}.blind_sources(3, &mut noise).unwrap(), [0, 1, 2]);
    assert!(EXACT.blind_sources(3, &mut noise).is_none());
}

/// Between a law and itself transport is free, so all that is left is the bias of finite batches.
#[test]
fn the_bias_falls_with_the_batch() {
    let experiment = BatchBias { sizes: vec![4, 16, 64], repetitions: 20 };
    let draw = |n: usize, noise: &mut Noise| [noise.normals(2 * n), noise.normals(2 * n)];
    let report = experiment.measure(&EXACT, 2, draw, &mut Noise::new(7)).unwrap();
    assert!(report.windows(2).all(|w| w[1].cost < 0.6 * w[0].cost), "{report:?}");
    let independent =
        experiment.measure(&CouplingConfig::Independent {}, 2, draw, &mut Noise::new(8)).unwrap();
    // E‖x - y‖² = 2d = 4, whatever the batch.
    assert!(independent.iter().all(|b| (b.cost - 4.0).abs() < 4.0 * b.standard_error), "{independent:?}");
}

#[test]
fn batches_that_cannot_be_paired_are_refused_with_their_sizes() {
    let values = [0.0; 6];
    let check = |coupling: CouplingConfig, x0: Points, x1: Points, conditions: Conditions, expected: &str| {
        let message = coupling.pair(x0, x1, conditions, &mut Noise::new(0)).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let (six, two, three) = (Points::new(&values, 1), Points::new(&values, 3), Points::new(&values, 2));
    check(EXACT, six, two, Conditions::None, "6 sources of dimension 1 with 2 targets of dimension 3");
    check(EXACT, Points::new(&values[..2], 1), six, Conditions::None, "both sides must be of equal size");
    check(EXACT, three, three, Conditions::Labels(&[0, 1]), "2 conditions were given for 3 targets");
    let partial = CouplingConfig::Partial { fraction: 0.5, conditions: ConditionRule::WithinGroups {} };
    check(
        partial,
        Points::new(&values[..2], 2),
        three,
        Conditions::Labels(&[0, 1, 1]),
        "each source takes that",
    );
    let infinite = [0.0, f64::INFINITY, 0.0, 1.0, 2.0, 3.0];
    check(EXACT, six, Points::new(&infinite, 1), Conditions::None, "the coupling failed");
    let open = CouplingConfig::Sinkhorn { regularisation: None, conditions: ConditionRule::Ignore {} };
    check(open, six, six, Conditions::None, "set `regularisation`");
}

#[test]
fn recipes_are_read_strictly() {
    let read = serde_json::from_str::<CouplingConfig>;
    assert_eq!(read(r#"{"kind": "optimal-transport"}"#).unwrap(), EXACT);
    let weighted =
        read(r#"{"kind": "optimal-transport", "conditions": {"kind": "weighted", "weight": 10}}"#).unwrap();
    assert_eq!(
        weighted,
        CouplingConfig::OptimalTransport { conditions: ConditionRule::Weighted { weight: 10.0 } }
    );
    let text = serde_json::to_string(&CouplingConfig::Partial {
        fraction: 0.9,
        conditions: ConditionRule::Ignore {},
    });
    assert_eq!(text.unwrap(), r#"{"kind":"partial","fraction":0.9,"conditions":{"kind":"ignore"}}"#);
    for wrong in [
        r#"{"kind": "independent", "fraction": 1}"#,
        r#"{"kind": "optimal-transport", "conditions": {"kind": "ignore", "weight": 1}}"#,
        r#"{"kind": "optimal"}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong} was accepted");
    }
}
