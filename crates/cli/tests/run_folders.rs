//! Run folders that are missing, damaged, of another network, of a newer program, or taken.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{TINY, checkpoints, copied_run, newest_checkpoint, thalweg, trained};

/// Replaces text in a file of a run.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() * 2 / 3]).unwrap();
}

/// The commands that read a run; each must refuse what is no run.
const READERS: [&str; 3] = ["sample run -n 5", "evaluate run", "likelihood run run/points.npy"];

#[test]
fn a_folder_that_is_missing_or_no_run() {
    let folder = tempfile::tempdir().unwrap();
    for reader in READERS {
        thalweg(folder.path(), reader).refused(&["there is no run folder at run", "check the path"]);
    }
    fs::create_dir(folder.path().join("run")).unwrap();
    for reader in READERS {
        thalweg(folder.path(), reader).refused(&["run is not a run folder", "run.json"]);
    }
    fs::remove_dir(folder.path().join("run")).unwrap();
    fs::write(folder.path().join("run"), "a file").unwrap();
    for reader in READERS {
        thalweg(folder.path(), reader).refused(&["run is a file, not a run folder"]);
    }
}

#[test]
fn a_run_that_exists_is_not_overwritten() {
    let folder = copied_run();
    fs::copy(trained().join("tiny.toml"), folder.path().join("tiny.toml")).unwrap();
    let before = fs::read(folder.path().join("run/events.jsonl")).unwrap();
    thalweg(folder.path(), "train tiny.toml --out run").refused(&[
        "already holds a run",
        "--resume",
        "--out",
    ]);
    assert_eq!(fs::read(folder.path().join("run/events.jsonl")).unwrap(), before);
    fs::write(folder.path().join("file"), "mine").unwrap();
    thalweg(folder.path(), "train tiny.toml --out file").refused(&["file is a file"]);
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "mine");
}

#[test]
fn a_beginning_that_was_killed_can_be_made_again() {
    // What is on disk before the recipe, which is written last.
    let folder = copied_run();
    let run = folder.path().join("run");
    fs::copy(trained().join("tiny.toml"), folder.path().join("tiny.toml")).unwrap();
    for kept in fs::read_dir(&run).unwrap() {
        let path = kept.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "run.json" | "data.json" | "lock" => {}
            _ if path.is_dir() => fs::remove_dir_all(path).unwrap(),
            _ => fs::remove_file(path).unwrap(),
        }
    }
    thalweg(folder.path(), "train --resume --out run")
        .refused(&["interrupted before it began", "without --resume"]);
    thalweg(folder.path(), "train tiny.toml --out run").done();
    assert_eq!(newest_checkpoint(&run), newest_checkpoint(&trained().join("run")));
}

#[test]
fn a_comparison_is_not_made_a_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/comparison.toml"), "").unwrap();
    thalweg(folder.path(), "train two-moons --out mine").refused(&["mine holds a comparison", "--out"]);
    assert_eq!(fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);
}

#[test]
fn the_recipe_of_a_run_finds_its_data_again() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..80).map(|row| format!("{row},{}\n", (row * 7) % 11)).collect();
    fs::write(folder.path().join("points.csv"), format!("a,b\n{rows}")).unwrap();
    let table = TINY.replace("kind = \"two-moons\"", "kind = \"file\"\npath = \"points.csv\"");
    fs::write(folder.path().join("table.toml"), table.replace("samples = 60", "samples = 20")).unwrap();
    thalweg(folder.path(), "train table.toml --out deep/run").done();
    thalweg(folder.path(), "train deep/run/config.toml --out again").done();
    let [first, second] = ["deep/run", "again"].map(|run| newest_checkpoint(&folder.path().join(run)));
    assert_eq!(first, second);
}

#[test]
fn what_an_interrupted_save_leaves_is_no_damage() {
    let folder = copied_run();
    let run = folder.path().join("run");
    let remains = run.join("checkpoints/.step-00000099.0.tmp");
    fs::create_dir(&remains).unwrap();
    fs::write(remains.join("model.safetensors"), "half").unwrap();
    let sampled = thalweg(folder.path(), "sample run -n 5").done();
    assert!(!sampled.err.contains("warning"), "{}", sampled.err);
    thalweg(folder.path(), "train --resume --out run").done();
    assert!(!remains.exists());
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    for file in ["model.safetensors", "average.safetensors", "optimizer.safetensors", "state.json"] {
        let folder = copied_run();
        let all = checkpoints(&folder.path().join("run"));
        assert_eq!(all.len(), 2, "the recipe keeps two checkpoints");
        truncate(&all[1].join(file));
        let sampled = thalweg(folder.path(), "sample run -n 5").done();
        assert!(sampled.err.contains("warning: skipped a checkpoint"), "{}", sampled.err);
        assert!(sampled.err.contains(file), "{}", sampled.err);
        // The older checkpoint is used, and training goes on from it to the same end.
        let resumed = thalweg(folder.path(), "train --resume --out run").done();
        assert!(resumed.err.contains("for 20 steps"), "{}", resumed.err);
        let again = checkpoints(&folder.path().join("run")).pop().unwrap();
        assert_eq!(
            fs::read(again.join("average.safetensors")).unwrap(),
            fs::read(checkpoints(&trained().join("run")).pop().unwrap().join("average.safetensors")).unwrap()
        );
    }
}

