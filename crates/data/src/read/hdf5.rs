//! The part of the HDF5 format that arrays of numbers need, read without the C library: superblocks of versions 0 to 3,
//! groups of symbol tables or of links kept in their header, and datasets that are contiguous, compact, or in chunks
//! under a B-tree of version 1, plain, shuffled or deflated. This is what `h5py` writes unless told otherwise.
//!
//! Anything else is refused by its name. Every length is compared with the size of the file before memory is taken, and
//! no block is followed twice, so a damaged file costs an error and nothing more.

mod chunks;
mod dataset;
mod group;
mod object;
mod source;
mod superblock;

use std::path::{Path, PathBuf};

use self::dataset::Dataset;
use self::source::{Fault, Source};
use crate::array::Array;
use crate::error::{DataError, Place};

/// An open HDF5 file. Opening reads the names of its datasets only; each is read when asked for.
#[derive(Debug)]
pub struct Hdf5 {
    path: PathBuf,
    source: Source,
    names: Vec<String>,
    /// Where the object header of each dataset is.
    addresses: Vec<u64>,
}

impl Hdf5 {
    /// Opens a file and lists its datasets.
    ///
    /// # Errors
    /// When the file cannot be opened, is cut off, or its groups are damaged or of a kind that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let (file, size) = super::open(path)?;
        Self::list(Source::file(file, size), path)
    }

    /// Opens a file whose bytes are in memory already; `path` is its name in messages.
    ///
    /// # Errors
    /// As [`Hdf5::open`].
    pub fn parse(bytes: Vec<u8>, path: impl AsRef<Path>) -> Result<Self, DataError> {
        if bytes.is_empty() {
            return Err(DataError::Empty { place: Place::file(path.as_ref()) });
        }
        Self::list(Source::memory(bytes), path.as_ref())
    }

    fn list(mut source: Source, path: &Path) -> Result<Self, DataError> {
        let list = |source: &mut Source| -> Result<_, Fault> {
            let root = superblock::read(source)?;
            group::datasets(source, root)
        };
        let found = list(&mut source).map_err(|fault| fault.at(&Place::file(path)))?;
        let (names, addresses) = found.into_iter().unzip();
        Ok(Self { path: path.to_path_buf(), source, names, addresses })
    }

    /// Names of the datasets, those in groups with a path such as `group/name`. One with several names is listed under
    /// each, but for those in a group that has several itself.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads one dataset.
    ///
    /// # Errors
    /// When there is none of that name, its bytes are damaged or missing, it holds anything but numbers, or it is stored
    /// in a way that is not read.
    pub fn array(&mut self, name: &str) -> Result<Array, DataError> {
        let wanted = name.trim_matches('/');
        let Some(index) = self.names.iter().position(|known| known == wanted) else {
            let (path, known) = (self.path.clone(), self.names.clone());
            return Err(DataError::NoSuchMember { path, member: name.to_owned(), known });
        };
        let address = self.addresses[index];
        let read = |source: &mut Source| Dataset::open(source, address)?.read(source);
        read(&mut self.source).map_err(|fault| fault.at(&Place::member(&self.path, wanted)))
    }
}
