//! Agreement with numpy, scipy and POT on small clouds; the fixtures are made by `fixtures/make_metrics.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::Value;
use thalweg_metrics::{
    Kernel, Moments, energy_distance, frechet_gaussian, frechet_of_moments, mean_and_covariance,
    mmd2_unbiased, sliced_wasserstein2, wasserstein1, wasserstein2, wilson,
};
use thalweg_noise::Noise;
use thalweg_ot::Points;

fn fixture(name: &str) -> Vec<Value> {
    let path = format!("{}/../../fixtures/metrics/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn check(value: f64, case: &Value, key: &str, tolerance: f64) {
    let expected = case[key].as_f64().unwrap();
    assert!(
        (value - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{key}: {value} is not {expected}"
    );
}

#[test]
fn clouds_of_equal_size() {
    for case in fixture("clouds") {
        let dim = case["dim"].as_u64().unwrap() as usize;
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let (x, y) = (Points::new(&x, dim), Points::new(&y, dim));
        check(wasserstein1(x, y).unwrap(), &case, "w1", 1e-12);
        check(wasserstein2(x, y).unwrap(), &case, "w2", 1e-12);
        check(energy_distance(x, y).unwrap(), &case, "energy", 1e-12);
        check(mmd2_unbiased(x, y, &Kernel::rbf(1.5).unwrap()).unwrap(), &case, "mmd2", 1e-12);
        // scipy's matrix square root is the less accurate of the two.
        check(frechet_gaussian(x, y).unwrap(), &case, "frechet", 1e-7);
        let moments = mean_and_covariance(x).unwrap();
        for (ours, key) in [(moments.mean, "mean_x"), (moments.covariance, "covariance_x")] {
            for (ours, expected) in ours.iter().zip(numbers(&case[key])) {
                assert!((ours - expected).abs() < 1e-13, "{key}");
            }
        }
    }
}

#[test]
fn unequal_samples_on_a_line() {
    for case in fixture("lines") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let (x, y) = (Points::new(&x, 1), Points::new(&y, 1));
        check(sliced_wasserstein2(x, y, 4, &mut Noise::new(1)).unwrap(), &case, "w2", 1e-12);
        if x.len() == y.len() {
            check(wasserstein1(x, y).unwrap(), &case, "w1", 1e-12);
            check(wasserstein2(x, y).unwrap(), &case, "w2", 1e-12);
        }
    }
}

#[test]
fn given_moments() {
    for case in fixture("moments") {
        let moments = |side: &str| Moments {
            mean: numbers(&case[format!("mean_{side}")]),
            covariance: numbers(&case[format!("covariance_{side}")]),
        };
        check(frechet_of_moments(&moments("x"), &moments("y")).unwrap(), &case, "frechet", 1e-10);
    }
}

#[test]
fn proportions() {
    for case in fixture("proportions") {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        let interval =
            wilson(count("successes"), count("trials"), case["confidence"].as_f64().unwrap()).unwrap();
        check(interval.low, &case, "low", 1e-12);
        check(interval.high, &case, "high", 1e-12);
    }
}
