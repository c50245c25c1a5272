//! Likelihoods against closed forms (FORMULAS §3). Sign slips vanish for flows that keep volume, so none here does.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_flow::{
    Divergence, GaussianFlow, Interval, LogLikelihood, MixtureComponent, MixtureFlow, PathConfig, ProbeLaw,
    Schedule, gaussian_log_density,
};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Solver, Tangent, VelocityField, to_host};

const MEAN: [f64; 2] = [1.0, -2.0];
const COVARIANCE: [f64; 4] = [1.44, 0.6, 0.6, 0.61];

fn exact(schedule: Schedule, solver: Solver) -> LogLikelihood {
    LogLikelihood { solver, ..LogLikelihood::for_path(&PathConfig::OneSided { schedule }) }
}

fn largest_difference(a: &Tensor<1>, b: &Tensor<1>) -> f64 {
    to_host(a).iter().zip(to_host(b)).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

#[test]
fn the_likelihood_of_a_gaussian_is_its_density() {
    let placement = Placement::cpu_double();
    let x1 = placement.normal::<2>(&mut Noise::new(1), [8, 2]) * 1.5;
    for schedule in
        [Schedule::Linear { sigma_min: 0.0 }, Schedule::Polynomial { n: 2.0 }, Schedule::Cosine {}]
    {
        let flow = GaussianFlow::new(schedule, &MEAN, &COVARIANCE, &placement).unwrap();
        let expected = flow.log_density(placement.full(1.0, [8]), x1.clone());
        for solver in [Solver::fixed(Method::Rk4, 200), Solver::adaptive(Method::Dopri5, 1e-11)] {
            let found = exact(schedule, solver).evaluate(&flow, x1.clone(), &mut Noise::new(0)).unwrap();
            let error = largest_difference(&found.log_density, &expected);
            assert!(error < 1e-8, "{schedule:?}: {error}");
            assert!(found.standard_error.is_none());
        }
    }
}

/// Paths that do not start at pure noise or end at pure data, with the true marginal for the source.
#[test]
fn marginals_of_diffusions_are_joined_by_the_flow() {
    let placement = Placement::cpu_double();
    let x1 = placement.normal::<2>(&mut Noise::new(2), [6, 2]) * 1.5;
    for schedule in [
        Schedule::LinearVp {},
        Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 },
        Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 20.0 },
        Schedule::Linear { sigma_min: 0.1 },
    ] {
        let flow = GaussianFlow::new(schedule, &MEAN, &COVARIANCE, &placement).unwrap();
        let Interval { start, end } = schedule.interval();
        let likelihood = exact(schedule, Solver::adaptive(Method::Dopri5, 1e-11));
        let source = |x: Tensor<2>| flow.log_density(placement.full(start, [6]), x);
        let found = likelihood.evaluate_from(&flow, x1.clone(), &mut Noise::new(0), source).unwrap();
        let expected = flow.log_density(placement.full(end, [6]), x1.clone());
        let error = largest_difference(&found.log_density, &expected);
        assert!(error < 1e-8, "{schedule:?}: {error}");
    }
}

/// The source of an exploding path is called N(0, σ_max²), which is off by the data's own variance.
#[test]
fn the_source_of_an_exploding_path_is_wide() {
    let placement = Placement::cpu_double();
    let schedule = Schedule::VarianceExploding { sigma_min: 0.01, sigma_max: 50.0 };
    let flow = GaussianFlow::new(schedule, &[0.0], &[1.0], &placement).unwrap();
    let likelihood = exact(schedule, Solver::adaptive(Method::Dopri5, 1e-9));
    assert_eq!(likelihood.source_deviation, 50.0);
    let x1 = placement.tensor(&[0.0, 1.5], [2, 1]);
    let found = likelihood.evaluate(&flow, x1.clone(), &mut Noise::new(0)).unwrap().log_density;
    let expected = flow.log_density(placement.full(1.0, [2]), x1);
    assert!(largest_difference(&found, &expected) < 1e-3);
}

