//! Convolutions against the tensor library's own, values and gradients.

use std::ops::RangeInclusive;

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{ConvOptions, conv_transpose1d, conv1d, conv2d, plain};
use crate::compare::{Side, assert_close, gradients, normal, values};

#[derive(Debug, Clone)]
struct Case {
    images: usize,
    channels: [usize; 2],
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    biased: bool,
    turned: bool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    cases_of(1..=5, 19)
}

/// Batches of which images are worked on side by side.
fn batches() -> impl Strategy<Value = Case> {
    cases_of(32..=70, 9)
}

fn cases_of(images: RangeInclusive<usize>, widest: usize) -> impl Strategy<Value = Case> {
    let pair = |low: usize, high: usize| [low..=high, low..=high];
    let sizes = (images, [1usize..=11, 1usize..=35], pair(1, widest));
    let moves = (pair(1, 5), pair(1, 3), pair(0, 2));
    (sizes, moves, any::<bool>(), any::<bool>(), any::<u64>()).prop_filter_map(
        "the kernel fits",
        |((images, channels, input), (kernel, stride, padding), biased, turned, seed)| {
            let fits = (0..2).all(|axis| kernel[axis] <= input[axis] + 2 * padding[axis]);
            fits.then_some(Case { images, channels, input, kernel, stride, padding, biased, turned, seed })
        },
    )
}

/// Values and gradients of ours and of the library's two-dimensional convolution.
fn compare_2d(case: &Case, dtype: DType) {
    let Case { images, channels: [outputs, inputs], input, kernel, stride, padding, .. } = *case;
    let device = Device::flex().autodiff();
    let draw = |shape: [usize; 4], stream: u64| normal(shape, case.seed ^ stream, dtype, &device);
    // An image whose axes were exchanged is not in order in memory.
    let x = if case.turned {
        draw([images, inputs, input[1], input[0]], 1)
    } else {
        draw([images, inputs, input[0], input[1]], 1)
    };
    let weight = draw([outputs, inputs, kernel[0], kernel[1]], 2);
    let bias = normal([outputs], case.seed ^ 3, dtype, &device);
    let image = |x: &Tensor<4>| if case.turned { x.clone().swap_dims(2, 3) } else { x.clone() };

    let options = ConvOptions { stride, padding };
    let sides = [Side::Ours, Side::Plain].map(|side| {
        gradients(&x, &weight, &bias, case.seed ^ 4, |x, weight, bias| {
            let bias = case.biased.then_some(bias);
            match side {
                Side::Ours => conv2d(&image(x), weight, bias, options),
                Side::Plain => plain::conv2d(&image(x), weight, bias, options),
            }
        })
    });
    assert_close(&sides[0], &sides[1], dtype, case);
}

/// The same for rows, straight and transposed.
fn compare_1d(case: &Case, dtype: DType, transposed: bool) {
    let Case { images, channels: [outputs, inputs], input: [_, wide], kernel: [_, kernel], .. } = *case;
    let (stride, padding) = (case.stride[1], case.padding[1]);
    if transposed && (wide - 1) * stride + kernel <= 2 * padding {
        return;
    }
    let device = Device::flex().autodiff();
    let x = normal([images, inputs, wide], case.seed ^ 1, dtype, &device);
    let shape = if transposed { [inputs, outputs, kernel] } else { [outputs, inputs, kernel] };
    let weight = normal(shape, case.seed ^ 2, dtype, &device);
    let bias = normal([outputs], case.seed ^ 3, dtype, &device);
    let options = ConvOptions { stride: [7, stride], padding: [9, padding] };
    let sides = [Side::Ours, Side::Plain].map(|side| {
        gradients(&x, &weight, &bias, case.seed ^ 4, |x, weight, bias| {
            let bias = case.biased.then_some(bias);
            match (side, transposed) {
                (Side::Ours, false) => conv1d(x, weight, bias, options),
                (Side::Ours, true) => conv_transpose1d(x, weight, bias, options),
                (Side::Plain, false) => plain::conv1d(x, weight, bias, options),
                (Side::Plain, true) => plain::conv_transpose1d(x, weight, bias, options),
            }
        })
    });
    assert_close(&sides[0], &sides[1], dtype, case);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn images_in_double_precision(case in cases()) {
        compare_2d(&case, DType::F64);
    }

    #[test]
    fn images_in_single_precision(case in cases()) {
        compare_2d(&case, DType::F32);
    }

    #[test]
    fn rows(case in cases()) {
        compare_1d(&case, DType::F64, false);
        compare_1d(&case, DType::F32, false);
    }

    #[test]
    fn rows_transposed(case in cases()) {
        compare_1d(&case, DType::F64, true);
        compare_1d(&case, DType::F32, true);
    }

    #[test]
    fn batches_of_images(case in batches()) {
        compare_2d(&case, DType::F64);
        compare_2d(&case, DType::F32);
    }

    #[test]
    fn batches_of_rows(case in batches()) {
        for transposed in [false, true] {
            compare_1d(&case, DType::F64, transposed);
            compare_1d(&case, DType::F32, transposed);
        }
    }
}

