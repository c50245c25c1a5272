//! The two inner loops of a convolution, each a tile of sums held in registers.
//!
//! Both are products of a tall matrix with one of [`COLS`] columns, of which neither is ever written out: what they read
//! of the images they read in place, at an offset for each row of the kernel. Eight rows by two vectors keep a
//! processor with two multipliers busy: each of the vectors loaded meets eight sums, each of the numbers spread two.

use pulp::{Arch, Simd, WithSimd};

use crate::lanes::Lanes;
use crate::product::Write;

/// Rows of a tile.
pub(super) const ROWS: usize = 8;
/// Columns of a tile.
pub(super) const COLS: usize = 32;
/// Columns that lie next to each other in memory.
pub(super) const PIECE: usize = 16;

/// `out[row][col] = bias[row] + Σᵢ weights[i][row] · data[offsets[i] + base of col]`, for any number of tiles of rows.
pub(super) struct Convolve<'a, T> {
    /// `[tiles, terms, ROWS]`.
    pub weights: &'a [T],
    pub data: &'a [T],
    /// `[terms]`.
    pub offsets: &'a [usize],
    /// Where the pieces of the columns begin in the data, and in a row of the output; one or two.
    pub bases: &'a [usize],
    pub places: &'a [usize],
    /// `[rows]`; none is zeros.
    pub bias: Option<&'a [T]>,
    /// Rows of this length, at most as many as those of the tiles; what is beyond the pieces is left alone.
    pub width: usize,
    pub out: &'a mut [T],
}

impl<T: Lanes> Convolve<'_, T> {
    /// Does it with the widest instructions of this machine.
    pub fn run(self) {
        Arch::new().dispatch(self);
    }

    /// `VECTORS` vectors of columns and `HIGH` rows of each tile, from row `top` on.
    #[inline(always)]
    fn strip<S: Simd, const HIGH: usize, const VECTORS: usize>(&mut self, simd: S, col: usize, top: usize) {
        let lanes = T::count::<S>();
        let (mut bases, mut places) = ([0; VECTORS], [0; VECTORS]);
        for vector in 0..VECTORS {
            let col = col + vector * lanes;
            bases[vector] = self.bases[col / PIECE] + col % PIECE;
            places[vector] = self.places[col / PIECE] + col % PIECE;
        }
        let tiles = self.weights.chunks_exact(self.offsets.len() * ROWS);
        for (tile, weights) in tiles.enumerate() {
            let mut sums = [[T::splat(simd, T::of(0.0)); VECTORS]; HIGH];
            if let Some(bias) = self.bias {
                for (sums, bias) in sums.iter_mut().zip(&bias[bias.len().min(tile * ROWS + top)..]) {
                    *sums = [T::splat(simd, *bias); VECTORS];
                }
            }
            let (weights, _) = weights.as_chunks::<ROWS>();
            for (weights, offset) in weights.iter().zip(self.offsets) {
                let mut x = [sums[0][0]; VECTORS];
                for (x, base) in x.iter_mut().zip(bases) {
                    *x = T::load(simd, &self.data[base + offset..]);
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let weight = T::splat(simd, weights[top + row]);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = T::multiply_add(simd, weight, x, *sum);
                    }
                }
            }
            let rows = self.out.chunks_exact_mut(self.width).skip(tile * ROWS + top);
            for (out, sums) in rows.zip(sums) {
                for (sum, place) in sums.into_iter().zip(places) {
                    T::store(simd, &mut out[place..], sum);
                }
            }
        }
    }

    /// All rows, as many at a time as there are registers for.
    #[inline(always)]
    fn column<S: Simd, const VECTORS: usize>(&mut self, simd: S, col: usize) {
        if S::REGISTER_COUNT >= 32 {
            self.strip::<S, ROWS, VECTORS>(simd, col, 0);
        } else {
            self.strip::<S, { ROWS / 2 }, VECTORS>(simd, col, 0);
            self.strip::<S, { ROWS / 2 }, VECTORS>(simd, col, ROWS / 2);
        }
    }
}

impl<T: Lanes> WithSimd for Convolve<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (lanes, cols) = (T::count::<S>(), self.bases.len() * PIECE);
        let mut col = 0;
        while col + 2 * lanes <= cols {
            self.column::<S, 2>(simd, col);
            col += 2 * lanes;
        }
        if col < cols {
            self.column::<S, 1>(simd, col);
        }
    }
}

/// Positions that follow each other both in the data and in the gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Where the data begin.
    pub data: usize,
    /// The first row of the gradient.
    pub position: usize,
    /// Positions.
    pub len: usize,
}

/// `sums[i][col] = Σ data[offsets[i] + run.data + n] · gradient[run.position + n][col]` over all runs and their `n`,
/// or `+=`.
pub(super) struct Correlate<'a, T> {
    pub data: &'a [T],
    /// `[terms]`, a multiple of [`ROWS`].
    pub offsets: &'a [usize],
    pub runs: &'a [Run],
    /// `[positions, COLS]`.
    pub gradient: &'a [T],
    /// `[terms, COLS]`.
    pub sums: &'a mut [T],
    /// Whether what is in the sums counts.
    pub write: Write,
}

