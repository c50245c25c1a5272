//! What can go wrong with a run folder.

use std::io;
use std::path::{Path, PathBuf};

/// Why a run folder, a checkpoint or a log cannot be read or written. Each message says what to try.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was tried, as in "cannot {action} {path}".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// There is no such folder.
    #[error("there is no run folder at {}; check the path", .0.display())]
    Missing(PathBuf),
    /// A file lies where the run folder should be.
    #[error("{} is a file, not a run folder; name another path", .0.display())]
    NotAFolder(PathBuf),
    /// The folder exists but no run is in it.
    #[error("{} is not a run folder: it holds no run.json; name the folder that a training run wrote", .0.display())]
    NotARun(PathBuf),
    /// A new run would overwrite an old one.
    #[error("{} already holds a run; go on with it by --resume, or name another folder by --out", .0.display())]
    HoldsARun(PathBuf),
    /// A comparison would no longer know its own folder.
    #[error("{} holds a comparison; give the run another folder by --out", .0.display())]
    HoldsAComparison(PathBuf),
    /// Another process writes this run.
    #[error("{} is being written by {}; wait for it to end or stop it", path.display(), writer(*process))]
    Locked {
        /// The run folder.
        path: PathBuf,
        /// The process, where it is known.
        process: Option<u32>,
    },
    /// The file comes from a later version of this program.
    #[error("{} has format version {found}, this program knows up to {known}; update the program", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that can be read.
        known: u32,
    },
    /// The file runs time the other way.
    #[error("{} was written with the time convention {found:?}, this program uses {known:?}; convert it first", path.display())]
    TimeConvention {
        /// The file.
        path: PathBuf,
        /// Its convention.
        found: String,
        /// Ours.
        known: &'static str,
    },
    /// A file is incomplete or altered.
    #[error("{} is damaged: {message}; use an earlier checkpoint or a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        message: String,
    },
    /// A weight or a moment is NaN or infinite.
    #[error("{}: tensor `{tensor}` holds {value} at element {index}: the training diverged before this checkpoint; use an earlier one, and lower the learning rate or clip gradients", path.display())]
    NotFinite {
        /// The file, or the name it would have had.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The first such element, in row-major order.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The tensors are not those that the network has.
    #[error(
        "the tensors do not fit the network ({differences}); was the recipe's [model] changed? Use the config.toml of the run that wrote them"
    )]
    OtherTensors {
        /// The first few differences of names and shapes, and the number of the rest.
        differences: String,
    },
    /// The checkpoint records another architecture.
    #[error(
        "the checkpoint is of another architecture: it was written for {found}, the recipe asks for {expected}; use the config.toml of its own run"
    )]
    OtherArchitecture {
        /// The recorded fingerprint.
        found: String,
        /// The fingerprint that is wanted.
        expected: String,
    },
    /// A checkpoint could not be saved; those before it are intact.
    #[error("cannot save {}: writing {} failed: {source}; it takes {} in all. {} {}, then resume with `thalweg train --resume --out {}`", lost(file, *step), file.display(), size(*needed), intact(*previous), remedy(source), run.display())]
    NotSaved {
        /// The step whose checkpoint is lost.
        step: u64,
        /// The file that failed.
        file: PathBuf,
        /// Bytes of the whole checkpoint.
        needed: u64,
        /// The newest good checkpoint, to resume from.
        previous: Option<u64>,
        /// The run folder.
        run: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// A line of a log is complete but no event.
    #[error("{}:{line}: this line is no event ({message}); remove the line, or move the file away to go on without it", path.display())]
    Event {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A JSON file does not hold what it should.
    #[error("{} cannot be read: {message}; write it again", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
}

impl RunError {
    /// For `map_err`: the error of `action` on `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), message: message.into() }
    }
}

/// What would cure an error of the file system, as a command.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Free some space",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => "Make the folder writable",
        _ => "Repair the cause",
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; make it accessible or name another folder by --out"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a file is in the way, name another path"
        }
        _ => "",
    }
}

/// What could not be saved.
fn lost(file: &Path, step: u64) -> String {
    let is_in = |folder: &str| file.components().any(|part| part.as_os_str() == folder);
    if is_in(crate::checkpoint::MADE) {
        "what the run has made for its next network".to_string()
    } else if is_in(crate::checkpoint::BASE) {
        "the weights that the run starts from".to_string()
    } else {
        format!("the checkpoint of step {step}")
    }
}

fn intact(previous: Option<u64>) -> String {
    match previous {
        Some(step) => format!("The checkpoint of step {step} is intact."),
        None => "There is no earlier checkpoint.".to_owned(),
    }
}

fn writer(process: Option<u32>) -> String {
    process.map_or("another process".to_owned(), |id| format!("process {id}"))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
