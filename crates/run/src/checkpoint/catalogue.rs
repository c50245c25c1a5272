//! The checkpoints of a run: the newest good one, and how many to keep.

use std::fs;
use std::path::{Path, PathBuf};

use super::Checkpoint;
use crate::error::RunError;
use crate::folder::RunDir;

/// What [`RunDir::latest_checkpoint`] found.
#[derive(Debug)]
pub struct Latest {
    /// The newest checkpoint that is whole, with its folder.
    pub found: Option<(PathBuf, Checkpoint)>,
    /// Newer ones that are not, newest first: worth a warning.
    pub skipped: Vec<Skipped>,
}

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub struct Skipped {
    /// Its folder.
    pub path: PathBuf,
    /// Why.
    pub reason: RunError,
}

impl RunDir {
    /// The newest checkpoint that is complete and undamaged. Reads every byte of it, and of none that is older.
    ///
    /// # Errors
    /// Only if the folder of checkpoints itself cannot be read; no checkpoint at all is no error.
    pub fn latest_checkpoint(&self) -> Result<Latest, RunError> {
        let mut skipped = Vec::new();
        // What is unfinished was never a checkpoint, or is one no more: nothing is lost with it.
        for Entry { step, path, .. } in self.checkpoints()?.into_iter().filter(|entry| entry.finished) {
            match read_as(step, &path) {
                Ok(checkpoint) => return Ok(Latest { found: Some((path, checkpoint)), skipped }),
                Err(reason) => skipped.push(Skipped { path, reason }),
            }
        }
        Ok(Latest { found: None, skipped })
    }

    /// Deletes old checkpoints so that the newest `n` are left, at least one, and returns the steps deleted. The newest
    /// good one is never deleted, even if `n` newer ones are damaged; so this reads checkpoints until one is good, as a
    /// rule the last one saved. Remains of interrupted saves are removed too: call it only under the run's lock.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep_last(&self, n: usize) -> Result<Vec<u64>, RunError> {
        let (entries, remains): (Vec<Entry>, Vec<Entry>) =
            self.checkpoints()?.into_iter().partition(|e| e.finished);
        let newest_good = entries.iter().position(|entry| read_as(entry.step, &entry.path).is_ok());
        // Without a good one nothing is deleted: what is damaged may still be of use to someone.
        let kept = newest_good.map_or(entries.len(), |index| n.max(index + 1));
        let mut deleted = Vec::new();
        for Entry { step, path, .. } in entries.into_iter().skip(kept) {
            delete(&path)?;
            deleted.push(step);
        }
        remove_all(remains)?;
        Ok(deleted)
    }

    /// Removes what interrupted saves and deletions have left: call it only under the run's lock.
    ///
    /// # Errors
    /// The file system's.
    pub fn clear_remains(&self) -> Result<(), RunError> {
        remove_all(self.checkpoints()?.into_iter().filter(|entry| !entry.finished))
    }

    /// All folders of checkpoints, newest first, a finished one before an unfinished one of the same step.
    fn checkpoints(&self) -> Result<Vec<Entry>, RunError> {
        let folder = self.checkpoints_path();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let failed = || RunError::io("list", &folder);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            // `.step-00000200.0.tmp` and the like are being written, or deleted, or are what a crash left of that.
            let hidden = name.strip_prefix('.').filter(|name| name.ends_with(".tmp"));
            let visible = hidden.and_then(|name| name.split('.').next()).unwrap_or(name);
            let step = visible.strip_prefix("step-").and_then(|digits| digits.parse().ok());
            if let Some(step) = step {
                entries.push(Entry { step, path: entry.path(), finished: hidden.is_none() });
            }
        }
        entries.sort_by(|a, b| (b.step, b.finished, &b.path).cmp(&(a.step, a.finished, &a.path)));
        Ok(entries)
    }
}

struct Entry {
    step: u64,
    path: PathBuf,
    finished: bool,
}

fn read_as(step: u64, path: &Path) -> Result<Checkpoint, RunError> {
    let checkpoint = Checkpoint::read(path)?;
    let recorded = checkpoint.state.step;
    if recorded != step {
        return Err(RunError::damaged(path, format!("it holds step {recorded}, so it was renamed")));
    }
    Ok(checkpoint)
}

fn remove_all(entries: impl IntoIterator<Item = Entry>) -> Result<(), RunError> {
    entries
        .into_iter()
        .try_for_each(|Entry { path, .. }| fs::remove_dir_all(&path).map_err(RunError::io("remove", &path)))
}

/// Takes the name away before the contents, so that nobody meets half a checkpoint.
fn delete(path: &Path) -> Result<(), RunError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!(".{name}.deleted.tmp"));
    let removed = fs::rename(path, &hidden).and_then(|()| fs::remove_dir_all(&hidden));
    removed.map_err(RunError::io("remove", path))
}
