//! The bytes of an HDF5 file, and what can be wrong with them. All addresses count from the superblock, and all numbers
//! are little-endian.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::error::{DataError, Place};

/// Why something could not be read. The place is added where it is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes do not follow the format.
    Malformed(String),
    /// They follow it in a way that is not read here.
    Unsupported(String),
    /// Fewer bytes than promised.
    Truncated { expected: u64, found: u64 },
    /// There is nothing.
    Empty,
}

impl Fault {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }

    pub(super) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }

    /// The error for the file or dataset at `place`.
    pub(super) fn at(self, place: &Place) -> DataError {
        match self {
            Self::Malformed(reason) => DataError::malformed(place, reason),
            Self::Unsupported(reason) => DataError::unsupported(place, reason),
            Self::Truncated { expected, found } => {
                DataError::Truncated { place: place.clone(), expected, found }
            }
            Self::Empty => DataError::Empty { place: place.clone() },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::malformed("it ends in the middle"),
            _ => Self::malformed(format!("reading stopped: {error}")),
        }
    }
}

/// Bytes per address and per length in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    pub address: usize,
    pub length: usize,
}

/// A file, or its bytes in memory.
#[derive(Debug)]
pub(super) struct Source {
    origin: Origin,
    /// Bytes from the superblock to the end.
    pub size: u64,
    /// Where the superblock is.
    pub base: u64,
    pub widths: Widths,
}

#[derive(Debug)]
enum Origin {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl Source {
    pub(super) fn file(file: File, size: u64) -> Self {
        Self { origin: Origin::File(file), size, base: 0, widths: Widths { address: 8, length: 8 } }
    }

    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        let size = bytes.len() as u64;
        let origin = Origin::Memory(Cursor::new(bytes));
        Self { origin, size, base: 0, widths: Widths { address: 8, length: 8 } }
    }

    /// A reader of the `length` bytes from `at` on, all of which are there.
    pub(super) fn stream(&mut self, at: u64, length: u64) -> Result<Box<dyn Read + '_>, Fault> {
        let found = self.size.saturating_sub(at);
        if at > self.size || length > found {
            return Err(Fault::Truncated { expected: length, found });
        }
        // No sum overflows: what lies within a file has an address.
        let start = SeekFrom::Start(self.base + at);
        Ok(match &mut self.origin {
            Origin::File(file) => {
                file.seek(start)?;
                Box::new(file.take(length))
            }
            Origin::Memory(bytes) => {
                bytes.seek(start)?;
                Box::new(bytes.take(length))
            }
        })
    }

    /// The `length` bytes from `at` on. `what` they are is for messages.
    pub(super) fn fields(&mut self, at: u64, length: u64, what: &'static str) -> Result<Fields, Fault> {
        let widths = self.widths;
        if at > self.size || length > self.size - at {
            return Err(Fault::malformed(format!(
                "{what} at byte {at} should be {length} bytes long, but the file ends at byte {}",
                self.size
            )));
        }
        let mut bytes = Vec::new();
        self.stream(at, length)?.read_to_end(&mut bytes)?;
        Ok(Fields { bytes, at: 0, what, widths })
    }
}

/// Bytes that are read field by field.
#[derive(Debug)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    at: usize,
    what: &'static str,
    widths: Widths,
}

impl Fields {
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&[u8], Fault> {
        if count > self.left() {
            return Err(Fault::malformed(format!("{} ends in the middle", self.what)));
        }
        let start = self.at;
        self.at += count;
        Ok(&self.bytes[start..self.at])
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.take(count).map(drop)
    }

    /// A part to be read on its own.
    pub(super) fn part(&mut self, count: usize, what: &'static str) -> Result<Self, Fault> {
        let widths = self.widths;
        let bytes = self.take(count)?.to_vec();
        Ok(Self { bytes, at: 0, what, widths })
    }

    /// An unsigned integer of so many bytes, eight at most.
    pub(super) fn number(&mut self, width: usize) -> Result<u64, Fault> {
        assert!(width <= 8, "a number of {width} bytes");
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn short(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn word(&mut self) -> Result<u32, Fault> {
        self.number(4).map(|number| number as u32)
    }

    pub(super) fn length(&mut self) -> Result<u64, Fault> {
        self.number(self.widths.length)
    }

    /// An address; none where all bits are set, which means that nothing has been stored.
    pub(super) fn address(&mut self) -> Result<Option<u64>, Fault> {
        let width = self.widths.address;
        let address = self.number(width)?;
        Ok(if address == u64::MAX >> (64 - 8 * width) { None } else { Some(address) })
    }

    /// Fails unless the next bytes are `mark`.
    pub(super) fn expect(&mut self, mark: &[u8]) -> Result<(), Fault> {
        let what = self.what;
        if self.take(mark.len())? == mark {
            return Ok(());
        }
        Err(Fault::malformed(format!("{what} does not begin with `{}`", String::from_utf8_lossy(mark))))
    }
}
