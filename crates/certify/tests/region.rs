//! Balls in which a field with several equilibria contracts.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use faer::Mat;
use thalweg_certify::{
    Field, Function, Input, Limits, NoRegion, Region, Term, equilibria, largest_region, region, verify_region,
};
use thalweg_noise::Noise;

/// `-x + 2 tanh x`, which comes to rest at zero and at ±1.915.
fn bistable() -> Field {
    let one = |x: f64| Mat::from_fn(1, 1, |_, _| x);
    let term = Term { outer: one(2.0), inner: one(1.0), bias: vec![0.0], function: Function::Tanh };
    Field { linear: one(-1.0), terms: vec![term] }
}

const REST: f64 = 1.915_008_048_154_537;

fn around(centre: f64, radius: f64, deviation: f64) -> Result<Region, NoRegion> {
    region(&bistable(), &[centre], radius, Input { value: &[0.0], deviation }, Limits::default())
}

#[test]
fn around_an_equilibrium() {
    let found = around(REST, 0.8, 0.0).unwrap();
    assert!((found.proof.rate - 0.298_710).abs() < 1e-4, "{}", found.proof.rate);
    assert!(found.drift < 1e-9, "{}", found.drift);
    // Solutions do contract as fast, from both ends of the ball.
    let walk = |mut x: f64| {
        let step = 1e-4;
        for _ in 0..20_000 {
            x += step * (-x + 2.0 * x.tanh());
        }
        x
    };
    let shrunk = (walk(REST + 0.8) - walk(REST - 0.8)) / 1.6;
    assert!((shrunk - 0.2002).abs() < 1e-3 && shrunk <= (-2.0 * found.proof.rate).exp(), "{shrunk}");
}

#[test]
fn too_large_a_ball_has_no_proof() {
    assert!(around(REST, 1.02, 0.0).is_ok());
    assert!(matches!(around(REST, 1.04, 0.0), Err(NoRegion::NoContraction { .. })));
    assert!(matches!(around(0.0, 0.5, 0.0), Err(NoRegion::NoContraction { .. })));
}

#[test]
fn a_field_that_blows_through_the_ball_is_no_region() {
    assert!(matches!(around(3.0, 0.5, 0.0), Err(NoRegion::Drift { .. })));
    assert!(around(REST, 0.8, 0.2).is_ok());
    assert!(matches!(around(REST, 0.8, 0.3), Err(NoRegion::Drift { .. })));
}

const CALM: Input<'static> = Input { value: &[0.0], deviation: 0.0 };

