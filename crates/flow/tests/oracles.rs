//! Statements about flows that have closed forms (FORMULAS §1.4, §1.5, §11), through the public interface.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::f64::consts::FRAC_PI_2;

use burn::tensor::Tensor;
use thalweg_flow::{
    GaussianFlow, Interval, MixtureComponent, MixtureFlow, PathConfig, Schedule, TimeSampler, sample,
};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Solver, Tangent, VelocityField, to_host};

const LINEAR: Schedule = Schedule::Linear { sigma_min: 0.0 };

fn gaussian(schedule: Schedule, mean: f64, deviation: f64) -> GaussianFlow {
    GaussianFlow::new(schedule, &[mean], &[deviation * deviation], &Placement::cpu_double()).unwrap()
}

/// The final map is m + S^(1/2) x0 for every path that starts at pure noise and ends at pure data.
#[test]
fn the_flow_to_a_gaussian_is_its_symmetric_root() {
    let placement = Placement::cpu_double();
    // The square of [[1.1, 0.3], [0.3, 0.7]].
    let covariance = [1.30, 0.54, 0.54, 0.58];
    let x0: Tensor<2> = placement.normal(&mut Noise::new(1), [6, 2]);
    let root = placement.tensor(&[1.1, 0.3, 0.3, 0.7], [2, 2]);
    let expected = x0.clone().matmul(root) + placement.tensor(&[1.0, -2.0], [1, 2]);
    for schedule in [LINEAR, Schedule::Polynomial { n: 2.0 }, Schedule::Cosine {}] {
        let flow = GaussianFlow::new(schedule, &[1.0, -2.0], &covariance, &placement).unwrap();
        let solver = Solver::adaptive(Method::Dopri5, 1e-11);
        let end = sample(&flow, x0.clone(), &solver, schedule.interval()).unwrap().state;
        let error = (end - expected.clone()).abs().max().into_scalar::<f64>();
        assert!(error < 1e-8, "{schedule:?}: {error}");
    }
}

/// The loss of the best possible model is the variance of the target given the point: πs/2 per dimension for straight
/// lines, (π/2)² s for the trigonometric path. Less would mean that the data leaks into the input.
#[test]
fn the_loss_of_the_exact_velocity_is_the_floor() {
    let placement = Placement::cpu_double();
    let n = 40_000;
    let check = |schedule: Schedule, s: f64, floor: f64| {
        let mut noise = Noise::new(2);
        let x0 = placement.normal::<2>(&mut noise, [n, 1]);
        let x1 = placement.normal::<2>(&mut noise, [n, 1]) * s + 0.7;
        let times = TimeSampler::Stratified {}.sample(n, schedule.interval(), &mut noise);
        let t = placement.tensor(&times, [n]);
        let path = PathConfig::OneSided { schedule };
        let pair = path.sample(x0, x1, t.clone(), &mut noise);
        let error = gaussian(schedule, 0.7, s).velocity(t, pair.x) - pair.velocity;
        let losses: Vec<f64> = to_host(&error).iter().map(|e| e * e).collect();
        let mean = losses.iter().sum::<f64>() / n as f64;
        let variance = losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n as f64;
        let standard_error = (variance / n as f64).sqrt();
        assert!((mean - floor).abs() < 4.0 * standard_error, "{schedule:?}, s = {s}: {mean}, not {floor}");
    };
    for s in [0.5, 1.0, 2.0] {
        check(LINEAR, s, FRAC_PI_2 * s);
    }
    for s in [0.5, 1.0] {
        check(Schedule::Cosine {}, s, FRAC_PI_2 * FRAC_PI_2 * s);
    }
}

