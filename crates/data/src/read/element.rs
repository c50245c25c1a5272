//! How one number is stored in a binary file, and its value as an `f64`.

use std::io::{self, Read};

use crate::array::DType;

/// Values converted at a time: a few megabytes whatever the file's size.
const CHUNK: usize = 1 << 16;

/// How one value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub dtype: DType,
    pub big_endian: bool,
}

impl Element {
    /// Reads `count` values. Memory grows with what arrives, not with what is promised.
    pub(super) fn read_values(self, reader: &mut impl Read, count: usize) -> io::Result<Vec<f64>> {
        let size = self.dtype.size();
        let mut values = Vec::with_capacity(count.min(CHUNK));
        let mut buffer = vec![0; size * count.min(CHUNK)];
        while values.len() < count {
            let now = (count - values.len()).min(CHUNK);
            let bytes = &mut buffer[..now * size];
            reader.read_exact(bytes)?;
            if self.big_endian {
                bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
            values.extend(bytes.chunks_exact(size).map(converter(self.dtype)));
        }
        Ok(values)
    }
}

/// The function that turns the little-endian bytes of one value into an `f64`.
fn converter(dtype: DType) -> fn(&[u8]) -> f64 {
    match dtype {
        DType::Bool => |b| f64::from(u8::from(b[0] != 0)),
        DType::U8 => |b| f64::from(b[0]),
        DType::I8 => |b| f64::from(b[0].cast_signed()),
        DType::U16 => |b| f64::from(u16::from_le_bytes([b[0], b[1]])),
        DType::I16 => |b| f64::from(i16::from_le_bytes([b[0], b[1]])),
        DType::U32 => |b| f64::from(u32::from_le_bytes(first(b))),
        DType::I32 => |b| f64::from(i32::from_le_bytes(first(b))),
        DType::U64 => |b| u64::from_le_bytes(first(b)) as f64,
        DType::I64 => |b| i64::from_le_bytes(first(b)) as f64,
        DType::F16 => |b| half(u16::from_le_bytes([b[0], b[1]])),
        DType::F32 => |b| f64::from(f32::from_le_bytes(first(b))),
        DType::F64 => |b| f64::from_le_bytes(first(b)),
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// The value of an IEEE half: one sign bit, five of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let check = |bits, expected: f64| assert_eq!(half(bits), expected, "{bits:#x}");
        check(0x3c00, 1.0);
        check(0xc000, -2.0);
        check(0x7bff, 65504.0);
        check(0x0400, 2_f64.powi(-14));
        check(0x0001, 2_f64.powi(-24));
        check(0xfc00, f64::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
    }
}
