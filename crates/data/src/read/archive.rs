//! Files that hold several arrays, each under a name: `.npz` and HDF5.

use std::path::Path;

use super::hdf5::Hdf5;
use super::inspect::Format;
use super::npz::Npz;
use crate::array::Array;
use crate::error::{DataError, Place};

/// An open archive of either format.
#[derive(Debug)]
pub enum Archive {
    /// numpy's.
    Npz(Npz),
    /// An HDF5 file, whose members are its datasets.
    Hdf5(Hdf5),
}

impl Archive {
    /// Opens a file by the end of its name: `.npz`, `.h5` or `.hdf5`.
    ///
    /// # Errors
    /// When the file cannot be read, or its name ends in another way.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        match Format::of(path)? {
            Format::Npz => Ok(Self::Npz(Npz::open(path)?)),
            Format::Hdf5 => Ok(Self::Hdf5(Hdf5::open(path)?)),
            Format::Npy | Format::Csv | Format::Png => {
                let reason = "it is no archive; the name of one ends in .npz, .h5 or .hdf5";
                Err(DataError::unsupported(&Place::file(path), reason))
            }
        }
    }

    /// Names of the arrays.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::Npz(archive) => archive.names(),
            Self::Hdf5(archive) => archive.names(),
        }
    }

    /// Reads one array.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be read.
    pub fn array(&mut self, name: &str) -> Result<Array, DataError> {
        match self {
            Self::Npz(archive) => archive.array(name),
            Self::Hdf5(archive) => archive.array(name),
        }
    }
}
