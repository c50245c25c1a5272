//! The proof of optimality that comes with an exact answer.

use crate::Cost;

/// How far an answer is from the optimum, by weak duality.
///
/// Potentials `u, v` with `u_i + v_j ≤ C_ij` everywhere bound the cost of every plan from below by
/// `Σ a_i u_i + Σ b_j v_j`. So a plan whose cost is that number is optimal, whoever computed it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certificate {
    /// Cost of the answer minus its dual bound; zero up to rounding.
    pub gap: f64,
    /// The largest excess of `u_i + v_j` over `C_ij`, at least zero; zero up to rounding.
    pub violation: f64,
}

impl Certificate {
    /// Whether gap and violation are at most `tolerance`, in the units of the cost. A NaN does not hold.
    #[must_use]
    pub fn holds_within(&self, tolerance: f64) -> bool {
        self.gap.abs() <= tolerance && self.violation <= tolerance
    }

    /// Checks potentials against every entry of the cost, in `O(rows · cols)`.
    pub(crate) fn new(cost: &Cost, primal: f64, dual: f64, [u, v]: [&[f64]; 2]) -> Self {
        assert_eq!((cost.rows(), cost.cols()), (u.len(), v.len()), "the certificate belongs to another cost");
        let mut violation = 0.0_f64;
        for (i, &row_dual) in u.iter().enumerate() {
            for (c, col_dual) in cost.row(i).iter().zip(v) {
                violation = violation.max(row_dual + col_dual - c);
            }
        }
        Self { gap: primal - dual, violation }
    }
}
