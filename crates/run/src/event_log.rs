//! The sink that writes `events.jsonl`.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thalweg_files::write_atomically;

use crate::error::RunError;
use crate::event::{Event, Record, read_events};
use crate::sinks::Sink;

/// Appends events to a file, each with one write, so that a reader sees whole lines and a crash can tear only the last.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends.
    end: u64,
}

impl EventLog {
    /// Begins an empty log at `path`.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(path: &Path) -> Result<Self, RunError> {
        File::create(path).map_err(RunError::io("make", path))?;
        Self::append_to(path)
    }

    /// Goes on with the log at `path` after the checkpoint of `step`, so that it reads like that of an unbroken run:
    /// a torn last line, all events of later steps, which will happen again, and the end of the run are removed. The
    /// events of `step` itself stay. A log that is not there is begun.
    ///
    /// # Errors
    /// The file system's, and a complete line that is no event.
    pub fn resume(path: &Path, step: u64) -> Result<Self, RunError> {
        if !path.exists() {
            return Self::create(path);
        }
        let mut kept = Vec::new();
        for record in read_events(path)? {
            if record.event.step() <= step && !matches!(record.event, Event::Finished { .. }) {
                kept.extend(line(path, &record)?);
            }
        }
        write_atomically(path, &kept).map_err(RunError::io("write", path))?;
        Self::append_to(path)
    }

    fn append_to(path: &Path) -> Result<Self, RunError> {
        let failed = || RunError::io("open", path);
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed())?;
        let end = file.seek(SeekFrom::End(0)).map_err(failed())?;
        Ok(Self { path: path.to_path_buf(), file, end })
    }

    fn append(&mut self, record: &Record) -> Result<(), RunError> {
        let line = line(&self.path, record)?;
        // Nothing but a failed write, on a full disk, leaves anything after `end`.
        let rewound = self.file.seek(SeekFrom::Start(self.end)).map(drop);
        let written =
            rewound.and_then(|()| self.file.write_all(&line)).map_err(RunError::io("write", &self.path));
        if written.is_ok() {
            self.end += line.len() as u64;
        } else {
            // If even this fails, readers still drop the torn line.
            let _ = self.file.set_len(self.end);
        }
        written
    }
}

impl Sink for EventLog {
    fn event(&mut self, event: &Event) -> Result<(), RunError> {
        self.append(&Record { time: now(), event: event.clone() })
    }
}

/// Seconds since 1970, UTC; 0 for a clock set before it.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn line(path: &Path, record: &Record) -> Result<Vec<u8>, RunError> {
    let mut line = serde_json::to_vec(record)
        .map_err(|error| RunError::Json { path: path.to_path_buf(), message: error.to_string() })?;
    line.push(b'\n');
    Ok(line)
}
