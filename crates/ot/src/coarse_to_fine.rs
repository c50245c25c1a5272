//! Assignment from coarse to fine: prices found on a quarter of the points are nearly right for all of them.
//!
//! Searches for single pairs grow with the cloud as long as whole regions have the wrong prices. A sample has the same
//! regions at a sixteenth of the cost, so it goes first, by the same method. Then auctions of shrinking increments bring
//! the prices close, and shortest paths make them exact. Where that does not settle, on a line or among many ties, the
//! network simplex is better, so each step gives up early and says how far it got.

use thalweg_noise::Noise;

use crate::Cost;
use crate::matching::Matching;

/// Problems up to this size start from prices of zero.
const SMALLEST_SAMPLED: usize = 32;

/// One point out of this many is in the sample.
const SAMPLING: usize = 4;

/// An auction has an eighth of the increment of the one before.
const REFINEMENT: f64 = 0.125;

/// No auction has a smaller increment, in typical gaps between first and second choice.
const FINEST: f64 = 0.25;

/// If one row out of this many is single after all have asked for the column next to them, searches alone pair the rest.
const FEW_SINGLE: usize = 8;

/// If more than this fraction of the rows is still single after the auctions, pairing them anyhow is no good start.
const HOPELESS: f64 = 0.25;

/// How far prices and searches got.
pub(crate) enum Outcome<'a> {
    /// All rows are paired with what they want.
    Solved(Matching<'a>),
    /// Most rows are paired with about what they want.
    Close(Matching<'a>),
    /// Too many rows want the same.
    Hopeless,
}

/// A function of the costs alone: the sample is drawn from noise with a fixed key.
pub(crate) fn solve(cost: &Cost) -> Outcome<'_> {
    if let Some(matching) = neighbours(cost) {
        return Outcome::Solved(matching);
    }
    let (mut matching, settled) = nearly_solve(cost);
    let single = matching.single_rows().len();
    if settled {
        matching.part_unhappy(0.0);
        matching.take_free();
        if matching.complete() {
            return Outcome::Solved(matching);
        }
    }
    // An auction that could not settle is a sign that searches would be long.
    if single as f64 > HOPELESS * cost.rows() as f64 { Outcome::Hopeless } else { Outcome::Close(matching) }
}

/// Where nearly every row can have the column next to it, as in clouds that are almost the same, prices of zero are nearly
/// right already. One pass over the costs tells.
fn neighbours(cost: &Cost) -> Option<Matching<'_>> {
    let mut matching = Matching::new(cost, vec![0.0; cost.rows()]);
    matching.take_free();
    let few = matching.single_rows().len() * FEW_SINGLE <= cost.rows();
    (few && matching.complete()).then_some(matching)
}

/// Prices at which hardly any row would gain much by another column, and whether all rows are paired.
fn nearly_solve(cost: &Cost) -> (Matching<'_>, bool) {
    let n = cost.rows();
    let prices = if n <= SMALLEST_SAMPLED { vec![0.0; n] } else { prices_from_sample(cost) };
    let mut matching = Matching::new(cost, prices);
    let gap = matching.typical_gap();
    // Measured: the larger the cloud, the more gaps the prices of the sample are wrong by. Too small a first increment
    // makes long price wars, too large a last one leaves much to the searches.
    let mut increment = (n as f64).sqrt() / 4.0;
    let mut settled = true;
    while settled && increment >= FINEST && gap > 0.0 {
        matching.part_unhappy(increment * gap);
        settled = matching.auction(increment * gap);
        increment *= REFINEMENT;
    }
    (matching, settled)
}

/// The prices at which the sampled rows would as soon have any column as the one they get in the sample.
fn prices_from_sample(cost: &Cost) -> Vec<f64> {
    let n = cost.rows();
    let mut noise = Noise::at(0, "assignment sample", n as u64);
    let mut sample = || {
        let mut sample = noise.permutation(n);
        sample.truncate(n / SAMPLING);
        sample.sort_unstable();
        sample
    };
    let (rows, cols) = (sample(), sample());
    let mut values = Vec::with_capacity(rows.len() * cols.len());
    for &row in &rows {
        let row = cost.row(row);
        values.extend(cols.iter().map(|&col| row[col]));
    }
    let sampled = Cost::from_values(rows.len(), cols.len(), values);
    let (mut matching, _) = nearly_solve(&sampled);
    let mut prices = vec![f64::NEG_INFINITY; n];
    for (k, &row) in rows.iter().enumerate() {
        let pays = matching.best(k).least;
        for (price, cost) in prices.iter_mut().zip(cost.row(row)) {
            let indifferent = pays - cost;
            *price = if indifferent > *price { indifferent } else { *price };
        }
    }
    prices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::NONE;

    fn line(n: usize) -> Cost {
        let mut noise = Noise::new(n as u64);
        let (x, y) = (noise.normals(n), noise.normals(n));
        let values = x.iter().flat_map(|x| y.iter().map(move |y| (x - 0.5 * y - 1.0).powi(2)));
        Cost::from_values(n, n, values.collect())
    }

    /// How much more than it must a row pays at most.
    fn worst_excess(matching: &mut Matching) -> f64 {
        let paired: Vec<usize> =
            (0..matching.target_of.len()).filter(|&i| matching.target_of[i] != NONE).collect();
        paired.into_iter().fold(0.0, |worst: f64, i| worst.max(matching.paid(i) - matching.best(i).least))
    }

    #[test]
    fn auctions_pair_all_rows_within_an_increment() {
        let cost = line(200);
        for increment in [10.0, 1.0, 0.2] {
            let mut matching = Matching::new(&cost, vec![0.0; 200]);
            assert!(matching.auction(increment));
            assert!(matching.single_rows().is_empty());
            assert!(worst_excess(&mut matching) <= increment * (1.0 + 1e-9));
        }
    }

    #[test]
    fn searches_alone_find_the_optimum_too() {
        let cost = line(25);
        let mut cold = Matching::new(&cost, vec![0.0; 25]);
        cold.take_free();
        assert!(cold.complete());
        assert!(worst_excess(&mut cold) <= 1e-12);
        let Outcome::Solved(matching) = solve(&cost) else { panic!("a line of 25 points is easy") };
        assert_eq!(cold.target_of, matching.target_of);
        for (row, &col) in cold.target_of.iter().enumerate() {
            assert_eq!(cold.source_of[col], row);
        }
    }

    #[test]
    fn clouds_that_are_almost_the_same_need_no_prices() {
        let mut noise = Noise::new(4);
        let still = noise.normals(2 * 300);
        let moved: Vec<f64> = still.iter().map(|x| x + 1e-3 * noise.normal()).collect();
        let [still, moved] = [&still, &moved].map(|values| crate::Points::new(values, 2));
        let cost = Cost::squared_euclidean(still, moved);
        let mut matching = neighbours(&cost).unwrap();
        assert!(matching.single_rows().is_empty() && worst_excess(&mut matching) <= 1e-12);
        assert!(neighbours(&line(300)).is_none());
    }

    #[test]
    fn prices_that_overflow_are_given_up_and_not_followed_forever() {
        let mut noise = Noise::new(9);
        let cost =
            Cost::from_values(40, 40, noise.normals(1600).iter().map(|v| 1e300 * v.signum()).collect());
        let mut matching = Matching::new(&cost, vec![f64::INFINITY; 40]);
        assert!(!matching.auction(1.0));
        matching.part_unhappy(0.0);
        assert!(!matching.complete());
    }
}
