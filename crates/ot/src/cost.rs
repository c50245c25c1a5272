//! The dense cost matrix that every solver of the crate reads.

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

/// Up to this dimension the subtraction form is as fast as the matrix product, and exact to the last digits.
const DIRECT_UP_TO: usize = 8;

/// Below this fraction of `‖x‖² + ‖y‖²` the product form has lost more than four digits to cancellation.
const CANCELLATION: f64 = 1e-4;

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
    /// Up to eight dimensions the differences are squared directly. Above, the clouds are centred and the entries are
    /// `‖x‖² + ‖y‖² - 2 x·y` by a blocked matrix product; those that cancel are computed again from the differences.
    ///
    /// # Panics
    /// When the dimensions differ.
    #[must_use]
    pub fn squared_euclidean(x: Points, y: Points) -> Self {
        assert_eq!(x.dim(), y.dim(), "the points have dimensions {} and {}", x.dim(), y.dim());
        let values = if x.dim() <= DIRECT_UP_TO { direct(x, y) } else { by_product(x, y) };
        Self { rows: x.len(), cols: y.len(), values }
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
        let mut range = [f64::INFINITY, f64::NEG_INFINITY];
        for i in 0..self.rows {
            let row = self.row(i);
            if !row.iter().fold(true, |good, c| good & (c.abs() <= LARGEST)) {
                let col = row.iter().position(|c| c.is_nan() || c.abs() > LARGEST).unwrap_or(0);
                return Err(OtError::BadCost { row: i, col, value: row[col] });
            }
            range = row.iter().fold(range, |[low, high], &c| [low.min(c), high.max(c)]);
        }
        Ok(range)
    }
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn direct(x: Points, y: Points) -> Vec<f64> {
    let (n, m) = (x.len(), y.len());
    let mut values = vec![0.0; n * m];
    // One coordinate of all targets at a time, so that the innermost loop runs over contiguous numbers.
    let columns: Vec<f64> = (0..y.dim()).flat_map(|k| y.rows().map(move |row| row[k])).collect();
    for (source, out) in x.rows().zip(values.chunks_exact_mut(m.max(1))) {
        for (&coordinate, targets) in source.iter().zip(columns.chunks_exact(m.max(1))) {
            for (value, target) in out.iter_mut().zip(targets) {
                let difference = coordinate - target;
                *value += difference * difference;
            }
        }
    }
    values
}

fn by_product(x: Points, y: Points) -> Vec<f64> {
    let (n, m, d) = (x.len(), y.len(), x.dim());
    let centre = centre_of(x, y);
    let (centred_x, centred_y) = (minus(x, &centre), minus(y, &centre));
    let squares = |values: &[f64]| -> Vec<f64> {
        values.chunks_exact(d).map(|row| row.iter().map(|v| v * v).sum()).collect()
    };
    let (x_squares, y_squares) = (squares(&centred_x), squares(&centred_y));
    let mut values = vec![0.0; n * m];
    faer::linalg::matmul::matmul(
        faer::MatMut::from_row_major_slice_mut(&mut values, n, m),
        faer::Accum::Replace,
        faer::MatRef::from_row_major_slice(&centred_x, n, d),
        faer::MatRef::from_row_major_slice(&centred_y, m, d).transpose(),
        -2.0,
        faer::Par::Seq,
    );
    for i in 0..n {
        let row = &mut values[i * m..(i + 1) * m];
        for (j, value) in row.iter_mut().enumerate() {
            let scale = x_squares[i] + y_squares[j];
            *value += scale;
            // The recomputed entry is a sum of squares, so nothing is left to clamp at zero.
            if *value < CANCELLATION * scale {
                *value = squared_distance(x.row(i), y.row(j));
            }
        }
    }
    values
}

/// The mean of all points of both clouds; distances do not see it, but rounding does.
fn centre_of(x: Points, y: Points) -> Vec<f64> {
    let mut centre = vec![0.0; x.dim()];
    let count = (x.len() + y.len()).max(1) as f64;
    for point in x.rows().chain(y.rows()) {
        for (mean, value) in centre.iter_mut().zip(point) {
            *mean += value / count;
        }
    }
    centre
}

fn minus(points: Points, centre: &[f64]) -> Vec<f64> {
    points.rows().flat_map(|row| row.iter().zip(centre).map(|(value, mean)| value - mean)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    fn check_against_differences(x: &[f64], y: &[f64], dim: usize) {
        let (x, y) = (Points::new(x, dim), Points::new(y, dim));
        let cost = Cost::squared_euclidean(x, y);
        assert_eq!((cost.rows(), cost.cols()), (x.len(), y.len()));
        for i in 0..x.len() {
            for j in 0..y.len() {
                let exact = squared_distance(x.row(i), y.row(j));
                assert!((cost.at(i, j) - exact).abs() <= 1e-11 * exact, "{i},{j}: {} {exact}", cost.at(i, j));
                assert!(cost.at(i, j) >= 0.0);
            }
        }
    }

    #[test]
    fn squared_distances_have_their_digits_in_every_dimension() {
        let mut noise = Noise::new(1);
        for dim in [1, 2, 7, 8, 9, 17, 64] {
            check_against_differences(&noise.normals(13 * dim), &noise.normals(9 * dim), dim);
        }
    }

    #[test]
    fn a_far_centre_and_near_neighbours_lose_no_digits() {
        let mut noise = Noise::new(2);
        let x: Vec<f64> = noise.normals(20 * 16).iter().map(|v| 1e6 + v).collect();
        let mut y: Vec<f64> = x.iter().map(|v| v + 1e-5).collect();
        // A duplicate must be at distance zero, not at the square root of a rounding error.
        y[..16].copy_from_slice(&x[..16]);
        check_against_differences(&x, &y, 16);
        assert_eq!(Cost::euclidean(Points::new(&x, 16), Points::new(&y, 16)).at(0, 0), 0.0);
    }

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
