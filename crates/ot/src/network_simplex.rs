//! Exact optimal transport between general weights, by the primal network simplex.
//!
//! A basic solution is a spanning tree; a pivot brings in an arc whose reduced cost `C_ij - u_i - v_j` is negative and
//! drops the arc of its cycle that runs empty first. Arcs are priced in blocks of whole rows, round robin, and the
//! best of the first block that has a candidate enters.
//!
//! For the assignment problem alone prices found from coarse to fine are several times as fast on clouds of points (see
//! `coarse_to_fine`), but not on costs with many ties or on a line; the method here has no bad cases of that kind.

use crate::scan::{blocks, place_of, reduced_minimum};
use crate::spanning_tree::Tree;
use crate::weights::{check, check_equal};
use crate::{Cost, OtError, Shipment, Side, TransportPlan};

/// Reduced costs above minus this multiple of their largest term count as zero: the rounding of a chain of tree arcs.
const TOLERANCE: f64 = 64.0 * f64::EPSILON;

/// Masses up to this fraction of the total are rounding errors of sums that should cancel.
const DUST: f64 = 4.0 * f64::EPSILON;

/// Pivots per node before the method gives up. Clouds of thousands of points take twenty to fifty.
const PIVOTS_PER_NODE: usize = 10_000;

/// Moves the weights `source_weights` of the rows onto the weights `target_weights` of the columns at the least cost.
///
/// Weights are not negative, may be zero, and have the same total on both sides (up to a relative 1e-9, which is
/// then spread over the targets). Costs may be negative and the sides may differ in size. Exact up to rounding.
pub fn network_simplex(
    source_weights: &[f64],
    target_weights: &[f64],
    cost: &Cost,
) -> Result<TransportPlan, OtError> {
    let [low, high] = cost.check()?;
    let source_total = check(Side::Source, source_weights, cost.rows())?;
    let target_total = check(Side::Target, target_weights, cost.cols())?;
    check_equal(source_total, target_total)?;
    let scale = source_total / target_total;
    let target_weights: Vec<f64> = target_weights.iter().map(|w| w * scale).collect();

    let (tree, pivots) = optimal_tree(source_weights, &target_weights, cost, [low, high])?;
    Ok(plan_of(&tree, cost, DUST * source_total, pivots))
}

/// An optimal basic solution and the pivots it took, for checked weights of equal total and a checked cost of the
/// given range. Sums and differences of whole weights are exact, so whole weights give whole flows.
pub(crate) fn optimal_tree(
    source_weights: &[f64],
    target_weights: &[f64],
    cost: &Cost,
    [low, high]: [f64; 2],
) -> Result<(Tree, usize), OtError> {
    let largest = low.abs().max(high.abs());
    // Every source reaches every target directly, so a detour over another target and the root need only cost more.
    let artificial_cost = if largest > 0.0 { 4.0 * largest } else { 1.0 };
    let mut tree = Tree::star(source_weights, target_weights, artificial_cost);
    let pivots = pivot_to_optimum(&mut tree, cost)?;
    Ok((tree, pivots))
}

/// Pivots from any strongly feasible tree until no arc would lower the cost. Returns how many pivots that took.
pub(crate) fn pivot_to_optimum(tree: &mut Tree, cost: &Cost) -> Result<usize, OtError> {
    let mut pricing = Pricing::new(cost);
    let mut pivots = 0;
    while let Some((source, target)) = pricing.entering(tree) {
        if pivots == PIVOTS_PER_NODE * (cost.rows() + cost.cols()) {
            return Err(OtError::Unsettled { pivots });
        }
        tree.pivot(source, target, cost.at(source, target));
        pivots += 1;
    }
    Ok(pivots)
}

fn plan_of(tree: &Tree, cost: &Cost, dust: f64, pivots: usize) -> TransportPlan {
    let mut shipments: Vec<Shipment> = tree
        .flows()
        .filter(|&(_, _, mass)| mass > dust)
        .map(|(source, target, mass)| Shipment { source, target, mass })
        .collect();
    shipments.sort_by_key(|s| (s.source, s.target));
    let total = shipments.iter().map(|s| s.mass * cost.at(s.source, s.target)).sum();
    let (row_duals, col_duals) = (tree.row_duals().to_vec(), tree.col_duals().to_vec());
    TransportPlan { shipments, cost: total, row_duals, col_duals, pivots }
}

/// Where the search for an entering arc goes on.
struct Pricing<'a> {
    cost: &'a Cost,
    next_row: usize,
    rows_per_block: usize,
    minima: Vec<f64>,
}

impl<'a> Pricing<'a> {
    fn new(cost: &'a Cost) -> Self {
        // About √(rows · cols) arcs per block balance the price of a search against the number of pivots.
        let rows_per_block = (cost.rows() as f64 / cost.cols() as f64).sqrt().ceil() as usize;
        Self { cost, next_row: 0, rows_per_block, minima: vec![0.0; blocks(cost.cols())] }
    }

    /// The most negative reduced cost of the first block that has one; `None` when no arc of the problem has.
    fn entering(&mut self, tree: &Tree) -> Option<(usize, usize)> {
        let (row_duals, col_duals) = (tree.row_duals(), tree.col_duals());
        let mut best = None;
        let mut lowest = 0.0;
        for looked_at in 1..=self.cost.rows() {
            let row = self.next_row;
            self.next_row = (row + 1) % self.cost.rows();
            let minimum = reduced_minimum(self.cost.row(row), col_duals, &mut self.minima);
            let reduced = minimum - row_duals[row];
            if reduced < lowest {
                let col = place_of(minimum, self.cost.row(row), col_duals, &self.minima);
                let terms = [self.cost.at(row, col), row_duals[row], col_duals[col]];
                // Measured at the place and not by the largest cost of all, so that small costs keep their digits.
                if reduced < -TOLERANCE * terms.into_iter().fold(0.0, |size: f64, term| size.max(term.abs()))
                {
                    lowest = reduced;
                    best = Some((row, col));
                }
            }
            if best.is_some() && looked_at % self.rows_per_block == 0 {
                break;
            }
        }
        best
    }
}
