//! Checkpoints: all that is needed to go on with a training, or to sample from it.
//!
//! A checkpoint is a folder of three safetensors files and `state.json`, which records the size and CRC-32C of each
//! file and of itself. It appears complete or not at all, and no bit of it can change unnoticed.

pub(crate) mod catalogue;
pub(crate) mod tensors;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thalweg_files::{create_folder_atomically, write_atomically};

use crate::crc32c::crc32c;
use crate::error::RunError;
use crate::folder::{CREATED_BY, FORMAT_VERSION, RunDir, TIME_CONVENTION};
use crate::folder::{check_time_convention, check_version, from_json, to_json};
use tensors::Tensors;

const STATE: &str = "state.json";

/// The state of a training after `state.step` steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The network's parameters as training has them, `model.safetensors`.
    pub model: Tensors,
    /// Their moving average, which is what samples are drawn with, `average.safetensors`.
    pub average: Tensors,
    /// The optimiser's moments, `optimizer.safetensors`.
    pub optimizer: Tensors,
    /// Everything that is not a tensor.
    pub state: CheckpointState,
}

/// `state.json` but for its checksums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointState {
    /// Version of the folder's format.
    pub format_version: u32,
    /// Program and version that wrote it.
    pub created_by: String,
    /// How time runs; [`TIME_CONVENTION`].
    pub time_convention: String,
    /// Optimiser steps taken.
    pub step: u64,
    /// Seed of the run; with `step` it gives every random number to come.
    pub seed: u64,
    /// Whatever else is counted: draws of a noise stream, epochs, samples seen.
    pub counters: BTreeMap<String, u64>,
    /// Tells whether the data is still the same.
    pub data_fingerprint: String,
    /// Tells whether the network is still the same; as a rule the recipe's `[model]` as JSON.
    pub architecture: String,
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile {
    #[serde(flatten)]
    state: CheckpointState,
    files: BTreeMap<String, FileRecord>,
    /// CRC-32C of the compact JSON of the two fields above.
    checksum: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    crc32c: u32,
}

impl CheckpointState {
    /// The state after `step` steps of a run, without counters; the rest is recorded by itself.
    pub fn new(
        step: u64,
        seed: u64,
        data_fingerprint: impl Into<String>,
        architecture: impl Into<String>,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            created_by: CREATED_BY.to_owned(),
            time_convention: TIME_CONVENTION.to_owned(),
            step,
            seed,
            counters: BTreeMap::new(),
            data_fingerprint: data_fingerprint.into(),
            architecture: architecture.into(),
        }
    }

    /// Checks that the checkpoint was written for the network that is wanted, before its tensors are looked at.
    ///
    /// # Errors
    /// [`RunError::OtherArchitecture`] with both fingerprints.
    pub fn require_architecture(&self, expected: &str) -> Result<(), RunError> {
        if self.architecture == expected {
            return Ok(());
        }
        let (found, expected) = (self.architecture.clone(), expected.to_owned());
        Err(RunError::OtherArchitecture { found, expected })
    }
}

impl Checkpoint {
    /// Reads the checkpoint in the folder `path` and checks every byte of it. Takes the memory of the tensors plus that
    /// of one file.
    ///
    /// # Errors
    /// A file that is missing, truncated or altered, a newer format, another time convention, a weight that is not
    /// finite.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let (state, files) = read_state(&path.join(STATE))?;
        let tensors = |name: &str| {
            let file = path.join(name);
            let record = files
                .get(name)
                .ok_or_else(|| RunError::damaged(&path.join(STATE), format!("it does not list {name}")))?;
            let tensors = Tensors::decode(&read_recorded(&file, record)?, &file)?;
            tensors.check_finite(&file)?;
            Ok(tensors)
        };
        let [model, average, optimizer] = FILES.map(tensors);
        Ok(Self { model: model?, average: average?, optimizer: optimizer?, state })
    }

    fn tensors(&self) -> [&Tensors; 3] {
        [&self.model, &self.average, &self.optimizer]
    }
}

/// The folder with the weights that a run starts from.
pub(crate) const BASE: &str = "base";

/// The folder with what the run has made for itself.
pub(crate) const MADE: &str = "made";

/// The files of a checkpoint, in the order of [`Checkpoint::tensors`].
const FILES: [&str; 3] = ["model.safetensors", "average.safetensors", "optimizer.safetensors"];

