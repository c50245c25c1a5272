//! The line that each normalised number goes through before the activation.

use super::{Moments, Norm, SHORT};
use crate::Real;
use crate::pool::Buffer;

/// Slopes and summands of one group: one of each for a channel, or for every number where channels are short.
pub(super) struct Lines<T: Real> {
    slopes: Buffer<T>,
    summands: Buffer<T>,
    /// Whether every number has a line of its own.
    by_number: bool,
    /// Numbers with the same line that are next to each other in the two.
    repeats: usize,
}

impl<T: Real> Lines<T> {
    /// Room for a group.
    pub fn of(norm: &Norm<'_, T>) -> Self {
        let by_number = norm.positions < SHORT;
        let repeats = if by_number { norm.positions } else { 1 };
        let len = norm.group_channels() * repeats;
        Self { slopes: Buffer::stale(len), summands: Buffer::stale(len), by_number, repeats }
    }

    /// Those of the group with this number.
    #[inline(always)]
    pub fn set(&mut self, norm: &Norm<'_, T>, group: usize, moments: &Moments<T>) {
        let first = group * norm.group_channels();
        let slopes = self.slopes.chunks_exact_mut(self.repeats);
        for (channel, (slopes, summands)) in
            slopes.zip(self.summands.chunks_exact_mut(self.repeats)).enumerate()
        {
            let (factor, summand) = norm.line(first + channel);
            slopes.fill(factor * moments.inverse);
            summands.fill(summand);
        }
    }

    /// Calls `each` with a number of `into`, its `x - mean`, the value `z` on its line, and the slope of the line, for all
    /// numbers of a stretch.
    #[inline(always)]
    pub fn along(&self, stretch: usize, x: &[T], into: &mut [T], mean: T, each: impl Fn(&mut T, T, T, T)) {
        if self.by_number {
            let lines = self.slopes.iter().zip(self.summands.iter());
            for ((x, into), (slope, summand)) in x.iter().zip(into).zip(lines) {
                let centred = *x - mean;
                each(into, centred, centred * *slope + *summand, *slope);
            }
        } else {
            let (slope, summand) = (self.slopes[stretch], self.summands[stretch]);
            for (x, into) in x.iter().zip(into) {
                let centred = *x - mean;
                each(into, centred, centred * slope + summand, slope);
            }
        }
    }
}
