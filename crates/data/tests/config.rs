//! Configurations as they come from recipes: defaults are written out, unknown keys and impossible values are refused.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;

use thalweg_data::{DataConfig, Dataset};

fn parse(json: &str) -> Result<DataConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_written_out_and_read_back() {
    let config = parse(r#"{ "target": { "kind": "two-moons" } }"#).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    for part in [
        r#""target":{"kind":"two-moons","noise":0.2,"scale":3.0,"shift":-1.0,"angles":"stratified"}"#,
        r#""source":{"kind":"gaussian"}"#,
        r#""condition":{"kind":"none"}"#,
        r#""standardise":false"#,
        r#""split":{"kind":"none"}"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(parse(&text).unwrap(), config);
}

#[test]
fn every_kind_parses_with_its_defaults_and_validates() {
    for target in [
        r#"{ "kind": "two-moons", "noise": 0.1 }"#,
        r#"{ "kind": "eight-gaussians" }"#,
        r#"{ "kind": "checkerboard" }"#,
        r#"{ "kind": "pinwheel" }"#,
        r#"{ "kind": "rings" }"#,
        r#"{ "kind": "spirals" }"#,
        r#"{ "kind": "swiss-roll" }"#,
        r#"{ "kind": "random-gaussian", "dim": 16 }"#,
        r#"{ "kind": "gaussian", "mean": [0.0], "covariance": [[2.0]] }"#,
        r#"{ "kind": "gaussian-mixture", "weights": [1, 2], "means": [[0, 0], [1, 1]], "deviations": [1, 0.5] }"#,
    ] {
        let config =
            parse(&format!("{{ \"target\": {target} }}")).unwrap_or_else(|error| panic!("{target}: {error}"));
        let data = Dataset::load(&config, 0, Path::new(".")).unwrap();
        assert!(data.batch(10, 0, 0).unwrap().points.iter().all(|x| x.is_finite()));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(parse(&text).unwrap(), config);
    }
    let columns = r#"{ "target": { "kind": "file", "path": "t.csv", "columns": ["x", 2] },
        "condition": { "kind": "columns", "columns": ["y"] }, "split": { "kind": "fractions", "test": 0.2 },
        "source": { "kind": "set", "set": { "kind": "rings" } } }"#;
    let text = serde_json::to_string(&parse(columns).unwrap()).unwrap();
    assert!(text.contains(r#"{"kind":"fractions","validation":0.1,"test":0.2,"seed":0}"#), "{text}");
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    for json in [
        r#"{ "target": { "kind": "two-moons" }, "colour": 1 }"#,
        r#"{ "target": { "kind": "two-moons", "colour": 1 } }"#,
        r#"{ "target": { "kind": "file", "path": "x", "colour": 1 } }"#,
        r#"{ "target": { "kind": "image", "path": "x", "colour": 1 } }"#,
        r#"{ "target": { "kind": "rings" }, "source": { "kind": "gaussian", "colour": 1 } }"#,
        r#"{ "target": { "kind": "rings" }, "condition": { "kind": "none", "colour": 1 } }"#,
        r#"{ "target": { "kind": "rings" }, "split": { "kind": "none", "colour": 1 } }"#,
        r#"{ "target": { "kind": "rings" }, "split": { "kind": "members", "colour": 1 } }"#,
    ] {
        let error = parse(json).unwrap_err();
        assert!(error.contains("unknown field `colour`"), "{json}: {error}");
    }
    assert!(
        parse(r#"{ "target": { "kind": "two-moon" } }"#).unwrap_err().contains("unknown variant `two-moon`")
    );
}

#[test]
fn impossible_values_are_refused_with_the_setting() {
    let check = |target: &str, rest: &str, message: &str| {
        let config = parse(&format!(r#"{{ "target": {target} {rest} }}"#)).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    check(
        r#"{ "kind": "two-moons", "noise": -1 }"#,
        "",
        "`target.noise`: must be at least zero and finite, not -1",
    );
    check(r#"{ "kind": "checkerboard", "squares": 3 }"#, "", "`target.squares`: must be an even number");
    check(r#"{ "kind": "pinwheel", "arms": 0 }"#, "", "`target.arms`: must be at least 1, not 0");
    check(r#"{ "kind": "rings", "radii": [] }"#, "", "`target.radii (their number)`: must be at least 1");
    check(
        r#"{ "kind": "random-gaussian", "condition_number": 0.5 }"#,
        "",
        "`target.condition_number`: must be at least 1",
    );
    check(
        r#"{ "kind": "image", "path": "x.png", "half_width": 0 }"#,
        "",
        "`target.half_width`: must be positive",
    );
    let mixture = r#"{ "kind": "gaussian-mixture", "weights": [1], "means": [[0], [1]], "deviations": [1] }"#;
    check(mixture, "", "as many weights as means and deviations, not 1, 2, 1");
    let rings = r#"{ "kind": "rings" }"#;
    check(rings, r#", "dequantise": 1.0"#, "`dequantise`: applies to tables (`kind = \"file\"`) only");
    check(rings, r#", "split": { "kind": "fractions" }"#, "`split`: applies to tables");
    check(
        rings,
        r#", "condition": { "kind": "columns", "columns": [0] }"#,
        "`condition`: the target has no columns",
    );
    check(rings, r#", "condition": { "kind": "label", "column": 0 }"#, "knows its own classes");
    check(
        rings,
        r#", "source": { "kind": "set", "set": { "kind": "rings", "noise": -1 } }"#,
        "`source.set.noise`",
    );
    let file = r#"{ "kind": "file", "path": "x.npz" }"#;
    check(file, r#", "dequantise": 0.0"#, "`dequantise`: must be positive and finite, not 0");
    check(file, r#", "condition": { "kind": "label" }"#, "`condition`: say where the labels are");
    check(file, r#", "condition": { "kind": "columns", "columns": [] }"#, "name at least one column");
    check(
        file,
        r#", "split": { "kind": "fractions", "test": 1.5 }"#,
        "`split.test`: must be at least 0 and below 1",
    );
    check(
        file,
        r#", "split": { "kind": "fractions", "test": 0.5, "validation": 0.5 }"#,
        "leave no rows for training",
    );
    check(file, r#", "split": { "kind": "members" }"#, "`split`: name a member for");
}

#[test]
fn sets_that_do_not_fit_together() {
    let load = |json: &str| Dataset::load(&parse(json).unwrap(), 0, Path::new(".")).unwrap_err().to_string();
    let error = load(
        r#"{ "target": { "kind": "random-gaussian", "dim": 3 }, "source": { "kind": "set", "set": { "kind": "rings" } } }"#,
    );
    assert!(error.contains("`source.set`: has dimension 2, but the target has 3"), "{error}");
    let error = load(r#"{ "target": { "kind": "checkerboard" }, "condition": { "kind": "label" } }"#);
    assert!(error.contains("`condition`: the target has no classes"), "{error}");
}