/// The shapes of networks, each of which takes a path of its own: rows of 16 and 32 in place, shorter ones gathered,
/// kernels of one in place, images in groups and a single image in parts, many images side by side with few channels and
/// with more than the nearest cache holds.
#[test]
fn shapes_of_networks() {
    let check = |images, channels, input, kernel: usize, stride| {
        let (kernel, stride, padding) = ([kernel; 2], [stride; 2], [kernel / 2; 2]);
        let case =
            Case { images, channels, input, kernel, stride, padding, biased: true, turned: false, seed: 7 };
        compare_2d(&case, DType::F32);
        compare_2d(&case, DType::F64);
    };
    check(3, [40, 9], [3, 32], 3, 1);
    check(1, [72, 16], [5, 16], 3, 1);
    check(21, [8, 5], [4, 4], 3, 1);
    check(5, [33, 7], [8, 8], 3, 2);
    check(2, [17, 24], [2, 16], 1, 1);
    check(9, [12, 10], [1, 3], 1, 1);
    check(1, [3, 6], [2, 48], 5, 1);
    check(33, [20, 300], [1, 4], 5, 1);
    check(64, [35, 70], [4, 4], 3, 1);
    check(40, [16, 16], [1, 8], 3, 2);
}

/// A frozen weight has no gradient, a trained one behind a constant image has.
#[test]
fn only_what_is_recorded_has_a_gradient() {
    let device = Device::flex();
    let x = normal([2, 3, 6], 1, DType::F64, &device);
    let weight = normal([4, 3, 3], 2, DType::F64, &device);
    let trained = weight.clone().autodiff().require_grad();
    let options = ConvOptions::padded(1);
    let tape = conv1d(&x, &trained, None, options).sum().backward();
    // Of a sum of outputs, the gradient for the middle of the kernel is the sum of the channel.
    let gradient = values(trained.grad(&tape).unwrap());
    let sums = values(x.clone().sum_dim(2).sum_dim(0));
    for (output, channel) in (0..4).flat_map(|output| (0..3).map(move |channel| (output, channel))) {
        assert!((gradient[(output * 3 + channel) * 3 + 1] - sums[channel]).abs() < 1e-12);
    }
    let image = x.autodiff().require_grad();
    let tape = conv1d(&image, &weight, None, options).sum().backward();
    let gradient = values(image.grad(&tape).unwrap());
    let whole = values(weight.sum_dim(2).sum_dim(0));
    assert!((gradient[2] - whole[0]).abs() < 1e-12, "{} {}", gradient[2], whole[0]);
}

/// Jobs are cut by shapes alone.
#[test]
fn the_number_of_threads_changes_nothing() {
    let device = Device::flex().autodiff();
    for shape in [[9, 20, 12, 16], [70, 20, 8, 8]] {
        let x = normal(shape, 1, DType::F32, &device);
        let weight = normal([24, 20, 3, 3], 2, DType::F32, &device);
        let bias = normal([24], 3, DType::F32, &device);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                gradients(&x, &weight, &bias, 4, |x, weight, bias| {
                    conv2d(x, weight, Some(bias), ConvOptions::padded(1))
                })
            })
        };
        assert_eq!(on(1), on(3));
    }
}

/// By hand: a kernel that takes the difference of neighbours.
#[test]
fn a_difference() {
    let device = Device::flex();
    let x = Tensor::<3>::from_data([[[1.0f32, 4.0, 9.0, 16.0]]], &device);
    let weight = Tensor::<3>::from_data([[[-1.0f32, 1.0]]], &device);
    let found = conv1d(&x, &weight, None, ConvOptions::padded(1));
    assert_eq!(found.into_data().try_to_vec::<f32>().unwrap(), [1.0, 3.0, 5.0, 7.0, -16.0]);
}

#[test]
#[should_panic(expected = "a convolution of 3 channels is given 2")]
fn channels_must_agree() {
    let device = Device::flex();
    let x = Tensor::<3>::zeros([1, 2, 4], &device);
    let _ = conv1d(&x, &Tensor::zeros([1, 3, 1], &device), None, ConvOptions::default());
}

#[test]
fn an_empty_batch_has_an_empty_answer() {
    let device = Device::flex();
    let x = Tensor::<3>::zeros([0, 2, 4], &device);
    let weight = Tensor::zeros([3, 2, 1], &device);
    assert_eq!(conv1d(&x, &weight, None, ConvOptions::default()).dims(), [0, 3, 4]);
    let weight = Tensor::zeros([2, 3, 2], &device);
    assert_eq!(conv_transpose1d(&x, &weight, None, ConvOptions::default()).dims(), [0, 3, 5]);
}
