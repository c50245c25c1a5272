//! Attention against plain operations, values and gradients.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{attention, channel_attention, plain};
use crate::compare::{Side, assert_close, gradients, normal, values};

#[derive(Debug, Clone)]
struct Case {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    dim: usize,
    value_dim: usize,
    turned: bool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1usize..=3, 1usize..=3, 1usize..=40, 1usize..=70, 1usize..=9, 1usize..=9);
    (sizes, any::<bool>(), any::<u64>()).prop_map(
        |((batch, heads, queries, keys, dim, value_dim), turned, seed)| Case {
            batch,
            heads,
            queries,
            keys,
            dim,
            value_dim,
            turned,
            seed,
        },
    )
}

fn compare(case: &Case, dtype: DType) {
    let Case { batch, heads, queries, keys, dim, value_dim, .. } = *case;
    let device = Device::flex().autodiff();
    // As networks have them: channels before places, and thus out of order in memory.
    let draw = |places, channels, stream: u64| {
        let shape =
            if case.turned { [batch, heads, channels, places] } else { [batch, heads, places, channels] };
        normal(shape, case.seed ^ stream, dtype, &device)
    };
    let (q, k, v) = (draw(queries, dim, 1), draw(keys, dim, 2), draw(keys, value_dim, 3));
    let side_of = |side| {
        gradients(&q, &k, &v, case.seed ^ 4, |q, k, v| {
            let [q, k, v] = [q, k, v].map(|x| if case.turned { x.clone().transpose() } else { x.clone() });
            match side {
                Side::Ours => attention(&q, &k, &v),
                Side::Plain => plain::attention(&q, &k, &v),
            }
        })
    };
    assert_close(&side_of(Side::Ours), &side_of(Side::Plain), dtype, case);
}

/// The same from one tensor with channels before places.
fn compare_channels(case: &Case, dtype: DType) {
    let Case { batch, heads, keys: places, dim, .. } = *case;
    let device = Device::flex().autodiff();
    let qkv = normal([batch, heads * 3 * dim, places], case.seed, dtype, &device);
    let unused = normal([1], 0, dtype, &device);
    let side_of = |side| {
        gradients(&qkv, &unused, &unused, case.seed ^ 4, |qkv, _, _| match side {
            Side::Ours => channel_attention(qkv, heads),
            Side::Plain => plain::channel_attention(qkv, heads),
        })
    };
    assert_close(&side_of(Side::Ours), &side_of(Side::Plain), dtype, case);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn double_precision(case in cases()) {
        compare(&case, DType::F64);
    }

    #[test]
    fn single_precision(case in cases()) {
        compare(&case, DType::F32);
    }

    #[test]
    fn channels_first(case in cases()) {
        compare_channels(&case, DType::F64);
        compare_channels(&case, DType::F32);
    }
}

/// More rows than a block has.
#[test]
fn several_blocks() {
    let case =
        Case { batch: 1, heads: 2, queries: 301, keys: 511, dim: 5, value_dim: 4, turned: true, seed: 9 };
    compare_channels(&case, DType::F64);
    compare(&case, DType::F64);
    compare(&case, DType::F32);
}

/// Scores of hundreds overflow an exponential that is taken without care.
#[test]
fn large_scores_stay_finite() {
    let device = Device::flex();
    let x = normal([1, 1, 4, 3], 2, DType::F32, &device);
    let found = values(attention(&(x.clone() * 300.0), &(x.clone() * 300.0), &x));
    assert!(found.iter().all(|x| x.is_finite()));
}

/// Equal keys are weighted equally, so that the output is the mean of the values.
#[test]
fn equal_keys_give_the_mean() {
    let device = Device::flex();
    let q = normal([1, 1, 3, 2], 2, DType::F64, &device);
    let v = normal([1, 1, 5, 1], 3, DType::F64, &device);
    let found = values(attention(&q, &Tensor::ones([1, 1, 5, 2], (&device, DType::F64)), &v));
    let mean = values(v).iter().sum::<f64>() / 5.0;
    assert!(found.iter().all(|x| (x - mean).abs() < 1e-15), "{found:?} {mean}");
}

#[test]
fn an_empty_batch_has_an_empty_answer() {
    let x = Tensor::<4>::zeros([0, 2, 4, 3], &Device::flex());
    assert_eq!(attention(&x, &x, &x).dims(), [0, 2, 4, 3]);
    let x = Tensor::<3>::zeros([0, 6, 4], &Device::flex());
    assert_eq!(channel_attention(&x, 1).dims(), [0, 2, 4]);
}
