//! Numbers that lie behind each other, side by side, and back.

use super::tile::COLS;
use crate::lanes::Lanes;

/// Numbers of a row that are moved before those of the next: few enough that both sides stay in the nearest cache.
const STRETCH: usize = 32;

/// Rows `[count, len]` as columns `[len, COLS]`, of which those that are missing are left alone; each is `APART` rows of
/// the target from the next.
pub(super) fn turned<T: Lanes, const APART: usize>(values: &[T], len: usize, into: &mut [T]) {
    for start in (0..len).step_by(STRETCH) {
        let end = len.min(start + STRETCH);
        let (into, _) = into[start * APART * COLS..].as_chunks_mut::<COLS>();
        let mut rows = values.chunks_exact(len).map(|values| &values[start..end]);
        let mut column = 0;
        // Four numbers are one store.
        while column + 4 <= values.len() / len {
            let mut next = || rows.next().unwrap_or_default();
            let (a, b, c, d) = (next(), next(), next(), next());
            let into = into.iter_mut().step_by(APART);
            for (into, (((a, b), c), d)) in into.zip(a.iter().zip(b).zip(c).zip(d)) {
                into[column..column + 4].copy_from_slice(&[*a, *b, *c, *d]);
            }
            column += 4;
        }
        for row in rows {
            for (into, value) in into.iter_mut().step_by(APART).zip(row) {
                into[column] = *value;
            }
            column += 1;
        }
    }
}

/// Columns `[len, COLS]` as rows.
pub(super) fn returned<T: Lanes>(values: &[T], rows: &mut [&mut [T]]) {
    let (values, _) = values.as_chunks::<COLS>();
    for (stretch, values) in values.chunks(STRETCH).enumerate() {
        for (column, row) in rows.iter_mut().enumerate() {
            let row = &mut row[stretch * STRETCH..][..values.len()];
            for (into, values) in row.iter_mut().zip(values) {
                *into = values[column];
            }
        }
    }
}
