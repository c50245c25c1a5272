//! What is in a file: members, shapes, types and ranges, for a person who is about to use it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::csv::read_csv;
use super::npy::read_npy;
use crate::array::{Array, DType};
use crate::error::{DataError, Place};

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The file.
    pub path: PathBuf,
    /// Its arrays: one, except for archives.
    pub arrays: Vec<ArraySummary>,
}

/// One array in brief.
#[derive(Debug, Clone, PartialEq)]
pub struct ArraySummary {
    /// The name in an archive.
    pub member: Option<String>,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// Type in the file; text counts as `float64`, an image's channels as `uint8` or `uint16`.
    pub dtype: DType,
    /// Smallest and largest finite value; none when there is no finite value.
    pub range: Option<(f64, f64)>,
    /// How many values are NaN or infinite.
    pub not_finite: usize,
    /// Names of the columns, where the file gives them.
    pub columns: Option<Vec<String>>,
}

/// Summarises a `.npy`, `.npz`, `.h5`, `.hdf5`, `.csv`, `.tsv`, `.txt` or `.png` file. Every value is read, so damage is found too.
///
/// # Errors
/// When the file cannot be read, or its name does not end as one of these formats.
pub fn inspect(path: impl AsRef<Path>) -> Result<Summary, DataError> {
    let path = path.as_ref();
    let arrays = match Format::of(path)? {
        Format::Npy => vec![ArraySummary::of(&read_npy(path)?, None, None)],
        Format::Csv => {
            let table = read_csv(path)?;
            vec![ArraySummary::of(&table.array, None, table.columns)]
        }
        Format::Npz | Format::Hdf5 => {
            let mut archive = Archive::open(path)?;
            let mut arrays = Vec::new();
            for name in archive.names().to_vec() {
                arrays.push(ArraySummary::of(&archive.array(&name)?, Some(name), None));
            }
            arrays
        }
        Format::Png => vec![ArraySummary::of(&crate::sets::image::channels(path)?, None, None)],
    };
    Ok(Summary { path: path.to_path_buf(), arrays })
}

/// Formats, told apart by the end of the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Npy,
    Npz,
    Hdf5,
    Csv,
    Png,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Self, DataError> {
        let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("npy") => Ok(Self::Npy),
            Some("npz") => Ok(Self::Npz),
            Some("h5" | "hdf5") => Ok(Self::Hdf5),
            Some("csv" | "tsv" | "txt") => Ok(Self::Csv),
            Some("png") => Ok(Self::Png),
            Some("gz" | "bz2" | "xz" | "zst") => Err(DataError::unsupported(
                &Place::file(path),
                "it is compressed; unpack it first, for example with `gunzip`",
            )),
            Some("pickle" | "pkl") => Err(DataError::unsupported(
                &Place::file(path),
                "a pickle is a program, and it is not run; save the numbers, for example with `numpy.save`",
            )),
            _ if path.is_dir() => Err(DataError::Directory { path: path.to_path_buf() }),
            _ => {
                let reason =
                    "the name of the file should end in .npy, .npz, .h5, .hdf5, .csv, .tsv, .txt or .png";
                Err(DataError::unsupported(&Place::file(path), reason))
            }
        }
    }
}

impl ArraySummary {
    fn of(array: &Array, member: Option<String>, columns: Option<Vec<String>>) -> Self {
        let finite = || array.values.iter().copied().filter(|value| value.is_finite());
        let low = finite().reduce(f64::min);
        let high = finite().reduce(f64::max);
        Self {
            member,
            shape: array.shape.clone(),
            dtype: array.dtype,
            range: low.zip(high),
            not_finite: array.values.len() - finite().count(),
            columns,
        }
    }
}
