//! Tables of numbers as text: one row per line, separated by commas, semicolons or tabs.
//!
//! A first row without any number is the header. Lines that start with `#` are comments. The end of the last line may
//! be missing, and lines may end as on Windows.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::array::Array;
use crate::error::{DataError, Place};

/// A table of numbers with the names of its columns, where the file gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names from the header.
    pub columns: Option<Vec<String>>,
    /// The numbers, of shape `[rows, columns]`.
    pub array: Array,
}

/// Reads a table from text.
///
/// `NaN` and `inf` are numbers here; who needs finite values checks for them.
///
/// # Errors
/// When a cell is not a number, a row has another length than the first, or there are no rows.
pub fn read_csv(path: impl AsRef<Path>) -> Result<Table, DataError> {
    let path = path.as_ref();
    let (file, _) = super::open(path)?;
    decode(BufReader::new(file), &Place::file(path))
}

/// Decodes a text table already in memory; `path` is its name in messages.
///
/// # Errors
/// As [`read_csv`].
pub fn parse_csv(bytes: &[u8], path: impl AsRef<Path>) -> Result<Table, DataError> {
    decode(bytes, &Place::file(path.as_ref()))
}

/// Reads a table from bytes; `place` is for messages.
fn decode(mut reader: impl BufRead, place: &Place) -> Result<Table, DataError> {
    let head = opening(&mut reader, place)?;
    let mut records = csv::ReaderBuilder::new()
        .has_headers(false)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .delimiter(delimiter(&head))
        .from_reader(io::Cursor::new(head).chain(reader));
    let mut columns: Option<Vec<String>> = None;
    let mut values = Vec::new();
    let (mut rows, mut width) = (0, 0);
    let mut record = csv::StringRecord::new();
    while records.read_record(&mut record).map_err(|error| csv_error(&error, place))? {
        let line = record.position().map_or(0, csv::Position::line);
        if rows == 0 && columns.is_none() && record.iter().all(|cell| cell.parse::<f64>().is_err()) {
            columns = Some(record.iter().map(str::to_owned).collect());
            continue;
        }
        rows += 1;
        width = record.len();
        for (at, cell) in record.iter().enumerate() {
            values.push(cell.parse::<f64>().map_err(|_| DataError::NotANumber {
                place: place.clone(),
                line,
                row: rows,
                column: at + 1,
                text: shortened(cell),
            })?);
        }
    }
    if rows == 0 {
        return Err(DataError::Empty { place: place.clone() });
    }
    Ok(Table { columns, array: Array::new(vec![rows, width], values) })
}

/// The bytes up to the end of the first line that is neither blank nor a comment, from which the separator is guessed.
fn opening(reader: &mut impl BufRead, place: &Place) -> Result<Vec<u8>, DataError> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const LONGEST_LINE: u64 = 1 << 24;
    let failed = |error: io::Error| DataError::malformed(place, format!("reading stopped: {error}"));
    let mut head = Vec::new();
    loop {
        let start = head.len();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut head).map_err(failed)?;
        if head.starts_with(GZIP) {
            return Err(DataError::unsupported(place, "it is compressed; unpack it first with `gunzip`"));
        }
        let line = head[start..].trim_ascii();
        if head.len() == start || !(line.is_empty() || line.starts_with(b"#")) {
            return Ok(head);
        }
    }
}

fn delimiter(head: &[u8]) -> u8 {
    let line = head.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|separator| line.contains(separator)).unwrap_or(b',')
}

fn csv_error(error: &csv::Error, place: &Place) -> DataError {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            DataError::shape(
                place,
                format!("line {line} has {len} columns, the lines before have {expected_len}"),
            )
        }
        csv::ErrorKind::Utf8 { pos, err } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            DataError::malformed(place, format!("line {line} is not text ({err})"))
        }
        _ => DataError::malformed(place, format!("reading stopped: {error}")),
    }
}

/// A cell short enough for one line of a message.
fn shortened(cell: &str) -> String {
    const SHOWN: usize = 40;
    let mut text: String = cell.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if cell.chars().count() > SHOWN {
        text.push('…');
    }
    text
}
