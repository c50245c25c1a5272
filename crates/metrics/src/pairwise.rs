//! Means over pairs of points, in memory that does not grow with their product.

use thalweg_ot::{Cost, Points};

/// Rows per block of distances: large enough for the blocked product, small enough for the cache.
const BLOCK: usize = 64;

/// The mean of `value(‖x_i - y_j‖²)` over all pairs.
pub(crate) fn mean_between(x: Points, y: Points, value: impl Fn(f64) -> f64) -> f64 {
    let sum: f64 = blocks(x).map(|block| sum_of(&Cost::squared_euclidean(block, y), &value)).sum();
    sum / (x.len() as f64 * y.len() as f64)
}

/// The mean of `value(‖x_i - x_j‖²)` over `i ≠ j`: the U-statistic, without the pairs of a point with itself.
pub(crate) fn mean_within(x: Points, value: impl Fn(f64) -> f64) -> f64 {
    let mut sum = 0.0;
    for (k, block) in blocks(x).enumerate() {
        // Within the block each pair occurs twice and each point once with itself; later points count double.
        let own = sum_of(&Cost::squared_euclidean(block, block), &value) - block.len() as f64 * value(0.0);
        let from = (k * BLOCK + block.len()) * x.dim();
        let later = Points::new(&x.values()[from..], x.dim());
        sum += own + 2.0 * sum_of(&Cost::squared_euclidean(block, later), &value);
    }
    let n = x.len() as f64;
    sum / (n * (n - 1.0))
}

fn blocks(x: Points<'_>) -> impl Iterator<Item = Points<'_>> {
    x.values().chunks(BLOCK * x.dim()).map(move |values| Points::new(values, x.dim()))
}

fn sum_of(cost: &Cost, value: impl Fn(f64) -> f64) -> f64 {
    cost.values().iter().map(|&squared| value(squared)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    #[test]
    fn blocks_sum_every_pair_once() {
        let mut noise = Noise::new(1);
        for (n, m, dim) in [(2, 3, 1), (64, 65, 2), (150, 70, 12)] {
            let (x, y) = (noise.normals(n * dim), noise.normals(m * dim));
            let (x, y) = (Points::new(&x, dim), Points::new(&y, dim));
            let value = |squared: f64| (-squared).exp() + squared;
            let at = |a: &[f64], b: &[f64]| value(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum());
            let between: f64 = x.rows().flat_map(|a| y.rows().map(move |b| at(a, b))).sum();
            let expected = between / (n * m) as f64;
            assert!((mean_between(x, y, value) - expected).abs() < 1e-12 * expected);
            let within: f64 = x.rows().flat_map(|a| x.rows().map(move |b| at(a, b))).sum();
            let expected = (within - n as f64) / (n * (n - 1)) as f64;
            assert!((mean_within(x, value) - expected).abs() < 1e-12 * expected);
        }
    }
}
