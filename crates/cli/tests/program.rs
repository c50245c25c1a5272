//! The program itself: help, the embedded recipes, completions, JSON, exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::Path;

use common::{TINY, thalweg, trained};

fn here() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn help_names_every_command_and_what_it_does() {
    let help = thalweg(here().path(), "--help").done().out;
    for command in ["train", "sample", "evaluate", "likelihood", "compare", "recipes", "data", "completions"]
    {
        let line = help.lines().find(|line| line.trim_start().starts_with(command));
        let line = line.unwrap_or_else(|| panic!("no `{command}` in: {help}"));
        assert!(line.split_whitespace().count() > 3, "`{command}` says nothing about itself: {line}");
        let own = thalweg(here().path(), &format!("{command} --help")).done().out;
        assert!(own.contains("Usage: thalweg "), "{own}");
    }
    assert!(thalweg(here().path(), "--version").done().out.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_that_does_not_exist_is_a_wrong_request() {
    thalweg(here().path(), "trian").refused(&["unrecognized subcommand 'trian'", "train"]);
    thalweg(here().path(), "sample").refused(&["<RUN>"]);
    thalweg(here().path(), "train --seed 3").refused(&["--seed"]);
    thalweg(here().path(), "sample run --number many").refused(&["many"]);
}

#[test]
fn recipes_are_listed_and_shown() {
    let list = thalweg(here().path(), "recipes").done().out;
    let (list, comparisons) = list.split_once("\n\nComparisons, for `thalweg compare`:\n").unwrap();
    assert!(comparisons.starts_with("plane "), "{comparisons}");
    let shown = thalweg(here().path(), "recipes show plane --complete").done().out;
    assert!(shown.contains("name = \"plane\"") && shown.contains("[[method]]"), "{shown}");
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in
        ["two-moons", "eight-gaussians", "checkerboard", "gaussian-16d", "conditional-two-moons", "cnf"]
    {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    let json = thalweg(here().path(), "recipes --json").done().json();
    let listed = json["recipes"].as_array().unwrap();
    assert_eq!(listed.len(), names.len());
    assert!(listed.iter().all(|recipe| recipe["about"].as_str().unwrap().len() > 10));
    for name in names {
        let shown = thalweg(here().path(), &format!("recipes show {name}")).done().out;
        assert!(shown.contains(&format!("name = \"{name}\"")), "{shown}");
    }
}

#[test]
fn a_complete_recipe_is_a_recipe_with_every_default() {
    let folder = here();
    let complete = thalweg(folder.path(), "recipes show two-moons --complete").done().out;
    for default in
        ["batch = 256", "hidden_layers = 3", "method = \"dopri5\"", "likelihood_points = 2000", "seed = 0"]
    {
        assert!(complete.contains(default), "{default} is missing in: {complete}");
    }
    std::fs::write(folder.path().join("again.toml"), &complete).unwrap();
    let again = thalweg(folder.path(), "recipes show ./again.toml --complete").done().out;
    assert_eq!(again, complete);
}

#[test]
fn completions_are_written_for_every_shell() {
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef thalweg"), ("fish", "complete -c thalweg")]
    {
        let script = thalweg(here().path(), &format!("completions {shell}")).done().out;
        assert!(script.contains(sign), "{script}");
        assert!(script.contains("likelihood"), "{shell} does not know the commands");
    }
}

#[test]
fn json_is_one_document_also_when_something_is_wrong() {
    let folder = here();
    let refused =
        thalweg(folder.path(), "sample nowhere --json").refused(&["there is no run folder at nowhere"]);
    assert!(refused.json()["error"].as_str().unwrap().contains("nowhere"));

    std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let trained = thalweg(folder.path(), "train tiny.toml --out run --json").done().json();
    assert_eq!(trained["steps"], 60);
    assert!(trained["scores"].as_array().unwrap().len() >= 4);
    assert!(trained["seconds"].as_f64().unwrap() > 0.0);
    for arguments in
        ["evaluate run", "sample run -n 10", "likelihood run run/samples.npy", "data inspect run/samples.npy"]
    {
        let document = thalweg(folder.path(), &format!("{arguments} --json")).done().json();
        assert!(document.is_object(), "{arguments}: {document}");
    }
}

#[test]
fn json_is_asked_for_also_where_the_command_line_is_wrong() {
    for arguments in ["trian --json", "--json sample", "sample run --number many --json"] {
        let refused = thalweg(here().path(), arguments).refused(&["error: "]);
        let message = refused.json()["error"].as_str().unwrap().to_string();
        assert!(!message.is_empty() && !message.starts_with("error"), "{message}");
        assert!(refused.err.contains(&message), "{message}");
    }
    // Help is an answer and no error, and a word after `--` is no option.
    assert!(thalweg(here().path(), "sample --help --json").done().out.contains("Usage: thalweg sample"));
    assert_eq!(thalweg(here().path(), "trian").refused(&[]).out, "");
}

/// The exit code and standard error of a command whose standard output nobody reads.
#[cfg(unix)]
fn unread(arguments: &str) -> (Option<i32>, String) {
    let mut child = common::command(trained(), arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for arguments in
        ["recipes", "recipes --json", "recipes show cnf", "completions bash", "sample run -n 5", "--help"]
    {
        assert_eq!(unread(arguments), (Some(0), String::new()), "{arguments}");
    }
    // A wrong request stays one.
    let (code, err) = unread("sample nowhere --json");
    assert!(code == Some(2) && err.starts_with("error: there is no run folder"), "{code:?} {err}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = common::command(trained(), "recipes").stdout(full).output().unwrap();
    common::Outcome::from(output).failed(1, &["cannot write to standard output", "No space left"]);
}

#[test]
fn a_run_lies_where_the_recipe_says_unless_told_otherwise() {
    let folder = here();
    std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let printed = thalweg(folder.path(), "train tiny.toml --set name=other --set train.steps=5").done().out;
    assert!(printed.contains(&format!("{}", Path::new("runs").join("other").display())), "{printed}");
    assert!(folder.path().join("runs/other/run.json").exists());
}

#[test]
fn threads_are_counted_from_one() {
    let run = |threads: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["sample", "run", "-n", "5", "-o", "threads.npy", "--threads", threads]);
        common::Outcome::from(command.current_dir(trained()).output().unwrap())
    };
    run("0").refused(&["--threads must be at least 1"]);
    run("100000").refused(&["--threads 100000 is too many", "take at most"]);
    run("2").done();
}
