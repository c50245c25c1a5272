//! Softmax attention that keeps no weights.
//!
//! `softmax(QKᵀ/√d)·V` has as many weights as pairs of places. They are made for a block of rows at a time, used while
//! they are in the cache, and lost; of each row only the logarithm of its sum of exponentials is kept, from which the
//! way back makes the weights again (Dao et al., 2022).

mod operation;
mod plain;
mod softmax;
#[cfg(test)]
mod tests;

pub use operation::{attention, channel_attention};

use std::ops::Range;

use crate::Real;
use crate::perceptron::share;
use crate::pool::Buffer;
use crate::product::{Matrix, Write, product};
use crate::simd;
use softmax::{Slopes, Softmax};

/// Sizes of one head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub order: Order,
    /// Places that ask, and places that are asked.
    pub queries: usize,
    pub keys: usize,
    /// Numbers of a query or key, and of a value.
    pub dim: usize,
    pub value_dim: usize,
}

/// What comes first in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[places, numbers]`.
    Places,
    /// `[numbers, places]`, as convolutions leave them.
    Numbers,
}

impl Order {
    /// The numbers of some places, a row for each.
    fn rows<'a, T>(self, values: &'a [T], numbers: usize, rows: &Range<usize>) -> Matrix<'a, T> {
        match self {
            Self::Places => {
                Matrix::new(&values[rows.start * numbers..rows.end * numbers], rows.len(), numbers)
            }
            Self::Numbers => {
                let places = values.len() / numbers;
                Matrix::columns(values, [numbers, places], rows.clone()).transposed()
            }
        }
    }

    fn all<T>(self, values: &[T], numbers: usize) -> Matrix<'_, T> {
        self.rows(values, numbers, &(0..values.len() / numbers))
    }

    /// Writes `a·b` over the numbers of some places.
    fn put<T: Real>(self, into: &mut [T], numbers: usize, rows: &Range<usize>, [a, b]: [Matrix<'_, T>; 2]) {
        match self {
            Self::Places => {
                product(&mut into[rows.start * numbers..rows.end * numbers], Write::Replace, a, b);
            }
            Self::Numbers => {
                let places = into.len() / numbers;
                if rows.len() == places {
                    product(into, Write::Replace, b.transposed(), a.transposed());
                    return;
                }
                let mut result = Buffer::stale(numbers * rows.len());
                product(&mut result, Write::Replace, b.transposed(), a.transposed());
                for (into, result) in into.chunks_exact_mut(places).zip(result.chunks_exact(rows.len())) {
                    into[rows.clone()].copy_from_slice(result);
                }
            }
        }
    }

    /// Writes or adds `aᵀ·b` over the numbers of all places.
    fn put_all<T: Real>(self, into: &mut [T], write: Write, a: Matrix<'_, T>, b: Matrix<'_, T>) {
        match self {
            Self::Places => product(into, write, a.transposed(), b),
            Self::Numbers => product(into, write, b.transposed(), a),
        }
    }
}

/// Weights made at a time: a quarter of a mebibyte in single precision.
const WEIGHTS: usize = 1 << 16;

/// Queries, keys and values of one head, or their gradients.
pub(crate) type Parts<'a, T> = [&'a [T]; 3];
pub(crate) type PartsMut<'a, T> = [&'a mut [T]; 3];

impl Head {
    /// The rows of each block.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let (queries, rows) = (self.queries, (WEIGHTS / self.keys).clamp(1, self.queries));
        (0..queries).step_by(rows).map(move |start| start..queries.min(start + rows))
    }

    fn scale(&self) -> f64 {
        1.0 / (self.dim as f64).sqrt()
    }

    /// Multiplications of one head forwards.
    fn work(&self) -> usize {
        self.queries * self.keys * (self.dim + self.value_dim)
    }

    /// Writes the outputs of all heads, and the logarithms `[heads, queries]`.
    pub fn forward<T: Real>(&self, heads: Vec<Parts<'_, T>>, out: &mut [T], logarithms: &mut [T]) {
        let work = heads.len() * self.work();
        let outs = out.chunks_mut(self.queries * self.value_dim).zip(logarithms.chunks_mut(self.queries));
        let jobs: Vec<_> = heads.into_iter().zip(outs).collect();
        share(jobs, work, |([q, k, v], (out, logarithms))| {
            for rows in self.blocks() {
                let mut weights = Buffer::stale(rows.len() * self.keys);
                self.scores(q, k, &rows, &mut weights);
                let logarithms = &mut logarithms[rows.clone()];
                simd::widest(Softmax {
                    weights: &mut weights,
                    logarithms,
                    keys: self.keys,
                    scale: self.scale(),
                });
                let factors =
                    [Matrix::new(&weights, rows.len(), self.keys), self.order.all(v, self.value_dim)];
                self.order.put(out, self.value_dim, &rows, factors);
            }
        });
    }

    /// Writes the gradients of queries, keys and values of all heads.
    pub fn backward<T: Real>(
        &self,
        heads: Vec<(Parts<'_, T>, PartsMut<'_, T>)>,
        logarithms: &[T],
        out_gradient: &[T],
    ) {
        let work = 3 * heads.len() * self.work();
        let given = logarithms.chunks(self.queries).zip(out_gradient.chunks(self.queries * self.value_dim));
        let jobs: Vec<_> = heads.into_iter().zip(given).collect();
        share(jobs, work, |((inputs, gradients), (logarithms, g))| {
            self.head_backward(inputs, gradients, logarithms, g);
        });
    }

    /// One head, block by block.
    fn head_backward<T: Real>(
        &self,
        [q, k, v]: Parts<'_, T>,
        [dq, dk, dv]: PartsMut<'_, T>,
        logarithms: &[T],
        out_gradient: &[T],
    ) {
        let (order, keys) = (self.order, self.keys);
        let mut write = Write::Replace;
        for rows in self.blocks() {
            let (count, logarithms) = (rows.len(), &logarithms[rows.clone()]);
            let (mut weights, mut slopes) = (Buffer::stale(count * keys), Buffer::stale(count * keys));
            self.scores(q, k, &rows, &mut weights);
            let g = order.rows(out_gradient, self.value_dim, &rows);
            product(&mut slopes, Write::Replace, g, order.all(v, self.value_dim).transposed());
            let scale = self.scale();
            simd::widest(Slopes { weights: &mut weights, slopes: &mut slopes, logarithms, keys, scale });
            let (weights, slopes) = (Matrix::new(&weights, count, keys), Matrix::new(&slopes, count, keys));
            order.put_all(dv, write, weights, g);
            order.put(dq, self.dim, &rows, [slopes, order.all(k, self.dim)]);
            order.put_all(dk, write, slopes, order.rows(q, self.dim, &rows));
            write = Write::Add;
        }
    }

    /// The products of some queries with all keys.
    fn scores<T: Real>(&self, q: &[T], k: &[T], rows: &Range<usize>, into: &mut [T]) {
        let q = self.order.rows(q, self.dim, rows);
        product(into, Write::Replace, q, self.order.all(k, self.dim).transposed());
    }
}
