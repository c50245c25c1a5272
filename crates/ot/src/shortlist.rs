//! The few columns that are cheapest for a row at the present prices, and a bound for all the others.
//!
//! Prices only rise while an assignment is sought. So what was beyond the *horizon* of a list when it was made stays
//! beyond it, and the list answers for its whole row until its own best entry has risen over the horizon. Most
//! questions about a row then touch a dozen numbers and not thousands.

use pulp::{Arch, NullaryFnOnce};

/// Columns `l`, `l + lanes`, `l + 2 · lanes`, … share lane `l`. A list ends at the first lane that would have to give two
/// columns, about `√(π/2 · lanes)` entries from the cheapest: 10 for 256 columns, 40 for 4,096.
fn lanes_for(cols: usize) -> usize {
    (cols / 4).max(32)
}

/// Entries of most lists of small problems.
const FEW: usize = 16;

/// Lanes that are looked at together.
const GROUP: usize = 8;

/// A column and what the row pays for it, without its price.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) col: usize,
    pub(crate) cost: f64,
}

/// See the module.
pub(crate) struct Shortlist {
    pub(crate) entries: Vec<Entry>,
    /// No column outside of the list costs less than this, price included.
    pub(crate) horizon: f64,
}

/// The cheapest column of a row with its price, and a bound for all others.
#[derive(Clone, Copy)]
pub(crate) struct Best {
    pub(crate) col: usize,
    pub(crate) least: f64,
    /// The second least, or the horizon where that is nearer: no other column costs less.
    pub(crate) second: f64,
}

impl Shortlist {
    pub(crate) fn new(row: &[f64], prices: &[f64], lanes: &mut Lanes) -> Self {
        let mut list = Self { entries: Vec::with_capacity(FEW), horizon: f64::NEG_INFINITY };
        list.refresh(row, prices, lanes);
        list
    }

    /// One pass over the row: complete up to 32 columns, and never empty.
    pub(crate) fn refresh(&mut self, row: &[f64], prices: &[f64], lanes: &mut Lanes) {
        self.entries.clear();
        self.horizon = Arch::new().dispatch(Pass { row, prices, lanes, entries: &mut self.entries });
    }

    /// The cheapest column, unless one beyond the horizon may be cheaper.
    pub(crate) fn best(&self, prices: &[f64]) -> Option<Best> {
        let mut best = Best { col: 0, least: f64::INFINITY, second: self.horizon };
        for &Entry { col, cost } in &self.entries {
            let sum = cost + prices[col];
            let lower = sum < best.least;
            let greater = if lower { best.least } else { sum };
            best.second = lesser(greater, best.second);
            best.col = if lower { col } else { best.col };
            best.least = lesser(sum, best.least);
        }
        (best.least <= self.horizon && best.least < f64::INFINITY).then_some(best)
    }
}

/// The two least sums of each lane, as scratch for one pass over a row.
///
/// Lanes do not depend on each other and selections replace branches, so that the compiler can use vector
/// instructions; steps are floats because a selection wants numbers of equal width.
pub(crate) struct Lanes {
    least: Vec<f64>,
    step_of_least: Vec<f64>,
    second: Vec<f64>,
}

fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

impl Lanes {
    /// For rows of this many columns.
    pub(crate) fn new(cols: usize) -> Self {
        let lanes = vec![0.0; lanes_for(cols)];
        Self { least: lanes.clone(), step_of_least: lanes.clone(), second: lanes }
    }
}

/// One pass over a row, which fills a list.
struct Pass<'a> {
    row: &'a [f64],
    prices: &'a [f64],
    lanes: &'a mut Lanes,
    entries: &'a mut Vec<Entry>,
}

