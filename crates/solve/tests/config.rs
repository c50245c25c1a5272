//! Solvers as they are written in recipes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::json;
use thalweg_solve::{Control, Method, Solver, Steps, Tolerance};

#[test]
fn an_empty_table_is_the_default() {
    let solver: Solver = serde_json::from_value(json!({})).unwrap();
    assert_eq!(solver, Solver::default());
    assert_eq!(solver, Solver::adaptive(Method::Dopri5, 1e-5));
    assert_eq!(solver.validate(), Ok(()));
}

#[test]
fn every_default_is_written_out() {
    let written = serde_json::to_value(Solver::default()).unwrap();
    let expected = json!({
        "method": "dopri5",
        "steps": { "adaptive": { "tolerance": { "relative": 1e-5, "absolute": 1e-5 }, "control": "shared" } },
        "max_steps": 10_000,
    });
    assert_eq!(written, expected);
}

#[test]
fn every_form_of_steps_survives_the_round_trip() {
    let per_sample = Steps::Adaptive {
        tolerance: Tolerance { relative: 1e-7, ..Tolerance::default() },
        control: Control::PerSample,
        first_step: Some(0.1),
    };
    for (steps, written) in [
        (Steps::Fixed(20), json!({ "fixed": 20 })),
        (Steps::Grid(vec![0.0, 0.3, 1.0]), json!({ "grid": [0.0, 0.3, 1.0] })),
        (
            per_sample,
            json!({ "adaptive": { "tolerance": { "relative": 1e-7 }, "control": "per-sample", "first_step": 0.1 } }),
        ),
    ] {
        let solver: Solver = serde_json::from_value(json!({ "steps": written, "method": "tsit5" })).unwrap();
        assert_eq!(solver, Solver { method: Method::Tsit5, steps, ..Solver::default() });
        let again = serde_json::from_value(serde_json::to_value(&solver).unwrap()).unwrap();
        assert_eq!(solver, again);
        assert_eq!(solver.validate(), Ok(()));
    }
}

#[test]
fn unknown_keys_are_errors() {
    for wrong in [
        json!({ "tolerance": 1e-5 }),
        json!({ "method": "rk45" }),
        json!({ "steps": { "adaptive": { "rtol": 1e-5 } } }),
        json!({ "steps": { "adaptive": { "tolerance": { "rtol": 1e-5 } } } }),
        json!({ "steps": { "number": 3 } }),
    ] {
        let error = serde_json::from_value::<Solver>(wrong.clone()).unwrap_err();
        assert!(error.to_string().contains("unknown"), "{wrong}: {error}");
    }
}