impl RunDir {
    /// Saves a checkpoint under its step and returns its folder; one that is there already is replaced. The checkpoint
    /// is synced to disk before it gets its name. Takes a copy of all tensors in memory.
    ///
    /// # Errors
    /// A tensor that is not finite, before anything is written; a disk that is full or read-only, with the newest
    /// checkpoint that is intact. In both cases nothing that was written before is lost.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<PathBuf, RunError> {
        self.save_checkpoint_by(checkpoint, write_atomically)
    }

    /// Saves the weights that the run starts from, as a checkpoint in the folder `base`.
    ///
    /// # Errors
    /// Those of [`save_checkpoint`](RunDir::save_checkpoint).
    pub fn save_base(&self, checkpoint: &Checkpoint) -> Result<(), RunError> {
        self.save_at(self.path().join(BASE), checkpoint, write_atomically).map(|_| ())
    }

    /// What [`save_base`](RunDir::save_base) saved.
    ///
    /// # Errors
    /// Those of [`Checkpoint::read`].
    pub fn read_base(&self) -> Result<Checkpoint, RunError> {
        Checkpoint::read(&self.path().join(BASE))
    }

    /// Keeps what the run has made for itself and could make again, as a checkpoint in the folder `made`.
    ///
    /// # Errors
    /// Those of [`save_checkpoint`](RunDir::save_checkpoint).
    pub fn save_made(&self, made: &Checkpoint) -> Result<(), RunError> {
        self.save_at(self.path().join(MADE), made, write_atomically).map(|_| ())
    }

    /// What [`save_made`](RunDir::save_made) kept; none where nothing was.
    ///
    /// # Errors
    /// Those of [`Checkpoint::read`].
    pub fn read_made(&self) -> Result<Option<Checkpoint>, RunError> {
        let path = self.path().join(MADE);
        if path.exists() { Checkpoint::read(&path).map(Some) } else { Ok(None) }
    }

    /// [`save_checkpoint`](RunDir::save_checkpoint) with the writing of one file given, so that tests can run out of disk.
    fn save_checkpoint_by(
        &self,
        checkpoint: &Checkpoint,
        write: impl FnMut(&Path, &[u8]) -> io::Result<()>,
    ) -> Result<PathBuf, RunError> {
        self.save_at(self.checkpoint_path(checkpoint.state.step), checkpoint, write)
    }

    fn save_at(
        &self,
        path: PathBuf,
        checkpoint: &Checkpoint,
        mut write: impl FnMut(&Path, &[u8]) -> io::Result<()>,
    ) -> Result<PathBuf, RunError> {
        let step = checkpoint.state.step;
        let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
        for (name, tensors) in FILES.into_iter().zip(checkpoint.tensors()) {
            tensors.check_finite(&path.join(name))?;
            files.push((name, tensors.encode()));
        }
        // Last, so that a folder with a state is a folder with everything.
        files.push((STATE, encode_state(&checkpoint.state, &files, &path.join(STATE))?));
        let needed = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();

        let saved = create_folder_atomically(&path, |folder| {
            files.iter().try_for_each(|(name, bytes)| {
                write(&folder.join(name), bytes).map_err(|source| Unsaved { file: path.join(name), source })
            })
        });
        match saved {
            Ok(()) => Ok(path),
            Err(Unsaved { file, source }) => {
                let file = if file.as_os_str().is_empty() { path } else { file };
                let previous = self.latest_checkpoint().ok().and_then(|latest| latest.found);
                let previous = previous.map(|(_, checkpoint)| checkpoint.state.step);
                Err(RunError::NotSaved {
                    step,
                    file,
                    needed,
                    previous,
                    run: self.path().to_path_buf(),
                    source,
                })
            }
        }
    }
}

/// Which file of a checkpoint could not be written; none when it was the folder.
struct Unsaved {
    file: PathBuf,
    source: io::Error,
}

impl From<io::Error> for Unsaved {
    fn from(source: io::Error) -> Self {
        Self { file: PathBuf::new(), source }
    }
}

fn encode_state(
    state: &CheckpointState,
    files: &[(&str, Vec<u8>)],
    path: &Path,
) -> Result<Vec<u8>, RunError> {
    let record = |bytes: &Vec<u8>| FileRecord { bytes: bytes.len() as u64, crc32c: crc32c(bytes) };
    let files: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| ((*name).to_owned(), record(bytes))).collect();
    let checksum = seal(state, &files, path)?;
    to_json(path, &StateFile { state: state.clone(), files, checksum })
}