#[test]
fn the_density_of_a_mixture_integrates_to_one() {
    let placement = Placement::cpu_double();
    let part = |weight, x: f64| MixtureComponent {
        weight,
        mean: vec![x, 0.3],
        covariance: vec![0.3, 0.1, 0.1, 0.25],
    };
    let schedule = Schedule::Linear { sigma_min: 0.0 };
    let flow = MixtureFlow::new(schedule, &[part(0.4, -1.0), part(0.6, 1.2)], &placement).unwrap();
    let (side, width) = (41, 8.0);
    let coordinate = |i: usize| width * (i as f64 / (side - 1) as f64 - 0.5);
    let grid: Vec<f64> =
        (0..side * side).flat_map(|k| [coordinate(k % side), coordinate(k / side)]).collect();
    let x = placement.tensor(&grid, [side * side, 2]);
    let likelihood = exact(schedule, Solver::fixed(Method::Rk4, 30));
    let found = likelihood.evaluate(&flow, x.clone(), &mut Noise::new(0)).unwrap().log_density;
    let cell = (width / (side - 1) as f64).powi(2);
    let total: f64 = to_host(&found).iter().map(|l| l.exp() * cell).sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");
    let expected = flow.log_density(placement.full(1.0, [side * side]), x);
    let error = to_host(&found.exp())
        .iter()
        .zip(to_host(&expected.exp()))
        .fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(error < 1e-4, "{error}");
}

#[test]
fn scoring_undoes_sampling() {
    let placement = Placement::cpu_double();
    let schedule = Schedule::Cosine {};
    let part = |x: f64| MixtureComponent { weight: 1.0, mean: vec![x], covariance: vec![0.2] };
    let flow = MixtureFlow::new(schedule, &[part(-1.0), part(1.0)], &placement).unwrap();
    let likelihood = exact(schedule, Solver::adaptive(Method::Dopri5, 1e-10));
    let x0 = placement.normal::<2>(&mut Noise::new(3), [10, 1]);
    let there = likelihood.sample(&flow, x0.clone(), &mut Noise::new(0)).unwrap();
    let back = likelihood.evaluate(&flow, there.x.clone(), &mut Noise::new(0)).unwrap();
    assert!((back.x - x0).abs().max().into_scalar::<f64>() < 1e-7);
    assert!(largest_difference(&there.log_density, &back.log_density) < 1e-7);
    let expected = flow.log_density(placement.full(1.0, [10]), there.x);
    assert!(largest_difference(&there.log_density, &expected) < 1e-7);
}

/// `ẋ = A x` with the rows of `x` as vectors.
struct LinearField(Tensor<2>);

impl VelocityField<2> for LinearField {
    fn velocity(&self, _: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.0.clone().transpose())
    }
}

impl Tangent<2> for LinearField {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        _: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        (self.velocity(t.clone(), x), self.velocity(t, dx))
    }
}

const JACOBIAN: [f64; 9] = [0.5, 1.0, -0.3, 0.2, -0.8, 0.7, 0.1, 0.4, 0.6];

/// With S = (J + Jᵀ)/2: 2(‖S‖² - Σ S_ii²) for signs, 2‖S‖² for normals.
#[test]
fn hutchinson_has_the_variances_of_the_formulas() {
    let placement = Placement::cpu_double();
    let field = LinearField(placement.tensor(&JACOBIAN, [3, 3]));
    let symmetric = |i: usize, j: usize| 0.5 * (JACOBIAN[3 * i + j] + JACOBIAN[3 * j + i]);
    let norm: f64 = (0..9).map(|k| symmetric(k / 3, k % 3).powi(2)).sum();
    let diagonal: f64 = (0..3).map(|i| symmetric(i, i).powi(2)).sum();
    let trace = 0.5 - 0.8 + 0.6;
    let n = 40_000;
    let x = placement.full::<2>(0.0, [n, 3]);
    for (law, expected) in [(ProbeLaw::Rademacher, 2.0 * (norm - diagonal)), (ProbeLaw::Gaussian, 2.0 * norm)]
    {
        let probes = Divergence::Hutchinson { probes: 1, law }.draw(&x, &mut Noise::new(4));
        let (_, divergences) = probes.velocity_and_divergences(&field, placement.full(0.0, [n]), x.clone());
        let values = to_host(&divergences[0]);
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - trace).abs() < 4.0 * (expected / n as f64).sqrt(), "{law:?}: mean {mean}");
        assert!((variance / expected - 1.0).abs() < 0.06, "{law:?}: variance {variance}, not {expected}");
    }
}

