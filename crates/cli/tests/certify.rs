//! Certifying a run and checking certificates, as a user would.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;

use common::{copied_run, thalweg};

const STAGE: &str = "
name = 'stage'
[from]
run = 'run'
[residual]
head = { kind = 'contracting', rate = 0.3, metric = 'learned' }
solver = { method = 'heun', steps = { fixed = 6 } }
[flow.objective]
kind = 'reconstruction'
[train]
steps = 30
batch = 32
validate_every = 10
[evaluate]
samples = 40
likelihood_points = 0
replicates = 0
solver = { method = 'euler', steps = { fixed = 2 } }
";

#[test]
fn a_stage_that_contracts_is_certified_and_the_certificate_can_be_checked_by_itself() {
    let folder = copied_run();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("stage.toml"), STAGE).unwrap();
    thalweg(folder.path(), "train stage.toml --out stage").done();
    let outcome = thalweg(folder.path(), "certify stage --points 32").done();
    assert!(outcome.out.contains("approach each other at the rate 0.2996"), "{}", outcome.out);
    assert!(outcome.out.contains("6 steps of heun are proved to contract"), "{}", outcome.out);
    assert!(outcome.err.is_empty(), "{}", outcome.err);
    let page = fs::read_to_string(at("stage/certificate.html")).unwrap();
    for part in ["What is proved", "What is left of a distance", "Nothing that was measured is beyond"] {
        assert!(page.contains(part), "{part}");
    }
    let document = thalweg(folder.path(), "certify stage --points 32 --json").done().json();
    assert_eq!(document["within_claims"], true);
    assert_eq!(document["verdicts"]["contraction"], "certified");

    // Without the run, and with it.
    fs::copy(at("stage/certificate.json"), at("c.json")).unwrap();
    let outcome = thalweg(folder.path(), "certify --check c.json").done();
    assert!(outcome.out.contains("c.json holds: every proof was checked again"), "{}", outcome.out);
    assert_eq!(thalweg(folder.path(), "certify stage --check c.json --json").done().json()["holds"], true);

    // Of other weights.
    thalweg(folder.path(), "train stage.toml --out other --set seed=0 --set train.steps=31").done();
    thalweg(folder.path(), "certify other --check c.json").failed(1, &["one of other weights"]);

    // Changed, cut off, empty, of another kind.
    let text = fs::read_to_string(at("c.json")).unwrap();
    let changed = text.replacen("\"horizon\": 1.0", "\"horizon\": 2.0", 1);
    assert_ne!(changed, text);
    for (changed, expected) in [
        (changed.as_str(), "digest"),
        (&text[..text.len() / 2], "does not hold"),
        ("", "does not hold"),
        ("{\"format\": 1}", "does not hold"),
        (text.replacen("\"format\": 1", "\"format\": 7", 1).as_str(), "format"),
    ] {
        fs::write(at("changed.json"), changed).unwrap();
        thalweg(folder.path(), "certify --check changed.json").failed(1, &["changed.json", expected]);
    }
    fs::write(at("binary.json"), [0xff, 0xfe, 0]).unwrap();
    thalweg(folder.path(), "certify --check binary.json").refused(&["cannot read"]);
    thalweg(folder.path(), "certify --check nowhere.json").refused(&["cannot read"]);
    thalweg(folder.path(), "certify --check .").refused(&["is no file"]);
    thalweg(folder.path(), "certify --check c.json --points 3").refused(&["cannot be used with"]);

    // The same weights, used otherwise.
    fs::create_dir(at("longer")).unwrap();
    for entry in walk(&at("stage")) {
        let to = at("longer").join(entry.strip_prefix(at("stage")).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&entry, to).unwrap();
    }
    let config = fs::read_to_string(at("longer/config.toml")).unwrap();
    let changed = config.replacen("fixed = 6", "fixed = 12", 1);
    assert_ne!(changed, config);
    fs::write(at("longer/config.toml"), changed).unwrap();
    thalweg(folder.path(), "certify longer --check c.json").failed(1, &["another use", "system.solver"]);
}

#[test]
fn no_proof_is_an_answer_and_not_an_error() {
    let folder = copied_run();
    fs::write(folder.path().join("stage.toml"), STAGE).unwrap();
    let outcome = thalweg(folder.path(), "certify run --points 8").done();
    assert!(outcome.out.contains("no second stage"), "{}", outcome.out);
    assert!(!folder.path().join("run/certificate.json").exists());
    let document = thalweg(folder.path(), "certify run --json").done().json();
    assert!(document["certificate"].is_null(), "{document}");

    for (kind, expected) in [("mlp", "a network without structure"), ("free", "is not certified")] {
        let train = format!(
            "train stage.toml --out {kind} --set residual.head={{kind='{kind}'}} --set train.steps=3"
        );
        thalweg(folder.path(), &train).done();
        let outcome = thalweg(folder.path(), &format!("certify {kind} --points 8")).done();
        assert!(outcome.out.contains(expected), "{}", outcome.out);
    }
    // Too large for the search: the proof by construction is left.
    thalweg(folder.path(), "train stage.toml --out stage --set train.steps=3").done();
    let outcome = thalweg(folder.path(), "certify stage --points 8 --largest 1").done();
    assert!(outcome.out.contains("the rate is the one by construction"), "{}", outcome.out);

    for (arguments, expected) in [
        ("certify", "a run to certify is missing"),
        ("certify nowhere", "there is no run folder"),
        ("certify stage --points 0", "at least"),
        ("certify stage --condition-number 0.5", "condition number"),
        ("certify stage --condition-number nan", "condition number"),
    ] {
        thalweg(folder.path(), arguments).refused(&[expected]);
    }
}

/// All files of a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
