//! Weights in the order in which tiles read them.

use super::tile::ROWS;
use crate::lanes::Lanes;
use crate::perceptron::share;
use crate::pool::Buffer;

/// What it costs to put a number elsewhere, in multiplications.
pub(super) const COPY: usize = 64;

/// How weights lie in memory: the entries of a kernel next to each other, rows and channels at a distance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a, T> {
    pub values: &'a [T],
    pub rows: usize,
    pub channels: usize,
    pub entries: usize,
    pub row_stride: usize,
    pub channel_stride: usize,
    /// Whether the entries are wanted from the last to the first.
    pub turned: bool,
}

impl<T: Lanes> Weights<'_, T> {
    /// The weights as `[tiles, channels, entries, ROWS]`, with zeros for rows that are missing.
    pub fn packed(&self) -> Buffer<T> {
        self.ordered(self.entries, 1)
    }

    /// The weights as `[tiles, entries, channels, ROWS]`, with zeros for rows that are missing.
    pub fn packed_by_entry(&self) -> Buffer<T> {
        self.ordered(1, self.channels)
    }

    /// With the channels and the entries so many [`ROWS`] apart.
    fn ordered(&self, channels_apart: usize, entries_apart: usize) -> Buffer<T> {
        let of_tile = self.channels * self.entries * ROWS;
        let mut packed = Buffer::stale(self.rows.div_ceil(ROWS) * of_tile);
        let work = COPY * packed.len();
        share(packed.chunks_exact_mut(of_tile).enumerate().collect(), work, |(tile, packed)| {
            let (top, zeros) = (tile * ROWS, vec![T::of(0.0); self.entries]);
            let (packed, _) = packed.as_chunks_mut::<ROWS>();
            for channel in 0..self.channels {
                let mut rows = [&zeros[..]; ROWS];
                for (row, slice) in (top..self.rows).zip(&mut rows) {
                    *slice =
                        &self.values[row * self.row_stride + channel * self.channel_stride..][..self.entries];
                }
                let last = (self.entries - 1) * entries_apart;
                let places = packed[channel * channels_apart..][..=last].iter_mut().step_by(entries_apart);
                if self.turned {
                    interleave(rows, places.rev());
                } else {
                    interleave(rows, places);
                }
            }
        });
        packed
    }
}

fn interleave<'a, T: Lanes>(rows: [&[T]; ROWS], packed: impl Iterator<Item = &'a mut [T; ROWS]>) {
    for (entry, packed) in packed.enumerate() {
        for (packed, row) in packed.iter_mut().zip(rows) {
            *packed = row[entry];
        }
    }
}
