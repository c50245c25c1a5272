//! A whole multilayer perceptron as one operation.
//!
//! Layer by layer, every product, bias and activation is a pass over the whole batch, and on a CPU most of the time
//! goes to moving these arrays. Here the batch is cut into pieces of rows, and each piece goes through all layers while
//! it is in the cache; threads share the pieces. The cut depends on the shapes alone, never on the number of threads, so
//! the results do not either.

mod backward;
mod divergence;
mod forward;
mod passes;

pub(crate) use backward::{Wanted, added, backward};
pub(crate) use divergence::{Moving, divergence, tangent};
pub(crate) use forward::forward;

use std::ops::Range;

use rayon::prelude::*;

use crate::{Activation, Real};

/// What a perceptron is beside its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Architecture {
    /// The function between two layers.
    pub activation: Activation,
    /// Whether every hidden layer after the first adds to what it was given.
    pub residual: bool,
}

/// The numbers of a perceptron with at least one hidden layer; all matrices row by row.
#[derive(Debug, Clone)]
pub(crate) struct Net<'a, T> {
    pub architecture: Architecture,
    /// Units of a hidden layer.
    pub width: usize,
    /// Numbers that come out.
    pub outputs: usize,
    /// `[in, out]` of each layer. Of the first one only the rows of point and features are used.
    pub weights: Vec<&'a [T]>,
    /// What is added to the first layer before its activation, `[width]` or `[batch, width]`.
    pub shift: &'a [T],
    /// The biases of all layers but the first.
    pub biases: Vec<&'a [T]>,
}

impl<T: Real> Net<'_, T> {
    fn hidden_layers(&self) -> usize {
        self.weights.len() - 1
    }

    /// Whether every row of the batch has a shift of its own.
    fn shift_by_row(&self) -> bool {
        self.shift.len() != self.width
    }

    /// The part of the shift that a piece needs.
    fn shift_of(&self, rows: &Range<usize>) -> &[T] {
        if self.shift_by_row() {
            &self.shift[rows.start * self.width..rows.end * self.width]
        } else {
            self.shift
        }
    }

    /// Multiplications of one row on its way forward.
    fn work(&self) -> usize {
        self.weights.iter().map(|weight| weight.len()).sum()
    }
}

/// What goes into a perceptron: points and, beside them, the features of the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a, T> {
    /// Rows.
    pub batch: usize,
    /// `[batch, dim]`.
    pub point: &'a [T],
    /// `[batch, features]`.
    pub features: &'a [T],
}

impl<T: Real> Inputs<'_, T> {
    fn dim(&self) -> usize {
        self.point.len() / self.batch
    }

    fn feature_count(&self) -> usize {
        self.features.len() / self.batch
    }

    fn cols(&self) -> usize {
        self.dim() + self.feature_count()
    }

    /// Points and features of some rows side by side.
    fn assemble(&self, rows: &Range<usize>, into: &mut [T]) {
        let (dim, count, cols) = (self.dim(), self.feature_count(), self.cols());
        for (row, out) in rows.clone().zip(into.chunks_exact_mut(cols)) {
            out[..dim].copy_from_slice(&self.point[row * dim..(row + 1) * dim]);
            out[dim..].copy_from_slice(&self.features[row * count..(row + 1) * count]);
        }
    }
}

/// Rows of a piece. The products of wide layers copy their weights into the order the processor likes, which takes many
/// rows to pay off; narrow ones leave room in the cache for fewer than this anyway. A small batch is halved for two
/// threads.
fn rows_of_a_piece(batch: usize, width: usize) -> usize {
    let most = if width >= 384 { 512 } else { 256 };
    if batch >= 2 * most { most } else { batch.div_ceil(2).max(64) }
}

/// The ranges of rows of the pieces.
fn pieces(batch: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = rows_of_a_piece(batch, width);
    (0..batch).step_by(rows).map(move |start| start..(start + rows).min(batch))
}

/// Multiplications below which waking another thread costs more than it saves: about a tenth of a millisecond of work.
const WORTH_A_THREAD: usize = 1 << 22;

/// Does all jobs, on all threads if they are worth it.
pub(crate) fn share<J: Send>(jobs: Vec<J>, work: usize, job: impl Fn(J) + Sync + Send) {
    if jobs.len() > 1 && work >= WORTH_A_THREAD && rayon::current_num_threads() > 1 {
        jobs.into_par_iter().with_max_len(1).for_each(job);
    } else {
        jobs.into_iter().for_each(job);
    }
}
