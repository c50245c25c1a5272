//! Conditions, their drop-out, and guidance.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::DType;
use proptest::prelude::*;
use thalweg_nets::{Condition, ConditionSpec, Guided, Mlp, MlpConfig};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, Tangent, VelocityField, to_host};

fn labelled(classes: usize) -> Mlp {
    let spec = ConditionSpec::Labels { classes };
    MlpConfig::default().init(2, spec, &mut Noise::new(1), &Placement::cpu_double())
}

fn velocities(field: &impl VelocityField<2>, batch: usize) -> Vec<f64> {
    let placement = Placement::cpu_double();
    to_host(&field.velocity(placement.full(0.25, [batch]), placement.normal(&mut Noise::new(2), [batch, 2])))
}

#[test]
fn rows_only_see_their_own_condition() {
    let mlp = labelled(3);
    let all = velocities(&mlp.given(&Condition::labels(&[0, 1, 2, 1])), 4);
    for other in 0..3 {
        let changed = velocities(&mlp.given(&Condition::labels(&[0, 1, other, 1])), 4);
        assert_eq!(changed[..4], all[..4]);
        assert_eq!(changed[6..], all[6..]);
        assert_eq!(changed[4..6] == all[4..6], other == 2);
    }
}

#[test]
fn the_null_label_is_the_unconditional_field() {
    let mlp = labelled(3);
    let untold = velocities(&mlp.given(&Condition::Labels(vec![None; 4])), 4);
    assert_eq!(untold, velocities(&mlp.unconditional(), 4));
    assert_ne!(untold, velocities(&mlp.given(&Condition::labels(&[0; 4])), 4));
    assert_eq!(velocities(&mlp.unconditional(), 1).len(), 2, "it suits any batch");

    let placement = Placement::cpu_double();
    let mlp = MlpConfig::default().init(2, ConditionSpec::Vectors { dim: 5 }, &mut Noise::new(1), &placement);
    let zero = velocities(&mlp.given(&Condition::Vectors(placement.full(0.0, [4, 5]))), 4);
    assert_eq!(zero, velocities(&mlp.unconditional(), 4));
}

#[test]
fn dropped_hides_the_stated_share_of_rows() {
    let labels = Condition::labels(&[7; 20_000]);
    let Condition::Labels(dropped) = labels.dropped(0.2, &mut Noise::new(1)) else { panic!("still labels") };
    let hidden = dropped.iter().filter(|label| label.is_none()).count() as f64;
    // Four standard deviations of a binomial count.
    assert!((hidden - 4_000.0).abs() < 4.0 * (20_000.0_f64 * 0.2 * 0.8).sqrt(), "{hidden}");
    assert!(dropped.iter().flatten().all(|&label| label == 7));

    let vectors = Condition::Vectors(Placement::cpu().full(3.0, [2_000, 2]));
    let Condition::Vectors(dropped) = vectors.dropped(0.5, &mut Noise::new(1)) else {
        panic!("still vectors")
    };
    let rows = to_host(&dropped);
    assert!(rows.chunks(2).all(|row| row == [0.0, 0.0] || row == [3.0, 3.0]), "whole rows are hidden");
    let hidden = rows.chunks(2).filter(|row| row[0] == 0.0).count() as f64;
    assert!((hidden - 1_000.0).abs() < 4.0 * (2_000.0_f64 * 0.25).sqrt(), "{hidden}");
}

#[test]
fn the_ends_of_the_probability_are_exact() {
    let labels = Condition::Labels(vec![Some(0), None, Some(2)]);
    let check = |probability, expected: [Option<usize>; 3]| {
        let Condition::Labels(found) = labels.dropped(probability, &mut Noise::new(3)) else {
            panic!("still labels")
        };
        assert_eq!(found, expected);
    };
    check(0.0, [Some(0), None, Some(2)]);
    check(1.0, [None; 3]);
}

#[test]
#[should_panic(expected = "a probability lies in [0, 1], but 1.5 does not")]
fn dropped_refuses_what_is_no_probability() {
    let _ = Condition::labels(&[0]).dropped(1.5, &mut Noise::new(1));
}

#[test]
fn guidance_goes_from_one_field_to_the_other_and_beyond() {
    let mlp = labelled(2);
    let condition = Condition::labels(&[0, 1, 1]);
    let (told, untold) = (velocities(&mlp.given(&condition), 3), velocities(&mlp.unconditional(), 3));
    for scale in [0.0, 1.0, 3.5, -1.0] {
        let guided = velocities(&mlp.guided(&condition, scale), 3);
        for ((g, c), u) in guided.iter().zip(&told).zip(&untold) {
            assert!((g - (u + scale * (c - u))).abs() < 1e-14);
            // The count of the original paper, (1 + w')·v_c - w'·v_u with w = 1 + w'.
            assert!((g - (scale * c - (scale - 1.0) * u)).abs() < 1e-14);
        }
    }
}

