//! What a trained run gives: samples in every format, likelihoods, scores, the report.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{TINY, thalweg, trained};
use thalweg_data::{Array, Npz, read_csv, read_npy, write_npy};

fn out(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

fn sample(options: &str, path: &Path) {
    thalweg(trained(), &format!("sample run {options} -o {}", path.display())).done();
}

#[test]
fn samples_are_the_same_in_every_format() {
    let (folder, npy) = out("x.npy");
    sample("-n 50 --seed 3", &npy);
    let points = read_npy(&npy).unwrap();
    assert_eq!(points.shape, [50, 2]);
    assert!(points.values.iter().all(|x| x.is_finite()));

    let npz = folder.path().join("x.npz");
    sample("-n 50 --seed 3", &npz);
    let mut archive = Npz::open(&npz).unwrap();
    assert_eq!(archive.names(), ["x"]);
    assert_eq!(archive.array("x").unwrap().values, points.values);

    let csv = folder.path().join("x.csv");
    sample("-n 50 --seed 3", &csv);
    let table = read_csv(&csv).unwrap();
    assert_eq!(table.columns.unwrap(), ["x0", "x1"]);
    assert_eq!(table.array.values, points.values);

    sample("-n 50 --seed 4", &npy);
    assert_ne!(read_npy(&npy).unwrap().values, points.values, "the seed has no effect");
}

#[test]
fn samples_can_be_looked_at() {
    let (folder, png) = out("x.png");
    sample("-n 200", &png);
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG\r\n"));
    let gif = folder.path().join("x.gif");
    sample("-n 50", &gif);
    assert!(fs::read(&gif).unwrap().starts_with(b"GIF89a"));
}

#[test]
fn without_a_name_samples_go_into_the_run() {
    let document = thalweg(trained(), "sample run -n 7 --json").done().json();
    assert_eq!(document["samples"], 7);
    assert_eq!(document["dim"], 2);
    assert_eq!(document["output"], "run/samples.npy");
    assert_eq!(read_npy(trained().join("run/samples.npy")).unwrap().shape, [7, 2]);
}

#[test]
fn the_solver_can_be_chosen() {
    let evaluations = |options: &str| {
        let (_folder, path) = out("x.npy");
        let arguments = format!("sample run -n 20 {options} --json -o {}", path.display());
        thalweg(trained(), &arguments).done().json()["evaluations"].as_f64().unwrap()
    };
    assert_eq!(evaluations("--solver euler --steps 10"), 10.0);
    assert_eq!(evaluations("--solver rk4 --steps 5"), 20.0);
    assert_eq!(evaluations("--stochastic 0.5 --steps 30"), 30.0);
    assert_eq!(evaluations("--ancestral 1 --steps 30"), 30.0);
    assert_eq!(evaluations("--ancestral 0 --steps 7"), 7.0);
    assert_eq!(evaluations("--ancestral 1 --steps 8 --clip 2 --variance large"), 8.0);
    assert!(evaluations("--solver tsit5 --rtol 1e-3") < evaluations("--solver tsit5 --rtol 1e-6"));
}

#[test]
fn one_pass_through_euler_is_the_field_at_the_source() {
    // One Euler step moves along the velocity at t = 0; many steps lead elsewhere.
    let (folder, coarse) = out("coarse.npy");
    sample("-n 20 --solver euler --steps 1", &coarse);
    let fine = folder.path().join("fine.npy");
    sample("-n 20 --solver euler --steps 200", &fine);
    let reference = folder.path().join("reference.npy");
    sample("-n 20", &reference);
    let distance = |a: &Path| {
        let (a, b) = (read_npy(a).unwrap().values, read_npy(&reference).unwrap().values);
        a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    assert!(distance(&fine) < 0.2 * distance(&coarse), "{} and {}", distance(&fine), distance(&coarse));
}

#[test]
fn likelihoods_by_the_exact_divergence_and_by_probes_agree() {
    let (folder, points) = out("x.npy");
    sample("-n 40 --seed 1", &points);
    let run = |options: &str| {
        let output = folder.path().join("log.npy");
        let arguments = format!("likelihood run {} {options} -o {}", points.display(), output.display());
        let printed = thalweg(trained(), &arguments).done().out;
        assert!(printed.contains("mean log-density") && printed.contains("nats over 40 points"), "{printed}");
        read_npy(&output).unwrap().values
    };
    let exact = run("--exact");
    assert_eq!(exact.len(), 40);
    let tighter = run("--rtol 1e-8");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean(&exact) - mean(&tighter)).abs() < 1e-3, "the tolerance changes the mean");
    let probed = run("--probes 64 --seed 5");
    assert_ne!(exact, probed);
    assert!((mean(&exact) - mean(&probed)).abs() < 0.1, "{} and {}", mean(&exact), mean(&probed));

    let arguments = format!("likelihood run {} --json", points.display());
    let document = thalweg(trained(), &arguments).done().json();
    assert_eq!(document["points"], 40);
    assert_eq!(document["log_density"].as_array().unwrap().len(), 40);
    assert!((document["mean_log_density"].as_f64().unwrap() - mean(&exact)).abs() < 1e-9);
}

