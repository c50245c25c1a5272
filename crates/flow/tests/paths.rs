//! Paths: velocities, ends, sources, the bridge's clipping, and the floor of the loss (FORMULAS §1.1, §1.2, §1.4).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::f64::consts::PI;

use burn::tensor::Tensor;
use thalweg_flow::{Interval, PathConfig, Schedule, Source};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, to_host};

const ALL: [PathConfig; 6] = [
    PathConfig::OneSided { schedule: Schedule::Cosine {} },
    PathConfig::OneSided { schedule: Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 5.0 } },
    PathConfig::Linear { sigma: 0.3 },
    PathConfig::Trigonometric {},
    PathConfig::SchroedingerBridge { sigma: 0.7, clip: 1e-3 },
    PathConfig::StochasticInterpolant { a: 2.0, clip: 1e-3, antithetic: true },
];

fn batch(placement: &Placement, seed: u64) -> Tensor<2> {
    placement.normal(&mut Noise::new(seed), [3, 2])
}

#[test]
fn velocities_are_time_derivatives_of_the_points() {
    let placement = Placement::cpu_double();
    for path in ALL {
        let [x0, x1, epsilon] = [1, 2, 3].map(|seed| batch(&placement, seed));
        let at = |h: f64| {
            let t = placement.tensor(&[0.2 + h, 0.5 + h, 0.9 + h], [3]);
            path.sample_with(x0.clone(), x1.clone(), t, epsilon.clone())
        };
        let slope = (at(1e-5).x - at(-1e-5).x) / 2e-5;
        let now = at(0.0);
        assert_eq!(now.x.dims()[0], 3 * path.rows_per_pair());
        assert_eq!(now.rows_per_pair, path.rows_per_pair());
        let error = (slope - now.velocity).abs().max().into_scalar::<f64>();
        assert!(error < 1e-6, "{path:?}: {error}");
    }
}

#[test]
fn ends_are_source_and_data() {
    let placement = Placement::cpu_double();
    let [x0, x1] = [1, 2].map(|seed| batch(&placement, seed));
    for path in [
        PathConfig::Linear { sigma: 0.0 },
        PathConfig::Trigonometric {},
        PathConfig::OneSided { schedule: Schedule::Linear { sigma_min: 0.0 } },
    ] {
        for (time, end) in [(0.0, &x0), (1.0, &x1)] {
            let t = placement.full(time, [3]);
            let sample = path.sample(x0.clone(), x1.clone(), t, &mut Noise::new(0));
            let error = (sample.x - end.clone()).abs().max().into_scalar::<f64>();
            assert!(error < 1e-15, "{path:?} at {time}: {error}");
        }
    }
}

#[test]
fn images_move_like_the_vectors_of_their_pixels() {
    let placement = Placement::cpu_double();
    for path in ALL {
        let [x0, x1, epsilon] = [1, 2, 3].map(|seed| batch(&placement, seed));
        let t = placement.tensor(&[0.2, 0.5, 0.9], [3]);
        let image = |x: &Tensor<2>| x.clone().reshape([3, 1, 2, 1]);
        let images = path.sample_with(image(&x0), image(&x1), t.clone(), image(&epsilon));
        let vectors = path.sample_with(x0, x1, t, epsilon);
        assert_eq!(images.x.dims(), [3 * path.rows_per_pair(), 1, 2, 1]);
        assert_eq!(to_host(&images.x), to_host(&vectors.x), "{path:?}");
        assert_eq!(to_host(&images.velocity), to_host(&vectors.velocity), "{path:?}");
    }
}

#[test]
fn a_source_that_is_not_gaussian_is_refused_with_the_reason() {
    let one_sided = PathConfig::OneSided { schedule: Schedule::default() };
    let message = one_sided.check_source(Source::Other).unwrap_err().to_string();
    assert!(message.contains("needs a Gaussian source") && message.contains("noise-to-data"), "{message}");
    assert!(one_sided.check_source(Source::Gaussian { deviation: 1.0 }).is_ok());
    let exploding =
        PathConfig::OneSided { schedule: Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 5.0 } };
    assert!(exploding.check_source(Source::Gaussian { deviation: 1.0 }).is_err());
    assert!(exploding.check_source(Source::Gaussian { deviation: 5.0 }).is_ok());
    assert!(PathConfig::Linear { sigma: 0.1 }.check_source(Source::Other).is_ok());
}