#[test]
fn guided_tangents_and_divergences_are_the_same_mixture() {
    let placement = Placement::cpu_double();
    let mlp = labelled(2);
    let condition = Condition::labels(&[0, 1, 1]);
    let Guided { conditional, unconditional, .. } = mlp.guided(&condition, 2.0);
    let guided = mlp.guided(&condition, 2.0);
    let mut noise = Noise::new(6);
    let (t, x) = (placement.normal(&mut noise, [3]), placement.normal(&mut noise, [3, 2]));
    let (dt, dx) = (placement.normal(&mut noise, [3]), placement.normal(&mut noise, [3, 2]));
    let tangent = |field: &dyn Tangent<2>| {
        let (v, dv) = field.velocity_and_tangent(t.clone(), x.clone(), dt.clone(), dx.clone());
        let (w, divergence) = field.velocity_and_divergence(t.clone(), x.clone());
        [to_host(&v), to_host(&w), to_host(&dv), to_host(&divergence)].concat()
    };
    let mixed = tangent(&conditional).into_iter().zip(tangent(&unconditional)).map(|(c, u)| 2.0 * c - u);
    for (found, expected) in tangent(&guided).into_iter().zip(mixed) {
        assert!((found - expected).abs() < 1e-13, "{found} {expected}");
    }
}

#[test]
fn wrong_conditions_are_refused_with_the_reason() {
    let check = |spec: ConditionSpec, condition: Condition, message: &str| {
        assert_eq!(spec.check(&condition).unwrap_err().to_string(), message);
    };
    let labels = ConditionSpec::Labels { classes: 3 };
    check(
        labels,
        Condition::labels(&[0, 2, 3]),
        "the label of row 2 is 3, but the network knows classes 0 to 2; count labels from 0",
    );
    check(
        ConditionSpec::None,
        Condition::labels(&[0]),
        "the network takes no condition, but it was given labels; retrain it, or give the data's condition columns",
    );
    check(
        labels,
        Condition::None,
        "the network takes labels of 3 classes, but it was given no condition; retrain it, or give the data's \
         condition columns",
    );
    check(
        ConditionSpec::Vectors { dim: 4 },
        Condition::Vectors(Placement::cpu().full(0.0, [2, 3])),
        "condition vectors have 3 entries, but the network takes 4",
    );
    assert_eq!(labels.check(&Condition::Labels(vec![None, Some(2)])), Ok(()));
    assert_eq!(ConditionSpec::None.check(&Condition::None), Ok(()));
}

#[test]
#[should_panic(expected = "the condition is for 3 rows, but there are 4 points")]
fn a_condition_for_another_batch_is_refused() {
    velocities(&labelled(2).given(&Condition::labels(&[0, 1, 1])), 4);
}

#[test]
#[should_panic(expected = "the label of row 0 is 2")]
fn given_refuses_what_check_refuses() {
    let _ = labelled(2).given(&Condition::labels(&[2]));
}

#[test]
fn vectors_follow_the_precision_of_the_network() {
    let single = Placement::cpu();
    let mlp = MlpConfig::default().init(2, ConditionSpec::Vectors { dim: 3 }, &mut Noise::new(1), &single);
    let condition = Condition::Vectors(single.normal(&mut Noise::new(4), [2, 3]));
    let double = mlp.clone().cast(DType::F64);
    let in_double = velocities(&double.given(&condition.clone().cast(DType::F64)), 2);
    let in_single = to_host(
        &mlp.given(&condition).velocity(single.full(0.25, [2]), single.normal(&mut Noise::new(2), [2, 2])),
    );
    for (a, b) in in_single.iter().zip(in_double) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn select_and_repeat_act_on_rows_of_every_kind(rows in prop::collection::vec(0_usize..5, 0..12), times in 1_usize..4) {
        let labels = Condition::Labels(vec![Some(4), None, Some(0), Some(1), Some(1)]);
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        let vectors = Condition::Vectors(Placement::cpu_double().tensor(&values, [5, 2]));
        let expected: Vec<usize> = rows.iter().flat_map(|&row| vec![row; times]).collect();

        let Condition::Labels(found) = labels.select(&rows).repeat(times) else { panic!("still labels") };
        let Condition::Labels(all) = &labels else { panic!("labels") };
        prop_assert_eq!(found, expected.iter().map(|&row| all[row]).collect::<Vec<_>>());

        let Condition::Vectors(found) = vectors.select(&rows).repeat(times) else { panic!("still vectors") };
        prop_assert_eq!(found.dims(), [expected.len(), 2]);
        let expected: Vec<f64> = expected.iter().flat_map(|&row| [2.0 * row as f64, 2.0 * row as f64 + 1.0]).collect();
        prop_assert_eq!(to_host(&found), expected);
    }
}