#[test]
fn an_evaluation_is_repeatable_and_kept() {
    let run = common::copied_run();
    let first = thalweg(run.path(), "evaluate run --json").done().json();
    let second = thalweg(run.path(), "evaluate run --json").done().json();
    assert_eq!(first["scores"], second["scores"]);
    let other = thalweg(run.path(), "evaluate run --seed 1 --json").done().json();
    assert_ne!(first["scores"], other["scores"], "the seed has no effect");
    let scores = first["scores"].as_array().unwrap();
    for name in ["w2", "sliced-w2", "mmd2", "energy"] {
        let score = scores.iter().find(|score| score["name"] == name);
        let score = score.unwrap_or_else(|| panic!("{name} is missing in {scores:?}"));
        assert!(score["value"].is_f64() && score["floor"].is_f64(), "{score}");
        assert!(score["protocol"].as_str().unwrap().contains("60"), "{score}");
    }
    assert!(run.path().join("run/scores.json").exists());
    let table = thalweg(run.path(), "evaluate run").done().out;
    assert!(table.starts_with("score") && table.contains("floor"), "{table}");
}

#[test]
fn conditions_are_asked_for_by_label() {
    let folder = tempfile::tempdir().unwrap();
    let conditional =
        TINY.replace("[data.target]", "[data]\ncondition = { kind = \"label\" }\n\n[data.target]");
    fs::write(folder.path().join("mine.toml"), conditional).unwrap();
    let options = "--set model.condition_dropout=0.1 --set evaluate.guidance=1.5";
    thalweg(folder.path(), &format!("train mine.toml --out run {options}")).done();
    thalweg(folder.path(), "sample run -n 20 -o x.npz").done();
    let labels = Npz::open(folder.path().join("x.npz")).unwrap().array("label").unwrap();
    assert!(labels.values.contains(&0.0) && labels.values.contains(&1.0), "{:?}", labels.values);
    thalweg(folder.path(), "sample run -n 20 --label 1 --guidance 2 -o x.npz").done();
    let labels = Npz::open(folder.path().join("x.npz")).unwrap().array("label").unwrap();
    assert_eq!(labels.values, [1.0; 20]);
    thalweg(folder.path(), "sample run --label 2").refused(&["there is no class 2", "0 to 1"]);
    thalweg(folder.path(), "sample run --condition 0.5").refused(&["--label"]);
}

