//! A partial one-to-one pairing with prices, on its way to an optimal assignment.
//!
//! Every column has a price; a row wants the column whose cost and price together are least. When every row has a
//! column that it wants, the pairing is optimal and the negative prices are its column duals. The two ways to get
//! there are in [`crate::auction`] (fast and rough) and [`crate::shortest_paths`] (exact).

use crate::Cost;
use crate::parallel::map_rows;
use crate::shortlist::{Best, Lanes, Shortlist};

/// Marks a row or column without partner.
pub(crate) const NONE: usize = usize::MAX;

/// See the module.
pub(crate) struct Matching<'a> {
    pub(crate) cost: &'a Cost,
    /// Never fall, which is what the shortlists rely on.
    pub(crate) prices: Vec<f64>,
    pub(crate) target_of: Vec<usize>,
    pub(crate) source_of: Vec<usize>,
    pub(crate) shortlists: Vec<Shortlist>,
    lanes: Lanes,
}

impl<'a> Matching<'a> {
    /// Nobody is paired. Takes one pass over the cost.
    pub(crate) fn new(cost: &'a Cost, prices: Vec<f64>) -> Self {
        let n = cost.rows();
        let shortlists =
            map_rows([n, n], || Lanes::new(n), |lanes, row| Shortlist::new(cost.row(row), &prices, lanes));
        let lanes = Lanes::new(n);
        Self { cost, prices, target_of: vec![NONE; n], source_of: vec![NONE; n], shortlists, lanes }
    }

    /// What a row wants at the present prices.
    pub(crate) fn best(&mut self, row: usize) -> Best {
        if let Some(best) = self.shortlists[row].best(&self.prices) {
            return best;
        }
        self.refresh(row);
        let unknown = Best { col: 0, least: f64::INFINITY, second: f64::INFINITY };
        // Only prices that have overflowed leave a fresh list without an answer; they prove nothing in the end.
        self.shortlists[row].best(&self.prices).unwrap_or(unknown)
    }

    pub(crate) fn refresh(&mut self, row: usize) {
        self.shortlists[row].refresh(self.cost.row(row), &self.prices, &mut self.lanes);
    }

    /// What a paired row pays, price included.
    pub(crate) fn paid(&self, row: usize) -> f64 {
        let col = self.target_of[row];
        self.cost.at(row, col) + self.prices[col]
    }

    /// Pairs a row with a column. Returns the row that had it.
    pub(crate) fn pair(&mut self, row: usize, col: usize) -> Option<usize> {
        let former = std::mem::replace(&mut self.source_of[col], row);
        self.target_of[row] = col;
        if former == NONE {
            return None;
        }
        self.target_of[former] = NONE;
        Some(former)
    }

    pub(crate) fn single_rows(&self) -> Vec<usize> {
        (0..self.target_of.len()).filter(|&row| self.target_of[row] == NONE).collect()
    }

    /// Parts the rows from columns for which they pay over `patience` more than they must.
    pub(crate) fn part_unhappy(&mut self, patience: f64) {
        for row in 0..self.target_of.len() {
            let col = self.target_of[row];
            if col != NONE && self.paid(row) > self.best(row).least + patience {
                self.target_of[row] = NONE;
                self.source_of[col] = NONE;
            }
        }
    }

    /// Gives the single rows the free columns, wanted or not, in order.
    pub(crate) fn pair_the_rest(&mut self) {
        let free: Vec<usize> = (0..self.source_of.len()).filter(|&col| self.source_of[col] == NONE).collect();
        for (row, col) in self.single_rows().into_iter().zip(free) {
            self.pair(row, col);
        }
    }

    /// By how much the second choice of a row costs more than the first, on average.
    pub(crate) fn typical_gap(&mut self) -> f64 {
        let n = self.target_of.len();
        let gaps = (0..n).map(|row| {
            let Best { least, second, .. } = self.best(row);
            second - least
        });
        gaps.filter(|gap| gap.is_finite()).sum::<f64>() / n as f64
    }
}
