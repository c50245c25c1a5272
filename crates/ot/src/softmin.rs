//! The soft minimum, by which potentials of the entropic problem are updated without overflow or underflow.
//!
//! Against potentials `g` of weights `b`, row `i` has `softmin_i = -ε log Σ_j b_j exp((g_j - C_ij)/ε)`. The smallest
//! `C_ij - g_j` is taken out before the division by ε, so the largest term is a weight whatever the costs. Points
//! without weight must have the potential minus infinity: then their terms are zeros.

use crate::Cost;

/// One side of the problem as the other side sees it.
#[derive(Clone, Copy)]
pub(crate) struct Against<'a> {
    pub(crate) weights: &'a [f64],
    pub(crate) potentials: &'a [f64],
    pub(crate) epsilon: f64,
}

/// The soft minimum of every row against the columns.
pub(crate) fn of_rows(cost: &Cost, against: Against) -> Vec<f64> {
    let Against { weights, potentials, epsilon } = against;
    (0..cost.rows())
        .map(|i| {
            let reduced = || cost.row(i).iter().zip(potentials).map(|(c, g)| c - g);
            let least = reduced().fold(f64::INFINITY, f64::min);
            let sum: f64 = reduced().zip(weights).map(|(r, b)| b * ((least - r) / epsilon).exp()).sum();
            least - epsilon * sum.ln()
        })
        .collect()
}

/// The soft minimum of every column against the rows, row by row so that memory is read in order.
pub(crate) fn of_cols(cost: &Cost, against: Against) -> Vec<f64> {
    let Against { weights, potentials, epsilon } = against;
    let mut least = vec![f64::INFINITY; cost.cols()];
    for (i, f) in potentials.iter().enumerate() {
        for (least, c) in least.iter_mut().zip(cost.row(i)) {
            *least = least.min(c - f);
        }
    }
    let mut sums = vec![0.0; cost.cols()];
    for (i, (f, a)) in potentials.iter().zip(weights).enumerate() {
        for ((sum, least), c) in sums.iter_mut().zip(&least).zip(cost.row(i)) {
            *sum += a * ((least - (c - f)) / epsilon).exp();
        }
    }
    least.iter().zip(&sums).map(|(least, sum)| least - epsilon * sum.ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: [f64; 6] = [1.0, 2.0, 4.0, 0.5, 3.0, 2.5];

    #[test]
    fn rows_and_columns_agree_with_the_formula() {
        let cost = Cost::from_values(2, 3, COST.to_vec());
        let transposed = Cost::from_values(3, 2, vec![1.0, 0.5, 2.0, 3.0, 4.0, 2.5]);
        let against = Against { weights: &[0.5, 0.3, 0.2], potentials: &[0.1, -0.2, 0.4], epsilon: 0.7 };
        let expected = |i: usize| -> f64 {
            let terms =
                (0..3).map(|j| against.weights[j] * ((against.potentials[j] - cost.at(i, j)) / 0.7).exp());
            -0.7 * terms.sum::<f64>().ln()
        };
        let (rows, cols) = (of_rows(&cost, against), of_cols(&transposed, against));
        for i in 0..2 {
            assert!((rows[i] - expected(i)).abs() < 1e-15, "{} {}", rows[i], expected(i));
            assert!((cols[i] - expected(i)).abs() < 1e-15, "{} {}", cols[i], expected(i));
        }
    }

    #[test]
    fn the_smallest_epsilon_gives_the_minimum_and_weightless_points_are_not_seen() {
        let against = Against {
            weights: &[0.0, 0.5, 0.5],
            potentials: &[f64::NEG_INFINITY, 0.0, 1.0],
            epsilon: 1e-300,
        };
        let cost = Cost::from_values(2, 3, COST.to_vec());
        assert_eq!(of_rows(&cost, against), [2.0, 1.5]);
        let huge = Cost::from_values(1, 3, vec![-1e300, 1e300, 0.0]);
        assert_eq!(of_rows(&huge, against), [-1.0]);
    }
}
