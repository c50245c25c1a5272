//! Pairing only the cheapest part of two clouds (FORMULAS §2.3).

use crate::network_simplex::optimal_tree;
use crate::{Cost, OtError};

/// The cheapest pairing of a given number of points.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialAssignment {
    /// `(row, column)` of each pair, ordered by row; no row and no column occurs twice.
    pub pairs: Vec<(usize, usize)>,
    /// The sum of the costs of the pairs.
    pub cost: f64,
}

/// Pairs exactly `mass` rows with as many columns at the least total cost, and leaves the other points alone.
///
/// The sides may differ in size, and costs may be negative. A dummy source and a dummy target take all that stays
/// behind for nothing, but nothing from each other: the padding of the formula sheet, with its equal dummies merged.
pub fn partial_assign(cost: &Cost, mass: usize) -> Result<PartialAssignment, OtError> {
    let [low, high] = cost.check()?;
    let (rows, cols) = (cost.rows(), cost.cols());
    if mass > rows.min(cols) {
        return Err(OtError::TooMuchMass { mass, rows, cols });
    }
    // Measured from the lowest cost every real pair is at least as dear as a pair with a dummy, so mass between the
    // dummies, which forces as much again between real points, never pays for itself.
    let spread = if high > low { high - low } else { 1.0 };
    let padded = pad(cost, low, 2.0 * spread);
    let with_dummy = |points: usize, idle: usize| -> Vec<f64> {
        std::iter::repeat_n(1.0, points).chain(std::iter::once(idle as f64)).collect()
    };
    let (source_weights, target_weights) = (with_dummy(rows, cols - mass), with_dummy(cols, rows - mass));
    let (tree, _) = optimal_tree(&source_weights, &target_weights, &padded, [0.0, 2.0 * spread])?;
    let real = tree.flows().filter(|&(source, target, flow)| source < rows && target < cols && flow == 1.0);
    let mut pairs: Vec<_> = real.map(|(source, target, _)| (source, target)).collect();
    pairs.sort_unstable();
    let total = pairs.iter().map(|&(i, j)| cost.at(i, j)).sum();
    Ok(PartialAssignment { pairs, cost: total })
}

/// The cost above its lowest entry, with one free dummy row and column that are `forbidden` to each other.
fn pad(cost: &Cost, low: f64, forbidden: f64) -> Cost {
    let (rows, cols) = (cost.rows(), cost.cols());
    let mut values = Vec::with_capacity((rows + 1) * (cols + 1));
    for i in 0..rows {
        values.extend(cost.row(i).iter().map(|c| c - low));
        values.push(0.0);
    }
    values.resize(values.len() + cols, 0.0);
    values.push(forbidden);
    Cost::from_values(rows + 1, cols + 1, values)
}
