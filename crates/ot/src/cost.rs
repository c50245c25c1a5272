//! The dense cost matrix that every solver of the crate reads.

use crate::distances::squared_distances;
use crate::parallel::map_rows;
use crate::scan::range;
use crate::{OtError, Points};

/// What it costs to move each source (row) to each target (column), row by row.
///
/// Takes `8 · rows · cols` bytes: 128 MiB for two clouds of 4,096 points.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

/// Sums of this many costs, as in dual potentials, must stay finite; see [`Cost::check`].
const LARGEST: f64 = 1e300;

impl Cost {
    /// Takes a matrix as it is, `[rows, cols]` row by row.
    ///
    /// # Panics
    /// When the number of values is not `rows · cols`.
    #[must_use]
    pub fn from_values(rows: usize, cols: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), rows * cols, "a {rows} × {cols} cost matrix needs {} values", rows * cols);
        Self { rows, cols, values }
    }

    /// `‖x_i - y_j‖²`, to about twelve digits relative to each entry.
    ///
    /// Up to eight dimensions the differences are squared directly. Above, the clouds are centred where that helps, and entries are
    /// `‖x‖² + ‖y‖² - 2 x·y` by a blocked matrix product; those that cancel are computed again from the differences.
    ///
    /// # Panics
    /// When the dimensions differ.
    #[must_use]
    pub fn squared_euclidean(x: Points, y: Points) -> Self {
        assert_eq!(x.dim(), y.dim(), "the points have dimensions {} and {}", x.dim(), y.dim());
        Self { rows: x.len(), cols: y.len(), values: squared_distances(x, y) }
    }

    /// `‖x_i - y_j‖`.
    ///
    /// # Panics
    /// When the dimensions differ.
    #[must_use]
    pub fn euclidean(x: Points, y: Points) -> Self {
        let mut cost = Self::squared_euclidean(x, y);
        for value in &mut cost.values {
            *value = value.sqrt();
        }
        cost
    }

    /// Number of sources.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of targets.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All entries, row by row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The costs of moving source `i` to every target.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.cols..(i + 1) * self.cols]
    }

    /// The cost of moving source `i` to target `j`.
    #[must_use]
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.cols + j]
    }

    /// The smallest and the largest cost, once it is sure that there are any and that sums of them stay finite.
    pub(crate) fn check(&self) -> Result<[f64; 2], OtError> {
        if self.values.is_empty() {
            return Err(OtError::Empty { rows: self.rows, cols: self.cols });
        }
        let ranges = map_rows([self.rows, self.cols], || (), |(), i| range(self.row(i)));
        // Written so that a NaN is not good.
        let is_good = |[low, high]: &[f64; 2]| *low >= -LARGEST && *high <= LARGEST;
        if let Some(row) = ranges.iter().position(|range| !is_good(range)) {
            let col = self.row(row).iter().position(|c| c.is_nan() || c.abs() > LARGEST).unwrap_or(0);
            return Err(OtError::BadCost { row, col, value: self.at(row, col) });
        }
        let widest = |[low, high]: [f64; 2], range: &[f64; 2]| [low.min(range[0]), high.max(range[1])];
        Ok(ranges.iter().fold([f64::INFINITY, f64::NEG_INFINITY], widest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_cost_is_named_by_its_place() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2e300] {
            let mut values = vec![1.0; 6];
            values[4] = bad;
            let message = Cost::from_values(2, 3, values).check().unwrap_err().to_string();
            assert!(message.starts_with("the cost of moving source 1 to target 1 is"), "{message}");
        }
        let empty = Cost::squared_euclidean(Points::new(&[], 2), Points::new(&[1.0, 2.0], 2));
        assert_eq!(empty.check(), Err(OtError::Empty { rows: 0, cols: 1 }));
        let empty = Cost::squared_euclidean(Points::new(&[1.0; 20], 10), Points::new(&[], 10));
        assert_eq!(empty.check(), Err(OtError::Empty { rows: 2, cols: 0 }));
    }
}
