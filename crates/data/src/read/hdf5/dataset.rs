//! Datasets: shape, type of the values, and where and how they are stored.

use std::io::Read;

use super::super::element::Element;
use super::chunks::{Chunks, Filter};
use super::object::{Message, kind, messages};
use super::source::{Fault, Fields, Source};
use crate::array::{Array, DType};

/// What the header of a dataset says.
#[derive(Debug)]
pub(super) struct Dataset {
    shape: Vec<usize>,
    /// The number of values.
    count: usize,
    element: Element,
    layout: Layout,
    filters: Vec<Filter>,
}

/// Where the values are.
#[derive(Debug)]
enum Layout {
    /// In the header itself.
    Compact(Fields),
    /// In one piece.
    Contiguous(Option<u64>),
    /// In pieces of equal shape, which the B-tree at the address lists.
    Chunked { tree: Option<u64>, chunk: Vec<usize> },
}

impl Dataset {
    pub(super) fn open(source: &mut Source, address: u64) -> Result<Self, Fault> {
        let (mut shape, mut element, mut layout, mut filters) = (None, None, None, Vec::new());
        for Message { kind, shared, mut fields } in messages(source, address)? {
            let known = [kind::DATASPACE, kind::DATATYPE, kind::LAYOUT, kind::FILTERS];
            if shared && known.contains(&kind) {
                let reason = "its type or shape is kept elsewhere in the file, under a name of its own";
                return Err(Fault::unsupported(reason));
            }
            match kind {
                kind::DATASPACE => shape = Some(dataspace(&mut fields)?),
                kind::DATATYPE => element = Some(datatype(&mut fields)?),
                kind::LAYOUT => layout = Some(fields),
                kind::FILTERS => filters = filter_pipeline(&mut fields)?,
                kind::EXTERNAL_FILES => return Err(Fault::unsupported("its values are in another file")),
                _ => {}
            }
        }
        let (Some(shape), Some(element), Some(layout)) = (shape, element, layout) else {
            return Err(Fault::malformed("its header lacks a shape, a type or a place"));
        };
        let layout = Layout::read(layout, &shape, element)?;
        let too_large = || Fault::malformed(format!("the shape {shape:?} is larger than any memory"));
        let axes = shape.iter().filter(|&&axis| axis > 0);
        let product = axes.copied().try_fold(1_usize, usize::checked_mul).ok_or_else(too_large)?;
        product.checked_mul(element.dtype.size()).ok_or_else(too_large)?;
        let count = if shape.contains(&0) { 0 } else { product };
        Ok(Self { shape, count, element, layout, filters })
    }

    pub(super) fn read(self, source: &mut Source) -> Result<Array, Fault> {
        let Self { shape, count, element, layout, filters } = self;
        let expected = count * element.dtype.size();
        let nothing = || {
            let reason = format!("values of its shape {shape:?} were never written");
            Fault::unsupported(reason)
        };
        let values = match layout {
            _ if count == 0 => Vec::new(),
            Layout::Compact(mut fields) => {
                let found = fields.left();
                if found < expected {
                    return Err(Fault::Truncated { expected: expected as u64, found: found as u64 });
                }
                element.read_values(&mut fields.take(expected)?, count)?
            }
            Layout::Contiguous(at) => {
                let at = at.ok_or_else(nothing)?;
                element.read_values(&mut source.stream(at, expected as u64)?, count)?
            }
            Layout::Chunked { tree, chunk } => {
                let tree = tree.ok_or_else(nothing)?;
                Chunks { shape: &shape, chunk: &chunk, element, filters: &filters }
                    .read(source, tree, count)?
            }
        };
        Ok(Array { shape, values, dtype: element.dtype })
    }
}

impl Layout {
    fn read(mut fields: Fields, shape: &[usize], element: Element) -> Result<Self, Fault> {
        let version = fields.byte()?;
        if version != 3 && version != 4 {
            let reason = format!("a layout of version {version}; versions 3 and 4 are read");
            return Err(Fault::unsupported(reason));
        }
        match fields.byte()? {
            0 => {
                let length = usize::from(fields.short()?);
                Ok(Self::Compact(fields.part(length, "a compact dataset")?))
            }
            1 => Ok(Self::Contiguous(fields.address()?)),
            2 if version == 4 => Err(Fault::unsupported(
                "its chunks are listed in the way of the newest format; write the file with `libver='earliest'`",
            )),
            2 => {
                let axes = usize::from(fields.byte()?);
                let tree = fields.address()?;
                let mut chunk = Vec::new();
                for _ in 0..axes {
                    chunk.push(fields.word()? as usize);
                }
                // The last axis is that of the bytes of a value.
                let size = chunk.pop();
                if chunk.len() != shape.len() || chunk.contains(&0) || shape.is_empty() {
                    let reason = format!("chunks of shape {chunk:?} in a dataset of shape {shape:?}");
                    return Err(Fault::malformed(reason));
                }
                if size != Some(element.dtype.size()) {
                    return Err(Fault::malformed("its chunks hold values of another size than its type"));
                }
                Ok(Self::Chunked { tree, chunk })
            }
            3 => Err(Fault::unsupported("a virtual dataset, whose values are in other files")),
            other => Err(Fault::malformed(format!("a layout of the unknown class {other}"))),
        }
    }
}