#[test]
fn a_likelihood_is_that_of_a_class() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let conditional =
        TINY.replace("[data.target]", "[data]\ncondition = { kind = \"label\" }\n\n[data.target]");
    fs::write(here.join("mine.toml"), conditional).unwrap();
    thalweg(here, "train mine.toml --out run").done();
    thalweg(here, "sample run -n 6 -o x.npz").done();
    let points = Npz::open(here.join("x.npz")).unwrap().array("x").unwrap();
    let write = |name: &str, shape: Vec<usize>, labels: &[f64]| {
        write_npy(here.join(name), &Array::new(shape, labels.to_vec())).unwrap();
    };
    write("points.npy", vec![6, 2], &points.values);
    thalweg(here, "likelihood run points.npy").refused(&["2 classes", "say which with --label or --labels"]);

    let values = |options: &str| {
        let document = thalweg(here, &format!("likelihood run {options} --steps 20 --json")).done().json();
        let values = document["log_density"].as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let (first, second) = (values("points.npy --label 0"), values("points.npy --label 1"));
    assert!(first.iter().zip(&second).all(|(a, b)| a != b), "the class has no effect");
    let labels = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    let check = |found: Vec<f64>, labels: &[f64]| {
        let expected = (0..6).map(|i| if labels[i] == 0.0 { first[i] } else { second[i] });
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    };
    write("labels.npy", vec![6], &labels);
    check(values("points.npy --labels labels.npy"), &labels);
    fs::write(here.join("labels.csv"), "label\n0\n1\n1\n0\n1\n0\n").unwrap();
    check(values("points.npy --labels labels.csv"), &labels);
    let drawn = Npz::open(here.join("x.npz")).unwrap().array("label").unwrap().values;
    check(values("x.npz --member x --labels label"), &drawn);

    let refused = |labels: &str, parts: &[&str]| {
        thalweg(here, &format!("likelihood run points.npy --labels {labels}")).refused(parts);
    };
    refused("nowhere.npy", &["nowhere.npy"]);
    refused("label", &["--labels label", "points.npy is no archive"]);
    write("short.npy", vec![5], &labels[..5]);
    refused("short.npy", &["short.npy", "[5]", "6 points"]);
    write("wide.npy", vec![1, 6], &labels);
    refused("wide.npy", &["wide.npy", "[1, 6]"]);
    for (bad, shown) in [(0.5, "0.5"), (-1.0, "-1"), (f64::NAN, "NaN")] {
        write("bad.npy", vec![6], &[0.0, 1.0, bad, 0.0, 0.0, 0.0]);
        refused("bad.npy", &["bad.npy: row 3 is", shown, "integer"]);
    }
    write("bad.npy", vec![6], &[0.0, 1.0, 2.0, 0.0, 0.0, 0.0]);
    refused("bad.npy", &["there is no class 2", "0 to 1"]);
    refused("labels.npy --label 1", &["--label"]);
    // A flow without classes has no use for them.
    let run = trained().join("run");
    thalweg(here, &format!("likelihood {} points.npy --labels labels.npy", run.display()))
        .refused(&["without conditions"]);
}

#[test]
fn vector_conditions_are_written_in_the_units_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let row = |i: u32| format!("{},{},{}\n", i % 7, i % 5, 1000 + 10 * (i % 11));
    fs::write(here.join("x.csv"), (0..100).map(row).collect::<String>()).unwrap();
    let table = "[data]\nstandardise = true\ncondition = { kind = \"columns\", columns = [2] }\n\n\
                 [data.target]\nkind = \"file\"\npath = \"x.csv\"\n\n[data.split]\nkind = \"fractions\"\n";
    let recipe = TINY.replace("[data.target]\nkind = \"two-moons\"\n", table);
    fs::write(here.join("mine.toml"), recipe).unwrap();
    thalweg(here, "train mine.toml --out run").done();
    thalweg(here, "sample run -n 5 --condition 1030 -o x.npz").done();
    let condition = Npz::open(here.join("x.npz")).unwrap().array("condition").unwrap();
    assert_eq!(condition.shape, [5, 1]);
    assert!(condition.values.iter().all(|value| (value - 1030.0).abs() < 1e-9), "{:?}", condition.values);
}

#[test]
fn a_density_that_is_no_number_of_json_is_a_word() {
    let (_folder, points) = out("far.npy");
    write_npy(&points, &Array::new(vec![2, 2], vec![1e200, 0.0, 0.0, 0.0])).unwrap();
    let arguments = format!("likelihood run {} --solver euler --steps 1 --json", points.display());
    let document = thalweg(trained(), &arguments).done().json();
    assert_eq!(document["mean_log_density"], "-inf");
    assert_eq!(document["log_density"][0], "-inf");
    assert!(document["log_density"][1].is_f64(), "{document}");
}

#[test]
fn the_report_is_one_file_that_needs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), TINY.replace("report = false", "report = true")).unwrap();
    let printed = thalweg(folder.path(), "train mine.toml --out run").done().out;
    let report = folder.path().join("run").join("report.html");
    assert!(printed.contains("report.html"), "{printed}");
    let html = fs::read_to_string(&report).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"), "{}", &html[..40]);
    for foreign in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!html.contains(foreign), "the report refers to something outside: {foreign}");
    }
    assert!(html.contains("hidden_layers"), "the recipe is not in the report");
}

#[test]
fn a_data_file_can_be_inspected() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data/table.npz");
    let printed = thalweg(Path::new("."), &format!("data inspect {}", fixture.display())).done().out;
    let document =
        thalweg(Path::new("."), &format!("data inspect {} --json", fixture.display())).done().json();
    for array in document["arrays"].as_array().unwrap() {
        let name = array["name"].as_str().unwrap();
        assert!(printed.contains(name), "{name} is missing in: {printed}");
        assert!(!array["shape"].as_array().unwrap().is_empty());
    }
    thalweg(Path::new("."), "data inspect nowhere.npz").refused(&["nowhere.npz"]);
}
