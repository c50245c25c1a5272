//! Readers. They look at a file's size before they believe its header, so a lie costs no memory, and they execute
//! nothing that a file brings.

pub(crate) mod archive;
pub(crate) mod csv;
mod element;
pub(crate) mod hdf5;
pub(crate) mod inspect;
mod literal;
pub(crate) mod npy;
pub(crate) mod npz;

use std::fs::File;
use std::path::Path;

use crate::error::{DataError, Place};

/// Opens a file that is not a directory and not empty; returns its size in bytes too.
pub(crate) fn open(path: &Path) -> Result<(File, u64), DataError> {
    let file = File::open(path).map_err(|source| DataError::io("open", path, source))?;
    let metadata = file.metadata().map_err(|source| DataError::io("look at", path, source))?;
    if metadata.is_dir() {
        return Err(DataError::Directory { path: path.to_path_buf() });
    }
    if metadata.len() == 0 {
        return Err(DataError::Empty { place: Place::file(path) });
    }
    Ok((file, metadata.len()))
}
