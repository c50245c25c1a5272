//! Group normalisation and what follows it against plain operations, values and gradients.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{GroupNormOptions, group_norm, plain};
use crate::Activation;
use crate::compare::{Side, assert_close, gradients, normal, values};

#[derive(Debug, Clone)]
struct Case {
    batch: usize,
    groups: usize,
    of_a_group: usize,
    positions: usize,
    options: GroupNormOptions,
    affine: bool,
    film: bool,
    turned: bool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let activation = prop_oneof![Just(None), Just(Some(Activation::Silu)), Just(Some(Activation::Tanh))];
    let sizes = (1usize..=4, 1usize..=5, 1usize..=7, prop_oneof![Just(1usize), 2usize..=70]);
    (sizes, activation, any::<[bool; 3]>(), any::<u64>()).prop_map(
        |((batch, groups, of_a_group, positions), activation, [affine, film, turned], seed)| {
            // A group of one number is nothing but rounding after normalisation.
            let positions = if of_a_group == 1 { positions.max(2) } else { positions };
            let options = GroupNormOptions { groups, epsilon: 1e-5, activation };
            Case { batch, groups, of_a_group, positions, options, affine, film, turned, seed }
        },
    )
}

fn compare(case: &Case, dtype: DType) {
    let device = Device::flex().autodiff();
    let channels = case.groups * case.of_a_group;
    // With its axes exchanged it is out of order in memory.
    let [first, second] = if case.turned { [case.positions, channels] } else { [channels, case.positions] };
    let x = normal([case.batch, first, second], case.seed, dtype, &device);
    // Rows of the parameters, so that three tensors are enough.
    let affine = normal([2, channels], case.seed ^ 1, dtype, &device);
    let film = normal([2, case.batch, channels], case.seed ^ 2, dtype, &device);
    let sides = [Side::Ours, Side::Plain].map(|side| {
        gradients(&x, &affine, &film, case.seed ^ 3, |x, affine, film| {
            let affine = case.affine.then(|| {
                [0, 1].map(|row| affine.clone().slice([row..row + 1, 0..channels]).reshape([channels]))
            });
            let film = case.film.then(|| {
                let shape = [case.batch, channels];
                [0, 1].map(|row| film.clone().slice([row..row + 1, 0..case.batch]).reshape(shape))
            });
            let x = if case.turned { x.clone().swap_dims(1, 2) } else { x.clone() };
            let affine = affine.as_ref().map(|[gamma, beta]| [gamma, beta]);
            let film = film.as_ref().map(|[scale, shift]| [scale, shift]);
            match side {
                Side::Ours => group_norm(&x, affine, film, case.options),
                Side::Plain => plain::group_norm(&x, affine, film, case.options),
            }
        })
    });
    assert_close(&sides[0], &sides[1], dtype, case);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn double_precision(case in cases()) {
        compare(&case, DType::F64);
    }

    #[test]
    fn single_precision(case in cases()) {
        // With two numbers in a group the gradient is a difference of almost equal ones.
        prop_assume!(case.of_a_group * case.positions >= 8);
        compare(&case, DType::F32);
    }
}

/// Enough for several jobs and threads.
#[test]
fn a_large_batch() {
    let options = GroupNormOptions { groups: 4, epsilon: 1e-5, activation: Some(Activation::Silu) };
    let case = Case {
        batch: 6,
        groups: 4,
        of_a_group: 3,
        positions: 1024,
        options,
        affine: true,
        film: true,
        turned: false,
        seed: 5,
    };
    compare(&case, DType::F64);
    compare(&case, DType::F32);
}

#[test]
fn groups_have_mean_zero_and_variance_one() {
    let device = Device::flex();
    let x = normal([2, 6, 50], 1, DType::F64, &device) * 3.0 + 7.0;
    let options = GroupNormOptions { groups: 3, epsilon: 0.0, activation: None };
    let y = values(group_norm(&x, None, None, options));
    for group in y.chunks(100) {
        let mean = group.iter().sum::<f64>() / 100.0;
        let square = group.iter().map(|y| y * y).sum::<f64>() / 100.0;
        assert!(mean.abs() < 1e-14 && (square - 1.0).abs() < 1e-13, "{mean} {square}");
    }
}

#[test]
#[should_panic(expected = "7 channels do not make 2 groups")]
fn groups_must_divide() {
    let options = GroupNormOptions { groups: 2, epsilon: 1e-5, activation: None };
    let _ = group_norm(&Tensor::<3>::zeros([1, 7, 2], &Device::flex()), None, None, options);
}

#[test]
fn an_empty_batch_has_an_empty_answer() {
    let options = GroupNormOptions { groups: 2, epsilon: 1e-5, activation: None };
    let x = Tensor::<3>::zeros([0, 4, 5], &Device::flex());
    assert_eq!(group_norm(&x, None, None, options).dims(), [0, 4, 5]);
}