impl<T: Lanes> Correlate<'_, T> {
    /// Does it with the widest instructions of this machine.
    pub fn run(self) {
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn strip<S: Simd, const HIGH: usize, const VECTORS: usize>(&mut self, simd: S, col: usize) {
        let lanes = T::count::<S>();
        let (gradient, _) = self.gradient.as_chunks::<COLS>();
        for (offsets, out) in self.offsets.chunks_exact(HIGH).zip(self.sums.chunks_exact_mut(HIGH * COLS)) {
            let mut sums: [[_; VECTORS]; HIGH] = std::array::from_fn(|row| {
                std::array::from_fn(|vector| match self.write {
                    Write::Replace => T::splat(simd, T::of(0.0)),
                    Write::Add => T::load(simd, &out[row * COLS + col + vector * lanes..]),
                })
            });
            for run in self.runs {
                let gradient = &gradient[run.position..][..run.len];
                let data: [&[T]; HIGH] =
                    std::array::from_fn(|row| &self.data[offsets[row] + run.data..][..run.len]);
                for (place, gradient) in gradient.iter().enumerate() {
                    let g: [_; VECTORS] =
                        std::array::from_fn(|vector| T::load(simd, &gradient[col + vector * lanes..]));
                    for (data, sums) in data.iter().zip(&mut sums) {
                        let x = T::splat(simd, data[place]);
                        for (sum, g) in sums.iter_mut().zip(g) {
                            *sum = T::multiply_add(simd, x, g, *sum);
                        }
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                for (vector, sum) in sums.into_iter().enumerate() {
                    T::store(simd, &mut out[row * COLS + col + vector * lanes..], sum);
                }
            }
        }
    }
}

impl<T: Lanes> WithSimd for Correlate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for col in (0..COLS).step_by(2 * T::count::<S>()) {
            if S::REGISTER_COUNT >= 32 {
                self.strip::<S, ROWS, 2>(simd, col);
            } else {
                self.strip::<S, { ROWS / 2 }, 2>(simd, col);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 11) % 23) as f32 - 11.0).collect()
    }

    /// Whole numbers, so that every width gives the same; processors with narrow vectors take other paths.
    #[test]
    fn all_widths_give_the_same() {
        let (terms, rows, bias) = (5, 11, values(11, 4));
        let (weights, data) = (values(2 * ROWS * terms, 1), values(100, 2));
        let offsets = [0, 7, 21, 30, 3];
        for bases in [&[4, 40][..], &[9]] {
            let convolve = |simd: &dyn Fn(Convolve<'_, f32>)| {
                let mut out = vec![0.0; rows * 50];
                let places = &[2, 30][..bases.len()];
                let bias = Some(&bias[..]);
                simd(Convolve {
                    weights: &weights,
                    data: &data,
                    offsets: &offsets,
                    bases,
                    places,
                    bias,
                    width: 50,
                    out: &mut out,
                });
                out
            };
            let found = convolve(&|body| body.run());
            assert_eq!(found, convolve(&|body| Simd::vectorize(Scalar::new(), body)));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert_eq!(found, convolve(&|body| Simd::vectorize(simd, body)));
            }
            // Row 9 is row 1 of the second tile, and column 3 of the last piece is at its place and 3.
            let last = bases.len() - 1;
            let term = |i: usize| weights[(terms + i) * ROWS + 1] * data[bases[last] + 3 + offsets[i]];
            assert_eq!(found[9 * 50 + [2, 30][last] + 3], bias[9] + (0..terms).map(term).sum::<f32>());
        }
    }

    #[test]
    fn all_widths_correlate_the_same() {
        let (data, gradient) = (values(90, 1), values(9 * COLS, 2));
        let offsets: Vec<usize> = (0..2 * ROWS).map(|term| 4 * term).collect();
        let runs = [Run { data: 3, position: 4, len: 5 }, Run { data: 20, position: 0, len: 3 }];
        for write in [Write::Replace, Write::Add] {
            let correlate = |simd: &dyn Fn(Correlate<'_, f32>)| {
                let mut sums = vec![2.0; offsets.len() * COLS];
                let (data, runs, gradient) = (&data[..], &runs[..], &gradient[..]);
                simd(Correlate { data, offsets: &offsets, runs, gradient, sums: &mut sums, write });
                sums
            };
            let found = correlate(&|body| body.run());
            assert_eq!(found, correlate(&|body| Simd::vectorize(Scalar::new(), body)));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert_eq!(found, correlate(&|body| Simd::vectorize(simd, body)));
            }
            let places = (0..5).map(|n| (12 + 3 + n, 4 + n)).chain((0..3).map(|n| (12 + 20 + n, n)));
            let expected: f32 = places.map(|(x, g)| data[x] * gradient[g * COLS + 17]).sum();
            assert_eq!(found[3 * COLS + 17], expected + if write == Write::Add { 2.0 } else { 0.0 });
        }
    }
}
