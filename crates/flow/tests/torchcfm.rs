//! The paths of torchcfm 1.0.7, reproduced for given pairs, times and noise.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde::Deserialize;
use thalweg_flow::{PathConfig, Schedule};
use thalweg_solve::{Placement, to_host};

/// Made by `fixtures/make_flow.py`; rows of `dim` numbers, all in double precision.
#[derive(Deserialize)]
struct Fixture {
    batch: usize,
    dim: usize,
    t: Vec<f64>,
    x0: Vec<f64>,
    x1: Vec<f64>,
    epsilon: Vec<f64>,
    matchers: Vec<Matcher>,
}

#[derive(Deserialize)]
struct Matcher {
    name: String,
    sigma: f64,
    xt: Vec<f64>,
    ut: Vec<f64>,
    /// The weight of the score loss, where there is one.
    lambda: Option<Vec<f64>>,
}

fn fixture() -> Fixture {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/flow/torchcfm.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn points_and_velocities_are_those_of_torchcfm() {
    let fixture = fixture();
    let placement = Placement::cpu_double();
    let shape = [fixture.batch, fixture.dim];
    let [x0, x1, epsilon] =
        [&fixture.x0, &fixture.x1, &fixture.epsilon].map(|values| placement.tensor::<2>(values, shape));
    let t = placement.tensor(&fixture.t, [fixture.batch]);
    assert_eq!(fixture.matchers.len(), 5);
    for matcher in &fixture.matchers {
        let sigma = matcher.sigma;
        let (path, source) = match matcher.name.as_str() {
            "icfm" => (PathConfig::Linear { sigma }, &x0),
            // torchcfm draws the noise of this one itself and ignores x0.
            "target" => (PathConfig::OneSided { schedule: Schedule::Linear { sigma_min: sigma } }, &epsilon),
            "schroedinger-bridge" => (PathConfig::SchroedingerBridge { sigma, clip: 1e-3 }, &x0),
            "trigonometric" => (PathConfig::Trigonometric {}, &x0),
            other => panic!("unknown matcher {other}"),
        };
        let sample = path.sample_with(source.clone(), x1.clone(), t.clone(), epsilon.clone());
        // torchcfm divides by 2t(1-t) + 1e-8 where we do not divide.
        let tolerance = if matcher.name == "schroedinger-bridge" { 1e-5 } else { 1e-12 };
        let close = |found: Vec<f64>, expected: &[f64], what: &str, tolerance: f64| {
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < tolerance * (1.0 + b.abs()), "{} {what}: {a}, not {b}", matcher.name);
            }
        };
        close(to_host(&sample.x), &matcher.xt, "xt", 1e-12);
        close(to_host(&sample.velocity), &matcher.ut, "ut", tolerance);
        if let Some(lambda) = &matcher.lambda {
            close(to_host(&path.score_weight(t.clone()).unwrap()), lambda, "lambda", 1e-6);
        }
    }
}
