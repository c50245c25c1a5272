//! From scores to weights, and the way back.

use crate::Real;
use crate::simd::{Loop, SIDE_BY_SIDE, total};

/// From scores to weights that sum to one in each row, and the logarithm of what they were divided by.
pub(super) struct Softmax<'a, T> {
    pub weights: &'a mut [T],
    pub logarithms: &'a mut [T],
    pub keys: usize,
    pub scale: f64,
}

impl<T: Real> Loop for Softmax<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let scale = T::of(self.scale);
        for (row, logarithm) in self.weights.chunks_exact_mut(self.keys).zip(self.logarithms) {
            let largest = largest(row);
            let mut sums = [T::of(0.0); SIDE_BY_SIDE];
            for scores in row.chunks_mut(SIDE_BY_SIDE) {
                for (score, sum) in scores.iter_mut().zip(&mut sums) {
                    *score = ((*score - largest) * scale).exponential();
                    *sum += *score;
                }
            }
            let sum = total(sums);
            let share = T::of(1.0) / sum;
            for weight in row.iter_mut() {
                *weight = *weight * share;
            }
            *logarithm = largest * scale + T::of(sum.to_double().ln());
        }
    }
}

/// From scores to weights again, and from the gradients of the weights to those of the products behind the scores.
pub(super) struct Slopes<'a, T> {
    pub weights: &'a mut [T],
    pub slopes: &'a mut [T],
    pub logarithms: &'a [T],
    pub keys: usize,
    pub scale: f64,
}

impl<T: Real> Loop for Slopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let scale = T::of(self.scale);
        let rows = self.weights.chunks_exact_mut(self.keys).zip(self.slopes.chunks_exact_mut(self.keys));
        for ((weights, slopes), logarithm) in rows.zip(self.logarithms) {
            let mut sums = [T::of(0.0); SIDE_BY_SIDE];
            for (weights, slopes) in weights.chunks_mut(SIDE_BY_SIDE).zip(slopes.chunks(SIDE_BY_SIDE)) {
                for ((weight, slope), sum) in weights.iter_mut().zip(slopes).zip(&mut sums) {
                    *weight = (*weight * scale - *logarithm).exponential();
                    *sum += *weight * *slope;
                }
            }
            let mean = total(sums);
            for (weight, slope) in weights.iter().zip(slopes) {
                *slope = *weight * (*slope - mean) * scale;
            }
        }
    }
}

#[inline(always)]
fn largest<T: Real>(row: &[T]) -> T {
    let mut found = [row[0]; SIDE_BY_SIDE];
    for values in row.chunks(SIDE_BY_SIDE) {
        for (found, value) in found.iter_mut().zip(values) {
            *found = if *value > *found { *value } else { *found };
        }
    }
    let mut largest = found[0];
    for value in found {
        largest = if value > largest { value } else { largest };
    }
    largest
}