fn read_state(path: &Path) -> Result<(CheckpointState, BTreeMap<String, FileRecord>), RunError> {
    let bytes = read_present(path)?;
    let text = String::from_utf8(bytes).map_err(|_| RunError::damaged(path, "it is not text"))?;
    let damaged = |error| match error {
        RunError::Json { path, message } => RunError::Damaged { path, message },
        other => other,
    };
    check_version(path, &text).map_err(damaged)?;
    let StateFile { state, files, checksum } = from_json(path, &text).map_err(damaged)?;
    if seal(&state, &files, path)? != checksum {
        return Err(RunError::damaged(path, "its checksum is wrong, so some value in it was altered"));
    }
    check_time_convention(path, &state.time_convention)?;
    Ok((state, files))
}

/// The checksum that `state.json` carries over itself: of the values, so that its layout is free.
fn seal(state: &CheckpointState, files: &BTreeMap<String, FileRecord>, path: &Path) -> Result<u32, RunError> {
    Ok(crc32c(&to_json(path, &(state, files))?))
}

fn read_recorded(path: &Path, record: &FileRecord) -> Result<Vec<u8>, RunError> {
    let bytes = read_present(path)?;
    let (found, expected) = (bytes.len() as u64, record.bytes);
    if found != expected {
        return Err(RunError::damaged(path, format!("it has {found} bytes instead of {expected}")));
    }
    if crc32c(&bytes) != record.crc32c {
        return Err(RunError::damaged(path, "its checksum is wrong, so some byte in it was altered"));
    }
    Ok(bytes)
}

fn read_present(path: &Path) -> Result<Vec<u8>, RunError> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RunError::damaged(path, "it is missing"),
        _ => RunError::io("read", path)(error),
    })
}

#[cfg(test)]
mod tests {
    use super::tensors::HostTensor;
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        let mut model = Tensors::new();
        model.insert("layer.weight", HostTensor::new([2, 2], vec![1.0f32, -2.0, 0.5, step as f32]));
        let state = CheckpointState::new(step, 7, "moons", "mlp");
        Checkpoint { average: model.clone(), optimizer: model.clone(), model, state }
    }

    /// A disk with room for `left` bytes, which keeps what fits, as real ones do.
    fn disk_of(mut left: usize) -> impl FnMut(&Path, &[u8]) -> io::Result<()> {
        move |path, bytes| {
            let fits = bytes.len().min(left);
            left -= fits;
            fs::write(path, &bytes[..fits])?;
            if fits < bytes.len() { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
        }
    }

    #[test]
    fn a_full_disk_loses_nothing_wherever_it_strikes() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        run.save_checkpoint(&checkpoint(100)).unwrap();
        let needed: u64 = fs::read_dir(run.checkpoint_path(100))
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .sum();
        let mut failing = Vec::new();
        for room in (0..needed as usize).step_by(37) {
            let error = run.save_checkpoint_by(&checkpoint(200), disk_of(room)).unwrap_err();
            let RunError::NotSaved { step: 200, file, needed: told, previous: Some(100), .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(*told, needed);
            failing.push(file.file_name().unwrap().to_str().unwrap().to_owned());
            assert_eq!(fs::read_dir(run.checkpoints_path()).unwrap().count(), 1, "something is left behind");
            assert_eq!(run.latest_checkpoint().unwrap().found.unwrap().1, checkpoint(100));
        }
        failing.dedup();
        assert_eq!(
            failing,
            ["model.safetensors", "average.safetensors", "optimizer.safetensors", "state.json"]
        );
        run.save_checkpoint_by(&checkpoint(200), disk_of(needed as usize)).unwrap();
        assert_eq!(run.latest_checkpoint().unwrap().found.unwrap().1, checkpoint(200));
    }

    #[test]
    fn a_full_disk_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        let first = run.save_checkpoint_by(&checkpoint(100), disk_of(10)).unwrap_err().to_string();
        assert!(first.starts_with("cannot save the checkpoint of step 100: writing "), "{first}");
        assert!(first.contains("step-00000100/model.safetensors failed: "), "{first}");
        assert!(
            first.contains("There is no earlier checkpoint. Free some space, then resume with"),
            "{first}"
        );
        run.save_checkpoint(&checkpoint(100)).unwrap();
        let second = run.save_checkpoint_by(&checkpoint(200), disk_of(10)).unwrap_err().to_string();
        assert!(
            second.contains("The checkpoint of step 100 is intact. Free some space, then resume"),
            "{second}"
        );
        assert!(
            second.ends_with(&format!("`thalweg train --resume --out {}`", folder.path().display())),
            "{second}"
        );
    }
}
