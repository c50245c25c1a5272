//! The one error type of this crate: what a user, a file system or a picture of the wrong shape can cause.

use std::path::{Path, PathBuf};

/// Why a picture could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The file system refused; nothing that was there before has been touched.
    #[error("cannot write {path}: {source}; check that the folder exists, is writable and has space left", path = path.display())]
    Io {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An encoder refused the picture.
    #[error("cannot encode the {format} picture: {reason}; try a smaller size")]
    Encode {
        /// File format, in words.
        format: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// A picture with no pixels, or more than the format can hold.
    #[error("a picture of {width} × {height} pixels cannot be made; choose each side between 1 and {limit}")]
    Size {
        /// Asked-for width in pixels.
        width: usize,
        /// Asked-for height in pixels.
        height: usize,
        /// Longest side allowed.
        limit: usize,
    },
    /// A buffer whose length is not what its shape says.
    #[error(
        "an image of {width} × {height} pixels needs {expected} values, got {got}; check the order of its axes"
    )]
    Pixels {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Values the shape asks for.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// Images of unlike shape in one grid.
    #[error(
        "image {index} is {got_width} × {got_height} but the first is {width} × {height}; a grid needs one shape, resize or pad them"
    )]
    Unlike {
        /// Position of the first image that differs, counted from 0.
        index: usize,
        /// Width of the first image.
        width: usize,
        /// Height of the first image.
        height: usize,
        /// Width of the image that differs.
        got_width: usize,
        /// Height of the image that differs.
        got_height: usize,
    },
    /// Nothing to draw where something is needed.
    #[error("{what} is empty; give it at least one element")]
    Empty {
        /// What was empty.
        what: &'static str,
    },
    /// Data that must go in step do not.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// What was counted.
        what: &'static str,
        /// Length asked for.
        expected: usize,
        /// Length found.
        got: usize,
    },
}

impl PlotError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}
