//! Passes over a matrix on several threads.
//!
//! They are divided by rows, each of which is computed as it would be alone: no result depends on the threads.

use rayon::prelude::*;

/// Passes over fewer entries are done before another thread has woken up.
const WORTH_THREADS: usize = 1 << 17;

/// `value(scratch, row)` of every row, in order. The scratch must not carry anything from one row to another.
pub(crate) fn map_rows<S, T: Send>(
    [rows, cols]: [usize; 2],
    scratch: impl Fn() -> S + Send + Sync,
    value: impl Fn(&mut S, usize) -> T + Send + Sync,
) -> Vec<T> {
    if rows * cols < WORTH_THREADS {
        let mut scratch = scratch();
        (0..rows).map(|row| value(&mut scratch, row)).collect()
    } else {
        (0..rows).into_par_iter().with_min_len(8).map_init(scratch, value).collect()
    }
}

/// Fills `values` in blocks of whole rows: `fill` gets the number of the first row of a block and the block.
pub(crate) fn fill_blocks(
    values: &mut [f64],
    block: usize,
    cols: usize,
    fill: impl Fn(usize, &mut [f64]) + Sync,
) {
    fill_blocks_of(values.len(), values, block, cols, fill);
}

/// [`fill_blocks`] where more work is done than there are values to fill.
pub(crate) fn fill_blocks_of(
    work: usize,
    values: &mut [f64],
    block: usize,
    cols: usize,
    fill: impl Fn(usize, &mut [f64]) + Sync,
) {
    let length = (block * cols).max(1);
    let fill = |(index, values): (usize, &mut [f64])| fill(index * block, values);
    if work < WORTH_THREADS {
        values.chunks_mut(length).enumerate().for_each(fill);
    } else {
        values.par_chunks_mut(length).enumerate().for_each(fill);
    }
}
