//! One writer at a time: the claim on a run folder.
//!
//! The claim is the operating system's lock on the file `lock`, so it ends with the process, also by `kill -9` or a crash,
//! and can never go stale. The file holds the writer's process id, for the message to whoever comes second. It is left
//! in place and emptied at the end: removing it could let two processes lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::RunError;

/// The claim to write a run; dropping it gives the run free.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    abandoned_by: Option<u32>,
}

impl RunLock {
    /// Claims a folder, until the guard is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`RunError::Locked`] when another process, or another guard in this one, has the claim.
    pub fn take(root: &Path) -> Result<Self, RunError> {
        let path: PathBuf = root.join("lock");
        let failed = |action| RunError::io(action, &path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open"))?;
        let locked = file.try_lock();
        // What a process that is gone left behind, or what the one that has the lock wrote.
        let mut text = String::new();
        let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Locked { path: root.to_path_buf(), process });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("write"))?;
        Ok(Self { file, abandoned_by: process })
    }

    /// The process that held the claim last and ended without giving it up: it was killed or it crashed.
    #[must_use]
    pub fn abandoned_by(&self) -> Option<u32> {
        self.abandoned_by
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // A file that cannot be emptied only makes the next writer think of a crash. Closing the file would unlock it
        // too, but not while a child process that is just being started still has it open.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}
