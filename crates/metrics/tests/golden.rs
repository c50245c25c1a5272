//! The golden values of FORMULAS §11, to the digits printed there.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::f64::consts::{FRAC_PI_2, PI};

use thalweg_metrics::{
    Kernel, Moments, energy_distance, frechet_of_moments, mmd2_unbiased, normalised_path_energy, path_energy,
    sliced_wasserstein2, straightness, wilson,
};
use thalweg_noise::Noise;
use thalweg_ot::Points;

fn check(value: f64, golden: f64, half_of_last_digit: f64) {
    assert!((value - golden).abs() <= half_of_last_digit, "{value} is not {golden}");
}

#[test]
fn frechet_distances_of_gaussians() {
    let centred = |covariance: &[f64]| Moments { mean: vec![0.0; 2], covariance: covariance.to_vec() };
    let (a, b) = (centred(&[2.0, 0.3, 0.3, 0.5]), centred(&[1.0, -0.4, -0.4, 1.5]));
    check(frechet_of_moments(&a, &b).unwrap(), 0.655_564_974_7, 5e-11);
    check(frechet_of_moments(&b, &a).unwrap(), 0.655_564_974_7, 5e-11);
    let standard = centred(&[1.0, 0.0, 0.0, 1.0]);
    let other = Moments { mean: vec![1.0, -2.0], covariance: vec![1.44, 0.6, 0.6, 0.61] };
    check(frechet_of_moments(&standard, &other).unwrap(), 5.313_691_661_5, 5e-11);
}

/// Mean squared speed of the flow from N(0,1) to N(2,¼) along `α(t) x1 + σ(t) x0` with independent pairs: the marginal
/// is N(2α, s²) with s² = σ² + α²/4, and its velocity 2α' + (s'/s)(x - 2α) has mean square (2α')² + s'².
fn mean_squared_speed([alpha, sigma, d_alpha, d_sigma]: [f64; 4]) -> f64 {
    let spread = (sigma * sigma + 0.25 * alpha * alpha).sqrt();
    let d_spread = (sigma * d_sigma + 0.25 * alpha * d_alpha) / spread;
    (2.0 * d_alpha).powi(2) + d_spread * d_spread
}

fn path_energy_of(schedule: impl Fn(f64) -> [f64; 4]) -> f64 {
    let times: Vec<f64> = (0..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let speeds: Vec<f64> = times.iter().map(|&t| mean_squared_speed(schedule(t))).collect();
    path_energy(&times, &speeds).unwrap()
}

#[test]
fn path_energy_its_normalisation_and_straightness() {
    let linear = path_energy_of(|t| [t, 1.0 - t, 1.0, -1.0]);
    check(linear, 4.464_601_836_602, 5e-13);
    check(normalised_path_energy(linear, 4.25).unwrap(), 0.050_494_55, 5e-9);
    // The flow maps z0 to 2 + z0/2, so the mean squared chord is 4 + ¼.
    check(straightness(linear, 4.25), 0.214_601_837, 5e-10);
    check(straightness(linear, 4.25), 1.0 - PI / 4.0, 1e-12);
    let trigonometric = path_energy_of(|t| {
        let (sin, cos) = (FRAC_PI_2 * t).sin_cos();
        [sin, cos, FRAC_PI_2 * cos, -FRAC_PI_2 * sin]
    });
    check(trigonometric, 5.243_227_338, 5e-10);
    check(normalised_path_energy(4.25, 4.25).unwrap(), 0.0, 0.0);
    assert_eq!(normalised_path_energy(1.0, 0.0), None);
    assert_eq!(normalised_path_energy(f64::NAN, 1.0), None);
}

#[test]
fn wilson_intervals() {
    for (successes, trials, low, high) in
        [(0, 10, 0.0, 0.277_53), (9, 10, 0.595_85, 0.982_12), (450, 500, 0.870_58, 0.923_32)]
    {
        let interval = wilson(successes, trials, 0.95).unwrap();
        check(interval.low, low, 5e-6);
        check(interval.high, high, 5e-6);
    }
}

#[test]
fn the_sliced_distance_of_a_shift() {
    let mut noise = Noise::new(1);
    for (dim, directions) in [(1, 1), (2, 512), (3, 300), (5, 500)] {
        let x = noise.normals(50 * dim);
        let shift = noise.normals(dim);
        let y: Vec<f64> = x.iter().enumerate().map(|(k, v)| v + shift[k % dim]).collect();
        let distance =
            sliced_wasserstein2(Points::new(&x, dim), Points::new(&y, dim), directions, &mut noise);
        let expected = shift.iter().map(|s| s * s).sum::<f64>() / dim as f64;
        // Whole orthonormal frames make this exact, not just right on average.
        check(distance.unwrap().powi(2), expected, 1e-12);
    }
}

/// The mean of a statistic over independent pairs of clouds must lie within four standard errors of the golden value.
fn check_mean(golden: f64, largest_error: f64, mut draw: impl FnMut(&mut Noise) -> f64) {
    let mut noise = Noise::new(2);
    let values: Vec<f64> = (0..50).map(|_| draw(&mut noise)).collect();
    let (mean, error) = thalweg_metrics::mean_and_standard_error(&values).unwrap();
    assert!(error < largest_error, "the test has lost its power: {error}");
    assert!((mean - golden).abs() < 4.0 * error, "{mean} ± {error} is not {golden}");
}

#[test]
fn mmd_of_shifted_gaussians_is_unbiased() {
    let kernel = Kernel::rbf(1.5).unwrap();
    let (d, h2) = (3.0, 2.25_f64);
    let closed_form = 2.0 * (h2 / (h2 + 2.0)).powf(d / 2.0) * (1.0 - (-1.25 / (2.0 * (h2 + 2.0))).exp());
    check(closed_form, 0.105_358_436_6, 5e-11);
    check_mean(closed_form, 0.003, |noise| {
        let x = noise.normals(900);
        let y: Vec<f64> =
            noise.normals(900).iter().enumerate().map(|(k, v)| v + [1.0, 0.0, 0.5][k % 3]).collect();
        mmd2_unbiased(Points::new(&x, 3), Points::new(&y, 3), &kernel).unwrap()
    });
}

#[test]
fn energy_distance_of_shifted_gaussians_is_unbiased() {
    check_mean(0.891_611_443_7, 0.03, |noise| {
        let x = noise.normals(120);
        let y: Vec<f64> = noise.normals(90).iter().map(|v| v + 1.3).collect();
        energy_distance(Points::new(&x, 1), Points::new(&y, 1)).unwrap()
    });
    // The same number from its definition as 2∫(F-G)², by quadrature over the distribution functions of a fine grid.
    let n = 2000;
    let quantiles = |shift: f64| -> Vec<f64> {
        (0..n).map(|k| normal_quantile((k as f64 + 0.5) / n as f64) + shift).collect()
    };
    let (x, y) = (quantiles(0.0), quantiles(1.3));
    let value = energy_distance(Points::new(&x, 1), Points::new(&y, 1)).unwrap();
    check(value, 0.891_611_443_7, 2e-3);
}

/// By bisection of the distribution function, itself summed as a series.
fn normal_quantile(p: f64) -> f64 {
    let distribution = |x: f64| {
        let (mut term, mut sum, mut k) = (x, x, 1.0);
        while term.abs() > 1e-17 {
            term *= x * x / (2.0 * k + 1.0);
            sum += term;
            k += 1.0;
        }
        0.5 + (-0.5 * x * x).exp() / (2.0 * PI).sqrt() * sum
    };
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if distribution(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
