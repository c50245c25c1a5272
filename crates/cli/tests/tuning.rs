//! Fine-tuning a run and bounding its error, as a user would.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;

use common::{copied_run, thalweg};

const TUNED: &str = "
name = 'tuned'
[from]
run = 'run'
[flow.objective]
kind = 'reconstruction'
pairs = { kind = 'self', pool = 100 }
[train]
steps = 40
batch = 32
validate_every = 10
[evaluate]
samples = 40
likelihood_points = 0
replicates = 0
solver = { method = 'euler', steps = { fixed = 2 } }
";

#[test]
fn a_tuned_run_shows_what_it_was_and_what_it_is() {
    let folder = copied_run();
    fs::write(folder.path().join("tuned.toml"), TUNED).unwrap();
    let outcome = thalweg(folder.path(), "train tuned.toml --out tuned").done();
    assert!(outcome.err.contains("on held-out points"), "{}", outcome.err);
    assert!(outcome.out.lines().next().unwrap().ends_with("before"), "{}", outcome.out);
    let scores: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("tuned/scores.json")).unwrap()).unwrap();
    assert_eq!(scores["base"][0]["name"], scores["scores"][0]["name"]);
    assert!(folder.path().join("tuned/base/state.json").exists());

    // What it started from is needed no more.
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    let document = thalweg(folder.path(), "evaluate tuned --json").done().json();
    assert!(document["base"].as_array().unwrap().len() > 2, "{document}");
    thalweg(folder.path(), "sample tuned -n 5 -o x.npy --solver euler --steps 2").done();
    let document = thalweg(folder.path(), "train --resume --out tuned --json").done().json();
    assert!(document["verdict"].as_str().unwrap().contains("held-out"), "{document}");
}

#[test]
fn a_bound_is_a_table_a_document_and_a_page() {
    let folder = copied_run();
    let outcome = thalweg(folder.path(), "bound run --points 10 --steps 4").done();
    assert!(outcome.out.starts_with("truth   the flow itself"), "{}", outcome.out);
    assert!(outcome.out.contains("closed form (5)"), "{}", outcome.out);
    let document: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("run/bound.json")).unwrap()).unwrap();
    assert_eq!((&document["steps"], &document["points"]), (&4.into(), &10.into()));
    assert_eq!(document["times"].as_array().unwrap().len(), 5);
    let page = fs::read_to_string(folder.path().join("run/bound.html")).unwrap();
    assert!(page.contains("Error along the way"));
    let same = thalweg(folder.path(), "bound run --points 10 --steps 4 --json").done().json();
    assert_eq!(same["lines"], document["lines"], "the same request, the same numbers");

    assert_eq!((&document["method"], outcome.out.contains("4 steps of Euler")), (&"euler".into(), true));
    // Another method through the same machinery.
    let outcome = thalweg(folder.path(), "bound run --points 10 --steps 4 --solver rk4").done();
    assert!(outcome.out.contains("4 steps of rk4") && outcome.out.contains("L_Φ"), "{}", outcome.out);
    assert!(!outcome.out.contains("acceleration"), "{}", outcome.out);
    let of_rk4: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("run/bound.json")).unwrap()).unwrap();
    assert_eq!(of_rk4["method"], "rk4");
    let line = |document: &serde_json::Value, k: usize| document["lines"][k]["max"].as_f64().unwrap();
    assert!(line(&of_rk4, 0) <= line(&of_rk4, 1), "{of_rk4}");
    assert!(line(&of_rk4, 0) < 0.1 * line(&document, 0), "four orders are less wrong than one");
    assert!(fs::read_to_string(folder.path().join("run/bound.html")).unwrap().contains("steps of rk4"));
    // Without a number of steps these are not of the recipe, which is adaptive.
    let own = thalweg(folder.path(), "bound run --points 3 --solver midpoint --json").done().json();
    assert_eq!((&own["method"], &own["steps"]), (&"midpoint".into(), &16.into()));

    for (arguments, expected) in [
        ("bound run --solver rk5", "possible values"),
        ("bound run --truth exact", "the exact velocity is not known"),
        ("bound run --steps 0", "at least one step"),
        ("bound run --until 2", "must lie in"),
        ("bound nowhere", "there is no run folder"),
        ("bound run --truth best", "possible values"),
    ] {
        thalweg(folder.path(), arguments).refused(&[expected]);
    }
}

#[test]
fn a_base_that_is_missing_or_damaged_is_named() {
    let folder = copied_run();
    fs::write(folder.path().join("tuned.toml"), TUNED).unwrap();
    thalweg(folder.path(), "train tuned.toml --set from.run=nowhere").refused(&["train it first"]);
    thalweg(folder.path(), "train tuned.toml --set model.width=9 --out other")
        .refused(&["the network of run is another one"]);
    assert!(!folder.path().join("other").exists());
    for checkpoint in fs::read_dir(folder.path().join("run/checkpoints")).unwrap() {
        let file = checkpoint.unwrap().path().join("average.safetensors");
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    thalweg(folder.path(), "train tuned.toml --out other").refused(&["has no usable checkpoint"]);
    assert!(!folder.path().join("other").exists());
}
