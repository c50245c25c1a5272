//! Squared distances between all points of two clouds.
//!
//! In few dimensions the differences are squared. Above, `‖x‖² + ‖y‖² - 2 x·y` needs one product of matrices; it loses
//! digits where points are close beside their norms, so the clouds are centred first and entries that still cancel are
//! computed again from the differences. Either way the rows are shared among threads in blocks of a fixed size.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, NullaryFnOnce};

use crate::Points;
use crate::parallel::{fill_blocks, fill_blocks_of, map_rows};
use crate::products::product;

/// Up to this dimension the subtraction form is as fast as the matrix product, and exact to the last digits.
const DIRECT_UP_TO: usize = 8;

/// Below this fraction of `‖x‖² + ‖y‖²` the product form has lost more than four digits to cancellation.
const CANCELLATION: f64 = 1e-4;

/// Rows per thread and turn in the direct form.
const DIRECT_ROWS: usize = 16;

/// Coordinates per thread and turn of a mean.
const COORDINATES: usize = 512;

/// `‖x_i - y_j‖²`, `[x.len(), y.len()]` row by row.
pub(crate) fn squared_distances(x: Points, y: Points) -> Vec<f64> {
    if x.dim() <= DIRECT_UP_TO { direct(x, y) } else { by_product(x, y) }
}

fn direct(x: Points, y: Points) -> Vec<f64> {
    let (n, m) = (x.len(), y.len());
    let mut values = vec![0.0; n * m];
    // One coordinate of all targets at a time, so that the innermost loop runs over contiguous numbers.
    let columns: Vec<f64> = (0..y.dim()).flat_map(|k| y.rows().map(move |row| row[k])).collect();
    fill_blocks(&mut values, DIRECT_ROWS, m, |first, block| {
        for (i, out) in (first..).zip(block.chunks_exact_mut(m)) {
            Arch::new().dispatch(FromOnePoint { point: x.row(i), columns: &columns, out });
        }
    });
    values
}

/// The distances of one source to all targets, which are given coordinate by coordinate.
struct FromOnePoint<'a> {
    point: &'a [f64],
    columns: &'a [f64],
    out: &'a mut [f64],
}

impl NullaryFnOnce for FromOnePoint<'_> {
    type Output = ();

    // Inlined into the dispatch, or it would be compiled for the oldest processor.
    #[inline(always)]
    fn call(self) {
        for (&coordinate, targets) in self.point.iter().zip(self.columns.chunks_exact(self.out.len())) {
            for (value, target) in self.out.iter_mut().zip(targets) {
                let difference = coordinate - target;
                *value += difference * difference;
            }
        }
    }
}

fn by_product(x: Points, y: Points) -> Vec<f64> {
    let (n, m, d) = (x.len(), y.len(), x.dim());
    let [(x_centred, x_squares), (y_centred, y_squares)] = centred(x, y);
    let y_transposed = MatRef::from_row_major_slice(&y_centred, m, d).transpose();
    let mut values = vec![0.0; n * m];
    // Each block packs all targets anew, so blocks are large; eight of them occupy eight threads.
    let rows = n.div_ceil(8).clamp(128, 512);
    fill_blocks_of(n * m * d, &mut values, rows, m, |first, block| {
        let count = block.len() / m;
        let sources = MatRef::from_row_major_slice(&x_centred[first * d..(first + count) * d], count, d);
        let out = MatMut::from_row_major_slice_mut(block, count, m);
        matmul(out, Accum::Replace, sources, y_transposed, -2.0, Par::Seq);
        for (i, row) in (first..).zip(block.chunks_exact_mut(m)) {
            for (j, value) in row.iter_mut().enumerate() {
                let scale = x_squares[i] + y_squares[j];
                *value += scale;
                // The recomputed entry is a sum of squares, so nothing is left to clamp at zero.
                if *value < CANCELLATION * scale {
                    *value = squared_distance(x.row(i), y.row(j));
                }
            }
        }
    });
    values
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The mean of all points of both clouds; distances do not see it, but rounding does.
fn centre_of(x: Points, y: Points) -> Vec<f64> {
    let mut centre = vec![0.0; x.dim()];
    // Divided before the sum, so that the largest points do not overflow it.
    let share = 1.0 / (x.len() + y.len()).max(1) as f64;
    // A piece of the coordinates of all points at a time; it stays in the cache.
    let entries = (x.len() + y.len()) * x.dim();
    fill_blocks_of(entries, &mut centre, COORDINATES, 1, |first, piece| {
        Arch::new().dispatch(|| {
            for point in x.rows().chain(y.rows()) {
                for (mean, value) in piece.iter_mut().zip(&point[first..]) {
                    *mean += share * value;
                }
            }
        });
    });
    centre
}

/// The points of both clouds minus their centre, and their squared norms; the points as they are where the centre is as
/// near to zero as most of them to it, since then no digits are won.
fn centred<'a>(x: Points<'a>, y: Points<'a>) -> [(Cow<'a, [f64]>, Vec<f64>); 2] {
    let centre = centre_of(x, y);
    let plain = [x, y].map(|points| squares(points.values(), x.dim()));
    let count = (x.len() + y.len()) as f64;
    let [of_centre, of_points] = [count * product(&centre, &centre), plain.iter().flatten().sum()];
    if of_centre.is_finite() && of_centre <= 0.75 * of_points && of_points.is_finite() {
        let [x_squares, y_squares] = plain;
        return [(Cow::Borrowed(x.values()), x_squares), (Cow::Borrowed(y.values()), y_squares)];
    }
    [x, y].map(|points| {
        let values = shifted(points, &centre);
        let squares = squares(&values, centre.len());
        (Cow::Owned(values), squares)
    })
}

/// The squared norms of rows.
fn squares(values: &[f64], d: usize) -> Vec<f64> {
    let rows = values.len() / d;
    map_rows(
        [rows, d],
        || (),
        |(), i| {
            let row = &values[i * d..(i + 1) * d];
            Arch::new().dispatch(|| product(row, row))
        },
    )
}

/// The points minus the centre.
fn shifted(points: Points, centre: &[f64]) -> Vec<f64> {
    let mut values = vec![0.0; points.values().len()];
    fill_blocks(&mut values, DIRECT_ROWS, centre.len(), |first, block| {
        Arch::new().dispatch(|| {
            for (i, row) in (first..).zip(block.chunks_exact_mut(centre.len())) {
                for ((value, point), mean) in row.iter_mut().zip(points.row(i)).zip(centre) {
                    *value = point - mean;
                }
            }
        });
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cost;
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
    fn the_number_of_threads_changes_no_digit() {
        let mut noise = Noise::new(3);
        for dim in [3, 20] {
            let (x, y) = (noise.normals(420 * dim), noise.normals(400 * dim));
            let (x, y) = (Points::new(&x, dim), Points::new(&y, dim));
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| squared_distances(x, y))
            };
            assert_eq!(on(1), on(3));
        }
    }
}
