//! The recipes of the tabular benchmarks, on short files in the layouts that users have.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::thalweg;
use thalweg_data::{Array, write_npy};

const SHORT: &str = "--set train.steps=8 --set train.batch=20 --set model.width=8 --set evaluate.samples=10 \
                     --set evaluate.likelihood_points=4 --set evaluate.replicates=2";

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hdf5").join(name).display().to_string()
}

/// A table of smooth columns that are not multiples of each other, rounded to `digits`.
fn table(rows: usize, columns: usize, digits: i32) -> Array {
    let unit = 10_f64.powi(digits);
    let value = |n: usize| {
        let (row, column) = ((n / columns) as f64, (n % columns) as f64);
        ((3.0 + (0.7 * row * (1.0 + 0.13 * column) + column).sin()) * unit).round() / unit
    };
    Array::new(vec![rows, columns], (0..rows * columns).map(value).collect())
}

/// Trains a recipe on a file below `data`, where it lies in the published archive, and returns the dimension of its
/// samples. The folder is the one to start in.
#[track_caller]
fn trains(name: &str, here: &Path, arguments: &str) -> usize {
    thalweg(here, &format!("train {name} --out run {SHORT} {arguments}")).done();
    let scores: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(here.join("run/scores.json")).unwrap()).unwrap();
    assert!(scores.to_string().contains("\"nll\""), "{name} has no likelihood: {scores}");
    thalweg(here, "sample run -n 6 -o x.npy --solver euler --steps 2").done();
    let samples = thalweg_data::read_npy(here.join("x.npy")).unwrap();
    assert!(samples.values.iter().all(|value| value.is_finite()), "{name}");
    samples.columns()
}

#[test]
fn power_gas_and_miniboone_where_the_archive_has_them() {
    let files = [
        ("power", "power/data.npy", table(200, 8, 2), 6),
        ("gas", "gas/ethylene_CO.npy", table(200, 8, 6), 8),
        ("miniboone", "miniboone/data.npy", table(200, 43, 6), 43),
    ];
    for (name, file, table, dim) in files {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_npy(&path, &table).unwrap();
        assert_eq!(trains(name, here.path(), ""), dim, "{name}");
    }
}

#[test]
fn bsds300_in_a_file_named_by_the_user() {
    let here = tempfile::tempdir().unwrap();
    let path = fixture("BSDS300.hdf5");
    assert_eq!(trains("bsds300", here.path(), &format!("--set data.target.path={path}")), 63);
    // Log-densities of a dataset of such a file.
    let likelihood =
        thalweg(here.path(), &format!("likelihood run {path} --member test --probes 1 --json")).done();
    assert_eq!(likelihood.json()["points"], 30);
    thalweg(here.path(), &format!("likelihood run {path}")).refused(&["test, train, validation", "--member"]);
}

#[test]
fn files_that_are_not_those_of_the_benchmark() {
    let here = tempfile::tempdir().unwrap();
    let refused = |name: &str, file: &str, parts: &[&str]| {
        thalweg(here.path(), &format!("train {name} --out run --set data.target.path={file}")).refused(parts);
        assert!(!here.path().join("run").exists(), "a run was begun");
    };
    // A table without the columns that are left out is not the published one.
    write_npy(here.path().join("six.npy"), &table(200, 6, 2)).unwrap();
    refused("power", "six.npy", &["six.npy", "columns 0 to 5, but column 6"]);
    fs::write(here.path().join("ethylene_CO.pickle"), b"\x80\x02cos\nsystem\n").unwrap();
    refused("gas", "ethylene_CO.pickle", &["ethylene_CO.pickle", "a pickle is a program"]);
    write_npy(here.path().join("short.npy"), &table(200, 43, 6)).unwrap();
    refused("miniboone", "short.npy", &["162 rows", "1000 are needed"]);
    refused("bsds300", "short.npy", &["short.npy", "not an archive"]);
    refused("bsds300", &fixture("splits.hdf5"), &["splits.hdf5", "30 rows for training, but 500"]);
    let bytes = fs::read(fixture("BSDS300.hdf5")).unwrap();
    fs::write(here.path().join("cut.hdf5"), &bytes[..bytes.len() / 2]).unwrap();
    refused("bsds300", "cut.hdf5", &["cut.hdf5", "truncated"]);
}

#[test]
fn an_hdf5_file_is_looked_into() {
    let here = tempfile::tempdir().unwrap();
    let shown = thalweg(here.path(), &format!("data inspect {}", fixture("splits.hdf5"))).done().out;
    for (name, shape) in [("train", "30 x 2"), ("validation", "6 x 2"), ("test", "4 x 2")] {
        let line = shown.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.contains(shape) && line.contains("float32"), "{line}");
    }
    thalweg(here.path(), &format!("data inspect {}", fixture("refused.h5")))
        .refused(&["refused.h5`, member `checked`", "not supported"]);
}