#[test]
fn a_run_without_a_good_checkpoint_says_how_to_get_one() {
    let folder = copied_run();
    for checkpoint in checkpoints(&folder.path().join("run")) {
        truncate(&checkpoint.join("model.safetensors"));
    }
    for reader in READERS {
        thalweg(folder.path(), reader).refused(&[
            "no usable checkpoint",
            "model.safetensors is damaged",
            "--resume",
        ]);
    }
    fs::remove_dir_all(folder.path().join("run/checkpoints")).unwrap();
    thalweg(folder.path(), "sample run").refused(&["no usable checkpoint", "--resume --out run"]);
}

#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let folder = copied_run();
    edit(&folder.path().join("run/config.toml"), "width = 8", "width = 16");
    for command in ["sample run -n 5", "evaluate run", "train --resume --out run"] {
        let parts = ["another architecture", "\"width\":8", "\"width\":16", "config.toml"];
        thalweg(folder.path(), command).refused(&parts);
    }
}

#[test]
fn a_newer_format_is_refused_before_it_is_read() {
    let folder = copied_run();
    let marker = folder.path().join("run/run.json");
    edit(&marker, "\"format_version\": 1", "\"format_version\": 2");
    fs::write(folder.path().join("run/config.toml"), "in a form of the future").unwrap();
    for command in ["sample run -n 5", "evaluate run", "train --resume --out run"] {
        thalweg(folder.path(), command).refused(&["run.json has format version 2", "update the program"]);
    }
}

#[test]
fn another_direction_of_time_is_refused() {
    let folder = copied_run();
    edit(&folder.path().join("run/run.json"), "t=0 noise, t=1 data", "t=1 noise, t=0 data");
    thalweg(folder.path(), "sample run -n 5").refused(&["time convention", "t=1 noise, t=0 data"]);
}

#[test]
fn other_data_are_refused_on_the_way() {
    let folder = copied_run();
    edit(&folder.path().join("run/config.toml"), "shift = -1.0", "shift = -2.0");
    thalweg(folder.path(), "train --resume --out run").refused(&["the data have changed", "--out"]);
}

#[test]
fn requests_that_do_not_fit_the_run() {
    let run = trained();
    thalweg(run, "sample run -n 0").refused(&["at least 1"]);
    thalweg(run, "sample run --label 1").refused(&["without conditions"]);
    thalweg(run, "sample run --condition 1,2").refused(&["without conditions"]);
    thalweg(run, "sample run -o samples.txt").refused(&["samples.txt", ".npy, .npz, .csv, .png or .gif"]);
    thalweg(run, "sample run -o no/such/folder/x.npy").failed(1, &["no/such/folder/x.npy"]);
    thalweg(run, "sample run --solver rk4").refused(&["rk4", "--steps N"]);
    thalweg(run, "sample run --rtol -1").refused(&["-1"]);
    thalweg(run, "sample run --stochastic 0.5").refused(&["--steps"]);
    thalweg(run, "sample run --ancestral 1").refused(&["--ancestral takes fixed steps"]);
    thalweg(run, "sample run --ancestral 1.5 --steps 3").refused(&["freshness", "between 0 and 1"]);
    thalweg(run, "sample run --ancestral 1 --steps 3 --solver rk4").refused(&["only --steps"]);
    thalweg(run, "sample run --ancestral 1 --stochastic 1 --steps 3").refused(&["cannot be used with"]);
    thalweg(run, "sample run --ancestral 1 --steps 3 --clip 0").refused(&["clip", "positive"]);
    for command in ["sample run", "evaluate run"] {
        thalweg(run, &format!("{command} --clip 2")).refused(&["--clip", "--ancestral"]);
        thalweg(run, &format!("{command} --variance large")).refused(&["--variance", "--ancestral"]);
        thalweg(run, &format!("{command} --ancestral 1")).refused(&["--ancestral takes fixed steps"]);
    }
    for command in ["sample run", "sample run --stochastic 0.5", "evaluate run"] {
        thalweg(run, &format!("{command} --steps 0")).refused(&["--steps must be at least 1"]);
    }
    thalweg(run, "likelihood run run/data.json").refused(&["data.json", ".npy, .npz, .hdf5 or .csv"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(locked.join("probe"), "").is_ok() {
        // Root may write everywhere; `disk.rs` has the same test for root, with a file system mounted read-only.
        return;
    }
    let refused =
        thalweg(folder.path(), "train tiny.toml --out locked/run").failed(1, &["locked/run", "--out"]);
    assert!(refused.err.contains("ermission denied"), "{}", refused.err);
}