fn dataspace(fields: &mut Fields) -> Result<Vec<usize>, Fault> {
    let version = fields.byte()?;
    let axes = fields.byte()?;
    fields.skip(1)?;
    match version {
        1 => fields.skip(5)?,
        // Scalar, simple, or none at all.
        2 if fields.byte()? == 2 => return Err(Fault::Empty),
        2 => {}
        _ => return Err(Fault::unsupported(format!("a shape of version {version}; 1 and 2 are read"))),
    }
    if axes > 32 {
        return Err(Fault::malformed(format!("a shape of {axes} axes")));
    }
    let mut shape = Vec::new();
    for _ in 0..axes {
        let axis = fields.length()?;
        let reason = || Fault::malformed(format!("an axis of length {axis} is larger than any memory"));
        shape.push(usize::try_from(axis).map_err(|_| reason())?);
    }
    Ok(shape)
}

fn datatype(fields: &mut Fields) -> Result<Element, Fault> {
    let first = fields.byte()?;
    let (version, class) = (first >> 4, first & 0x0f);
    let (order, sign) = (fields.byte()?, fields.byte()?);
    fields.skip(1)?;
    let size = fields.word()? as usize;
    let big_endian = order & 1 != 0;
    let refuse = |what: &str| Err(Fault::unsupported(format!("it holds {what}")));
    let kind = match class {
        0 => {
            let (first_bit, bits) = (fields.short()?, fields.short()?);
            if first_bit != 0 || usize::from(bits) != 8 * size {
                return refuse("integers of a number of bits that fills no bytes; save int32 or int64");
            }
            if order & 8 == 0 { 'u' } else { 'i' }
        }
        1 => {
            let (first_bit, bits) = (fields.short()?, fields.short()?);
            let (exponent_at, exponent) = (fields.byte()?, fields.byte()?);
            let (fraction_at, fraction) = (fields.byte()?, fields.byte()?);
            let bias = fields.word()?;
            let ieee = [(2, 10, 5, 15), (4, 23, 8, 127), (8, 52, 11, 1023)]
                .contains(&(size, fraction, exponent, bias));
            let in_order = first_bit == 0
                && usize::from(bits) == 8 * size
                && usize::from(sign) + 1 == 8 * size
                && (fraction_at, exponent_at) == (0, fraction)
                // With this bit, the order of bytes is that of a VAX.
                && order & 0x40 == 0;
            if !ieee || !in_order {
                return refuse("floats that are not those of IEEE 754; save float32 or float64");
            }
            'f'
        }
        3 | 9 => return refuse("text or lists of varying length, not numbers"),
        6 => return refuse("records; save each field as a dataset of its own"),
        8 if booleans(fields, version, u16::from_le_bytes([order, sign]))? => 'b',
        8 => return refuse("an enumeration; save its numbers"),
        10 => return refuse("an array in each place; save it with a further axis"),
        _ => return refuse(&format!("values of class {class}, no numbers")),
    };
    match DType::from_numpy(kind, size) {
        Some(dtype) => Ok(Element { dtype, big_endian }),
        None => {
            refuse(&format!("numbers of {size} bytes; save float32, float64 or an integer of 8 to 64 bits"))
        }
    }
}

/// Whether the enumeration that begins here is that of two bytes as which h5py stores booleans.
fn booleans(fields: &mut Fields, version: u8, members: u16) -> Result<bool, Fault> {
    // The type below: an integer, whose eight bytes of head and four of bits are all there is to it.
    if members != 2 || fields.left() < 12 || fields.take(12)?[0] & 0x0f != 0 {
        return Ok(false);
    }
    let padded = |name: &[u8]| if version < 3 { name.len().next_multiple_of(8) } else { name.len() };
    for name in [b"FALSE\0".as_slice(), b"TRUE\0"] {
        let length = padded(name);
        if fields.left() < length || !fields.take(length)?.starts_with(name) {
            return Ok(false);
        }
    }
    let left = fields.left();
    Ok(fields.take(left)?.starts_with(&[0, 1]))
}

fn filter_pipeline(fields: &mut Fields) -> Result<Vec<Filter>, Fault> {
    let version = fields.byte()?;
    let count = fields.byte()?;
    match version {
        1 => fields.skip(6)?,
        2 => {}
        _ => return Err(Fault::unsupported(format!("a list of filters of version {version}"))),
    }
    let mut filters = Vec::new();
    for _ in 0..count {
        let id = fields.short()?;
        let name = if version == 1 || id >= 256 { usize::from(fields.short()?) } else { 0 };
        fields.skip(2)?;
        let settings = usize::from(fields.short()?);
        let name = if version == 1 { name.next_multiple_of(8) } else { name };
        let name = String::from_utf8_lossy(fields.take(name)?).trim_end_matches('\0').to_owned();
        let padding = if version == 1 && !settings.is_multiple_of(2) { 4 } else { 0 };
        fields.skip(4 * settings + padding)?;
        filters.push(match id {
            1 => Filter::Deflate,
            2 => Filter::Shuffle,
            _ => {
                let known = match id {
                    3 => "fletcher32",
                    4 => "szip",
                    5 => "nbit",
                    6 => "scaleoffset",
                    32000 => "lzf",
                    _ => &name,
                };
                let reason = format!(
                    "filter {id} ({known}); save with gzip, with or without shuffle, or without filters"
                );
                return Err(Fault::unsupported(reason));
            }
        });
    }
    Ok(filters)
}

/// Reads exactly `count` bytes that a reader ought to give, and not one more.
pub(super) fn exactly(reader: impl Read, count: usize, what: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    reader
        .take(count as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Fault::malformed(format!("{what} is damaged: {error}")))?;
    if bytes.len() == count {
        return Ok(bytes);
    }
    let (more, found) = if bytes.len() > count { ("more than ", count) } else { ("", bytes.len()) };
    Err(Fault::malformed(format!("{what} holds {more}{found} bytes, but {count} are needed")))
}
