//! Data that cannot be used: each is refused before a run is begun, with file, member, row and column.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{Outcome, thalweg, trained};
use thalweg_data::{Array, write_npy, write_npz};

const RECIPE: &str = r#"
name = "table"

[data.target]
kind = "file"
path = "FILE"

[data.split]
kind = "fractions"

[model]
width = 8

[train]
steps = 5
batch = 16
"#;

/// Trains on the file that `write` makes, and checks that no run folder was begun.
#[track_caller]
fn train_on(file: &str, write: impl FnOnce(&Path)) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join(file));
    fs::write(folder.path().join("table.toml"), RECIPE.replace("FILE", file)).unwrap();
    let outcome = thalweg(folder.path(), "train table.toml --out run");
    assert!(!folder.path().join("run").exists(), "a run was begun: {}", outcome.err);
    outcome
}

/// A table of `rows` rows of two numbers.
fn table(rows: usize) -> Array {
    Array::new(vec![rows, 2], (0..rows * 2).map(|i| (i as f64).sin()).collect())
}

/// Copies a file of the readers' own tests to `path`.
fn copy_fixture(name: &str, path: &Path) {
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data").join(name), path).unwrap();
}

#[test]
fn a_missing_file() {
    train_on("x.npy", |_| {}).refused(&["x.npy", "No such file"]);
    train_on("x.npy", |path| fs::create_dir(path).unwrap()).refused(&["x.npy", "directory"]);
}

#[test]
fn an_empty_file() {
    train_on("x.npy", |path| fs::write(path, "").unwrap()).refused(&["x.npy", "empty"]);
    train_on("x.npy", |path| copy_fixture("no_rows.npy", path)).refused(&["x.npy", "empty"]);
    train_on("x.csv", |path| fs::write(path, "a,b\n").unwrap()).refused(&["x.csv", "empty"]);
}

#[test]
fn a_single_row() {
    train_on("x.npy", |path| write_npy(path, &table(1)).unwrap()).refused(&["x.npy", "1 rows", "transposed"]);
}

#[test]
fn fewer_rows_than_the_batch() {
    let refused = train_on("x.npy", |path| write_npy(path, &table(18)).unwrap());
    // Two of the eighteen rows are for the test and two for validation.
    refused.refused(&["x.npy", "14 rows", "16 are needed", "make it smaller"]);
}

#[test]
fn not_a_number_and_infinity() {
    for (bad, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let mut values = table(40);
        values.values[2 * 6 + 1] = bad;
        train_on("x.npy", |path| write_npy(path, &values).unwrap()).refused(&[
            "x.npy",
            "row 7, column 2",
            shown,
        ]);
        train_on("x.npz", |path| write_npz(path, &[("points", &values)]).unwrap()).refused(&[
            "x.npz",
            "member `points`",
            "row 7, column 2",
            shown,
        ]);
    }
}

#[test]
fn a_wrong_shape() {
    train_on("x.npy", |path| copy_fixture("scalar.npy", path)).refused(&["x.npy", "single number"]);
    train_on("x.csv", |path| fs::write(path, "1,2\n3,4\n5\n").unwrap()).refused(&["x.csv", "3"]);
}

#[test]
fn types_that_are_no_numbers() {
    for (name, word) in [("object.npy", "object"), ("text.npy", "text"), ("complex.npy", "complex")] {
        train_on("x.npy", |path| copy_fixture(name, path)).refused(&["x.npy", "not supported", word]);
    }
}

#[test]
fn a_truncated_archive() {
    let cut = |path: &Path, keep: f64| {
        write_npz(path, &[("x", &table(500))]).unwrap();
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..(bytes.len() as f64 * keep) as usize]).unwrap();
    };
    for keep in [0.1, 0.5, 0.99] {
        train_on("x.npz", |path| cut(path, keep)).refused(&["x.npz"]);
    }
    train_on("x.npy", |path| {
        write_npy(path, &table(500)).unwrap();
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    })
    .refused(&["x.npy", "truncated", "8000 bytes"]);
}

#[test]
fn text_in_a_cell() {
    let rows: String =
        (0..30).map(|i| if i == 11 { "0.5,n/a\n".to_string() } else { format!("{i},1\n") }).collect();
    train_on("x.csv", |path| fs::write(path, format!("a,b\n{rows}")).unwrap()).refused(&[
        "x.csv",
        "line 13",
        "`n/a`",
        "row 12, column 2",
        "not a number",
    ]);
}

#[test]
fn an_archive_with_several_members_needs_a_choice() {
    let write = |path: &Path| write_npz(path, &[("train", &table(40)), ("test", &table(40))]).unwrap();
    train_on("x.npz", write).refused(&["target.member", "`train`", "`test`"]);
}

#[test]
fn a_suffix_that_nobody_knows() {
    train_on("x.parquet", |path| fs::write(path, "PAR1").unwrap()).refused(&["x.parquet", ".npy"]);
}

#[test]
fn points_for_a_likelihood_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.npy");
    let likelihood = || thalweg(trained(), &format!("likelihood run {}", file.display()));
    write_npy(&file, &Array::new(vec![4, 3], vec![0.0; 12])).unwrap();
    likelihood().refused(&["x.npy", "[4, 3]", "rows of 2 numbers"]);
    write_npy(&file, &Array::new(vec![0, 2], Vec::new())).unwrap();
    likelihood().refused(&["x.npy"]);
    write_npy(&file, &Array::new(vec![2, 2], vec![0.0, 1.0, f64::NAN, 2.0])).unwrap();
    likelihood().refused(&["x.npy", "row 2, column 1", "NaN"]);
    fs::remove_file(&file).unwrap();
    likelihood().refused(&["x.npy"]);
}

#[test]
fn an_archive_without_members() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.npz");
    write_npz(&file, &[]).unwrap();
    thalweg(trained(), &format!("likelihood run {}", file.display())).refused(&["x.npz", "has no members"]);
    thalweg(trained(), &format!("data inspect {}", file.display())).refused(&["x.npz", "has no members"]);
}

#[test]
fn a_table_without_held_out_rows_is_trained_and_says_what_it_cannot_score() {
    let folder = tempfile::tempdir().unwrap();
    write_npy(folder.path().join("x.npy"), &table(64)).unwrap();
    let recipe = RECIPE.replace("FILE", "x.npy").replace("fractions", "none");
    fs::write(folder.path().join("table.toml"), recipe).unwrap();
    let outcome = thalweg(folder.path(), "train table.toml --out run");
    // Either is fine, as long as the work of a whole training is not thrown away for want of a test split.
    assert!(outcome.code == Some(0) || !folder.path().join("run").exists(), "{}", outcome.err);
    assert!(outcome.err.contains("split"), "nothing is said about the missing split: {}", outcome.err);
}
