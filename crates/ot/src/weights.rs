//! Checks that the measures of a transport problem are measures.

use crate::{OtError, Side};

/// Totals that differ by less than this fraction differ by rounding only.
const SAME_TOTAL: f64 = 1e-9;

/// The sum of the weights of one side, once they are known to be as many as the points, finite, and not negative.
pub(crate) fn check(side: Side, weights: &[f64], points: usize) -> Result<f64, OtError> {
    if weights.len() != points {
        return Err(OtError::WeightCount { side, weights: weights.len(), points });
    }
    if let Some(index) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(OtError::BadWeight { side, index, value: weights[index] });
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 && total.is_finite() { Ok(total) } else { Err(OtError::BadTotal { side, total }) }
}

/// Refuses totals that differ by more than rounding.
pub(crate) fn check_equal(source_total: f64, target_total: f64) -> Result<(), OtError> {
    if (source_total - target_total).abs() <= SAME_TOTAL * source_total.max(target_total) {
        Ok(())
    } else {
        Err(OtError::UnequalTotals { source_total, target_total })
    }
}
