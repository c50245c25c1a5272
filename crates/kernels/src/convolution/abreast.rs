//! Convolutions of many small images, side by side in memory.
//!
//! Rows that are shorter than a vector, or that a stride spreads, would have to be copied next to each other for every
//! entry of the kernel. If instead the same number of all images lies together, a vector holds as many images, every
//! position is read where it is, and the entries of the kernel that meet padding, or a gap, are left out: of a kernel of
//! five over rows of four that is a third of them.

use pulp::{Arch, Simd, WithSimd};

use super::slide::{JOBS, Slide};
use super::tile::{COLS, Correlate, PIECE, ROWS, Run};
use super::turn::{returned, turned};
use crate::lanes::Lanes;
use crate::perceptron::share;
use crate::pool::Buffer;
use crate::product::Write;

/// The most numbers of a group of images: they are read again for every tile, from a cache.
const GROUP: usize = 1 << 17;
/// Numbers of some channels of a group, which stay in the nearest cache.
const NEAR: usize = 1 << 13;

/// Where an entry of the kernel meets the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tap {
    entry: usize,
    place: usize,
}

impl Slide {
    /// Whether images are worked on side by side.
    pub fn abreast(&self) -> bool {
        !self.in_place() && self.images >= COLS && self.image_len() * COLS <= GROUP
    }

    /// Numbers of a channel.
    fn places(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Entries of the kernel that meet the image, for each position of the output.
    fn taps(&self) -> Vec<Vec<Tap>> {
        let along = |axis: usize, position: usize| {
            let meets = move |entry| Some((entry, self.index(axis, position * self.stride[axis] + entry)?));
            (0..self.kernel[axis]).filter_map(meets)
        };
        let at = |position: usize| {
            let (y, x) = (position / self.output[1], position % self.output[1]);
            let tap = |(down, row), (right, col)| Tap {
                entry: down * self.kernel[1] + right,
                place: row * self.image[1] + col,
            };
            along(0, y).flat_map(|down| along(1, x).map(move |right| tap(down, right))).collect()
        };
        (0..self.positions()).map(at).collect()
    }

    /// [`apply`](Self::apply) with images side by side, and weights from
    /// [`Weights::packed_by_entry`](super::weights::Weights::packed_by_entry).
    pub fn apply_abreast<T: Lanes>(&self, images: &[T], weights: &[T], bias: Option<&[T]>, out: &mut [T]) {
        let (positions, taps) = (self.positions(), self.taps());
        let rows = out.len() / (self.images * positions);
        // Each part brings the images side by side for itself.
        let parts = JOBS.div_ceil(self.images.div_ceil(COLS));
        let rows_of_part = rows.div_ceil(parts).next_multiple_of(ROWS);
        let mut jobs = Vec::new();
        let groups = images.chunks(COLS * self.image_len()).zip(out.chunks_mut(COLS * rows * positions));
        for (images, out) in groups {
            let mut of_images: Vec<_> = out
                .chunks_mut(rows * positions)
                .map(|out| out.chunks_mut(rows_of_part * positions))
                .collect();
            for first in (0..rows).step_by(rows_of_part) {
                let here = rows_of_part.min(rows - first);
                jobs.push(Job {
                    slide: self,
                    taps: &taps,
                    images,
                    weights: &weights[first * self.terms()..][..here.next_multiple_of(ROWS) * self.terms()],
                    bias: bias.map(|bias| &bias[first..first + here]),
                    out: of_images.iter_mut().filter_map(Iterator::next).collect(),
                });
            }
        }
        share(jobs, self.images * positions * rows * self.terms(), Job::run);
    }

    /// Writes or adds what at most [`COLS`] images contribute to the gradient of the weights,
    /// `[blocks, entries, padded channels, COLS]`.
    pub fn correlate_abreast<T: Lanes>(&self, [x, out_gradient]: [&[T]; 2], sums: &mut [T], write: Write) {
        let (positions, taps) = (self.positions(), self.taps());
        let images = x.len() / self.image_len();
        let outputs = out_gradient.len() / (images * positions);
        let mut data = Buffer::stale(self.image_len() * COLS);
        turned::<T, 1>(x, self.image_len(), &mut data);
        // Rows that fill up the last tile repeat the last channel.
        let padded = self.channels.next_multiple_of(ROWS);
        let offset = |channel: usize| channel.min(self.channels - 1) * self.places() * COLS;
        let offsets: Vec<usize> = (0..padded).map(offset).collect();
        let entries = self.kernel[0] * self.kernel[1];
        let mut runs = vec![Vec::new(); entries];
        for (position, taps) in taps.iter().enumerate() {
            for tap in taps {
                runs[tap.entry].push(Run { data: tap.place * COLS, position: position * COLS, len: images });
            }
        }

        let mut gradient = Buffer::stale(positions * COLS * COLS);
        for (block, sums) in sums.chunks_exact_mut(entries * padded * COLS).enumerate() {
            let channels = block * COLS..outputs.min((block + 1) * COLS);
            if channels.len() < COLS {
                gradient.fill(T::default());
            }
            for (image, g) in out_gradient.chunks_exact(outputs * positions).enumerate() {
                let g = &g[channels.start * positions..channels.end * positions];
                turned::<T, COLS>(g, positions, &mut gradient[image * COLS..]);
            }
            for (runs, sums) in runs.iter().zip(sums.chunks_exact_mut(padded * COLS)) {
                Correlate { data: &data, offsets: &offsets, runs, gradient: &gradient, sums, write }.run();
            }
        }
    }
}

/// At most [`COLS`] images, and some rows of their outputs.
struct Job<'a, T> {
    slide: &'a Slide,
    taps: &'a [Vec<Tap>],
    images: &'a [T],
    /// `[tiles, entries, channels, ROWS]`.
    weights: &'a [T],
    bias: Option<&'a [T]>,
    /// `[rows, positions]` of each image.
    out: Vec<&'a mut [T]>,
}

