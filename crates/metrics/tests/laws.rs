//! What is true of every distance, and what every metric refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use thalweg_metrics::{
    Kernel, MetricsError, TwoSample, energy_distance, frechet_gaussian, mode_recall, path_energy, precision,
    sliced_wasserstein2, variance_ratio, wasserstein1, wasserstein2, wilson,
};
use thalweg_noise::Noise;
use thalweg_ot::Points;

const ALL: [TwoSample; 6] = [
    TwoSample::W1,
    TwoSample::W2,
    TwoSample::SlicedW2,
    TwoSample::Mmd2,
    TwoSample::Energy,
    TwoSample::Frechet,
];

fn distance(metric: TwoSample, x: &[f64], y: &[f64], dim: usize) -> Result<f64, MetricsError> {
    metric.evaluate(Points::new(x, dim), Points::new(y, dim), &mut Noise::new(1))
}

/// The power of a length that a metric scales with; `None` for one that does not scale.
fn homogeneity(metric: TwoSample) -> i32 {
    match metric {
        TwoSample::W1 | TwoSample::W2 | TwoSample::SlicedW2 | TwoSample::Energy => 1,
        TwoSample::Frechet => 2,
        // The bandwidths follow the median distance, so the value has no unit.
        TwoSample::Mmd2 => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_metric_is_symmetric_translation_invariant_and_homogeneous(
        n in 4_usize..24, dim in 1_usize..12, seed in any::<u64>(), scale in 0.1_f64..10.0,
    ) {
        let mut noise = Noise::new(seed);
        let x = noise.normals(n * dim);
        let y: Vec<f64> = noise.normals(n * dim).iter().map(|v| 1.5 * v + 1.0).collect();
        let map = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| scale * v - 3.0).collect() };
        for metric in ALL {
            let value = distance(metric, &x, &y, dim).unwrap();
            let tolerance = 1e-9 * (1.0 + value.abs());
            let swapped = distance(metric, &y, &x, dim).unwrap();
            prop_assert!((value - swapped).abs() < tolerance, "{} is not symmetric: {} {}", metric, value, swapped);
            let mapped = distance(metric, &map(&x), &map(&y), dim).unwrap();
            let expected = value * scale.powi(homogeneity(metric));
            prop_assert!((mapped - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{} {} {}", metric, mapped, expected);
        }
    }

    #[test]
    fn transport_distances_of_a_cloud_to_itself_and_to_its_shift(
        n in 2_usize..40, dim in 1_usize..12, seed in any::<u64>(),
    ) {
        let mut noise = Noise::new(seed);
        let x = noise.normals(n * dim);
        let shift = noise.normals(dim);
        let shifted: Vec<f64> = x.iter().enumerate().map(|(k, v)| v + shift[k % dim]).collect();
        let length = shift.iter().map(|s| s * s).sum::<f64>().sqrt();
        let (x, shifted) = (Points::new(&x, dim), Points::new(&shifted, dim));
        for metric in [TwoSample::W1, TwoSample::W2, TwoSample::SlicedW2, TwoSample::Frechet] {
            let zero = metric.evaluate(x, x, &mut noise).unwrap();
            prop_assert!((0.0..1e-7).contains(&zero), "{} {}", metric, zero);
        }
        prop_assert!((wasserstein1(x, shifted).unwrap() - length).abs() < 1e-10 * (1.0 + length));
        prop_assert!((wasserstein2(x, shifted).unwrap() - length).abs() < 1e-10 * (1.0 + length));
        prop_assert!((frechet_gaussian(x, shifted).unwrap() - length * length).abs() < 1e-9 * (1.0 + length * length));
    }

    #[test]
    fn the_first_distance_is_below_the_second_and_the_triangle_holds(n in 2_usize..30, seed in any::<u64>()) {
        let mut noise = Noise::new(seed);
        let clouds: Vec<Vec<f64>> = (0..3).map(|_| noise.normals(2 * n)).collect();
        let w2 = |a: usize, b: usize| wasserstein2(Points::new(&clouds[a], 2), Points::new(&clouds[b], 2)).unwrap();
        let w1 = wasserstein1(Points::new(&clouds[0], 2), Points::new(&clouds[1], 2)).unwrap();
        prop_assert!(w1 <= w2(0, 1) + 1e-12);
        prop_assert!(w2(0, 2) <= w2(0, 1) + w2(1, 2) + 1e-12);
    }
}

#[test]
fn the_sliced_distance_is_the_same_for_the_same_noise_and_takes_unequal_sizes() {
    let mut noise = Noise::new(2);
    let (x, y) = (noise.normals(60), noise.normals(90));
    let (x, y) = (Points::new(&x, 2), Points::new(&y, 2));
    let value = sliced_wasserstein2(x, y, 64, &mut Noise::new(3)).unwrap();
    assert_eq!(value, sliced_wasserstein2(x, y, 64, &mut Noise::new(3)).unwrap());
    assert!((value - sliced_wasserstein2(y, x, 64, &mut Noise::new(3)).unwrap()).abs() < 1e-14);
    // Repeating every point leaves the empirical distribution, and so the distance, as it is.
    let twice: Vec<f64> = x.values().iter().chain(x.values()).copied().collect();
    let repeated = sliced_wasserstein2(Points::new(&twice, 2), y, 64, &mut Noise::new(3)).unwrap();
    assert!((value - repeated).abs() < 1e-12);
    assert!(sliced_wasserstein2(x, y, 0, &mut Noise::new(3)).is_err());
}

#[test]
fn the_sliced_distance_of_isotropic_gaussians_has_its_closed_form() {
    // N(0, I) against N(0, 4 I): along every direction W2² = (2-1)². One cloud is the other's double, so the value is
    // the mean squared projection, E‖x‖²/d, up to 2/(nd) in variance.
    let x = Noise::new(4).normals(3 * 4000);
    let y: Vec<f64> = x.iter().map(|v| 2.0 * v).collect();
    let value = sliced_wasserstein2(Points::new(&x, 3), Points::new(&y, 3), 30, &mut Noise::new(5)).unwrap();
    assert!((value.powi(2) - 1.0).abs() < 4.0 * (2.0 / 12_000_f64).sqrt(), "{value}");
}

#[test]
fn every_metric_refuses_what_would_make_it_meaningless() {
    let good = Noise::new(6).normals(8);
    for metric in ALL {
        let check = |x: &[f64], y: &[f64], dims: [usize; 2], expected: &str| {
            let error = metric.evaluate(Points::new(x, dims[0]), Points::new(y, dims[1]), &mut Noise::new(1));
            let message = error.unwrap_err().to_string();
            assert!(message.contains(expected), "{metric}: {message}");
        };
        let mut bad = good.clone();
        bad[5] = f64::NAN;
        check(&bad, &good, [2, 2], "the first sample has the value NaN in row 2, column 1");
        check(&good, &bad, [2, 2], "the second sample has the value NaN in row 2, column 1");
        check(&good, &good, [2, 4], "points of dimension 2 with points of dimension 4");
        check(&good[..2], &good, [2, 2], "the first sample has 1 points; at least 2 are needed");
        check(&[], &good, [2, 2], "the first sample has 0 points");
        // Finite input whose squares overflow must be an error too, whichever step notices.
        assert!(
            metric
                .evaluate(Points::new(&[1e200; 4], 2), Points::new(&[-1e200; 4], 2), &mut Noise::new(1))
                .is_err()
        );
    }
    let error = wasserstein2(Points::new(&good, 2), Points::new(&good[..6], 2)).unwrap_err().to_string();
    assert!(error.contains("there are 4 and 3; draw equal numbers"), "{error}");
}

#[test]
fn kernels_take_their_scale_from_the_data() {
    // Distances 3, 4 and 5, each between points of different clouds or of one.
    let kernel =
        Kernel::median_mixture(Points::new(&[0.0, 0.0, 3.0, 0.0], 2), Points::new(&[0.0, 4.0, 0.0, 4.0], 2));
    // Sorted: 0, 3, 4, 4, 5, 5; the upper median is 4.
    assert_eq!(kernel.unwrap().bandwidths(), [1.0, 2.0, 4.0, 8.0, 16.0]);
    let same = Points::new(&[1.0; 8], 2);
    let error = Kernel::median_mixture(same, same).unwrap_err().to_string();
    assert!(error.contains("all points coincide, so there is no median distance"), "{error}");
    assert!(Kernel::rbf(0.0).is_err() && Kernel::rbf(f64::NAN).is_err());
}

#[test]
fn the_energy_distance_has_no_bias_for_equal_distributions() {
    let mut noise = Noise::new(7);
    let values: Vec<f64> = (0..100)
        .map(|_| {
            let (x, y) = (noise.normals(40), noise.normals(60));
            energy_distance(Points::new(&x, 2), Points::new(&y, 2)).unwrap()
        })
        .collect();
    let (mean, error) = thalweg_metrics::mean_and_standard_error(&values).unwrap();
    assert!(mean.abs() < 4.0 * error && error < 0.02, "{mean} ± {error}");
    assert!(values.iter().any(|v| *v < 0.0), "an unbiased estimate of zero is sometimes negative");
}

#[test]
fn modes_are_found_from_a_third_of_their_share_on() {
    let far = 5.0;
    let modes = [0.0, 10.0, 20.0];
    let samples =
        |counts: [usize; 3]| -> Vec<f64> { (0..3).flat_map(|k| vec![modes[k] + 0.5; counts[k]]).collect() };
    let check = |counts: [usize; 3], weights: [f64; 3], expected: f64| {
        let samples = samples(counts);
        let recall = mode_recall(Points::new(&samples, 1), Points::new(&modes, 1), &weights, far).unwrap();
        assert!((recall - expected).abs() < 1e-15, "{counts:?}: {recall}");
    };
    check([30, 30, 30], [1.0; 3], 1.0);
    check([40, 40, 10], [1.0; 3], 1.0);
    check([40, 41, 9], [1.0; 3], 2.0 / 3.0);
    check([90, 0, 0], [1.0; 3], 1.0 / 3.0);
    check([80, 6, 4], [8.0, 1.0, 1.0], 1.0);
    let samples = samples([1, 1, 2]);
    let share = |radius| precision(Points::new(&samples, 1), Points::new(&modes[..2], 1), radius);
    assert_eq!((share(0.5).unwrap(), share(0.4).unwrap(), share(11.0).unwrap()), (0.5, 0.0, 1.0));
    assert!(share(-1.0).is_err());
    let recall = |weights: &[f64], radius| {
        mode_recall(Points::new(&samples, 1), Points::new(&modes, 1), weights, radius)
    };
    assert!(recall(&[1.0, 0.0, 1.0], far).is_err());
    assert!(recall(&[1.0; 3], 0.0).is_err() && recall(&[1.0; 3], f64::NAN).is_err());
    // All samples are half a unit away from their modes.
    assert_eq!((recall(&[1.0; 3], 0.5).unwrap(), recall(&[1.0; 3], 0.4).unwrap()), (1.0, 0.0));
}

#[test]
fn a_cloud_between_the_modes_has_found_none() {
    // Eight modes on a circle of radius 5; every sample is near the centre, an eighth of them towards each mode.
    let around = |radius: f64| -> Vec<f64> {
        let at = |k: usize| (std::f64::consts::TAU * k as f64 / 8.0).sin_cos();
        (0..80).flat_map(|k| [radius * at(k % 8).1, radius * at(k % 8).0]).collect()
    };
    let modes = around(5.0)[..16].to_vec();
    let recall = |samples: &[f64]| {
        mode_recall(Points::new(samples, 2), Points::new(&modes, 2), &[1.0; 8], 1.5).unwrap()
    };
    assert_eq!(recall(&around(0.1)), 0.0);
    assert_eq!(recall(&around(3.6)), 1.0);
    assert_eq!(recall(&modes[..2].repeat(80)), 0.125);
}

#[test]
fn the_variance_ratio_is_the_squared_scale() {
    let x = Noise::new(8).normals(200);
    let half: Vec<f64> = x.iter().map(|v| 0.5 * v + 7.0).collect();
    let ratio = variance_ratio(Points::new(&half, 4), Points::new(&x, 4)).unwrap();
    assert!((ratio - 0.25).abs() < 1e-13);
    assert!(variance_ratio(Points::new(&x, 4), Points::new(&[1.0; 8], 4)).is_err());
}

#[test]
fn path_energy_integrates_on_any_grid() {
    let integral = |times: &[f64], f: fn(f64) -> f64| {
        path_energy(times, &times.iter().map(|&t| f(t)).collect::<Vec<_>>()).unwrap()
    };
    assert_eq!(integral(&[0.0, 1.0], |t| 1.0 + t), 1.5);
    // Parabolas are exact on every grid, with an even and an odd number of intervals.
    for times in [vec![0.0, 0.3, 1.0], vec![0.0, 0.1, 0.5, 1.0], vec![0.0, 0.2, 0.25, 0.7, 0.8, 1.0]] {
        assert!((integral(&times, |t| 3.0 * t * t + 1.0) - 2.0).abs() < 1e-14, "{times:?}");
    }
    let error = path_energy(&[0.0, 0.5, 0.5], &[1.0; 3]).unwrap_err().to_string();
    assert!(error.contains("a time is 0.5; it must be after the one before it"), "{error}");
    assert!(path_energy(&[0.0], &[1.0]).is_err());
    assert!(path_energy(&[0.0, 1.0], &[1.0, f64::NAN]).is_err());
}

#[test]
fn impossible_proportions_are_refused() {
    assert!(wilson(0, 0, 0.95).is_err());
    assert!(wilson(11, 10, 0.95).is_err());
    assert!(wilson(1, 10, 1.0).is_err());
}
