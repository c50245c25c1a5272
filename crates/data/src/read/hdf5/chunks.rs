//! Datasets in chunks: the B-tree that lists them, the filters that packed them, and their place in the whole.
//!
//! The list is read before memory is taken for the values: there must be just one chunk for each part of the dataset, and
//! enough bytes in the file for all of them.

use std::collections::HashSet;

use flate2::read::ZlibDecoder;

use super::super::element::Element;
use super::dataset::exactly;
use super::source::{Fault, Fields, Source};

/// Deflate cannot shrink data by more than this factor, so a chunk that claims more lies about its size.
const MAX_DEFLATION: u64 = 1032;

/// What was done to the bytes of a chunk, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Compressed, in zlib's format.
    Deflate,
    /// First bytes of all values, then second bytes, and so on.
    Shuffle,
}

/// A dataset in chunks.
pub(super) struct Chunks<'a> {
    pub shape: &'a [usize],
    pub chunk: &'a [usize],
    pub element: Element,
    pub filters: &'a [Filter],
}

/// One chunk in the file.
struct Stored {
    address: u64,
    length: u32,
    /// Bit i is set where filter i was left out.
    without: u32,
    /// Index of its first value along each axis.
    start: Vec<usize>,
}

impl Chunks<'_> {
    /// All `count` values, the last axis fastest.
    pub(super) fn read(&self, source: &mut Source, tree: u64, count: usize) -> Result<Vec<f64>, Fault> {
        let stored = self.list(source, tree)?;
        let bytes = self.bytes_of_a_chunk()?;
        self.check(source, &stored, bytes)?;
        let mut values = vec![0.0; count];
        for chunk in &stored {
            let raw = self.unpack(source, chunk, bytes)?;
            let own = self.element.read_values(&mut raw.as_slice(), bytes / self.element.dtype.size())?;
            self.place(&own, &chunk.start, &mut values);
        }
        Ok(values)
    }

    fn bytes_of_a_chunk(&self) -> Result<usize, Fault> {
        let mut lengths = self.chunk.iter().copied();
        lengths.try_fold(self.element.dtype.size(), usize::checked_mul).ok_or_else(|| {
            Fault::malformed(format!("a chunk of shape {:?} is larger than any memory", self.chunk))
        })
    }

    /// Fails unless the chunks cover the dataset once, and are large enough in the file to hold what they should.
    fn check(&self, source: &Source, stored: &[Stored], bytes: usize) -> Result<(), Fault> {
        let along = self.shape.iter().zip(self.chunk).map(|(axis, chunk)| axis.div_ceil(*chunk));
        // No product overflows: there are no more chunks than values.
        let needed: usize = along.product();
        if stored.len() < needed {
            let missing = needed - stored.len();
            return Err(Fault::unsupported(format!("{missing} of its {needed} chunks were never written")));
        }
        let mut starts = HashSet::new();
        let mut room = source.size;
        for chunk in stored {
            if !starts.insert(&chunk.start) {
                return Err(Fault::malformed(format!("two chunks start at {:?}", chunk.start)));
            }
            let length = u64::from(chunk.length);
            room = room
                .checked_sub(length)
                .ok_or_else(|| Fault::malformed("its chunks are longer than the file together"))?;
            let most = if self.filters.contains(&Filter::Deflate) { MAX_DEFLATION * length } else { length };
            if bytes as u64 > most {
                let reason = format!("a chunk of {bytes} bytes cannot be kept in {length} bytes of the file");
                return Err(Fault::malformed(reason));
            }
        }
        Ok(())
    }

    /// The chunks below the B-tree at `tree`.
    fn list(&self, source: &mut Source, tree: u64) -> Result<Vec<Stored>, Fault> {
        const WHAT: &str = "the B-tree of the chunks";
        let address_width = source.widths.address as u64;
        let entry = 8 + 8 * (self.shape.len() as u64 + 1) + address_width;
        let mut found = Vec::new();
        let mut visited = HashSet::new();
        let mut pending = vec![(tree, None)];
        while let Some((address, expected)) = pending.pop() {
            if !visited.insert(address) {
                return Err(Fault::malformed(format!("{WHAT} goes in a circle")));
            }
            let mut head = source.fields(address, 8, WHAT)?;
            head.expect(b"TREE")?;
            let (of, level, used) = (head.byte()?, head.byte()?, head.short()?);
            if of != 1 {
                return Err(Fault::malformed(format!("{WHAT} is one of another kind")));
            }
            if expected.is_some_and(|expected| expected != level) {
                return Err(Fault::malformed(format!("{WHAT} has levels out of order")));
            }
            let start = address + 8 + 2 * address_width;
            let mut body = source.fields(start, u64::from(used) * entry, WHAT)?;
            for _ in 0..used {
                let (length, without) = (body.word()?, body.word()?);
                let start = self.start(&mut body)?;
                let child =
                    body.address()?.ok_or_else(|| Fault::malformed(format!("{WHAT} leads nowhere")))?;
                match level.checked_sub(1) {
                    Some(below) => pending.push((child, Some(below))),
                    None => found.push(Stored { address: child, length, without, start }),
                }
            }
        }
        Ok(found)
    }

    /// Where a chunk begins, which must be a place for one unless it is only the key of a branch.
    fn start(&self, body: &mut Fields) -> Result<Vec<usize>, Fault> {
        let mut start = Vec::with_capacity(self.shape.len());
        for (&axis, &chunk) in self.shape.iter().zip(self.chunk) {
            let at = body.number(8)?;
            if at >= axis as u64 || !at.is_multiple_of(chunk as u64) {
                let reason =
                    format!("a chunk starts at {at} of an axis of length {axis} in chunks of {chunk}");
                return Err(Fault::malformed(reason));
            }
            start.push(at as usize);
        }
        body.skip(8)?;
        Ok(start)
    }

    /// The `bytes` bytes of a chunk as they were before the filters.
    fn unpack(&self, source: &mut Source, chunk: &Stored, bytes: usize) -> Result<Vec<u8>, Fault> {
        let length = u64::from(chunk.length);
        let what = format!("the chunk at {:?}", chunk.start);
        let mut content = exactly(source.stream(chunk.address, length)?, chunk.length as usize, &what)?;
        for (index, filter) in self.filters.iter().enumerate().rev() {
            if chunk.without.checked_shr(index as u32).unwrap_or(0) & 1 == 1 {
                continue;
            }
            content = match filter {
                Filter::Deflate => exactly(ZlibDecoder::new(content.as_slice()), bytes, &what)?,
                Filter::Shuffle => unshuffled(&content, self.element.dtype.size()),
            };
        }
        if content.len() != bytes {
            let found = content.len();
            return Err(Fault::malformed(format!("{what} holds {found} bytes, but {bytes} are needed")));
        }
        Ok(content)
    }

    /// Copies the values of a chunk to their places; what lies beyond the edge of the dataset is left out.
    fn place(&self, own: &[f64], start: &[usize], values: &mut [f64]) {
        let last = self.shape.len() - 1;
        let inside: Vec<usize> =
            (0..=last).map(|axis| self.chunk[axis].min(self.shape[axis] - start[axis])).collect();
        let mut index = vec![0; last];
        loop {
            let (mut from, mut to) = (0, 0);
            for axis in 0..last {
                from = (from + index[axis]) * self.chunk[axis + 1];
                to = (to + start[axis] + index[axis]) * self.shape[axis + 1];
            }
            let to = to + start[last];
            values[to..to + inside[last]].copy_from_slice(&own[from..from + inside[last]]);
            // Count up like an odometer, all axes but the last.
            let Some(axis) = (0..last).rev().find(|&axis| index[axis] + 1 < inside[axis]) else { return };
            index[axis] += 1;
            index[axis + 1..].fill(0);
        }
    }
}

