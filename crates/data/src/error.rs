//! What a user or a file can get wrong, said so that it can be put right.
//!
//! Every message names the file, and the member of an archive where there is one. Rows and columns count from 1, as
//! editors and spreadsheets count them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why data could not be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused; `action` completes "cannot …".
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, such as "open".
        action: &'static str,
        /// The file in question.
        path: PathBuf,
        /// The system's own reason.
        source: io::Error,
    },
    /// A directory was given where a file is needed.
    #[error("`{}` is a directory, not a file: name a file inside it", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A file, member or table without any content.
    #[error("{place} is empty")]
    Empty {
        /// Where nothing was found.
        place: Place,
    },
    /// Fewer bytes than the header promises.
    #[error(
        "{place} is truncated: {expected} bytes of data expected, {found} found; copy or download it again, completely"
    )]
    Truncated {
        /// The short array.
        place: Place,
        /// Bytes the shape and type ask for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The bytes do not follow the format.
    #[error("{place} cannot be read: {reason}")]
    Malformed {
        /// What could not be read.
        place: Place,
        /// Which rule of the format is broken.
        reason: String,
    },
    /// A valid file that holds something this library does not take.
    #[error("{place} is not supported: {reason}")]
    Unsupported {
        /// What was found.
        place: Place,
        /// Why, and what to use in its place.
        reason: String,
    },
    /// The archive has no such member.
    #[error("`{}` has no member `{member}`; it holds {}", path.display(), listed(known))]
    NoSuchMember {
        /// The archive.
        path: PathBuf,
        /// The name asked for.
        member: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Text where a number belongs.
    #[error("{place}, line {line}: `{text}` in row {row}, column {column} is not a number")]
    NotANumber {
        /// The table.
        place: Place,
        /// Line of the file.
        line: u64,
        /// Row of the table, without header and comments.
        row: usize,
        /// Column of the table.
        column: usize,
        /// The offending text.
        text: String,
    },
    /// NaN or an infinity in data that must be finite.
    #[error(
        "{place}: row {row}, column {column} holds {value}, but every value must be finite; remove or repair the row"
    )]
    NotFinite {
        /// The table.
        place: Place,
        /// Row of the table.
        row: usize,
        /// Column of the table.
        column: usize,
        /// NaN, inf or -inf.
        value: f64,
    },
    /// An array of another shape than its use needs.
    #[error("{place} has the wrong shape: {reason}")]
    Shape {
        /// The array.
        place: Place,
        /// The shape found and the shape needed.
        reason: String,
    },
    /// A table too short for its use.
    #[error("{place} has {rows} rows {of}, but {needed} are needed: {advice}")]
    TooFewRows {
        /// The table.
        place: Place,
        /// Rows there are.
        rows: usize,
        /// Which rows are counted, such as "in the training split".
        of: &'static str,
        /// Rows the use needs.
        needed: usize,
        /// What to try.
        advice: &'static str,
    },
    /// Splits that overlap, or that name rows that do not exist.
    #[error("{place}: {reason}")]
    Split {
        /// The table, or the array of row numbers.
        place: Place,
        /// What is wrong with the split.
        reason: String,
    },
    /// A setting with an impossible value.
    #[error("`{field}`: {reason}")]
    Config {
        /// The setting, as written in a recipe below `[data]`.
        field: String,
        /// The rule it breaks.
        reason: String,
    },
}

impl DataError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn malformed(place: &Place, reason: impl Into<String>) -> Self {
        Self::Malformed { place: place.clone(), reason: reason.into() }
    }

    pub(crate) fn unsupported(place: &Place, reason: impl Into<String>) -> Self {
        Self::Unsupported { place: place.clone(), reason: reason.into() }
    }

    pub(crate) fn shape(place: &Place, reason: impl Into<String>) -> Self {
        Self::Shape { place: place.clone(), reason: reason.into() }
    }

    pub(crate) fn split(place: &Place, reason: impl Into<String>) -> Self {
        Self::Split { place: place.clone(), reason: reason.into() }
    }

    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }
}

/// A file, or a member of an archive: the "where" of every message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The member, without its `.npy`.
    pub member: Option<String>,
}

impl Place {
    /// A whole file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { path: path.to_path_buf(), member: None }
    }

    /// One member of an archive.
    #[must_use]
    pub fn member(path: &Path, member: &str) -> Self {
        Self { path: path.to_path_buf(), member: Some(member.to_owned()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())?;
        match &self.member {
            Some(member) => write!(f, ", member `{member}`"),
            None => Ok(()),
        }
    }
}

/// "`a`, `b`, `c`", or "nothing"; long lists are cut.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
