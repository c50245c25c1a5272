//! `scores.json`: what an evaluation found, in whatever form the evaluation has; and other documents beside it.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thalweg_files::write_atomically;

use crate::error::RunError;
use crate::folder::{RunDir, from_json, write_json};

impl RunDir {
    /// Writes `scores.json`. JSON has no infinities; let their fields go through [`non_finite`](crate::non_finite).
    ///
    /// # Errors
    /// The file system's, and a type without a JSON form.
    pub fn write_scores<T: Serialize>(&self, scores: &T) -> Result<(), RunError> {
        write_json(&self.scores_path(), scores)
    }

    /// Writes another JSON document of this name beside it, and returns its path.
    ///
    /// # Errors
    /// As [`write_scores`](RunDir::write_scores).
    pub fn write_document<T: Serialize>(&self, name: &str, document: &T) -> Result<PathBuf, RunError> {
        let path = self.path().join(name);
        write_json(&path, document).map(|()| path)
    }

    /// The same for a document that is text already.
    ///
    /// # Errors
    /// As [`write_scores`](Self::write_scores).
    pub fn write_text(&self, name: &str, text: &str) -> Result<PathBuf, RunError> {
        let path = self.path().join(name);
        write_atomically(&path, text.as_bytes()).map_err(RunError::io("write", &path))?;
        Ok(path)
    }

    /// Reads `scores.json`, or nothing if the run has not been evaluated.
    ///
    /// # Errors
    /// A file that cannot be read or does not hold a `T`.
    pub fn read_scores<T: DeserializeOwned>(&self) -> Result<Option<T>, RunError> {
        let path = self.scores_path();
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(RunError::io("read", &path))?;
        from_json(&path, &text).map(Some)
    }
}
