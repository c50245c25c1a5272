//! Values, tangents, divergences and their gradients against PyTorch (`fixtures/make_nets.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[allow(dead_code)]
mod support;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde_json::Value;
use support::{assert_close, gradients, pattern, patterned};
use thalweg_nets::{Activation, Condition, ConditionSpec, MlpConfig};
use thalweg_solve::{Placement, Tangent, VelocityField, to_host};

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../fixtures/nets/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn both() -> [(Placement, f64); 2] {
    [(Placement::cpu(), 1e-5), (Placement::cpu_double(), 1e-10)]
}

#[test]
fn activations_with_slopes_and_second_derivatives() {
    let table = fixture("activations.json");
    let points = numbers(&table["x"]);
    for (placement, tolerance) in both() {
        for case in table["cases"].as_array().unwrap() {
            let activation: Activation = serde_json::from_value(case["activation"].clone()).unwrap();
            let x = placement.clone().autodiff().tensor::<1>(&points, [points.len()]).require_grad();
            let (value, slope) = activation.with_slope(x.clone());
            let what = format!("{activation:?} in {:?}", placement.dtype);
            assert_close(&to_host(&activation.apply(x.clone())), &numbers(&case["value"]), tolerance, &what);
            assert_close(&to_host(&value), &numbers(&case["value"]), tolerance, &what);
            assert_close(&to_host(&slope), &numbers(&case["slope"]), tolerance, &what);

            let by_reverse = activation.apply(x.clone()).sum().backward();
            assert_close(&to_host(&x.grad(&by_reverse).unwrap()), &numbers(&case["slope"]), tolerance, &what);
            let by_reverse = value.sum().backward();
            assert_close(&to_host(&x.grad(&by_reverse).unwrap()), &numbers(&case["slope"]), tolerance, &what);

            // ReLU's slope is constant, so it has no tape.
            let (_, slope) = activation.with_slope(x.clone());
            let bend = match slope.is_tracked() {
                true => to_host(&x.grad(&slope.sum().backward()).unwrap()),
                false => vec![0.0; points.len()],
            };
            assert_close(&bend, &numbers(&case["bend"]), 20.0 * tolerance, &what);
        }
    }
}

/// The nets of the fixtures: 3 coordinates, 3 points.
fn check_mlps(placement: &Placement, tolerance: f64) {
    for case in fixture("mlp.json").as_array().unwrap() {
        let config: MlpConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let what = format!("{config:?} {} in {:?}", case["condition"], placement.dtype);
        let placement = placement.clone().autodiff();
        let (spec, condition) = match case["condition"].as_str().unwrap() {
            "labels" => {
                (ConditionSpec::Labels { classes: 2 }, Condition::Labels(vec![Some(1), Some(0), None]))
            }
            "vectors" => {
                let vectors = placement.tensor(&pattern(6, 0.9, 1.0), [3, 2]);
                (ConditionSpec::Vectors { dim: 2 }, Condition::Vectors(vectors))
            }
            _ => (ConditionSpec::None, Condition::None),
        };
        let mlp = patterned(&config, 3, spec, &placement);
        let field = mlp.given(&condition);
        let t: Tensor<1> = placement.tensor(&[0.125, 0.5, 0.875], [3]);
        let x: Tensor<2> = placement.tensor(&pattern(9, 2.1, 1.2), [3, 3]);
        let dt = placement.tensor(&pattern(3, 0.7, 1.0), [3]);
        let dx = placement.tensor(&pattern(9, 1.3, 1.0), [3, 3]);

        // The fastest sinusoidal frequency turns an ulp of its angle, 1000·t, into an error of 3e-5 in f32.
        let stretch = if what.contains("Sinusoidal") { 10.0 } else { 1.0 };
        let tolerance = tolerance * stretch;
        let velocity = numbers(&case["velocity"]);
        assert_close(&to_host(&field.velocity(t.clone(), x.clone())), &velocity, tolerance, &what);
        let (v, dv) = field.velocity_and_tangent(t.clone(), x.clone(), dt, dx);
        assert_close(&to_host(&v), &velocity, tolerance, &what);
        // Along time the tangent carries a frequency as a factor, so its error is measured against that.
        assert_close(&to_host(&dv), &numbers(&case["tangent"]), tolerance * stretch, &what);
        let (v, divergence) = field.velocity_and_divergence(t, x);
        assert_close(&to_host(&v), &velocity, tolerance, &what);
        assert_close(&to_host(&divergence), &numbers(&case["divergence"]), tolerance, &what);

        let weighted = (divergence * placement.tensor(&[1.0, -0.5, 0.25], [3])).sum();
        let found = gradients(&mlp, &weighted.backward());
        let expected: BTreeMap<String, [f64; 2]> = serde_json::from_value(case["gradient"].clone()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (path, gradient) in &found {
            let direction = pattern(gradient.len(), 0.1, 1.0);
            let squares: f64 = gradient.iter().map(|g| g * g).sum();
            let product: f64 = gradient.iter().zip(direction).map(|(g, d)| g * d).sum();
            assert_close(&[squares, product], &expected[path], 20.0 * tolerance, &format!("{what} {path}"));
        }
    }
}

#[test]
fn networks_in_single_precision() {
    let (placement, tolerance) = &both()[0];
    check_mlps(placement, *tolerance);
}

#[test]
fn networks_in_double_precision() {
    let (placement, tolerance) = &both()[1];
    check_mlps(placement, *tolerance);
}
