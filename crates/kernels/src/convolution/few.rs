//! Convolutions of a few positions, such as those of one sample while a robot waits.
//!
//! Each weight is used once or a few times, so the time goes to reading the weights, and to bring them into another
//! order first would double it. They are read once, in their order: each output is the inner product of a row of
//! weights with the numbers under the kernel.

use pulp::{Arch, Simd, WithSimd};

use super::slide::{JOBS, Slide};
use crate::lanes::Lanes;
use crate::perceptron::share;
use crate::pool::Buffer;

/// Rows and columns of a tile.
const SIDE: usize = 4;

impl Slide {
    /// [`apply`](Self::apply) with weights as they are, `[rows, terms]`.
    pub fn apply_to_few<T: Lanes>(&self, images: &[T], weights: &[T], bias: Option<&[T]>, out: &mut [T]) {
        let (positions, offsets) = (self.positions(), self.offsets());
        let (terms, count) = (offsets.len(), self.images * positions);
        let rows = weights.len() / terms;
        let framed = self.framed(images);
        // The last tile of columns repeats the last one.
        let mut columns = Buffer::stale(count.next_multiple_of(SIDE) * terms);
        for (position, column) in columns.chunks_exact_mut(terms).enumerate() {
            let data = &framed.values()[self.corner_at(position.min(count - 1))..];
            for (into, offset) in column.iter_mut().zip(&offsets) {
                *into = data[*offset];
            }
        }
        let mut result = Buffer::stale(rows * count);
        let rows_of_part = rows.div_ceil(JOBS).next_multiple_of(SIDE);
        let parts = weights.chunks(rows_of_part * terms).zip(result.chunks_mut(rows_of_part * count));
        share(parts.collect(), rows * terms * count, |(weights, out)| {
            Arch::new().dispatch(InnerProducts { weights, columns: &columns, terms, count, out });
        });
        for (row, result) in result.chunks_exact(count).enumerate() {
            let bias = bias.map_or(T::of(0.0), |bias| bias[row]);
            for (image, result) in result.chunks_exact(positions).enumerate() {
                let into = &mut out[(image * rows + row) * positions..][..positions];
                for (into, result) in into.iter_mut().zip(result) {
                    *into = *result + bias;
                }
            }
        }
    }
}

/// `out[row][column] = weights[row] · columns[column]`.
struct InnerProducts<'a, T> {
    /// `[rows, terms]`.
    weights: &'a [T],
    /// `[columns, terms]`, a multiple of [`SIDE`].
    columns: &'a [T],
    terms: usize,
    /// Columns that count.
    count: usize,
    /// `[rows, count]`.
    out: &'a mut [T],
}

impl<T: Lanes> InnerProducts<'_, T> {
    /// A tile of rows and columns given by their numbers.
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, weights: [&[T]; SIDE], columns: [&[T]; SIDE]) -> [[T; SIDE]; SIDE] {
        let lanes = T::count::<S>();
        let whole = self.terms / lanes * lanes;
        let mut sums = [[T::splat(simd, T::of(0.0)); SIDE]; SIDE];
        for term in (0..whole).step_by(lanes) {
            let mut x = [sums[0][0]; SIDE];
            for (x, column) in x.iter_mut().zip(columns) {
                *x = T::load(simd, &column[term..]);
            }
            for (weights, sums) in weights.iter().zip(&mut sums) {
                let weights = T::load(simd, &weights[term..]);
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = T::multiply_add(simd, weights, x, *sum);
                }
            }
        }
        let mut out = [[T::of(0.0); SIDE]; SIDE];
        for (out, (sums, weights)) in out.iter_mut().zip(sums.into_iter().zip(weights)) {
            for (out, (sum, column)) in out.iter_mut().zip(sums.into_iter().zip(columns)) {
                *out = T::sum(simd, sum);
                for (weight, x) in weights[whole..].iter().zip(&column[whole..]) {
                    *out += *weight * *x;
                }
            }
        }
        out
    }
}

impl<T: Lanes> WithSimd for InnerProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (terms, count) = (self.terms, self.count);
        let rows = self.weights.len() / terms;
        for top in (0..rows).step_by(SIDE) {
            // Rows beyond the last repeat it.
            let row = |more: usize| &self.weights[(top + more).min(rows - 1) * terms..][..terms];
            let weights = [row(0), row(1), row(2), row(3)];
            for left in (0..count).step_by(SIDE) {
                let column = |more: usize| &self.columns[(left + more) * terms..][..terms];
                let columns = [column(0), column(1), column(2), column(3)];
                let tile = self.tile(simd, weights, columns);
                for (row, tile) in (top..rows).zip(tile) {
                    for (col, value) in (left..count).zip(tile) {
                        self.out[row * count + col] = value;
                    }
                }
            }
        }
    }
}