#[test]
fn probes_agree_with_the_exact_likelihood_within_their_error() {
    let placement = Placement::cpu_double();
    let field = LinearField(placement.tensor(&JACOBIAN, [3, 3]));
    let x1 = placement.normal::<2>(&mut Noise::new(5), [50, 3]);
    let mut likelihood = exact(Schedule::Cosine {}, Solver::fixed(Method::Rk4, 20));
    let truth = likelihood.evaluate(&field, x1.clone(), &mut Noise::new(6)).unwrap().log_density;
    let trace_only =
        gaussian_log_density(likelihood.evaluate(&field, x1.clone(), &mut Noise::new(6)).unwrap().x, 1.0)
            - 0.3;
    assert!(largest_difference(&truth, &trace_only) < 1e-12, "the trace of a linear field is a constant");

    likelihood.divergence = Divergence::Hutchinson { probes: 30, law: ProbeLaw::Rademacher };
    let estimate = likelihood.evaluate(&field, x1.clone(), &mut Noise::new(6)).unwrap();
    let errors = to_host(&estimate.standard_error.unwrap());
    let differences: Vec<f64> =
        to_host(&(estimate.log_density.clone() - truth)).iter().zip(&errors).map(|(d, e)| d / e).collect();
    let mean_square = differences.iter().map(|z| z * z).sum::<f64>() / 50.0;
    assert!((0.5..2.0).contains(&mean_square), "errors in units of their standard error: {mean_square}");

    // One probe serves the whole solve, so the same seed gives the same answer, and another one another.
    let again = likelihood.evaluate(&field, x1.clone(), &mut Noise::new(6)).unwrap();
    assert_eq!(to_host(&again.log_density), to_host(&estimate.log_density));
    let other = likelihood.evaluate(&field, x1, &mut Noise::new(7)).unwrap();
    assert_ne!(to_host(&other.log_density), to_host(&estimate.log_density));
}

/// Points that are `2 × 2` matrices, each entry growing at a rate of its own.
struct Image(Tensor<3>);

impl VelocityField<3> for Image {
    fn velocity(&self, _: Tensor<1>, x: Tensor<3>) -> Tensor<3> {
        x * self.0.clone()
    }
}

impl Tangent<3> for Image {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<3>,
        _: Tensor<1>,
        dx: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        (self.velocity(t.clone(), x), self.velocity(t, dx))
    }
}

/// A divergence over the first axis of a point only, a known mistake elsewhere, would find another number.
#[test]
fn the_divergence_of_images_runs_over_every_coordinate() {
    let placement = Placement::cpu_double();
    let field = Image(placement.tensor(&[0.1, -0.4, 0.7, 0.2], [1, 2, 2]));
    let x1 = placement.normal::<3>(&mut Noise::new(8), [5, 2, 2]);
    let likelihood = exact(Schedule::Cosine {}, Solver::fixed(Method::Rk4, 20));
    let found = likelihood.evaluate(&field, x1, &mut Noise::new(0)).unwrap();
    let expected = gaussian_log_density(found.x, 1.0) - 0.6;
    assert!(largest_difference(&found.log_density, &expected) < 1e-12);
}

#[test]
fn a_field_that_breaks_ends_with_the_last_good_state() {
    let placement = Placement::cpu_double();
    // Not a number after t = ½.
    let field = |t: Tensor<1>, x: Tensor<2>| x * (-t + 0.5).sqrt().reshape([2, 1]);
    let x0 = placement.full::<2>(1.0, [2, 1]);
    let error = thalweg_flow::sample(&field, x0, &Solver::default(), Interval::UNIT).unwrap_err();
    assert!((0.4..=0.5).contains(&error.time()), "{}", error.time());
    // ∫√(½ - t) dt = ⅔ (½)^(3/2) = 0.2357.
    let last = to_host(&error.last);
    assert!(last.iter().all(|x| (x.ln() - 0.2357).abs() < 0.03), "{last:?}");
}

#[test]
fn solves_stay_inside_the_interval_of_the_path() {
    let placement = Placement::cpu_double();
    let path = PathConfig::SchroedingerBridge { sigma: 1.0, clip: 0.01 };
    let asked = std::cell::RefCell::new(Vec::new());
    let field = |t: Tensor<1>, x: Tensor<2>| {
        asked.borrow_mut().extend(to_host(&t));
        x
    };
    let x0 = placement.full::<2>(1.0, [2, 1]);
    thalweg_flow::sample(&field, x0, &Solver::default(), path.interval()).unwrap();
    assert!(path.interval().check(asked.into_inner()).is_ok());
}
