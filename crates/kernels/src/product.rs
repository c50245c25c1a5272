//! Matrix products on slices: the safe face of the `gemm` crate.

#![allow(unsafe_code)]

use std::ops::Range;

use gemm::Parallelism;

use crate::Real;

/// A matrix that is a slice read with strides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `values` row by row.
    pub fn new(values: &'a [T], rows: usize, cols: usize) -> Self {
        assert!(values.len() == rows * cols, "{} values are not {rows} × {cols}", values.len());
        Self { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// Some columns of `values` row by row, without a copy.
    pub fn columns(values: &'a [T], [rows, cols]: [usize; 2], columns: Range<usize>) -> Self {
        assert!(values.len() == rows * cols, "{} values are not {rows} × {cols}", values.len());
        assert!(
            columns.start < columns.end && columns.end <= cols,
            "{cols} columns have no columns {columns:?}"
        );
        Self { values: &values[columns.start..], rows, cols: columns.len(), row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without a copy.
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// What happens to the values that a result is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// They are lost.
    Replace,
    /// The result is added to them.
    Add,
}

/// `out = a·b` or `out += a·b` with `out` row by row, on one thread.
pub(crate) fn product<T: Real>(out: &mut [T], write: Write, a: Matrix<'_, T>, b: Matrix<'_, T>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert!(b.rows == k, "a matrix of {m} × {k} does not multiply one of {} × {n}", b.rows);
    assert!(out.len() == m * n, "the product of {m} × {n} does not fit {} values", out.len());
    if m == 0 || n == 0 {
        return;
    }
    let stride = |stride: usize| stride as isize;
    // SAFETY: the three shapes agree, as asserted; `Matrix` only ever holds a row-major matrix, some columns of
    // one from the first of them on, or the transpose of these, so every index i·row_stride + j·col_stride lies inside its
    // slice, and `out` is a distinct mutable slice of m × n values with rows n apart.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(n),
            write == Write::Add,
            a.values.as_ptr(),
            stride(a.col_stride),
            stride(a.row_stride),
            b.values.as_ptr(),
            stride(b.col_stride),
            stride(b.row_stride),
            T::of(1.0),
            T::of(1.0),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
        let entry = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
        (0..m * n).map(|index| entry(index / n, index % n)).collect()
    }

    fn values(count: usize, seed: usize) -> Vec<f64> {
        (0..count).map(|i| ((i * 37 + seed * 11) % 23) as f64 - 11.0).collect()
    }

    #[test]
    fn products_with_and_without_transposes() {
        for [m, k, n] in [[1, 1, 1], [3, 5, 2], [17, 33, 9], [64, 3, 64], [2, 1, 70]] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let expected = naive(&a, &b, [m, k, n]);
            let mut out = vec![7.0; m * n];
            product(&mut out, Write::Replace, Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            assert_eq!(out, expected);
            product(&mut out, Write::Add, Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            assert_eq!(out, expected.iter().map(|x| 2.0 * x).collect::<Vec<_>>());
            // The same through the transposes of both.
            let flip = |v: &[f64], rows: usize, cols: usize| -> Vec<f64> {
                (0..rows * cols).map(|index| v[(index % rows) * cols + index / rows]).collect()
            };
            let (at, bt) = (flip(&a, m, k), flip(&b, k, n));
            let (a, b) = (Matrix::new(&at, k, m).transposed(), Matrix::new(&bt, n, k).transposed());
            product(&mut out, Write::Replace, a, b);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn an_empty_inner_dimension_gives_zeros() {
        let mut out = vec![3.0f32; 4];
        product(&mut out, Write::Replace, Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 2));
        assert_eq!(out, [0.0; 4]);
    }

    #[test]
    fn some_columns() {
        let (a, b) = (values(4 * 7, 3), values(3 * 4, 5));
        let cut: Vec<f64> = a.chunks(7).flat_map(|row| row[2..5].to_vec()).collect();
        let columns = Matrix::columns(&a, [4, 7], 2..5);
        let mut out = vec![0.0; 9];
        product(&mut out, Write::Replace, Matrix::new(&b, 3, 4), columns);
        assert_eq!(out, naive(&b, &cut, [3, 4, 3]));
        let mut out = vec![0.0; 16];
        product(&mut out, Write::Replace, columns, Matrix::new(&b, 3, 4));
        assert_eq!(out, naive(&cut, &b, [4, 3, 4]));
    }

    #[test]
    #[should_panic(expected = "does not multiply")]
    fn shapes_must_agree() {
        product(&mut [0.0f32; 4], Write::Add, Matrix::new(&[0.0; 4], 2, 2), Matrix::new(&[0.0; 6], 3, 2));
    }
}
