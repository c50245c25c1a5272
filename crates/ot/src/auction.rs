//! Rough pairing by auction (Bertsekas 1979).
//!
//! A row without partner takes the column it wants, whoever has it, and raises its price until the row would as soon
//! have its second choice, plus an increment. When all rows are paired, each pays at most the increment more than it
//! must, so the total is within `rows · increment` of the least.

use crate::matching::{Matching, NONE};
use crate::shortlist::Best;

/// Bids per row before an auction is called off. Most clouds take less; where many rows want the same columns they
/// could raise prices for long by little.
const BIDS_PER_ROW: usize = 12;

impl Matching<'_> {
    /// Lets single rows bid until all are paired: `true`; or until too many bids were made: `false`.
    pub(crate) fn auction(&mut self, increment: f64) -> bool {
        let mut single = self.single_rows();
        for _ in 0..BIDS_PER_ROW * self.target_of.len() {
            let Some(row) = single.pop() else { return true };
            let Best { col, least, second } = self.best(row);
            // A single column has no second choice beside it.
            let raise = if second < f64::INFINITY { second - least } else { 0.0 };
            self.prices[col] += raise + increment;
            single.extend(self.pair(row, col));
        }
        single.is_empty()
    }

    /// Gives free columns to single rows that want them.
    pub(crate) fn take_free(&mut self) {
        for row in self.single_rows() {
            let col = self.best(row).col;
            if self.source_of[col] == NONE {
                self.pair(row, col);
            }
        }
    }
}