/// The velocity of a bridge has variance σ² (1 - 2t)² / (4t(1 - t)); its integral grows like a logarithm.
#[test]
fn the_bridge_is_finite_on_its_interval() {
    let placement = Placement::cpu_double();
    for (clip, expected) in [(1e-2, 1.318), (1e-3, 2.455), (1e-4, 3.605)] {
        let path = PathConfig::SchroedingerBridge { sigma: 1.0, clip };
        let Interval { start, end } = path.interval();
        // Midpoint rule in log-odds, where the integrand is smooth.
        let odds = |t: f64| (t / (1.0 - t)).ln();
        let (n, low, step) = (4000, odds(start), (odds(end) - odds(start)) / 4000.0);
        let times: Vec<f64> =
            (0..n).map(|i| 1.0 / (1.0 + (-(low + step * (f64::from(i) + 0.5))).exp())).collect();
        let zeros = placement.full::<2>(0.0, [n as usize, 1]);
        let t = placement.tensor(&times, [n as usize]);
        let sample = path.sample_with(zeros.clone(), zeros.clone(), t, zeros + 1.0);
        let squares = to_host(&sample.velocity).into_iter().map(|v| v * v);
        let integral: f64 = squares.zip(&times).map(|(v, t)| v * t * (1.0 - t) * step).sum();
        assert!((integral - expected).abs() < 1e-3, "clip {clip}: {integral}, not {expected}");
    }
    // The largest velocity per unit of noise, at both ends, also in single precision.
    let path = PathConfig::SchroedingerBridge { sigma: 2.0, clip: 1e-3 };
    let bound = 2.0 * (1.0 - 2e-3) / (2.0 * (1e-3_f64 * (1.0 - 1e-3)).sqrt());
    for placement in [Placement::cpu(), Placement::cpu_double()] {
        let zeros = placement.full::<2>(0.0, [2, 1]);
        let t = placement.tensor(&[1e-3, 1.0 - 1e-3], [2]);
        let velocity = to_host(&path.sample_with(zeros.clone(), zeros.clone(), t, zeros + 1.0).velocity);
        assert!(
            (velocity[0] - bound).abs() < 1e-3 && (velocity[1] + bound).abs() < 1e-3,
            "{velocity:?} {bound}"
        );
    }
}

/// Independent coupling, Gaussian data of deviation s: the floor of the loss is πs/2 for straight lines and
/// (π/2)² s for the trigonometric path.
#[test]
fn the_floor_of_the_loss_is_that_of_the_formulas() {
    let check = |schedule: Schedule, s: f64, expected: f64| {
        // Floor = ∫ D² s² / (α²s² + σ²) dt by the midpoint rule.
        let n = 20_000;
        let variance = |t: f64| {
            let c = schedule.at(t);
            (c.wronskian() * s).powi(2) / ((c.alpha * s).powi(2) + c.sigma * c.sigma)
        };
        let floor: f64 = (0..n).map(|i| variance((f64::from(i) + 0.5) / f64::from(n)) / f64::from(n)).sum();
        assert!((floor - expected).abs() < 1e-6, "{schedule:?}, s = {s}: {floor}, not {expected}");
    };
    for s in [0.5, 1.0, 2.0] {
        check(Schedule::Linear { sigma_min: 0.0 }, s, PI / 2.0 * s);
    }
    for s in [0.5, 1.0] {
        check(Schedule::Cosine {}, s, PI * PI / 4.0 * s);
    }
}

#[test]
fn recipes_are_read_strictly_and_written_completely() {
    let read = |text: &str| serde_json::from_str::<PathConfig>(text);
    let bridge = read(r#"{"kind": "schroedinger-bridge"}"#).unwrap();
    assert_eq!(
        serde_json::to_string(&bridge).unwrap(),
        r#"{"kind":"schroedinger-bridge","sigma":1.0,"clip":0.001}"#
    );
    let vp = read(r#"{"kind": "one-sided", "schedule": {"kind": "variance-preserving"}}"#).unwrap();
    assert_eq!(vp.name(), "one-sided");
    assert!(read(r#"{"kind": "trigonometric", "sigma": 0.1}"#).is_err());
    let clip = PathConfig::SchroedingerBridge { sigma: 1.0, clip: 0.5 };
    let message = clip.validate().unwrap_err().to_string();
    assert_eq!(message, "clip of the Schrödinger bridge is 0.5; it must be between 0 and 0.5, both excluded");
}

/// What a model learns is the mean velocity given the point. Between N(0, 1) and N(0, s²), independent, it is linear in
/// the point with slope Cov(u, x)/Var(x).
#[test]
fn mean_velocities_of_noisy_paths_are_those_of_the_formulas() {
    let placement = Placement::cpu_double();
    let (n, s, t) = (40_000, 0.6_f64, 0.3_f64);
    let variance = (1.0 - t).powi(2) + (t * s).powi(2);
    let covariance = t * s * s - (1.0 - t);
    let bulge = |a: f64| (a * t * (1.0 - t), 0.5 * a * (1.0 - 2.0 * t));
    let check = |path: PathConfig, (extra_variance, extra_covariance): (f64, f64)| {
        let mut noise = Noise::new(4);
        let x0 = placement.normal::<2>(&mut noise, [n, 1]);
        let x1 = placement.normal::<2>(&mut noise, [n, 1]) * s;
        let sample = path.sample(x0, x1, placement.full(t, [n]), &mut noise);
        let (x, u) = (to_host(&sample.x), to_host(&sample.velocity));
        let mean_product =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
        let slope = mean_product(&x, &u) / mean_product(&x, &x);
        let expected = (covariance + extra_covariance) / (variance + extra_variance);
        let residual = mean_product(&u, &u) - slope * slope * mean_product(&x, &x);
        let standard_error = (residual / (n as f64 * mean_product(&x, &x))).sqrt();
        assert!((slope - expected).abs() < 4.0 * standard_error, "{path:?}: {slope}, not {expected}");
    };
    check(PathConfig::Linear { sigma: 0.0 }, (0.0, 0.0));
    check(PathConfig::Linear { sigma: 0.5 }, (0.25, 0.0));
    check(PathConfig::SchroedingerBridge { sigma: 0.8, clip: 1e-3 }, bulge(0.64));
    check(PathConfig::StochasticInterpolant { a: 2.0, clip: 1e-3, antithetic: false }, bulge(2.0));
    check(PathConfig::StochasticInterpolant { a: 2.0, clip: 1e-3, antithetic: true }, bulge(2.0));
}
