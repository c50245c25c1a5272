//! How a field carries small errors on: norms of its Jacobians.

use burn::tensor::Tensor;
use faer::{Mat, Side};
use thalweg_solve::{Placement, Tangent, to_host};

/// What a Jacobian does to small errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slopes {
    /// Its largest singular value.
    pub steepest: f64,
    /// The largest eigenvalue of its symmetric part.
    pub growth: f64,
}

impl Slopes {
    /// Of a Jacobian; infinite where it is not finite.
    pub fn of(jacobian: &Mat<f64>) -> Self {
        let largest = |matrix: &Mat<f64>| {
            let values = matrix.self_adjoint_eigenvalues(Side::Lower).unwrap_or_else(|_| vec![f64::INFINITY]);
            let largest = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            if largest.is_finite() { largest } else { f64::INFINITY }
        };
        let symmetric = Mat::from_fn(jacobian.nrows(), jacobian.ncols(), |i, j| {
            0.5 * (jacobian[(i, j)] + jacobian[(j, i)])
        });
        let squared = jacobian.transpose() * jacobian;
        Self { steepest: largest(&squared).max(0.0).sqrt(), growth: largest(&symmetric) }
    }

    pub fn max(self, other: Self) -> Self {
        Self { steepest: self.steepest.max(other.steepest), growth: self.growth.max(other.growth) }
    }

    /// By how much a step of Euler makes an error longer, at most.
    pub fn amplification(self, step: f64) -> f64 {
        1.0 + step * self.steepest
    }

    /// The same where the growth is less than the slope: below one where the field contracts.
    pub fn least_amplification(self, step: f64) -> f64 {
        let squared = 1.0 + 2.0 * step * self.growth + (step * self.steepest).powi(2);
        self.amplification(step).min(squared.max(0.0).sqrt())
    }
}

/// The Jacobian `[dim, dim]` of the field at time `t` and each of the points `[batch, dim]`.
pub(super) fn jacobians(field: &impl Tangent<2>, t: f64, x: Tensor<2>) -> Vec<Mat<f64>> {
    let [batch, dim] = x.dims();
    let t: Tensor<1> = Placement::of(&x).full(t, [batch]);
    let columns: Vec<Vec<f64>> = (0..dim)
        .map(|i| {
            let unit = x.zeros_like().slice_fill([0..batch, i..i + 1], 1.0);
            let (_, column) = field.velocity_and_tangent(t.clone(), x.clone(), t.zeros_like(), unit);
            to_host(&column)
        })
        .collect();
    (0..batch).map(|row| Mat::from_fn(dim, dim, |i, j| columns[j][row * dim + i])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_a_spiral() {
        // The symmetric part contracts at rate one, whatever the turning; a step of 0.2 is the longest that does.
        let spiral = Mat::from_fn(2, 2, |i, j| [[-1.0, 3.0], [-3.0, -1.0]][i][j]);
        let slopes = Slopes::of(&spiral);
        assert!((slopes.steepest - 10.0_f64.sqrt()).abs() < 1e-12);
        assert!((slopes.growth + 1.0).abs() < 1e-12);
        assert!((slopes.least_amplification(0.2) - 1.0).abs() < 1e-12);
        assert!(slopes.least_amplification(0.1) < 1.0 && slopes.least_amplification(0.3) > 1.0);
        let broken = Mat::from_fn(2, 2, |_, _| f64::NAN);
        assert_eq!(Slopes::of(&broken).steepest, f64::INFINITY);
    }
}
