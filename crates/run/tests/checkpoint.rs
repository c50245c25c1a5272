//! Checkpoints: what is saved is read back, and nothing else ever is.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use common::{checkpoint, run_with};
use proptest::prelude::*;
use thalweg_files::create_folder_atomically;
use thalweg_run::{Checkpoint, HostTensor, RunDir, RunError, Tensors};

const FILES: [&str; 4] = ["model.safetensors", "average.safetensors", "optimizer.safetensors", "state.json"];

fn read_error(path: &Path) -> String {
    Checkpoint::read(path).unwrap_err().to_string()
}

/// Changes the text of a `state.json`.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_saved_is_read_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    assert!(run.latest_checkpoint().unwrap().found.is_none());
    let path = run.save_checkpoint(&checkpoint(20_000)).unwrap();
    assert_eq!(path, folder.path().join("checkpoints/step-00020000"));
    let read = Checkpoint::read(&path).unwrap();
    assert_eq!(read, checkpoint(20_000));
    assert_eq!(read.state.seed, u64::MAX - 1);
    assert_eq!(read.state.time_convention, "t=0 noise, t=1 data");
    // Saving what was read gives the same bytes: nothing depends on the order of a hash map or on the clock.
    let before: Vec<Vec<u8>> = FILES.iter().map(|name| fs::read(path.join(name)).unwrap()).collect();
    run.save_checkpoint(&read).unwrap();
    let after: Vec<Vec<u8>> = FILES.iter().map(|name| fs::read(path.join(name)).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_file_cut_at_any_byte_falls_back_to_the_checkpoint_before() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1, 2]);
    let newest = run.checkpoint_path(2);
    for name in FILES {
        let path = newest.join(name);
        let whole = fs::read(&path).unwrap();
        // The newline after the last brace of state.json is no loss.
        let least = if name == "state.json" { 1 } else { 0 };
        for length in 0..whole.len() - least {
            fs::write(&path, &whole[..length]).unwrap();
            let latest = run.latest_checkpoint().unwrap();
            assert_eq!(latest.found.unwrap().1.state.step, 1);
            assert_eq!(latest.skipped.len(), 1);
            assert_eq!(latest.skipped[0].path, newest);
            let reason = latest.skipped[0].reason.to_string();
            assert!(reason.starts_with(&format!("{} is damaged: ", path.display())), "{reason}");
            assert!(reason.ends_with("; use an earlier checkpoint or a copy"), "{reason}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(run.latest_checkpoint().unwrap().found.unwrap().1.state.step, 2);
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1]);
    for name in FILES {
        let path = run.checkpoint_path(1).join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            match Checkpoint::read(&run.checkpoint_path(1)) {
                Err(_) => {}
                // Only the layout of the JSON is free.
                Ok(read) => assert!(name == "state.json" && read == checkpoint(1), "byte {at} of {name}"),
            }
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn each_damage_has_its_message() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1]);
    let path = run.checkpoint_path(1);
    let spoil = |name: &str, bytes: &[u8]| {
        run.save_checkpoint(&checkpoint(1)).unwrap();
        fs::write(path.join(name), bytes).unwrap();
        read_error(&path)
    };
    let cut = spoil("model.safetensors", b"abc");
    assert!(cut.contains("model.safetensors is damaged: it has 3 bytes instead of "), "{cut}");
    let mut altered = fs::read(path.join("average.safetensors")).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    let altered = spoil("average.safetensors", &altered);
    assert!(altered.contains("average.safetensors is damaged: its checksum is wrong"), "{altered}");
    run.save_checkpoint(&checkpoint(1)).unwrap();
    fs::remove_file(path.join("optimizer.safetensors")).unwrap();
    assert!(read_error(&path).contains("optimizer.safetensors is damaged: it is missing; use an earlier"));
    run.save_checkpoint(&checkpoint(1)).unwrap();
    edit(&path.join("state.json"), "\"step\": 1", "\"step\": 3");
    assert!(read_error(&path).contains("state.json is damaged: its checksum is wrong, so some value"));
    run.save_checkpoint(&checkpoint(1)).unwrap();
    edit(&path.join("state.json"), "\"format_version\": 1", "\"format_version\": 2");
    let newer = read_error(&path);
    assert!(
        newer.ends_with("state.json has format version 2, this program knows up to 1; update the program"),
        "{newer}"
    );
    fs::remove_dir_all(&path).unwrap();
    assert!(read_error(&path).contains("state.json is damaged: it is missing"));
}