impl<T: Lanes> Job<'_, T> {
    fn run(mut self) {
        let Self { slide, taps, weights, bias, .. } = self;
        let mut data = Buffer::stale(slide.image_len() * COLS);
        turned::<T, 1>(self.images, slide.image_len(), &mut data);
        let rows = weights.len() / slide.terms();
        let mut result = Buffer::stale(rows * taps.len() * COLS);
        let cols = self.out.len().next_multiple_of(PIECE);
        Arch::new().dispatch(Convolve { slide, taps, weights, bias, data: &data, cols, out: &mut result });
        let len = self.out[0].len();
        returned(&result[..len * COLS], &mut self.out);
    }
}

/// `out[row, position] = bias[row] + Σ weights · data`, over the taps of the position and all channels, for many columns.
struct Convolve<'a, T> {
    slide: &'a Slide,
    taps: &'a [Vec<Tap>],
    /// `[tiles, entries, channels, ROWS]`.
    weights: &'a [T],
    bias: Option<&'a [T]>,
    /// `[channels, places, COLS]`.
    data: &'a [T],
    /// Columns that count, a multiple of [`PIECE`].
    cols: usize,
    /// `[rows, positions, COLS]`, rows of all tiles.
    out: &'a mut [T],
}

impl<T: Lanes> Convolve<'_, T> {
    /// `VECTORS` vectors of columns, `HIGH` rows from row `top` of a tile on, some channels, at a position.
    #[inline(always)]
    fn strip<S: Simd, const HIGH: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        [first, count]: [usize; 2],
        [tile, top]: [usize; 2],
        position: usize,
        col: usize,
    ) {
        let (lanes, all) = (T::count::<S>(), self.slide.channels);
        let (first_row, apart) = (tile * ROWS + top, self.taps.len() * COLS);
        let place = |row: usize, vector: usize| row * apart + position * COLS + col + vector * lanes;
        let out = &mut self.out[first_row * apart..];
        let mut sums: [[_; VECTORS]; HIGH] = std::array::from_fn(|row| {
            std::array::from_fn(|vector| match (first, self.bias) {
                (0, None) => T::splat(simd, T::of(0.0)),
                (0, Some(bias)) => T::splat(simd, bias.get(first_row + row).copied().unwrap_or_default()),
                _ => T::load(simd, &out[place(row, vector)..]),
            })
        });
        let weights = &self.weights[tile * self.slide.terms() * ROWS..];
        for tap in &self.taps[position] {
            let (weights, _) =
                weights[(tap.entry * all + first) * ROWS..][..count * ROWS].as_chunks::<ROWS>();
            let channel_len = self.slide.places() * COLS;
            let data = self.data[first * channel_len + tap.place * COLS..].chunks(channel_len);
            for (weights, data) in weights.iter().zip(data) {
                let x: [_; VECTORS] =
                    std::array::from_fn(|vector| T::load(simd, &data[col + vector * lanes..]));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let weight = T::splat(simd, weights[top + row]);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = T::multiply_add(simd, weight, x, *sum);
                    }
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                T::store(simd, &mut out[place(row, vector)..], sum);
            }
        }
    }

    /// All rows of a tile, as many at a time as there are registers for.
    #[inline(always)]
    fn column<S: Simd, const VECTORS: usize>(
        &mut self,
        simd: S,
        channels: [usize; 2],
        tile: usize,
        position: usize,
        col: usize,
    ) {
        if S::REGISTER_COUNT >= 32 {
            self.strip::<S, ROWS, VECTORS>(simd, channels, [tile, 0], position, col);
        } else {
            self.strip::<S, { ROWS / 2 }, VECTORS>(simd, channels, [tile, 0], position, col);
            self.strip::<S, { ROWS / 2 }, VECTORS>(simd, channels, [tile, ROWS / 2], position, col);
        }
    }
}