#[test]
fn equilibria_are_found_once_and_the_unstable_one_is_left_out() {
    let starts: Vec<Vec<f64>> = (-20..=20).map(|k| vec![0.25 * f64::from(k)]).collect();
    let mut found = equilibria(&bistable(), &[0.0], &starts);
    found.sort_by(|a, b| a[0].total_cmp(&b[0]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!((found[0][0] + REST).abs() < 1e-12 && (found[1][0] - REST).abs() < 1e-12, "{found:?}");
    assert!(equilibria(&bistable(), &[0.0], &[vec![0.0]]).is_empty());
    // A push of more than 0.5328 leaves one of them.
    let pushed = equilibria(&bistable(), &[0.6], &starts);
    assert_eq!(pushed.len(), 1, "{pushed:?}");
    assert!(pushed[0][0] > REST);
}

#[test]
fn equilibria_in_several_coordinates_are_at_rest() {
    let mut noise = Noise::new(5);
    let n = 4;
    let draws = noise.normals(2 * n * n);
    let outer = Mat::from_fn(n, n, |i, j| 1.5 * draws[i * n + j]);
    let inner = Mat::from_fn(n, n, |i, j| draws[n * n + i * n + j]);
    let linear = Mat::from_fn(n, n, |i, j| if i == j { -1.0 } else { 0.0 });
    let term = Term { outer, inner, bias: vec![0.3; n], function: Function::Tanh };
    let field = Field { linear, terms: vec![term] };
    let input = noise.normals(n);
    let starts: Vec<Vec<f64>> = (0..40).map(|_| noise.normals(n).iter().map(|x| 3.0 * x).collect()).collect();
    let found = equilibria(&field, &input, &starts);
    assert!(!found.is_empty());
    for x in found {
        assert!(field.value(&x, &input).iter().all(|v| v.abs() < 1e-9), "{x:?}");
    }
}

#[test]
fn the_largest_region_ends_where_the_slope_is_one() {
    let limit = REST - 0.881_373_587;
    let found = largest_region(&bistable(), &[REST], CALM, Limits::default()).unwrap();
    assert!(found.radius < limit && found.radius > limit * (1.0 - 2e-4), "{} {limit}", found.radius);
    verify_region(&bistable(), &found, CALM).unwrap();
    assert!(largest_region(&bistable(), &[0.0], CALM, Limits::default()).is_err());
    // An input that is not known exactly needs room: the field at the edge must point inwards.
    let shaken = Input { value: &[0.0], deviation: 0.15 };
    let found = largest_region(&bistable(), &[REST], shaken, Limits::default()).unwrap();
    assert!(found.proof.rate * found.radius >= 0.15 && found.radius < 1.0, "{found:?}");
    // What contracts everywhere has no end.
    let everywhere = Field { linear: Mat::from_fn(1, 1, |_, _| -1.0), terms: vec![] };
    assert!(largest_region(&everywhere, &[0.0], CALM, Limits::default()).unwrap().radius > 100.0);
}

#[test]
fn a_region_that_was_touched_is_found_out() {
    let region = around(REST, 0.8, 0.0).unwrap();
    verify_region(&bistable(), &region, CALM).unwrap();
    let with = |change: &dyn Fn(&mut Region)| {
        let mut changed = region.clone();
        change(&mut changed);
        verify_region(&bistable(), &changed, CALM)
    };
    assert!(with(&|region| region.radius = 1.0).is_err());
    assert!(with(&|region| region.radius = f64::NAN).is_err());
    assert!(with(&|region| region.radius = -0.8).is_err());
    assert!(with(&|region| region.centre[0] -= 0.1).is_err());
    assert!(with(&|region| region.centre.clear()).is_err());
    assert!(with(&|region| region.drift = 0.1).is_err());
    assert!(with(&|region| region.proof.rate *= 1.01).is_err());
    assert!(with(&|region| region.proof.metric[(0, 0)] = 0.5).is_err());
    assert!(with(&|region| region.proof.metric = Mat::zeros(0, 0)).is_err());
    assert!(verify_region(&bistable(), &region, Input { value: &[0.0], deviation: 0.3 }).is_err());
}

#[test]
fn slopes_between_two_numbers_contain_all_slopes_there() {
    let functions = [
        Function::Tanh,
        Function::CentredSigmoid,
        Function::LeakyRelu { slope: 0.2 },
        Function::CentredSoftplus,
        Function::Relu,
        Function::Silu,
        Function::Gelu,
    ];
    for function in functions {
        for (low, high) in [(-4.0, -1.0), (-1.0, 2.0), (0.5, 0.7), (1.0, 5.0), (-9.0, 9.0), (0.0, 0.0)] {
            let [least, most] = function.slopes_between(low, high);
            let [lowest, highest] = function.slopes();
            assert!(lowest <= least && least <= most && most <= highest, "{function:?} {low} {high}");
            for k in 0..=100 {
                let s = low + (high - low) * f64::from(k) / 100.0;
                let slope = function.slope(s);
                assert!(
                    (least..=most).contains(&slope),
                    "{function:?} at {s}: {slope} not in {least}..{most}"
                );
                let h = 1e-5;
                let difference = (function.value(s + h) - function.value(s - h)) / (2.0 * h);
                let at_kink = s.abs() < 2.0 * h;
                assert!(
                    at_kink || (difference - slope).abs() < 1e-8,
                    "{function:?} at {s}: {difference} {slope}"
                );
            }
        }
        // The bounds for all numbers are reached, but for their rounding.
        let [least, most] = function.slopes_between(-60.0, 60.0);
        let [lowest, highest] = function.slopes();
        assert!(least - lowest < 1e-6 && highest - most < 1e-6, "{function:?} {least} {most}");
    }
}

/// Near an equilibrium a field is what its Jacobian is, however many units make it up and however slow it is.
#[test]
fn small_balls_around_slow_equilibria_contract() {
    let (n, units) = (2, 24);
    let mut noise = Noise::new(5);
    for rate in [0.02, 0.3] {
        let mut draw = |rows: usize, cols: usize| {
            let draws = noise.normals(rows * cols);
            Mat::from_fn(rows, cols, |i, j| 0.6 * draws[i * cols + j])
        };
        let (outer, inner) = (draw(n, units), draw(units, n));
        let slope_at_zero = &outer * &inner;
        let linear = Mat::from_fn(n, n, |i, j| -slope_at_zero[(i, j)] - if i == j { rate } else { 0.0 });
        let term = Term { outer, inner, bias: vec![0.0; units], function: Function::Tanh };
        let field = Field { linear, terms: vec![term] };
        let input = Input { value: &[0.0; 2], deviation: 0.0 };
        let found = region(&field, &[0.0; 2], 1e-3, input, Limits::default()).unwrap();
        assert!((found.proof.rate - rate).abs() < 0.01 * rate, "{}, not {rate}", found.proof.rate);
        verify_region(&field, &found, input).unwrap();
        let largest = largest_region(&field, &[0.0; 2], input, Limits::default()).unwrap();
        assert!(largest.radius > 0.02, "{}", largest.radius);
    }
}