impl NullaryFnOnce for Pass<'_> {
    /// The least of all sums that are second in their lane.
    type Output = f64;

    // Inlined into the dispatch, or it would be compiled for the oldest processor.
    #[inline(always)]
    fn call(self) -> f64 {
        let Lanes { least, step_of_least, second } = self.lanes;
        let width = least.len();
        least.fill(f64::INFINITY);
        second.fill(f64::INFINITY);
        for (step, (costs, prices)) in self.row.chunks(width).zip(self.prices.chunks(width)).enumerate() {
            let step = step as f64;
            // Slices of one length, so that no index is checked.
            let width = costs.len();
            let (prices, least) = (&prices[..width], &mut least[..width]);
            let (step_of_least, second) = (&mut step_of_least[..width], &mut second[..width]);
            for lane in 0..width {
                let sum = costs[lane] + prices[lane];
                let lower = sum < least[lane];
                let greater = if lower { least[lane] } else { sum };
                second[lane] = if greater < second[lane] { greater } else { second[lane] };
                step_of_least[lane] = if lower { step } else { step_of_least[lane] };
                least[lane] = if lower { sum } else { least[lane] };
            }
        }
        let mut horizon = [f64::INFINITY; GROUP];
        for second in second.chunks(GROUP) {
            for (horizon, &second) in horizon.iter_mut().zip(second) {
                *horizon = if second < *horizon { second } else { *horizon };
            }
        }
        let horizon = horizon.into_iter().fold(f64::INFINITY, lesser);

        let width = least.len();
        for (block, least) in least.chunks(GROUP).enumerate() {
            // Most groups have nothing for the list, and one branch is cheaper than eight.
            if !least.iter().fold(false, |any, &sum| any | (sum <= horizon)) {
                continue;
            }
            for (lane, &sum) in (block * GROUP..).zip(least) {
                if sum <= horizon && sum < f64::INFINITY {
                    let col = step_of_least[lane] as usize * width + lane;
                    self.entries.push(Entry { col, cost: self.row[col] });
                }
            }
        }
        horizon
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    /// Checks that the list holds exactly the columns up to its horizon, and that `best` tells the two least.
    fn check(row: &[f64], prices: &[f64]) -> usize {
        let list = Shortlist::new(row, prices, &mut Lanes::new(row.len()));
        let sums: Vec<f64> = row.iter().zip(prices).map(|(c, p)| c + p).collect();
        let listed: Vec<usize> = list.entries.iter().map(|entry| entry.col).collect();
        for (col, sum) in sums.iter().enumerate() {
            let inside = listed.contains(&col);
            assert!(if inside { *sum <= list.horizon } else { *sum >= list.horizon }, "column {col}");
        }
        let mut sorted = sums.clone();
        sorted.sort_by(f64::total_cmp);
        let best = list.best(prices).unwrap();
        assert_eq!(best.least, sorted[0]);
        assert_eq!(sums[best.col], sorted[0]);
        assert!(best.second <= sorted.get(1).copied().unwrap_or(f64::INFINITY));
        listed.len()
    }

    #[test]
    fn a_list_is_complete_up_to_its_horizon() {
        let mut noise = Noise::new(1);
        for n in [1, 2, 31, 32, 33, 128, 129, 1000] {
            let (row, prices) = (noise.normals(n), noise.normals(n));
            let listed = check(&row, &prices);
            assert!(if n <= 32 { listed == n } else { listed >= 1 });
            check(&vec![2.0; n], &vec![0.0; n]);
            check(&(0..n).map(|j| (j % 3) as f64).collect::<Vec<_>>(), &vec![0.0; n]);
        }
    }

    #[test]
    fn a_list_whose_entries_have_risen_over_the_horizon_is_silent() {
        let row: Vec<f64> = (0..300).map(f64::from).collect();
        let mut prices = vec![0.0; 300];
        let mut list = Shortlist::new(&row, &prices, &mut Lanes::new(row.len()));
        assert_eq!(list.horizon, 75.0);
        for price in &mut prices[..76] {
            *price = 500.0;
        }
        assert!(list.best(&prices).is_none());
        list.refresh(&row, &prices, &mut Lanes::new(row.len()));
        assert_eq!(list.best(&prices).unwrap().col, 76);
    }
}
