//! The book keeps its word: its recipe can be trained, every key is explained, every command works.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{Outcome, thalweg};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src").join(name)).unwrap()
}

/// The contents of the code blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_string()).collect()
}

#[test]
fn the_recipe_of_the_book_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let found = blocks(&page("recipes.md"), "toml");
    assert_eq!(found.len(), 1);
    fs::write(folder.path().join("tour.toml"), &found[0]).unwrap();
    let complete = thalweg(folder.path(), "recipes show tour.toml --complete").done().out;
    assert!(complete.contains("name = \"tour\""), "{complete}");
    let small = "--set train.steps=20 --set evaluate.samples=60 --set evaluate.likelihood_points=20 \
                 --set evaluate.report=false";
    thalweg(folder.path(), &format!("train tour.toml {small}")).done();
}

#[test]
fn the_comparison_of_the_book_is_valid_and_every_key_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let text = page("comparisons.md");
    let found = blocks(&text, "toml");
    assert_eq!(found.len(), 1);
    fs::write(folder.path().join("mine.toml"), &found[0]).unwrap();
    let complete = thalweg(folder.path(), "recipes show ./mine.toml --complete").done().out;
    assert!(complete.contains("share = 0.75") && complete.contains("metric = \"w2\""), "{complete}");
    let mut section = String::new();
    for line in complete.lines() {
        if let Some(heading) = line.strip_prefix('[') {
            section = heading.trim_matches(['[', ']']).rsplit('.').next().unwrap().to_string();
        } else if let (Some((key, _)), "" | "budget" | "evaluate" | "set" | "method" | "stages") =
            (line.split_once(" = "), section.as_str())
        {
            let explained = [format!("`{key}`"), format!("`{section}.{key}`")];
            assert!(explained.iter().any(|form| text.contains(form)), "`{section}.{key}` is not explained");
        }
    }
    let small = "--set budget={steps=4} --set recipe.evaluate={samples=20,likelihood_points=0} --seeds 1";
    thalweg(folder.path(), &format!("compare mine.toml {small}")).done();
}

#[test]
fn every_key_of_a_recipe_is_explained() {
    let text = page("recipes.md");
    let here = tempfile::tempdir().unwrap();
    let tiny =
        "--set train.steps=2 --set model.width=4 --set evaluate.samples=20 --set evaluate.report=false";
    thalweg(here.path(), &format!("train i-cfm {tiny}")).done();
    let few = "--set train.steps=4 --set train.batch=16 --set local.points=50";
    let short = "--set evaluate.likelihood_points=0";
    thalweg(here.path(), &format!("train local {tiny} {few} {short}")).done();
    for name in [
        "fine-tuning",
        "reflow",
        "local",
        "distilled",
        "contracting",
        "free-stage",
        "two-moons",
        "cnf",
        "sb-cfm",
        "stochastic-interpolant",
        "ve",
        "conditional-two-moons",
        "tree",
        "kin8nm",
        "power",
        "gas",
        "bsds300",
    ] {
        let complete = thalweg(here.path(), &format!("recipes show {name} --complete")).done().out;
        for line in complete.lines() {
            let key = match (line.split_once(" = "), line.strip_prefix('[')) {
                (Some((key, _)), _) => key,
                (None, Some(section)) => section.trim_end_matches(']').rsplit('.').next().unwrap(),
                (None, None) => continue,
            };
            let explained =
                [format!("`{key}`"), format!("{key} = "), format!("`{key} ="), format!("`[{key}]`")];
            assert!(
                explained.iter().any(|form| text.contains(form)),
                "`{key}` of {name} is not in recipes.md"
            );
        }
    }
}

#[test]
fn every_score_is_explained() {
    let text = page("metrics.md");
    let folder = tempfile::tempdir().unwrap();
    let all = "--set evaluate.metrics=[\"w1\",\"w2\",\"sliced-w2\",\"mmd2\",\"energy\",\"frechet\"] \
               --set data.target.kind=\"eight-gaussians\"";
    fs::write(folder.path().join("tiny.toml"), common::TINY).unwrap();
    let document = thalweg(folder.path(), &format!("train tiny.toml --out run --json {all}")).done().json();
    let names: Vec<&str> =
        document["scores"].as_array().unwrap().iter().map(|score| score["name"].as_str().unwrap()).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "`{name}` is not in metrics.md");
    }
}

/// Runs a line such as `thalweg train mine.toml --set 'a={ b = 1 }' > file`, as a shell would.
fn run_line(here: &Path, line: &str) -> Outcome {
    let folder = Path::new(env!("CARGO_BIN_EXE_thalweg")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", line]).current_dir(here).env("PATH", path).output().unwrap().into()
}

#[test]
#[ignore = "slow: trains several times with the scores and reports of the defaults"]
fn every_command_of_the_book_works_in_the_order_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = 0;
    for block in blocks(&page("commands.md"), "sh") {
        for line in block.lines().filter(|line| line.starts_with("thalweg")) {
            // A finished training needs no going on, but it is allowed.
            run_line(folder.path(), line).done();
            lines += 1;
        }
    }
    assert!(lines > 20, "only {lines} commands found");
}
