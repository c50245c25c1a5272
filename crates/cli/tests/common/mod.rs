//! Running the program as a user does.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Outcome {
    /// Fails unless the command did what was asked.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// Fails unless the request was refused with all of `parts` in the message.
    #[track_caller]
    pub fn refused(self, parts: &[&str]) -> Self {
        self.failed(2, parts)
    }

    /// Fails unless the command ended with `code` and all of `parts` in the message.
    #[track_caller]
    pub fn failed(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing in: {}", self.err);
        }
        self
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in: {}", self.out))
    }
}

/// The program in the folder `here`, with arguments separated by spaces.
pub fn command(here: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command
        .args(arguments.split_whitespace())
        .args(["--threads", "1"])
        .current_dir(here)
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn thalweg(here: &Path, arguments: &str) -> Outcome {
    command(here, arguments).output().expect("the program starts").into()
}

/// Starts the program and does not wait.
pub fn start(here: &Path, arguments: &str) -> Child {
    command(here, arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// A recipe that trains in a fraction of a second.
pub const TINY: &str = r#"
name = "tiny"

[data.target]
kind = "two-moons"

[model]
width = 8
hidden_layers = 2

[train]
steps = 60
batch = 32
log_every = 10
validate_every = 30
checkpoint_every = 20

[evaluate]
samples = 60
likelihood_points = 20
replicates = 3
report = false
"#;

/// A folder with `tiny.toml` and a run of it, `run`, trained once for all tests of a file.
pub fn trained() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own name");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test.file_stem().expect("a file name"));
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the folder of an earlier test run is ours");
        }
        fs::create_dir_all(&folder).expect("the build folder is writable");
        fs::write(folder.join("tiny.toml"), TINY).expect("the build folder is writable");
        thalweg(&folder, "train tiny.toml --out run").done();
        folder
    })
}

/// A copy of the trained run that a test may damage.
pub fn copied_run() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folders exist");
    copy(&trained().join("run"), &folder.path().join("run"));
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is ours");
    for entry in fs::read_dir(from).expect("the run can be listed") {
        let entry = entry.expect("the run can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the run can be read");
        }
    }
}

/// The checkpoints of a run, oldest first.
pub fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(run.join("checkpoints")) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-")));
    found.sort();
    found
}

/// Every file of the newest checkpoint with its bytes, by name.
pub fn newest_checkpoint(run: &Path) -> Vec<(String, Vec<u8>)> {
    let path = checkpoints(run).pop().expect("the run has a checkpoint");
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(&path)
        .expect("the checkpoint can be listed")
        .map(|entry| entry.expect("the checkpoint can be listed"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("the checkpoint can be read"))
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 4, "a checkpoint has four files");
    files
}
