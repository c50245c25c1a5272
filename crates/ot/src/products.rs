//! The inner loops of matrix scaling: products of a kernel, row by row, with a vector and with its transpose.
//!
//! They run over slices of equal length and keep independent sums, so that the compiler can use vector instructions.
//! The transposed product adds multiples of rows, so no transpose is stored.

/// Independent sums of a scalar product, so that the additions need not wait for each other.
const LANES: usize = 8;

/// Rows that are added to the column sums at once, so that a sum is read and written once for four of them.
pub(crate) const ROWS: usize = 4;

/// `x · y`.
pub(crate) fn product(x: &[f64], y: &[f64]) -> f64 {
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for k in 0..LANES {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

/// `sums += Σ_k factors[k] · row k`, for up to [`ROWS`] rows that lie one after the other.
pub(crate) fn add_multiples(sums: &mut [f64], factors: &[f64], rows: &[f64]) {
    let length = sums.len();
    if rows.len() < ROWS * length {
        for (factor, row) in factors.iter().zip(rows.chunks_exact(length)) {
            for (sum, entry) in sums.iter_mut().zip(row) {
                *sum += factor * entry;
            }
        }
        return;
    }
    let (upper, lower) = rows.split_at(2 * length);
    let ((row0, row1), (row2, row3)) = (upper.split_at(length), lower.split_at(length));
    let [f0, f1, f2, f3] = [factors[0], factors[1], factors[2], factors[3]];
    for ((((sum, e0), e1), e2), e3) in sums.iter_mut().zip(row0).zip(row1).zip(row2).zip(row3) {
        *sum += (f0 * e0 + f1 * e1) + (f2 * e2 + f3 * e3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    #[test]
    fn vector_loops_agree_with_plain_sums() {
        let mut noise = Noise::new(2);
        for n in [1, 7, 8, 9, 64, 67] {
            let (x, y) = (noise.normals(n), noise.normals(n));
            let expected: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
            assert!((product(&x, &y) - expected).abs() < 1e-13);
            for count in 1..=ROWS {
                let (factors, rows) = (noise.normals(count), noise.normals(count * n));
                let mut sums = y.clone();
                add_multiples(&mut sums, &factors, &rows);
                for j in 0..n {
                    let expected = y[j] + (0..count).map(|k| factors[k] * rows[k * n + j]).sum::<f64>();
                    assert!((sums[j] - expected).abs() < 1e-13);
                }
            }
        }
    }
}
