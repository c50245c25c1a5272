//! One-to-one pairing of two clouds of equal size at the least total cost (FORMULAS §2.1).

use crate::coarse_to_fine::{self, Outcome};
use crate::matching::Matching;
use crate::network_simplex::{optimal_tree, pivot_to_optimum};
use crate::parallel::map_rows;
use crate::scan::least_sum;
use crate::spanning_tree::Tree;
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
/// Prices are found from coarse to fine and finished by shortest augmenting paths, or by the network simplex where the
/// searches grow long, as they do on a line or among many ties. What the faster ways
/// answer is checked against every entry of the cost before it is given.
/// On clouds of points the time grows about as the square of their size.
pub fn assign(cost: &Cost) -> Result<Assignment, OtError> {
    let n = cost.rows();
    if n != cost.cols() {
        return Err(OtError::NotSquare { rows: n, cols: cost.cols() });
    }
    let range = cost.check()?;
    let answer = match coarse_to_fine::solve(cost) {
        Outcome::Solved(matching) => proved(cost, matching),
        Outcome::Close(matching) => finished(cost, matching),
        Outcome::Hopeless => None,
    };
    match answer {
        Some(answer) => Ok(answer),
        None => from_nothing(cost, range),
    }
}

/// A gap of more than this fraction of the cost is no rounding error.
const PROVED: f64 = 1e-13;

/// The answer with the highest row duals that the prices allow, if these leave no gap.
fn proved(cost: &Cost, matching: Matching) -> Option<Assignment> {
    let Matching { prices, target_of, .. } = matching;
    let n = target_of.len();
    let row_duals = map_rows([n, n], || (), |(), row| least_sum(cost.row(row), &prices));
    // Slacks are small, so their sum sees more than the difference of two large totals.
    let slacks = target_of.iter().enumerate().map(|(i, &j)| cost.at(i, j) + prices[j] - row_duals[i]);
    let slack: f64 = slacks.sum();
    let size: f64 = target_of.iter().enumerate().map(|(i, &j)| cost.at(i, j).abs()).sum();
    let col_duals = prices.iter().map(|price| -price).collect();
    let answer = with_total(cost, target_of, [row_duals, col_duals]);
    (slack <= PROVED * size && has_no_gap(cost, &answer)).then_some(answer)
}

/// The network simplex goes on from a pairing that is nearly right, if its answer then leaves no gap.
fn finished(cost: &Cost, mut matching: Matching) -> Option<Assignment> {
    if !matching.prices.iter().all(|price| price.is_finite()) {
        return None;
    }
    let row_duals: Vec<f64> = (0..cost.rows()).map(|row| matching.best(row).least).collect();
    matching.pair_the_rest();
    let mut tree = Tree::of_pairs(&matching.target_of, &row_duals, |i, j| cost.at(i, j));
    pivot_to_optimum(&mut tree, cost).ok()?;
    let answer = read_off(cost, &tree);
    has_no_gap(cost, &answer).then_some(answer)
}

/// A transport problem with unit weights has a permutation among its optima, and the network simplex finds such a
/// vertex.
fn from_nothing(cost: &Cost, range: [f64; 2]) -> Result<Assignment, OtError> {
    let ones = vec![1.0; cost.rows()];
    let (tree, _) = optimal_tree(&ones, &ones, cost, range)?;
    Ok(read_off(cost, &tree))
}

fn read_off(cost: &Cost, tree: &Tree) -> Assignment {
    let mut target_of = vec![0; cost.rows()];
    for (source, target, _) in tree.flows().filter(|(_, _, flow)| *flow == 1.0) {
        target_of[source] = target;
    }
    with_total(cost, target_of, [tree.row_duals().to_vec(), tree.col_duals().to_vec()])
}

fn with_total(cost: &Cost, target_of: Vec<usize>, [row_duals, col_duals]: [Vec<f64>; 2]) -> Assignment {
    let total = target_of.iter().enumerate().map(|(i, &j)| cost.at(i, j)).sum();
    Assignment { target_of, row_duals, col_duals, cost: total }
}

/// Whether the dual bound, as anyone may compute it, is the cost. Duals far larger than the costs that they bound, which
/// wildly different costs may leave behind, do not pass.
fn has_no_gap(cost: &Cost, answer: &Assignment) -> bool {
    let size: f64 = answer.target_of.iter().enumerate().map(|(i, &j)| cost.at(i, j).abs()).sum();
    let dual: f64 = answer.row_duals.iter().chain(&answer.col_duals).sum();
    (answer.cost - dual).abs() <= 10.0 * PROVED * size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Points;
    use thalweg_noise::Noise;

    fn cloud_costs(n: usize, dim: usize, seed: u64) -> Cost {
        let mut noise = Noise::new(seed);
        let (x, y) = (noise.normals(n * dim), noise.normals(n * dim));
        let y: Vec<f64> = y.iter().map(|v| 0.5 * v + 1.0).collect();
        Cost::squared_euclidean(Points::new(&x, dim), Points::new(&y, dim))
    }

    fn solved(cost: &Cost) -> Matching<'_> {
        let Outcome::Solved(matching) = coarse_to_fine::solve(cost) else { panic!("not solved") };
        matching
    }

    fn finished_from_an_auction(cost: &Cost) -> Assignment {
        let mut matching = Matching::new(cost, vec![0.0; cost.rows()]);
        matching.auction(0.1);
        matching.part_unhappy(0.05);
        finished(cost, matching).unwrap()
    }

    #[test]
    fn clouds_are_proved_without_the_network_simplex() {
        for (n, dim) in [(1, 2), (2, 1), (3, 2), (33, 3), (64, 3), (300, 12), (300, 100)] {
            let cost = cloud_costs(n, dim, n as u64);
            let fast = proved(&cost, solved(&cost)).unwrap();
            let exact = from_nothing(&cost, cost.check().unwrap()).unwrap();
            assert!((fast.cost - exact.cost).abs() <= 1e-13 * exact.cost, "{n} {dim}");
            assert_eq!(fast.target_of, exact.target_of);
        }
    }

    #[test]
    fn the_network_simplex_goes_on_from_any_rough_pairing() {
        let n = 150;
        let mut noise = Noise::new(1);
        let tied: Vec<f64> = (0..n * n).map(|_| 1.0 + noise.below(4) as f64).collect();
        let product = (0..n * n).map(|k| 1.0 + ((k / n) * (k % n)) as f64).collect();
        let few_places = (0_usize..n * n).map(|k| 1.0 + ((k / n) % 5).abs_diff(k % n % 7) as f64).collect();
        for values in [tied, product, few_places, vec![2.0; n * n], vec![-1e6; n * n]] {
            let cost = Cost::from_values(n, n, values);
            let exact = from_nothing(&cost, cost.check().unwrap()).unwrap();
            assert_eq!(finished_from_an_auction(&cost).cost, exact.cost);
        }
        for dim in [1, 2, 20] {
            let cost = cloud_costs(120, dim, 1);
            let exact = from_nothing(&cost, cost.check().unwrap()).unwrap();
            assert_eq!(finished_from_an_auction(&cost).target_of, exact.target_of);
        }
    }

    #[test]
    fn a_gap_is_no_proof() {
        let cost = cloud_costs(50, 5, 3);
        assert!(proved(&cost, solved(&cost)).is_some());
        let mut matching = solved(&cost);
        matching.target_of.swap(0, 1);
        assert!(proved(&cost, matching).is_none());
        let mut matching = solved(&cost);
        matching.prices[7] -= 1e-3;
        assert!(proved(&cost, matching).is_none());
    }
}
