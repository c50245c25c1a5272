//! Small things about dense symmetric matrices.

use faer::{Mat, Side};

/// The eigenvalues of the symmetric part, in rising order.
pub(crate) fn eigenvalues(matrix: &Mat<f64>) -> Result<Vec<f64>, String> {
    let mut values = symmetrised(matrix)
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| "the eigenvalues of a matrix could not be computed".to_string())?;
    values.sort_by(f64::total_cmp);
    Ok(values)
}

/// The least and the greatest of them.
pub(crate) fn extremes(matrix: &Mat<f64>) -> Result<[f64; 2], String> {
    let values = eigenvalues(matrix)?;
    match values[..] {
        [least, .., greatest] => Ok([least, greatest]),
        [only] => Ok([only, only]),
        [] => Err("a matrix without entries has no eigenvalues".to_string()),
    }
}

/// The mean of a matrix and its transpose.
pub(crate) fn symmetrised(matrix: &Mat<f64>) -> Mat<f64> {
    let n = matrix.nrows();
    Mat::from_fn(n, n, |i, j| 0.5 * (matrix[(i, j)] + matrix[(j, i)]))
}

/// A multiple of the identity.
pub(crate) fn diagonal(n: usize, by: f64) -> Mat<f64> {
    Mat::from_fn(n, n, |i, j| if i == j { by } else { 0.0 })
}

/// The root of the sum of the squares of all entries.
pub(crate) fn frobenius(matrix: &Mat<f64>) -> f64 {
    let entries = (0..matrix.ncols()).flat_map(|j| (0..matrix.nrows()).map(move |i| matrix[(i, j)]));
    entries.map(|x| x * x).sum::<f64>().sqrt()
}

/// The largest singular value.
pub(crate) fn spectral(matrix: &Mat<f64>) -> Result<f64, String> {
    if matrix.nrows() == 0 || matrix.ncols() == 0 {
        return Ok(0.0);
    }
    Ok(extremes(&(matrix.transpose() * matrix))?[1].max(0.0).sqrt())
}

/// The inverse of a lower triangle, column by column.
pub(crate) fn lower_inverse(lower: &Mat<f64>) -> Mat<f64> {
    let n = lower.nrows();
    let mut inverse = Mat::zeros(n, n);
    for j in 0..n {
        inverse[(j, j)] = 1.0 / lower[(j, j)];
        for i in j + 1..n {
            let sum: f64 = (j..i).map(|k| lower[(i, k)] * inverse[(k, j)]).sum();
            inverse[(i, j)] = -sum / lower[(i, i)];
        }
    }
    inverse
}

/// Row after row.
pub(crate) fn to_rows(matrix: &Mat<f64>) -> Vec<Vec<f64>> {
    (0..matrix.nrows()).map(|i| (0..matrix.ncols()).map(|j| matrix[(i, j)]).collect()).collect()
}

/// The other way, if every row has this many entries.
pub(crate) fn from_rows(name: &str, rows: &[Vec<f64>], cols: usize) -> Result<Mat<f64>, String> {
    if let Some(row) = rows.iter().find(|row| row.len() != cols) {
        return Err(format!("a row of {name} has {} entries and should have {cols}", row.len()));
    }
    Ok(Mat::from_fn(rows.len(), cols, |i, j| rows[i][j]))
}
