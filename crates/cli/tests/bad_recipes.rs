//! Recipes that cannot be trained: each is refused before anything is written, with the key, the place and the remedy.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;

use common::{Outcome, TINY, copied_run, thalweg, trained};

/// Trains `TINY` after a replacement in its text, and checks that no run folder was begun.
#[track_caller]
fn with(from: &str, to: &str) -> Outcome {
    assert!(TINY.contains(from), "{from:?} is not in the recipe");
    train(&TINY.replacen(from, to, 1), "")
}

#[track_caller]
fn train(text: &str, options: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), text).unwrap();
    let outcome = thalweg(folder.path(), &format!("train mine.toml --out run {options}"));
    assert!(!folder.path().join("run").exists(), "a run was begun: {}", outcome.err);
    outcome
}

#[test]
fn a_recipe_that_does_not_exist() {
    let here = tempfile::tempdir().unwrap();
    thalweg(here.path(), "train three-moons").refused(&["there is no recipe `three-moons`", "two-moons"]);
    thalweg(here.path(), "train two-moon")
        .refused(&["there is no recipe `two-moon`: did you mean `two-moons`?"]);
    thalweg(here.path(), "train three-moons.toml").refused(&["three-moons.toml", "there is no such file"]);
    thalweg(here.path(), "recipes show three-moons").refused(&["three-moons"]);
}

#[test]
fn a_recipe_that_is_a_directory() {
    let here = tempfile::tempdir().unwrap();
    fs::create_dir_all(here.path().join("folder.toml")).unwrap();
    thalweg(here.path(), "train ./folder.toml").refused(&["folder.toml", "it is a folder"]);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_one() {
    with("steps = 60", "stesp = 60").refused(&[
        "unknown key `train.stesp`",
        "did you mean `train.steps`?",
        "mine.toml:12:1",
    ]);
    with("width = 8", "widht = 8").refused(&[
        "`model.widht`",
        "did you mean `model.width`?",
        "mine.toml:8:1",
    ]);
    with("[model]", "[modle]").refused(&["`modle`", "`model`", "mine.toml:7:"]);
    with("\"two-moons\"", "\"two-moons\"\nnoize = 0.1")
        .refused(&["`data.target.noize`", "did you mean `data.target.noise`?"]);
}

#[test]
fn an_unknown_word_names_the_nearest_one() {
    with("two-moons", "two-mons").refused(&[
        "unknown value `two-mons`",
        "`data.target.kind`",
        "two-moons",
        "mine.toml:5:",
    ]);
    train(TINY, "--set model.activation=sigmoid").refused(&[
        "`sigmoid`",
        "`model.activation`",
        "silu",
        "--set",
    ]);
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    with("steps = 60", "steps = \"sixty\"").refused(&[
        "`train.steps`",
        "expected",
        "\"sixty\"",
        "mine.toml:12:",
    ]);
    with("batch = 32", "batch = 32.5").refused(&["`train.batch`", "32.5", "mine.toml:13:"]);
    with("report = false", "report = 1").refused(&["`evaluate.report`", "expected", "mine.toml:22:"]);
}

#[test]
fn an_impossible_value_says_what_is_possible() {
    with("steps = 60", "steps = 0").refused(&["`train.steps`", "at least 1", "mine.toml:12:"]);
    with("batch = 32", "batch = -32").refused(&["`train.batch`", "mine.toml:13:"]);
    with("width = 8", "width = 0").refused(&["width", "at least 1"]);
    train(TINY, "--set train.average.decay=1.5").refused(&[
        "`train.average.decay`",
        "[0, 1)",
        "1.5",
        "--set",
    ]);
    train(TINY, "--set train.accumulate=5").refused(&["`train.accumulate`", "32", "--set"]);
    train(TINY, "--set train.clip=-1.0").refused(&["`train.clip`", "positive"]);
    train(TINY, "--set data.standardise=2").refused(&["`data.standardise`", "--set"]);
}

#[test]
fn settings_that_would_have_no_effect_are_refused() {
    train(TINY, "--set data.dequantise=0.1").refused(&["dequantise", "tables"]);
    train(TINY, "--set flow.precondition=true").refused(&["`flow.precondition`", "one-sided"]);
    train(TINY, "--set model.condition_dropout=0.1").refused(&["condition_dropout"]);
}

#[test]
fn a_gaussian_path_does_not_start_from_another_set() {
    let text = format!(
        "{TINY}\n[data.source]\nkind = \"set\"\nset = {{ kind = \"eight-gaussians\" }}\n\
         [flow.path]\nkind = \"one-sided\"\n"
    );
    train(&text, "").refused(&["flow.path", "Gaussian"]);
}

#[test]
fn a_coupling_without_its_weight_is_refused() {
    train(TINY, "--set flow.coupling.kind=\"sinkhorn\"").refused(&["flow.coupling", "regularisation"]);
}

#[test]
fn text_that_is_not_toml_shows_the_line() {
    with("steps = 60", "steps = = 60").refused(&["mine.toml:12:", "steps = = 60"]);
    with("batch = 32", "steps = 32").refused(&["given twice"]);
}

#[test]
fn an_override_that_cannot_be_read_shows_the_right_form() {
    train(TINY, "--set train.steps").refused(&["--set train.steps", "="]);
    train(TINY, "--set name.short=x").refused(&["--set name.short=x"]);
}

#[test]
fn a_run_is_resumed_with_its_own_recipe() {
    let here = tempfile::tempdir().unwrap();
    thalweg(here.path(), "train --resume --out nowhere").refused(&["there is no run folder at nowhere"]);
    thalweg(here.path(), "train --resume --set train.steps=5").refused(&["--set"]);

    let (run, tiny) = (copied_run(), trained().join("tiny.toml"));
    let other = ["was begun with the recipe `tiny`, not `two-moons`", "--out"];
    thalweg(run.path(), "train two-moons --resume --out run").refused(&other);
    thalweg(run.path(), &format!("train {} --resume --out run", tiny.display())).done();
}

#[test]
fn a_recipe_whose_file_is_missing_says_how_to_name_it() {
    let here = tempfile::tempdir().unwrap();
    for name in ["kin8nm", "protein", "tree", "rose", "power", "gas", "miniboone", "bsds300"] {
        thalweg(here.path(), &format!("train {name}"))
            .refused(&["cannot open", "name it with --set data.target.path=FILE"]);
        assert!(!here.path().join("runs").exists(), "a run was begun");
    }
}