/// Puts the bytes of each value together again; bytes that make no whole value stay at the end.
fn unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    let mut out = Vec::with_capacity(bytes.len());
    for value in 0..count {
        out.extend((0..size).map(|byte| bytes[byte * count + value]));
    }
    out.extend_from_slice(&bytes[count * size..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::DType;

    #[test]
    fn bytes_of_values_come_together() {
        assert_eq!(unshuffled(&[1, 2, 3, 4, 5, 6, 7], 3), [1, 3, 5, 2, 4, 6, 7]);
        assert_eq!(unshuffled(&[1, 2, 3], 1), [1, 2, 3]);
    }

    #[test]
    fn chunks_are_put_in_their_places_and_cut_at_the_edges() {
        // Element (i, j, k) of the whole holds 100i + 10j + k.
        let (shape, chunk) = ([3, 4, 5], [2, 3, 2]);
        let element = Element { dtype: DType::F64, big_endian: false };
        let chunks = Chunks { shape: &shape, chunk: &chunk, element, filters: &[] };
        let mut values = vec![-1.0; 60];
        for (i0, j0, k0) in [0, 2]
            .into_iter()
            .flat_map(|i| [0, 3].into_iter().flat_map(move |j| [(i, j, 0), (i, j, 2), (i, j, 4)]))
        {
            let of = |n: usize| 100 * (i0 + n / 6) + 10 * (j0 + n / 2 % 3) + k0 + n % 2;
            let own: Vec<f64> = (0..12).map(|n| of(n) as f64).collect();
            chunks.place(&own, &[i0, j0, k0], &mut values);
        }
        for (n, value) in values.into_iter().enumerate() {
            assert_eq!(value, (100 * (n / 20) + 10 * (n / 5 % 4) + n % 5) as f64);
        }
    }
}
