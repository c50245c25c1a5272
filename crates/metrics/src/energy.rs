//! The energy distance of Székely and Rizzo.

use thalweg_ot::Points;

use crate::pairwise::{mean_between, mean_within};
use crate::{MetricsError, checks};

/// `2 E‖X-Y‖ - E‖X-X'‖ - E‖Y-Y'‖`, without bias: means over different points only.
///
/// In one dimension it is `2 ∫(F-G)²`. Zero if and only if the distributions agree; between samples of one
/// distribution it is about zero and can be negative. Takes `O((n+m)² dim)` time and little memory.
pub fn energy_distance(x: Points, y: Points) -> Result<f64, MetricsError> {
    checks::pair(x, y)?;
    let value = 2.0 * mean_between(x, y, f64::sqrt) - mean_within(x, f64::sqrt) - mean_within(y, f64::sqrt);
    checks::finite("the energy distance", value)
}
