//! numpy's `.npy` format, versions 1 to 3: a magic string, a header that is a Python dictionary, and the raw values.
//!
//! Objects would need a pickle, a program that the file brings along: they are refused unread.

use std::io::{self, Read};
use std::path::Path;

use super::element::Element;
use super::literal::{self, Header};
use crate::array::{Array, DType};
use crate::error::{DataError, Place};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// numpy writes headers of about a hundred bytes; it refuses to read more than 10,000 unless told otherwise.
const MAX_HEADER: u64 = 1 << 20;

/// Reads a `.npy` file.
///
/// # Errors
/// When the file cannot be opened, is not a complete `.npy` file, or holds anything but numbers and booleans.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Array, DataError> {
    let path = path.as_ref();
    let (file, size) = super::open(path)?;
    decode(io::BufReader::new(file), size, &Place::file(path))
}

/// Decodes the bytes of a `.npy` file already in memory; `path` is its name in messages.
///
/// # Errors
/// As [`read_npy`].
pub fn parse_npy(bytes: &[u8], path: impl AsRef<Path>) -> Result<Array, DataError> {
    let place = Place::file(path.as_ref());
    if bytes.is_empty() {
        return Err(DataError::Empty { place });
    }
    decode(bytes, bytes.len() as u64, &place)
}

/// Decodes an array from `size` bytes of `reader`. What is allocated is bounded by a multiple of `size`, whatever
/// shape the header claims.
pub(crate) fn decode(mut reader: impl Read, size: u64, place: &Place) -> Result<Array, DataError> {
    let (text, data_start) = header_text(&mut reader, size, place)?;
    let Header { descr, fortran_order, shape } =
        literal::parse_header(&text).map_err(|reason| DataError::malformed(place, reason))?;
    let element = element(&descr, place)?;
    let too_large = || DataError::malformed(place, format!("the shape {shape:?} is larger than any memory"));
    // An axis of length zero empties the array, but the other axes must still multiply to a number.
    let lengths = shape.iter().filter(|&&axis| axis > 0);
    let product = lengths.copied().try_fold(1_usize, usize::checked_mul).ok_or_else(too_large)?;
    let count = if shape.contains(&0) { 0 } else { product };
    let expected = (count as u64).checked_mul(element.dtype.size() as u64).ok_or_else(too_large)?;
    let found = size - data_start;
    if found < expected {
        return Err(DataError::Truncated { place: place.clone(), expected, found });
    }
    if found > expected {
        let reason = format!(
            "{} bytes follow the array of shape {shape:?}; one array per file is read",
            found - expected
        );
        return Err(DataError::malformed(place, reason));
    }
    let values = element.read_values(&mut reader, count).map_err(|error| stopped(&error, place))?;
    let values = if fortran_order { to_c_order(&shape, &values) } else { values };
    Ok(Array { shape, values, dtype: element.dtype })
}

/// The header's text, and the number of bytes before the values.
fn header_text(reader: &mut impl Read, size: u64, place: &Place) -> Result<(String, u64), DataError> {
    let mut start = [0; 8];
    read_exactly(reader, &mut start, place)?;
    if &start[..6] != MAGIC {
        return Err(DataError::malformed(place, "it does not start with the mark of a .npy file"));
    }
    let (length, before) = match start[6] {
        1 => {
            let mut bytes = [0; 2];
            read_exactly(reader, &mut bytes, place)?;
            (u64::from(u16::from_le_bytes(bytes)), 10)
        }
        2 | 3 => {
            let mut bytes = [0; 4];
            read_exactly(reader, &mut bytes, place)?;
            (u64::from(u32::from_le_bytes(bytes)), 12)
        }
        version => {
            let reason =
                format!("version {version}.{} of the .npy format; versions 1, 2 and 3 are known", start[7]);
            return Err(DataError::unsupported(place, reason));
        }
    };
    if length > size.saturating_sub(before) {
        let found = size.saturating_sub(before);
        let reason = format!("its header should be {length} bytes long, but only {found} bytes are left");
        return Err(DataError::malformed(place, reason));
    }
    if length > MAX_HEADER {
        return Err(DataError::malformed(
            place,
            format!("a header of {length} bytes cannot be that of an array"),
        ));
    }
    let mut text = vec![0; length as usize];
    read_exactly(reader, &mut text, place)?;
    // Version 3 is UTF-8, versions 1 and 2 are Latin-1; they agree on all that a plain array needs.
    Ok((String::from_utf8_lossy(&text).into_owned(), before + length))
}

/// How the values of a type in numpy's notation are stored.
fn element(descr: &str, place: &Place) -> Result<Element, DataError> {
    let refuse = |what: &str| DataError::unsupported(place, format!("type `{descr}` holds {what}"));
    let (big_endian, rest) = match descr.chars().next() {
        Some('>') => (true, &descr[1..]),
        Some('<' | '|' | '=') => (false, &descr[1..]),
        _ => (false, descr),
    };
    let mut letters = rest.chars();
    let kind = letters.next().unwrap_or(' ');
    if let Some(dtype) = letters.as_str().parse().ok().and_then(|size| DType::from_numpy(kind, size)) {
        return Ok(Element { dtype, big_endian });
    }
    Err(match kind {
        'O' => refuse(
            "Python objects, which only a pickle can restore, and a pickle can run any program; \
                 save numbers instead, for example with `array.astype(float)`",
        ),
        'S' | 'a' | 'U' | 'T' => {
            refuse("text, not numbers; save codes instead, for example with `numpy.unique`")
        }
        'c' => refuse("complex numbers; save the real and imaginary parts as two arrays"),
        'V' => refuse("records; save each field as an array of its own"),
        'M' | 'm' => refuse("dates or times; save them as numbers, for example with `array.astype('int64')`"),
        'f' => refuse("floats of a size that differs between machines; save float64"),
        _ => refuse("no type known here; save float64, float32 or an integer type"),
    })
}

/// Reorders values whose first axis runs fastest so that the last one does.
fn to_c_order(shape: &[usize], values: &[f64]) -> Vec<f64> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &axis in shape {
        strides.push(stride);
        stride *= axis;
    }
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[at]);
        // Count up like an odometer, last axis first, and move `at` along.
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

fn read_exactly(reader: &mut impl Read, buffer: &mut [u8], place: &Place) -> Result<(), DataError> {
    reader.read_exact(buffer).map_err(|error| stopped(&error, place))
}

fn stopped(error: &io::Error, place: &Place) -> DataError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DataError::malformed(place, "it ends in the middle"),
        _ => DataError::malformed(place, format!("reading stopped: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_is_turned_into_c_order() {
        // Element (i, j, k) of the array holds 100i + 10j + k.
        let shape = [2, 3, 2];
        let mut fortran = Vec::new();
        for k in 0..2 {
            for j in 0..3 {
                for i in 0..2 {
                    fortran.push(f64::from(100 * i + 10 * j + k));
                }
            }
        }
        let c = to_c_order(&shape, &fortran);
        assert_eq!(c, [0., 1., 10., 11., 20., 21., 100., 101., 110., 111., 120., 121.]);
        assert_eq!(to_c_order(&[], &[7.0]), [7.0]);
        assert_eq!(to_c_order(&[3, 0], &[]), [] as [f64; 0]);
    }
}
