//! The run folder: beginning, opening, claiming.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{checkpoint, run_with};
use thalweg_run::{RunDir, RunError, Score};

fn create_error(path: &Path) -> String {
    RunDir::create(path).unwrap_err().to_string()
}

fn open_error(path: &Path) -> String {
    RunDir::open(path).unwrap_err().to_string()
}

#[test]
fn a_run_is_made_with_its_parents_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs/today/moons");
    let run = RunDir::create(&path).unwrap();
    run.write_config("name = \"moons\"\n").unwrap();
    assert_eq!(RunDir::open(&path).unwrap(), run);
    assert_eq!(fs::read_to_string(run.config_path()).unwrap(), "name = \"moons\"\n");
    assert_eq!(run.report_path(), path.join("report.html"));
    assert_eq!(run.events_path(), path.join("events.jsonl"));
}

#[test]
fn an_existing_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let expected = format!(
        "{} already holds a run; go on with it by --resume, or name another folder by --out",
        folder.path().display()
    );
    let run = RunDir::create(folder.path()).unwrap();
    // Nothing is lost yet, so a crash this early does not stand in the way.
    RunDir::create(folder.path()).unwrap();
    for path in [run.config_path(), run.events_path()] {
        fs::write(&path, "").unwrap();
        assert_eq!(create_error(folder.path()), expected);
        fs::remove_file(&path).unwrap();
    }
    run.save_checkpoint(&checkpoint(1)).unwrap();
    assert_eq!(create_error(folder.path()), expected);
}

#[test]
fn what_is_no_run_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let not_a_folder = format!("{} is a file, not a run folder; name another path", file.display());
    assert_eq!(create_error(&file), not_a_folder);
    assert_eq!(open_error(&file), not_a_folder);
    let below = create_error(&file.join("run"));
    assert!(
        below.starts_with("cannot make the folder ")
            && below.ends_with("; a file is in the way, name another path"),
        "{below}"
    );
    let missing = folder.path().join("none");
    assert_eq!(
        open_error(&missing),
        format!("there is no run folder at {}; check the path", missing.display())
    );
    let other = open_error(folder.path());
    assert!(
        other.ends_with(
            "is not a run folder: it holds no run.json; name the folder that a training run wrote"
        ),
        "{other}"
    );
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    RunDir::create(folder.path()).unwrap();
    let marker = folder.path().join("run.json");
    fs::write(&marker, "{\"format_version\": 7, \"unheard_of\": true}").unwrap();
    let expected =
        format!("{} has format version 7, this program knows up to 1; update the program", marker.display());
    assert_eq!(open_error(folder.path()), expected);
    fs::write(&marker, "{\"format_v").unwrap();
    assert!(open_error(folder.path()).contains("run.json cannot be read: EOF while parsing"));
    let reversed = "{\"format_version\":1,\"time_convention\":\"t=1 noise\",\"created_by\":\"x\"}";
    fs::write(&marker, reversed).unwrap();
    assert!(open_error(folder.path()).contains("was written with the time convention \"t=1 noise\""));
}

#[test]
fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    let lock = run.lock().unwrap();
    assert_eq!(lock.abandoned_by(), None);
    let error = run.lock().unwrap_err();
    assert!(matches!(error, RunError::Locked { .. }));
    let expected = format!(
        "{} is being written by process {}; wait for it to end or stop it",
        folder.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(lock);
    assert_eq!(run.lock().unwrap().abandoned_by(), None);
}

#[test]
fn a_claim_ends_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    // What a killed process leaves: its number, and no lock.
    fs::write(folder.path().join("lock"), "4194999\n").unwrap();
    let lock = run.lock().unwrap();
    assert_eq!(lock.abandoned_by(), Some(4_194_999));
    assert_eq!(fs::read_to_string(folder.path().join("lock")).unwrap(), format!("{}\n", std::process::id()));
    drop(lock);
    fs::write(folder.path().join("lock"), "no number").unwrap();
    assert_eq!(run.lock().unwrap().abandoned_by(), None);
}

/// Another process, killed while it holds the claim, as by the kernel when memory runs out.
#[test]
fn a_killed_writer_does_not_block_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_the_claim_until_killed", "--ignored", "--nocapture"])
        .env("THALWEG_TEST_RUN", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !folder.path().join("claimed").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(writer.try_wait().unwrap().is_none(), "the writer ended early");
    }
    let RunError::Locked { process, .. } = run.lock().unwrap_err() else { panic!("not locked") };
    assert_eq!(process, Some(writer.id()));
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(run.lock().unwrap().abandoned_by(), Some(writer.id()));
}

#[test]
#[ignore = "slow: runs until it is killed by a_killed_writer_does_not_block_the_next"]
fn hold_the_claim_until_killed() {
    let Some(folder) = std::env::var_os("THALWEG_TEST_RUN") else { return };
    let run = RunDir::open(Path::new(&folder)).unwrap();
    let _lock = run.lock().unwrap();
    fs::write(run.path().join("claimed"), "").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn scores_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[]);
    assert_eq!(run.read_scores::<Vec<Score>>().unwrap(), None);
    let score = |value, standard_error| Score {
        name: "w2".to_owned(),
        value,
        standard_error,
        floor: Some(0.1 + 0.2),
    };
    let scores = vec![score(1.0 / 3.0, None), score(f64::INFINITY, Some(f64::NEG_INFINITY))];
    run.write_scores(&scores).unwrap();
    assert_eq!(run.read_scores::<Vec<Score>>().unwrap(), Some(scores));
    let other = run.read_scores::<BTreeMap<String, f64>>().unwrap_err().to_string();
    assert!(other.contains("scores.json cannot be read: invalid type: sequence, expected a map"), "{other}");
    assert!(other.ends_with("; write it again"), "{other}");
}
