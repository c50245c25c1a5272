//! The run folder: where everything lies, how a run is begun and how it is opened again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg_files::write_atomically;

use crate::error::RunError;
use crate::lock::RunLock;

/// The newest version of the run folder's format that this crate reads, and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

/// How time runs in every file of a run; recorded, because half the field runs it the other way.
pub const TIME_CONVENTION: &str = "t=0 noise, t=1 data";

/// The file that makes a folder a comparison, which is a folder of runs and no run.
pub const COMPARISON_FILE: &str = "comparison.toml";

/// Program and version, recorded in what is written.
pub(crate) const CREATED_BY: &str = concat!("thalweg ", env!("CARGO_PKG_VERSION"));

/// A run folder that exists. Holding one is no claim to write; [`RunDir::lock`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
}

/// `run.json`: what makes a folder a run.
#[derive(Serialize, Deserialize)]
struct RunFile {
    format_version: u32,
    time_convention: String,
    created_by: String,
}

impl RunDir {
    /// Begins a run at `path`, making the folder and its parents. A folder that is there may hold other things, but no
    /// run and no comparison: to go on with a run, [`open`](RunDir::open) it.
    ///
    /// # Errors
    /// A file at `path` or above it, a folder that holds a run or a comparison, a place where nothing can be written.
    pub fn create(path: &Path) -> Result<Self, RunError> {
        if path.exists() && !path.is_dir() {
            return Err(RunError::NotAFolder(path.to_path_buf()));
        }
        let run = Self { root: path.to_path_buf() };
        if run.is_begun() {
            return Err(RunError::HoldsARun(path.to_path_buf()));
        }
        if path.join(COMPARISON_FILE).exists() {
            return Err(RunError::HoldsAComparison(path.to_path_buf()));
        }
        fs::create_dir_all(path).map_err(RunError::io("make the folder", path))?;
        let marker = RunFile {
            format_version: FORMAT_VERSION,
            time_convention: TIME_CONVENTION.to_owned(),
            created_by: CREATED_BY.to_owned(),
        };
        write_json(&run.marker_path(), &marker)?;
        Ok(run)
    }

    /// Opens the run at `path`, to read it or to go on with it.
    ///
    /// # Errors
    /// No folder, a folder without a run, a run of a newer format.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let run = Self { root: path.to_path_buf() };
        if !path.exists() {
            return Err(RunError::Missing(path.to_path_buf()));
        }
        if !path.is_dir() {
            return Err(RunError::NotAFolder(path.to_path_buf()));
        }
        let marker = run.marker_path();
        if !marker.exists() {
            return Err(RunError::NotARun(path.to_path_buf()));
        }
        let text = fs::read_to_string(&marker).map_err(RunError::io("read", &marker))?;
        check_version(&marker, &text)?;
        let known: RunFile = from_json(&marker, &text)?;
        check_time_convention(&marker, &known.time_convention)?;
        Ok(run)
    }

    /// Whether there is something to go on with. What a crash leaves of a beginning, before the recipe is written, is no
    /// run yet, and [`create`](RunDir::create) takes its place.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.config_path().exists() || self.events_path().exists() || self.checkpoints_path().exists()
    }

    /// Claims the run for writing, until the guard is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`RunError::Locked`] when another process, or another guard in this one, has the claim.
    pub fn lock(&self) -> Result<RunLock, RunError> {
        RunLock::take(&self.root)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// `config.toml`, the complete recipe.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// `events.jsonl`, the log of the training.
    #[must_use]
    pub fn events_path(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// `scores.json`, what `evaluate` measured.
    #[must_use]
    pub fn scores_path(&self) -> PathBuf {
        self.root.join("scores.json")
    }

    /// `report.html`, the pictures.
    #[must_use]
    pub fn report_path(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// `checkpoints`, absent until the first one.
    #[must_use]
    pub fn checkpoints_path(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// `checkpoints/step-00020000`; eight digits make the names sort, more are no error.
    #[must_use]
    pub fn checkpoint_path(&self, step: u64) -> PathBuf {
        self.checkpoints_path().join(format!("step-{step:08}"))
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    /// The file system's.
    pub fn write_config(&self, toml: &str) -> Result<(), RunError> {
        let path = self.config_path();
        write_atomically(&path, toml.as_bytes()).map_err(RunError::io("write", &path))
    }

    fn marker_path(&self) -> PathBuf {
        self.root.join("run.json")
    }
}

/// Refuses what a newer program wrote before anything else of it is read, since the rest may have another form.
pub(crate) fn check_version(path: &Path, json: &str) -> Result<(), RunError> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let Version { format_version: found } = from_json(path, json)?;
    if found > FORMAT_VERSION {
        return Err(RunError::NewerFormat { path: path.to_path_buf(), found, known: FORMAT_VERSION });
    }
    Ok(())
}

pub(crate) fn check_time_convention(path: &Path, found: &str) -> Result<(), RunError> {
    if found != TIME_CONVENTION {
        let (path, found) = (path.to_path_buf(), found.to_owned());
        return Err(RunError::TimeConvention { path, found, known: TIME_CONVENTION });
    }
    Ok(())
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(path: &Path, json: &'a str) -> Result<T, RunError> {
    serde_json::from_str(json)
        .map_err(|error| RunError::Json { path: path.to_path_buf(), message: error.to_string() })
}

pub(crate) fn to_json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, RunError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| RunError::Json { path: path.to_path_buf(), message: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    write_atomically(path, &to_json(path, value)?).map_err(RunError::io("write", path))
}
