//! The few columns that are cheapest for a row at the present prices, and a bound for all the others.
//!
//! Prices only rise while an assignment is sought. So what was beyond the *horizon* of a list when it was made stays
//! beyond it, and the list answers for its whole row until its own best entry has risen over the horizon. Most
//! questions about a row then touch a dozen numbers and not thousands.

use pulp::Arch;

/// Columns `l`, `l + LANES`, `l + 2 · LANES`, … share lane `l`. The list ends at the first lane that would have to give
/// two columns, about `√(π/2 · LANES)` = 14 entries from the cheapest.
const LANES: usize = 128;

/// A column and what the row pays for it, without its price.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) col: usize,
    pub(crate) cost: f64,
}

/// See the module.
#[derive(Clone)]
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
    /// A list that knows nothing: it must be refreshed before anything is asked of it.
    pub(crate) fn blank() -> Self {
        Self { entries: Vec::new(), horizon: f64::NEG_INFINITY }
    }

    /// One pass over the row: complete up to 128 columns, and never empty.
    pub(crate) fn refresh(&mut self, row: &[f64], prices: &[f64]) {
        let mut lanes = Lanes::EMPTY;
        Arch::new().dispatch(
            #[inline(always)]
            || lanes.take(row, prices),
        );
        self.horizon = lanes.second.iter().fold(f64::INFINITY, |low, &value| lesser(value, low));
        self.entries.clear();
        for (lane, (&least, &step)) in lanes.least.iter().zip(&lanes.step_of_least).enumerate() {
            let col = step as usize * LANES + lane;
            if least <= self.horizon && col < row.len() {
                self.entries.push(Entry { col, cost: row[col] });
            }
        }
    }

    /// The cheapest column, unless one beyond the horizon may be cheaper.
    pub(crate) fn best(&self, prices: &[f64]) -> Option<Best> {
        let mut best = Best { col: 0, least: f64::INFINITY, second: f64::INFINITY };
        for &Entry { col, cost } in &self.entries {
            let price = cost + prices[col];
            if price < best.least {
                best = Best { col, least: price, second: best.least };
            } else {
                best.second = lesser(price, best.second);
            }
        }
        best.second = lesser(self.horizon, best.second);
        (best.least <= self.horizon && best.least < f64::INFINITY).then_some(best)
    }
}

/// The two least sums of each lane. Lanes do not depend on each other and selections replace branches, so that the
/// compiler can use vector instructions; steps are floats because a selection wants numbers of equal width.
struct Lanes {
    least: [f64; LANES],
    step_of_least: [f64; LANES],
    second: [f64; LANES],
}

fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

impl Lanes {
    const EMPTY: Self = Self {
        least: [f64::INFINITY; LANES],
        step_of_least: [0.0; LANES],
        second: [f64::INFINITY; LANES],
    };

    // Must be inlined into the dispatch, or it is compiled for the oldest processor.
    #[inline(always)]
    fn take(&mut self, row: &[f64], prices: &[f64]) {
        let (row_chunks, row_rest) = row.as_chunks::<LANES>();
        let (price_chunks, price_rest) = prices.as_chunks::<LANES>();
        let mut step = 0.0;
        for (costs, prices) in row_chunks.iter().zip(price_chunks) {
            for lane in 0..LANES {
                self.put(lane, costs[lane] + prices[lane], step);
            }
            step += 1.0;
        }
        for (lane, (cost, price)) in row_rest.iter().zip(price_rest).enumerate() {
            self.put(lane, cost + price, step);
        }
    }

    #[inline(always)]
    fn put(&mut self, lane: usize, value: f64, step: f64) {
        let least = self.least[lane];
        let lower = value < least;
        let greater = if lower { least } else { value };
        self.second[lane] = if greater < self.second[lane] { greater } else { self.second[lane] };
        self.step_of_least[lane] = if lower { step } else { self.step_of_least[lane] };
        self.least[lane] = if lower { value } else { least };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    /// Checks that the list holds exactly the columns up to its horizon, and that `best` tells the two least.
    fn check(row: &[f64], prices: &[f64]) -> usize {
        let mut list = Shortlist::blank();
        list.refresh(row, prices);
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
        for n in [1, 2, 127, 128, 129, 256, 1000] {
            let (row, prices) = (noise.normals(n), noise.normals(n));
            let listed = check(&row, &prices);
            assert!(if n <= LANES { listed == n } else { listed >= 1 });
            check(&vec![2.0; n], &vec![0.0; n]);
            check(&(0..n).map(|j| (j % 3) as f64).collect::<Vec<_>>(), &vec![0.0; n]);
        }
    }

    #[test]
    fn a_list_whose_entries_have_risen_over_the_horizon_is_silent() {
        let row: Vec<f64> = (0..300).map(f64::from).collect();
        let mut prices = vec![0.0; 300];
        let mut list = Shortlist::blank();
        assert!(list.best(&prices).is_none());
        list.refresh(&row, &prices);
        assert_eq!(list.horizon, 128.0);
        for price in &mut prices[..129] {
            *price = 500.0;
        }
        assert!(list.best(&prices).is_none());
        list.refresh(&row, &prices);
        assert_eq!(list.best(&prices).unwrap().col, 129);
    }
}
