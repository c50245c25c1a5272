//! One-to-one pairing of two clouds of equal size at the least total cost (FORMULAS §2.1).

use rayon::prelude::*;

use crate::coarse_to_fine;
use crate::matching::Matching;
use crate::network_simplex::optimal_tree;
use crate::parallel::worth_threads;
use crate::scan::least_sum;
use crate::{Certificate, Cost, OtError};

/// An optimal permutation with the potentials that prove it optimal.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// `target_of[i]` is the column paired with row `i`: a permutation of `0..n`.
    pub target_of: Vec<usize>,
    /// The potential `u_i` of each row.
    pub row_duals: Vec<f64>,
    /// The potential `v_j` of each column, with `u_i + v_j ≤ C_ij` and equality on the pairs.
    pub col_duals: Vec<f64>,
    /// The sum of the costs of the pairs (not their mean).
    pub cost: f64,
}

impl Assignment {
    /// Compares the cost with the dual bound; both numbers of the certificate are rounding errors.
    ///
    /// # Panics
    /// When `cost` has another shape than the matrix this assignment was found for.
    #[must_use]
    pub fn certificate(&self, cost: &Cost) -> Certificate {
        let dual = self.row_duals.iter().chain(&self.col_duals).sum();
        Certificate::new(cost, self.cost, dual, [&self.row_duals, &self.col_duals])
    }
}

/// Pairs each row with a column of its own so that the total cost is least.
///
/// Always optimal, ties and duplicates included, and a function of the costs alone, whatever the number of threads.
/// Prices are found from coarse to fine and finished by shortest augmenting paths; the answer is then proved against
/// every entry of the cost, and where rounding or an unusual cost defeats the proof the network simplex decides. On
/// clouds of points the time grows about as the square of their size.
pub fn assign(cost: &Cost) -> Result<Assignment, OtError> {
    let n = cost.rows();
    if n != cost.cols() {
        return Err(OtError::NotSquare { rows: n, cols: cost.cols() });
    }
    let range = cost.check()?;
    match coarse_to_fine::solve(cost).and_then(|matching| proved(cost, matching)) {
        Some(assignment) => Ok(assignment),
        None => by_network_simplex(cost, range),
    }
}

/// A gap of more than this fraction of the cost is no rounding error.
const PROVED: f64 = 1e-13;

/// The answer with the highest row duals that its prices allow, if these leave no gap.
///
/// Slacks are summed pair by pair: the difference of two large totals would hide what it is to show.
fn proved(cost: &Cost, matching: Matching) -> Option<Assignment> {
    let Matching { prices, target_of, .. } = matching;
    let n = target_of.len();
    let row_dual = |row: usize| least_sum(cost.row(row), &prices);
    let row_duals: Vec<f64> = if worth_threads(n * n) {
        (0..n).into_par_iter().map(row_dual).collect()
    } else {
        (0..n).map(row_dual).collect()
    };
    let pairs = || target_of.iter().enumerate();
    let gap: f64 = pairs().map(|(i, &j)| cost.at(i, j) + prices[j] - row_duals[i]).sum();
    let size: f64 = pairs().map(|(i, &j)| cost.at(i, j).abs()).sum();
    let total = pairs().map(|(i, &j)| cost.at(i, j)).sum();
    let col_duals = prices.iter().map(|price| -price).collect();
    (gap <= PROVED * size).then_some(Assignment { target_of, row_duals, col_duals, cost: total })
}

/// A transport problem with unit weights has a permutation among its optima, and the network simplex finds such a
/// vertex.
fn by_network_simplex(cost: &Cost, range: [f64; 2]) -> Result<Assignment, OtError> {
    let n = cost.rows();
    let (tree, _) = optimal_tree(&vec![1.0; n], &vec![1.0; n], cost, range)?;
    let mut target_of = vec![0; n];
    for (source, target, _) in tree.flows().filter(|(_, _, flow)| *flow == 1.0) {
        target_of[source] = target;
    }
    let total = (0..n).map(|i| cost.at(i, target_of[i])).sum();
    let (row_duals, col_duals) = (tree.row_duals().to_vec(), tree.col_duals().to_vec());
    Ok(Assignment { target_of, row_duals, col_duals, cost: total })
}
