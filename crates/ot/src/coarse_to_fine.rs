//! Assignment from coarse to fine: prices found on a quarter of the points are nearly right for all of them.
//!
//! Searches for single pairs grow with the cloud as long as whole regions have the wrong prices. A sample has the same
//! regions at a sixteenth of the cost, so it is solved first, by the same method. Then two auctions settle what is
//! rough, and shortest paths what is left.

use thalweg_noise::Noise;

use crate::Cost;
use crate::matching::Matching;

/// Problems up to this size start from prices of zero.
const SMALLEST_SAMPLED: usize = 32;

/// One point out of this many is in the sample.
const SAMPLING: usize = 4;

/// Increments of the auctions in typical gaps between the first and the second choice. Smaller ones make long price
/// wars, larger ones leave more to the searches.
const INCREMENTS: [f64; 2] = [4.0, 1.0];

/// A pairing of all rows, unless the searches give up, with prices at which every row has what it wants.
///
/// A function of the costs alone: the sample is drawn from noise with a fixed key.
pub(crate) fn solve(cost: &Cost) -> Option<Matching<'_>> {
    let (matching, complete) = nearly_solve(cost);
    complete.then_some(matching)
}

/// The pairing as far as it got, and whether it is complete.
fn nearly_solve(cost: &Cost) -> (Matching<'_>, bool) {
    let n = cost.rows();
    let prices = if n <= SMALLEST_SAMPLED { vec![0.0; n] } else { prices_from_sample(cost) };
    let mut matching = Matching::new(cost, prices);
    let gap = matching.typical_gap();
    for increment in INCREMENTS {
        matching.auction(increment * gap);
    }
    matching.part_unhappy();
    matching.take_free();
    let complete = matching.complete();
    (matching, complete)
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
    let values = rows.iter().flat_map(|&i| cols.iter().map(move |&j| cost.at(i, j)));
    let sampled = Cost::from_values(rows.len(), cols.len(), values.collect());
    // Prices of a sample that is not quite solved are still good to start from.
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
