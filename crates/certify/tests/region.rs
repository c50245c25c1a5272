//! Balls in which a field with several equilibria contracts.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use faer::Mat;
use thalweg_certify::{Field, Function, Input, Limits, NoRegion, Region, Term, region};

/// `-x + 2 tanh x`, which comes to rest at zero and at ±1.915.
fn bistable() -> Field {
    let one = |x: f64| Mat::from_fn(1, 1, |_, _| x);
    let term = Term { outer: one(2.0), inner: one(1.0), bias: vec![0.0], function: Function::Tanh };
    Field { linear: one(-1.0), terms: vec![term] }
}

const REST: f64 = 1.915_008_048_174_46;

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