/// Path energy ∫E‖v‖² from N(0, 1) to N(2, 0.25), independent coupling. The velocity is affine and the marginal
/// Gaussian, so the mean square comes from two points.
#[test]
fn path_energies_have_their_golden_values() {
    let placement = Placement::cpu_double();
    let (mean, deviation, n) = (2.0, 0.5, 20_000);
    for (schedule, golden) in [(LINEAR, 4.464_601_836_602), (Schedule::Cosine {}, 5.243_227_338)] {
        let flow = gaussian(schedule, mean, deviation);
        let times: Vec<f64> = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n)).collect();
        let (centres, edges): (Vec<f64>, Vec<f64>) = times
            .iter()
            .map(|&t| {
                let c = schedule.at(t);
                let spread = (c.alpha * deviation).hypot(c.sigma);
                (c.alpha * mean, c.alpha * mean + spread)
            })
            .unzip();
        let n = n as usize;
        let at = |points: &[f64]| {
            to_host(&flow.velocity(placement.tensor(&times, [n]), placement.tensor(points, [n, 1])))
        };
        let squares = at(&centres).into_iter().zip(at(&edges)).map(|(c, e)| c * c + (e - c) * (e - c));
        let energy = squares.sum::<f64>() / n as f64;
        assert!((energy - golden).abs() < 1e-7, "{schedule:?}: {energy}, not {golden}");
    }
}

/// 1-D, linear path, deviation s: ∂ₓu has the maximum ½(s + 1/s) and the integral ln s; paths bend by at most
/// |x0| (1 + s²)^(3/2)/s.
#[test]
fn slopes_and_bends_of_the_linear_path_are_those_of_the_formulas() {
    let placement = Placement::cpu_double();
    for s in [0.3, 0.5, 2.0] {
        let n = 20_001;
        let times: Vec<f64> = (0..n).map(|i| i as f64 / (n - 1) as f64).collect();
        let t = placement.tensor(&times, [n]);
        let spread: Vec<f64> = times.iter().map(|t| ((1.0 - t).powi(2) + (t * s).powi(2)).sqrt()).collect();
        let flow = gaussian(LINEAR, 0.0, s);
        // Along the path that starts at x0 = 1, which is at the spread itself.
        let x: Tensor<2> = placement.tensor(&spread, [n, 1]);
        let (velocity, slope) = flow.velocity_and_divergence(t.clone(), x.clone());
        let slope = to_host(&slope);
        let steepest = slope.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        assert!((steepest - 0.5 * (s + 1.0 / s)).abs() < 1e-6, "{s}: {steepest}");
        let trapezium = (slope.iter().sum::<f64>() - 0.5 * (slope[0] + slope[n - 1])) / (n - 1) as f64;
        assert!((trapezium - s.ln()).abs() < 1e-6, "{s}: {trapezium}");
        let (_, bend) = flow.velocity_and_tangent(t.clone(), x, t.ones_like(), velocity);
        let bend = to_host(&bend).into_iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let expected = (1.0 + s * s).powf(1.5) / s;
        assert!((bend / expected - 1.0).abs() < 1e-6, "{s}: {bend} {expected}");
    }
}

/// A mixture's flow must carry the source to the mixture: shares and moments of many samples.
#[test]
fn samples_of_a_mixture_flow_follow_the_mixture() {
    let placement = Placement::cpu_double();
    let part = |weight, mean: [f64; 2]| MixtureComponent {
        weight,
        mean: mean.to_vec(),
        covariance: vec![0.04, 0.0, 0.0, 0.04],
    };
    let parts = [part(0.3, [-2.0, 0.0]), part(0.7, [2.0, 1.0])];
    let flow = MixtureFlow::new(Schedule::Cosine {}, &parts, &placement).unwrap();
    let n = 4_000;
    let x0 = placement.normal::<2>(&mut Noise::new(3), [n, 2]);
    let end = sample(&flow, x0, &Solver::fixed(Method::Rk4, 40), Interval::UNIT).unwrap();
    assert!(end.evaluations.iter().all(|e| *e == 160));
    let x = to_host(&end.state);
    let left: Vec<&[f64]> = x.chunks(2).filter(|p| p[0] < 0.0).collect();
    let share = left.len() as f64 / n as f64;
    assert!((share - 0.3).abs() < 4.0 * (0.21 / n as f64).sqrt(), "{share}");
    let variance = left.iter().map(|p| (p[0] + 2.0).powi(2)).sum::<f64>() / left.len() as f64;
    assert!((variance / 0.04 - 1.0).abs() < 4.0 * (2.0 / left.len() as f64).sqrt(), "{variance}");
}
