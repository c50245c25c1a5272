//! An exact transport plan between weighted points.

use crate::{Certificate, Cost};

/// One entry of a transport plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shipment {
    /// Row of the cost matrix.
    pub source: usize,
    /// Column of the cost matrix.
    pub target: usize,
    /// How much is moved; positive.
    pub mass: f64,
}

/// An optimal plan for general weights: at most `rows + cols - 1` shipments, and the potentials that prove it optimal.
#[derive(Debug, Clone, PartialEq)]
pub struct TransportPlan {
    /// The positive entries, ordered by source and then target.
    pub shipments: Vec<Shipment>,
    /// The sum of mass times cost.
    pub cost: f64,
    /// The potential of each row.
    pub row_duals: Vec<f64>,
    /// The potential of each column, with `u_i + v_j ≤ C_ij` and equality where mass is moved.
    pub col_duals: Vec<f64>,
    /// Pivots of the simplex method it took.
    pub pivots: usize,
}

impl TransportPlan {
    /// What leaves each row and what reaches each column: the weights of the problem up to rounding.
    #[must_use]
    pub fn marginals(&self) -> [Vec<f64>; 2] {
        let mut marginals = [vec![0.0; self.row_duals.len()], vec![0.0; self.col_duals.len()]];
        for shipment in &self.shipments {
            marginals[0][shipment.source] += shipment.mass;
            marginals[1][shipment.target] += shipment.mass;
        }
        marginals
    }

    /// Compares the cost with the dual bound; both numbers of the certificate are rounding errors.
    ///
    /// # Panics
    /// When `cost` has another shape than the matrix this plan was found for.
    #[must_use]
    pub fn certificate(&self, cost: &Cost) -> Certificate {
        let [sources, targets] = self.marginals();
        let value =
            |weights: &[f64], duals: &[f64]| -> f64 { weights.iter().zip(duals).map(|(w, d)| w * d).sum() };
        let dual = value(&sources, &self.row_duals) + value(&targets, &self.col_duals);
        Certificate::new(cost, self.cost, dual, [&self.row_duals, &self.col_duals])
    }
}
