//! numpy's `.npz` format: a zip archive of `.npy` members, stored or deflated, with the zip64 headers that numpy
//! writes for every member.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::npy;
use crate::array::Array;
use crate::error::{DataError, Place};

/// Deflate cannot shrink data by more than this factor, so a member that claims more lies about its size.
const MAX_DEFLATION: u64 = 1032;

/// An open `.npz` archive. Opening reads the list of members only; each array is read when asked for.
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<io::BufReader<File>>,
    names: Vec<String>,
}

impl Npz {
    /// Opens an archive and reads its list of members.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a complete zip archive.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let (file, _) = super::open(path)?;
        let place = Place::file(path);
        let archive = ZipArchive::new(io::BufReader::new(file)).map_err(|error| zip_error(&error, &place))?;
        if archive.has_duplicate_names() {
            return Err(DataError::malformed(&place, "two of its members have the same name"));
        }
        let mut names = Vec::new();
        for index in 0..archive.len() {
            let entry = archive.name_for_index(index);
            let name = entry.transpose().map_err(|error| zip_error(&error, &place))?.unwrap_or_default();
            // Folders, and what other programs may have put beside the arrays, are no concern of ours.
            if let Some(name) = name.strip_suffix(".npy") {
                names.push(name.to_owned());
            }
        }
        Ok(Self { path: path.to_path_buf(), archive, names })
    }

    /// Names of the arrays, without `.npy`, in the order of the archive.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads one array.
    ///
    /// # Errors
    /// When there is no such member, its bytes are damaged or short, or it holds anything but numbers and booleans.
    pub fn array(&mut self, name: &str) -> Result<Array, DataError> {
        if !self.names.iter().any(|known| known == name) {
            let known = self.names.clone();
            return Err(DataError::NoSuchMember { path: self.path.clone(), member: name.to_owned(), known });
        }
        let place = Place::member(&self.path, name);
        let mut entry =
            self.archive.by_name(&format!("{name}.npy")).map_err(|error| zip_error(&error, &place))?;
        let (size, compressed) = (entry.size(), entry.compressed_size());
        if size / MAX_DEFLATION > compressed {
            let reason =
                format!("it claims {size} bytes, more than its {compressed} compressed bytes can hold");
            return Err(DataError::malformed(&place, reason));
        }
        if size == 0 {
            return Err(DataError::Empty { place });
        }
        let array = npy::decode(&mut entry, size, &place)?;
        // The checksum is compared when the end is reached, one read beyond the last byte of the array.
        io::copy(&mut entry, &mut io::sink())
            .map_err(|error| DataError::malformed(&place, format!("its content is damaged: {error}")))?;
        Ok(array)
    }
}

fn zip_error(error: &ZipError, place: &Place) -> DataError {
    match error {
        ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
            DataError::unsupported(place, format!("{error}; save with numpy.savez or numpy.savez_compressed"))
        }
        _ => DataError::malformed(place, format!("it is not a complete zip archive ({error})")),
    }
}
