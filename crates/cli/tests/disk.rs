//! A disk that is full, and one that cannot be written: nothing that was saved is lost, and the command says what to do.
//!
//! These tests mount small file systems, so they need root: `cargo test --release -p thalweg-cli -- --ignored`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{TINY, checkpoints, newest_checkpoint, thalweg};

/// A file system in memory, unmounted when dropped.
struct Mounted {
    folder: tempfile::TempDir,
}

impl Mounted {
    fn new(size: &str) -> Self {
        let mounted = Self { folder: tempfile::tempdir().unwrap() };
        mounted.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        mounted
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn remount(&self, options: &str) {
        self.mount(&["-o", &format!("remount,{options}")]);
    }

    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(self.path()).status().unwrap();
        assert!(status.success(), "mounting needs root");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

#[test]
#[ignore = "needs root to mount"]
fn a_full_disk_keeps_what_was_saved_and_the_training_goes_on_later() {
    let disk = Mounted::new("400k");
    let here = disk.path();
    // A checkpoint of this network takes about 150 kB, so the third one does not fit.
    let recipe = TINY.replace("width = 8", "width = 64").replace("hidden_layers = 2", "hidden_layers = 3");
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("mine.toml"), &recipe).unwrap();
    thalweg(elsewhere.path(), "train mine.toml --out unbroken").done();

    fs::write(here.join("mine.toml"), &recipe).unwrap();
    let parts =
        ["cannot save the checkpoint of step 60", "checkpoint of step 40 is intact", "Free some space"];
    let full = thalweg(here, "train mine.toml --out run").failed(1, &parts);
    assert!(full.err.contains("thalweg train --resume --out run"), "{}", full.err);
    assert_eq!(checkpoints(&here.join("run")).len(), 2, "saved checkpoints were lost");
    thalweg(here, &format!("sample run -n 10 -o {}", elsewhere.path().join("x.npy").display())).done();

    disk.remount("size=10m");
    thalweg(here, "train --resume --out run").done();
    assert!(newest_checkpoint(&here.join("run")) == newest_checkpoint(&elsewhere.path().join("unbroken")));
}

#[test]
#[ignore = "needs root to mount"]
fn a_read_only_disk_can_be_read_and_says_so_when_written() {
    let disk = Mounted::new("10m");
    let here = disk.path();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(here.join("mine.toml"), TINY).unwrap();
    thalweg(here, "train mine.toml --out run").done();
    disk.remount("ro");
    thalweg(here, &format!("sample run -n 10 -o {}", elsewhere.path().join("x.npy").display())).done();
    thalweg(here, "sample run -n 10").failed(1, &["samples.npy", "ead-only file system"]);
    thalweg(here, "train mine.toml --out other").failed(1, &["other", "ead-only file system", "--out"]);
    thalweg(here, "evaluate run").failed(1, &["scores.json", "ead-only file system"]);
}

#[test]
#[ignore = "needs root to mount"]
fn samples_that_do_not_fit_leave_the_old_ones() {
    let disk = Mounted::new("200k");
    let here = disk.path();
    fs::write(here.join("mine.toml"), TINY).unwrap();
    thalweg(here, "train mine.toml --out run").done();
    thalweg(here, "sample run -n 10 -o x.npy").done();
    let before = fs::read(here.join("x.npy")).unwrap();
    thalweg(here, "sample run -n 50000 --solver euler --steps 1 -o x.npy")
        .failed(1, &["x.npy", "No space left"]);
    assert_eq!(fs::read(here.join("x.npy")).unwrap(), before);
    assert_eq!(fs::read_dir(here).unwrap().filter(|e| e.as_ref().unwrap().path().is_file()).count(), 2);
}
