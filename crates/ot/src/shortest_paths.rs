//! The exact end of an assignment: one shortest augmenting path for each row that is still single
//! (Edmonds and Karp 1972; Jonker and Volgenant 1987).
//!
//! The path alternates between a row and a column it could take, and that column and the row that has it. Its length
//! is what the rows on it would pay too much, so a shortest path to a free column, and prices raised to match, keep
//! every paired row content. Rows are seen through their shortlists: the horizon of a list waits in the queue like a
//! column, and only when the search gets that far is the row looked at again.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::matching::{Matching, NONE};
use crate::shortlist::Entry;

/// Rows visited in all searches, per row of the problem, before the method gives up. Where auctions have settled, clouds
/// take fewer; more would be as much work as the network simplex.
const VISITS_PER_ROW: usize = 20;

/// What the search meets next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Column(usize),
    /// The columns that the shortlist of a row leaves out begin here.
    Horizon(usize),
}

/// A place and its distance, ordered so that the nearest is the greatest, as the heap wants it.
#[derive(Clone, Copy)]
struct Stop {
    distance: f64,
    place: Place,
}

impl Ord for Stop {
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Stop {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Stop {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Stop {}

/// Scratch of the searches, as large as the problem and cleaned up after each search only where it was touched.
struct Search {
    queue: BinaryHeap<Stop>,
    distance: Vec<f64>,
    came_from: Vec<usize>,
    settled: Vec<bool>,
    touched: Vec<usize>,
    /// What must be added to cost plus price for the distance of a column by way of this row.
    offset: Vec<f64>,
    /// The distance of the nearest free column so far: nothing beyond it matters.
    nearest_free: f64,
}

impl Search {
    fn new(n: usize) -> Self {
        Self {
            queue: BinaryHeap::new(),
            distance: vec![f64::INFINITY; n],
            came_from: vec![NONE; n],
            settled: vec![false; n],
            touched: Vec::new(),
            offset: vec![0.0; n],
            nearest_free: f64::INFINITY,
        }
    }

    fn clear(&mut self) {
        for col in self.touched.drain(..) {
            self.distance[col] = f64::INFINITY;
            self.settled[col] = false;
        }
        self.queue.clear();
        self.nearest_free = f64::INFINITY;
    }

    /// Learns that a column costs a row this much, its price included.
    fn reach(&mut self, row: usize, col: usize, price: f64, is_free: bool) {
        let distance = self.offset[row] + price;
        if distance < self.distance[col] && distance <= self.nearest_free && !self.settled[col] {
            if self.distance[col] == f64::INFINITY {
                self.touched.push(col);
            }
            self.distance[col] = distance;
            self.came_from[col] = row;
            self.queue.push(Stop { distance, place: Place::Column(col) });
            if is_free {
                self.nearest_free = distance;
            }
        }
    }
}

impl Matching<'_> {
    /// Pairs all single rows. Every pair there is must be one that its row wants. `false` when the searches grow too
    /// long, or prices have overflowed; what is paired by then is still wanted.
    pub(crate) fn complete(&mut self) -> bool {
        let mut search = Search::new(self.target_of.len());
        let mut visits = VISITS_PER_ROW * self.target_of.len();
        for row in self.single_rows() {
            let Some(free) = self.nearest_free(&mut search, row, &mut visits) else { return false };
            self.raise_prices(&search, search.distance[free]);
            self.swap_along(&search, row, free);
            search.clear();
        }
        true
    }

    /// Dijkstra's algorithm from a single row to the nearest free column.
    fn nearest_free(&mut self, search: &mut Search, start: usize, visits: &mut usize) -> Option<usize> {
        search.offset[start] = -self.best(start).least;
        self.look_from(search, start);
        while let Some(Stop { distance, place }) = search.queue.pop() {
            match place {
                Place::Horizon(row) => self.look_further(search, row),
                Place::Column(col) if search.settled[col] => {}
                Place::Column(col) => {
                    search.settled[col] = true;
                    let row = self.source_of[col];
                    if row == NONE {
                        return Some(col);
                    }
                    *visits = visits.checked_sub(1)?;
                    search.offset[row] = distance - self.paid(row);
                    self.look_from(search, row);
                }
            }
        }
        None
    }

    fn look_from(&self, search: &mut Search, row: usize) {
        let list = &self.shortlists[row];
        for &Entry { col, cost } in &list.entries {
            search.reach(row, col, cost + self.prices[col], self.source_of[col] == NONE);
        }
        let distance = search.offset[row] + list.horizon;
        if distance < search.nearest_free {
            search.queue.push(Stop { distance, place: Place::Horizon(row) });
        }
    }

    /// Prices may have risen since the list was made, and then a new one sees further. Otherwise the whole row counts.
    fn look_further(&mut self, search: &mut Search, row: usize) {
        let horizon = self.shortlists[row].horizon;
        self.refresh(row);
        if self.shortlists[row].horizon > horizon {
            return self.look_from(search, row);
        }
        for (col, (cost, price)) in self.cost.row(row).iter().zip(&self.prices).enumerate() {
            search.reach(row, col, cost + price, self.source_of[col] == NONE);
        }
    }

    fn raise_prices(&mut self, search: &Search, end: f64) {
        for &col in search.touched.iter().filter(|&&col| search.settled[col]) {
            // By rounding a column may have been settled a last digit too far, but a price must not fall.
            self.prices[col] += (end - search.distance[col]).max(0.0);
        }
    }

    fn swap_along(&mut self, search: &Search, start: usize, free: usize) {
        let mut col = free;
        loop {
            let row = search.came_from[col];
            let given_up = std::mem::replace(&mut self.target_of[row], col);
            self.source_of[col] = row;
            if row == start {
                return;
            }
            col = given_up;
        }
    }
}