#[test]
fn another_time_convention_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    let mut reversed = checkpoint(1);
    reversed.state.time_convention = "t=1 noise, t=0 data".to_owned();
    let path = run.save_checkpoint(&reversed).unwrap();
    let message = read_error(&path);
    assert!(
        message.contains("the time convention \"t=1 noise, t=0 data\", this program uses \"t=0 noise"),
        "{message}"
    );
}

#[test]
fn what_is_not_finite_is_never_saved_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1]);
    let mut diverged = checkpoint(2);
    diverged.average = Tensors::new();
    diverged.average.insert("layers.0.weight", HostTensor::new([3], vec![0.0f32, f32::NAN, f32::INFINITY]));
    let error = run.save_checkpoint(&diverged).unwrap_err();
    assert!(matches!(&error, RunError::NotFinite { index: 1, .. }));
    let message = error.to_string();
    assert!(
        message.contains(
            "average.safetensors: tensor `layers.0.weight` holds NaN at element 1: the training diverged"
        ),
        "{message}"
    );
    assert!(!run.checkpoint_path(2).exists());
    assert_eq!(run.latest_checkpoint().unwrap().found.unwrap().1.state.step, 1);
}

#[test]
fn another_network_is_told_by_names_and_shapes() {
    let model = checkpoint(1).model;
    model.compare(&model.shapes()).unwrap();
    let mut expected = model.shapes();
    expected.insert("layers.0.bias".to_owned(), vec![5]);
    expected.remove("scale");
    expected.insert("layers.1.weight".to_owned(), vec![4, 2]);
    assert_eq!(
        model.compare(&expected).unwrap_err().to_string(),
        "the tensors do not fit the network (`layers.0.bias` is [2] instead of [5], `layers.1.weight` [4, 2] is missing, \
         `scale` [] is unknown to it); was the recipe's [model] changed? Use the config.toml of the run that wrote them"
    );
    let many = (0..9).map(|i| (format!("b{i}"), vec![1])).collect();
    let message = Tensors::new().compare(&many).unwrap_err().to_string();
    assert!(message.contains("`b3` [1] is missing, and 5 more);"), "{message}");
    let state = checkpoint(1).state;
    state.require_architecture("{\"kind\":\"mlp\"}").unwrap();
    let other = state.require_architecture("{\"kind\":\"unet\"}").unwrap_err().to_string();
    assert!(
        other.starts_with(
            "the checkpoint is of another architecture: it was written for {\"kind\":\"mlp\"}, the"
        ),
        "{other}"
    );
}

#[test]
fn remains_of_a_crash_are_no_checkpoints_and_are_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1]);
    // The panic stands for a kill: nothing is cleaned up.
    let killed = catch_unwind(|| {
        create_folder_atomically::<io::Error>(&run.checkpoint_path(2), |folder| {
            fs::write(folder.join("model.safetensors"), b"half")?;
            panic!("killed");
        })
    });
    assert!(killed.is_err());
    assert_eq!(fs::read_dir(run.checkpoints_path()).unwrap().count(), 2);
    let latest = run.latest_checkpoint().unwrap();
    assert_eq!(latest.found.unwrap().1.state.step, 1);
    assert!(latest.skipped.is_empty(), "nothing that ever was a checkpoint is lost");
    assert_eq!(run.keep_last(3).unwrap(), Vec::<u64>::new());
    assert_eq!(fs::read_dir(run.checkpoints_path()).unwrap().count(), 1);
    let deleted = run.checkpoints_path().join(".step-00000001.deleted.tmp");
    fs::rename(run.checkpoint_path(1), deleted).unwrap();
    run.clear_remains().unwrap();
    assert_eq!(fs::read_dir(run.checkpoints_path()).unwrap().count(), 0);
}

#[test]
fn a_renamed_checkpoint_is_not_taken_for_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1, 2]);
    fs::rename(run.checkpoint_path(1), run.checkpoint_path(9)).unwrap();
    let latest = run.latest_checkpoint().unwrap();
    assert_eq!(latest.found.unwrap().1.state.step, 2);
    assert!(latest.skipped[0].reason.to_string().contains("it holds step 1, so it was renamed"));
}