impl<T: Lanes> WithSimd for Convolve<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (lanes, all) = (T::count::<S>(), self.slide.channels);
        let near = (NEAR / (self.slide.places() * COLS)).clamp(1, all);
        for first in (0..all).step_by(near) {
            let channels = [first, near.min(all - first)];
            for tile in 0..self.weights.len() / (self.slide.terms() * ROWS) {
                for position in 0..self.taps.len() {
                    let mut col = 0;
                    while col + 2 * lanes <= self.cols {
                        self.column::<S, 2>(simd, channels, tile, position, col);
                        col += 2 * lanes;
                    }
                    if col < self.cols {
                        self.column::<S, 1>(simd, channels, tile, position, col);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;
    use crate::convolution::Geometry;

    /// Whole numbers, so that every width gives the same; processors with narrow vectors take other paths.
    #[test]
    fn all_widths_give_the_same() {
        let (one, rows, channels) = ([1, 1], 11, 70);
        let geometry = Geometry {
            images: COLS,
            inputs: channels,
            outputs: rows,
            input: [1, 4],
            kernel: [1, 5],
            output: [1, 4],
            stride: one,
            padding: [0, 2],
        };
        let slide = Slide::forward(&geometry);
        let values = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 37 + seed * 11) % 23) as f32 - 11.0).collect()
        };
        let (taps, bias) = (slide.taps(), values(rows, 3));
        let weights = values(2 * ROWS * slide.terms(), 1);
        let data = values(slide.image_len() * COLS, 2);
        for cols in [PIECE, COLS] {
            let convolve = |simd: &dyn Fn(Convolve<'_, f32>)| {
                let mut out = vec![0.0; 2 * ROWS * 4 * COLS];
                let (slide, taps, weights) = (&slide, &taps[..], &weights[..]);
                simd(Convolve { slide, taps, weights, bias: Some(&bias), data: &data, cols, out: &mut out });
                out
            };
            let found = convolve(&|body| Arch::new().dispatch(body));
            assert_eq!(found, convolve(&|body| Simd::vectorize(Scalar::new(), body)));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert_eq!(found, convolve(&|body| Simd::vectorize(simd, body)));
            }
            // Row 9 is row 1 of the second tile. At the second position the first entry is in the padding.
            let term = |channel: usize, entry: usize| {
                let weight = weights[((5 + entry) * channels + channel) * ROWS + 1];
                weight * data[(channel * 4 + entry - 1) * COLS + 7]
            };
            let sum: f32 =
                (0..channels).flat_map(|c| (1..5).map(move |e| (c, e))).map(|(c, e)| term(c, e)).sum();
            assert_eq!(found[(9 * 4 + 1) * COLS + 7], bias[9] + sum);
        }
    }
}
