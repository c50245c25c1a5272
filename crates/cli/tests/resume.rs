//! Trainings that are killed, interrupted and resumed: they end with the bytes of an unbroken one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use common::{TINY, checkpoints, newest_checkpoint, start, thalweg};

/// Long enough to be caught in the middle, with pairings that are computed ahead on the second thread.
fn recipe() -> String {
    let coupled = "[flow]\ncoupling = { kind = \"optimal-transport\" }\n\n[train]";
    TINY.replace("steps = 60", "steps = 1500")
        .replace("checkpoint_every = 20", "checkpoint_every = 100")
        .replace("[train]", coupled)
}

/// A number below `n` that nobody chose.
fn chance(n: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::from(now.subsec_micros()) % n
}

/// Waits until `done`, which must not take a minute.
#[track_caller]
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let patience = Instant::now();
    while !done() {
        assert!(patience.elapsed() < Duration::from_secs(60), "{what}: not after a minute");
        sleep(Duration::from_millis(1));
    }
}

fn wait_for_checkpoint(run: &Path) {
    wait_until("a checkpoint", || !checkpoints(run).is_empty());
}

/// The last step in the log of a run, of which the last line may be half written.
fn logged_step(run: &Path) -> u64 {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    let mut events =
        text.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events.find_map(|event| event["step"].as_u64()).unwrap_or(0)
}

/// Kills a training once it has logged `step`, which must not have been its end.
#[track_caller]
fn kill_at(step: u64, run: &Path, child: &mut Child) {
    wait_until("a step", || logged_step(run) >= step);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the training ended by itself before step {step} was seen");
}

/// The log without times, and without the lines that tell of the interruption.
fn log(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let mut events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    events.retain(|event| event["event"] == "scalar");
    for event in &mut events {
        event.as_object_mut().unwrap().remove("time");
    }
    events
}

#[test]
fn killed_at_any_moment_a_training_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), recipe()).unwrap();
    thalweg(folder.path(), "train mine.toml --out unbroken").done();

    let run = folder.path().join("killed");
    let first = 100 + chance(300);
    kill_at(first, &run, &mut start(folder.path(), "train mine.toml --out killed"));
    // And once more, while it is resuming from the first.
    let second = first + chance(300);
    kill_at(second, &run, &mut start(folder.path(), "train --resume --out killed"));
    thalweg(folder.path(), "train --resume --out killed").done();
    let moments = format!("killed when the log had reached the steps {first} and {second}");
    assert!(newest_checkpoint(&run) == newest_checkpoint(&folder.path().join("unbroken")), "{moments}");
    assert_eq!(log(&run), log(&folder.path().join("unbroken")), "{moments}");
}

/// Sends a signal such as `INT` to a process.
fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[track_caller]
fn stops_at(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), recipe().replace("steps = 1500", "steps = 100000")).unwrap();
    let run = folder.path().join("run");
    let mut child = start(folder.path(), "train mine.toml --out run");
    wait_for_checkpoint(&run);
    send(signal, &child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("finishing the step"), "{said}");
    let step = said.split("stopped after step ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(said.contains("thalweg train --resume --out run"), "{said}");
    let newest = checkpoints(&run).pop().unwrap();
    assert!(
        newest.ends_with(format!("step-{:08}", step.parse::<u64>().unwrap())),
        "{newest:?} is not of step {step}"
    );
}

#[test]
fn an_interrupt_finishes_the_step_and_says_how_to_go_on() {
    stops_at("INT");
}

#[test]
fn a_polite_kill_saves_as_an_interrupt_does() {
    stops_at("TERM");
}

#[test]
fn an_interrupt_of_the_scoring_ends_it_and_says_how_to_score() {
    let folder = tempfile::tempdir().unwrap();
    // Distances that take minutes: exact transport of many points, many times.
    let slow = TINY.replace("samples = 60", "samples = 4000").replace("replicates = 3", "replicates = 200");
    fs::write(folder.path().join("mine.toml"), slow).unwrap();
    let mut child = start(folder.path(), "train mine.toml --out run");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "scoring ..."), "the scoring did not begin");
    send("INT", &child);
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.last().unwrap().contains("the training is saved"), "{rest:?}");
    assert!(rest.last().unwrap().contains("`thalweg evaluate run`"), "{rest:?}");
    assert!(!folder.path().join("run/scores.json").exists());
    thalweg(folder.path(), "sample run -n 5").done();
}

#[test]
fn two_processes_do_not_write_one_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), recipe().replace("steps = 1500", "steps = 100000")).unwrap();
    let mut child = start(folder.path(), "train mine.toml --out run");
    wait_for_checkpoint(&folder.path().join("run"));
    let id = child.id();
    thalweg(folder.path(), "train --resume --out run")
        .refused(&[&format!("process {id}"), "wait for it to end"]);
    // Reading needs no claim.
    thalweg(folder.path(), "sample run -n 5").done();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_finished_run_that_is_resumed_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), TINY).unwrap();
    thalweg(folder.path(), "train mine.toml --out run").done();
    let before = newest_checkpoint(&folder.path().join("run"));
    let again = thalweg(folder.path(), "train --resume --out run").done();
    assert!(again.out.contains("w2"), "{}", again.out);
    assert!(newest_checkpoint(&folder.path().join("run")) == before);
}