#[test]
fn old_checkpoints_go_but_never_the_newest_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1, 2, 3, 4, 5]);
    assert_eq!(run.keep_last(4).unwrap(), [1]);
    for step in [4, 5] {
        fs::write(run.checkpoint_path(step).join("model.safetensors"), b"").unwrap();
    }
    assert_eq!(run.keep_last(1).unwrap(), [2], "3 is the newest good one, 4 and 5 are newer");
    assert_eq!(run.latest_checkpoint().unwrap().found.unwrap().1.state.step, 3);
    fs::write(run.checkpoint_path(3).join("state.json"), b"{}").unwrap();
    assert_eq!(run.keep_last(1).unwrap(), Vec::<u64>::new(), "without a good one nothing is deleted");
    let mut run_with_good = run_with(&folder.path().join("b"), &[1, 2, 100_000_000]);
    assert_eq!(run_with_good.keep_last(0).unwrap(), [2, 1], "at least one is kept");
    run_with_good = RunDir::open(run_with_good.path()).unwrap();
    assert_eq!(run_with_good.latest_checkpoint().unwrap().found.unwrap().1.state.step, 100_000_000);
}

#[test]
fn a_read_only_run_loses_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let run = run_with(folder.path(), &[1]);
    let writable =
        |mode| fs::set_permissions(run.checkpoints_path(), fs::Permissions::from_mode(mode)).unwrap();
    writable(0o555);
    let may_write_all_the_same = fs::write(run.checkpoints_path().join("probe"), b"").is_ok();
    let saved = run.save_checkpoint(&checkpoint(2));
    writable(0o755);
    if may_write_all_the_same {
        // Root is stopped by no permission.
        saved.unwrap();
        return;
    }
    let message = saved.unwrap_err().to_string();
    assert!(
        message.contains("The checkpoint of step 1 is intact. Make the folder writable, then resume"),
        "{message}"
    );
    assert_eq!(run.latest_checkpoint().unwrap().found.unwrap().1, checkpoint(1));
}

/// Run as root: `cargo test -p thalweg-run -- --ignored`.
#[test]
#[ignore = "slow: mounts a tmpfs, which only root may"]
fn a_full_tmpfs_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).arg(folder.path()).status().unwrap().success());
    };
    mount("mount", &["-t", "tmpfs", "-o", "size=128k", "tmpfs"]);
    let outcome = catch_unwind(|| {
        let run = RunDir::create(&folder.path().join("run")).unwrap();
        let mut large = checkpoint(1);
        large.model.insert("wide", HostTensor::new([20_000], vec![0.5f32; 20_000]));
        run.save_checkpoint(&large).unwrap();
        large.state.step = 2;
        let message = run.save_checkpoint(&large).unwrap_err().to_string();
        assert!(message.contains("No space left on device"), "{message}");
        assert!(
            message.contains("The checkpoint of step 1 is intact. Free some space, then resume"),
            "{message}"
        );
        let latest = run.latest_checkpoint().unwrap();
        assert_eq!(latest.found.unwrap().1.state.step, 1);
        assert!(latest.skipped.is_empty(), "the half-written one is gone");
        assert_eq!(run.keep_last(1).unwrap(), Vec::<u64>::new());
    });
    mount("umount", &[]);
    outcome.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_tensors_survive(shapes in prop::collection::vec(prop::collection::vec(0usize..4, 0..4), 0..5), seed in any::<i32>()) {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        let mut saved = checkpoint(3);
        for (index, shape) in shapes.into_iter().enumerate() {
            let size: usize = shape.iter().product();
            let values = (0..size).map(|i| f64::from(seed) * 1e-3 + i as f64);
            let tensor = if index % 2 == 0 {
                HostTensor::new(shape, values.collect::<Vec<f64>>())
            } else {
                HostTensor::new(shape, values.map(|v| v as f32).collect::<Vec<f32>>())
            };
            saved.model.insert(format!("größe.{index}"), tensor);
        }
        let path = run.save_checkpoint(&saved).unwrap();
        prop_assert_eq!(Checkpoint::read(&path).unwrap(), saved);
    }
}
