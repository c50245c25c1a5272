//! Writers for `.npy`, `.npz` and `.csv`. A file appears complete or not at all: it is written under a temporary name
//! beside its place, synced, and renamed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use thalweg_files::stream_atomically;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::array::{Array, DType};
use crate::error::DataError;
use crate::read::csv::Table;

/// Writes an array as `.npy` version 1, little-endian, in C order, in the type of [`Array::dtype`].
///
/// Half-precision values are written as `float32`, which holds them exactly. Values outside an integer type's range
/// are clipped to it.
///
/// # Errors
/// When the file cannot be written; what was there before is then still there.
pub fn write_npy(path: impl AsRef<Path>, array: &Array) -> Result<(), DataError> {
    atomically(path.as_ref(), |out| encode_npy(out, array))
}

/// Writes named arrays as a deflated `.npz` archive, in the order given. The same arrays give the same bytes.
///
/// # Errors
/// When the file cannot be written; what was there before is then still there.
pub fn write_npz(path: impl AsRef<Path>, arrays: &[(&str, &Array)]) -> Result<(), DataError> {
    atomically(path.as_ref(), |out| {
        let mut archive = ZipWriter::new(out);
        for (name, array) in arrays {
            // Members of 4 GiB and more need zip64 headers, which must be announced before the size is known.
            let large = array.values.len().saturating_mul(array.dtype.size()) >= (1 << 32) - (1 << 20);
            let options = SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated)
                .last_modified_time(zip::DateTime::default())
                .large_file(large);
            archive.start_file(format!("{name}.npy"), options)?;
            encode_npy(&mut archive, array)?;
        }
        archive.finish()?;
        Ok(())
    })
}

/// Writes a table as `.csv`, with a header when the columns have names. Every number is written with the digits that
/// give it back exactly: as many as an `f32` needs where that is the array's type.
///
/// # Errors
/// When the file cannot be written; what was there before is then still there.
///
/// # Panics
/// When there are names, but not one for each column.
pub fn write_csv(path: impl AsRef<Path>, table: &Table) -> Result<(), DataError> {
    let array = &table.array;
    atomically(path.as_ref(), |out| {
        let mut records = csv::Writer::from_writer(out);
        if let Some(names) = &table.columns {
            assert_eq!(names.len(), array.columns(), "one name for each column is needed");
            records.write_record(names)?;
        }
        for row in array.values.chunks(array.columns().max(1)) {
            let text = |&value: &f64| match array.dtype {
                DType::F32 | DType::F16 => (value as f32).to_string(),
                _ => value.to_string(),
            };
            records.write_record(row.iter().map(text))?;
        }
        records.flush()
    })
}

/// Calls `write` on a temporary file that takes the place of `path` when all went well.
fn atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), DataError> {
    if path.is_dir() {
        return Err(DataError::Directory { path: path.to_path_buf() });
    }
    stream_atomically(path, write).map_err(|source| DataError::io("write", path, source))
}

fn encode_npy(out: &mut impl Write, array: &Array) -> io::Result<()> {
    let axes: String = array.shape.iter().map(|axis| format!("{axis}, ")).collect();
    let descr = match array.dtype {
        DType::Bool => "|b1",
        DType::U8 => "|u1",
        DType::I8 => "|i1",
        DType::U16 => "<u2",
        DType::I16 => "<i2",
        DType::U32 => "<u4",
        DType::I32 => "<i4",
        DType::U64 => "<u8",
        DType::I64 => "<i8",
        DType::F16 | DType::F32 => "<f4",
        DType::F64 => "<f8",
    };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", axes.trim_end());
    // The values start at a multiple of 64 bytes, so that a program may map them into memory.
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| io::Error::other("an array of that many axes"))?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    array.values.iter().try_for_each(|&value| encode_value(out, value, array.dtype))
}

fn encode_value(out: &mut impl Write, value: f64, dtype: DType) -> io::Result<()> {
    match dtype {
        DType::Bool => out.write_all(&[u8::from(value != 0.0)]),
        DType::U8 => out.write_all(&(value as u8).to_le_bytes()),
        DType::I8 => out.write_all(&(value as i8).to_le_bytes()),
        DType::U16 => out.write_all(&(value as u16).to_le_bytes()),
        DType::I16 => out.write_all(&(value as i16).to_le_bytes()),
        DType::U32 => out.write_all(&(value as u32).to_le_bytes()),
        DType::I32 => out.write_all(&(value as i32).to_le_bytes()),
        DType::U64 => out.write_all(&(value as u64).to_le_bytes()),
        DType::I64 => out.write_all(&(value as i64).to_le_bytes()),
        DType::F16 | DType::F32 => out.write_all(&(value as f32).to_le_bytes()),
        DType::F64 => out.write_all(&value.to_le_bytes()),
    }
}
