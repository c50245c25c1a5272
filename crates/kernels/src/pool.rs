//! Scratch memory that is used again.
//!
//! A large allocation comes from the operating system as untouched pages, and touching them costs as much as a pass
//! over the data. A training step asks for the same sizes again and again, so what is dropped here is kept for the next
//! step.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use crate::Real;

/// Buffers kept of each type; more are given back to the system.
const KEPT: usize = 256;
/// Numbers below which the system's own allocator is as good.
const WORTH_KEEPING: usize = 1 << 10;

/// A slice whose memory goes back to the pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer<T: Real> {
    /// At least `len` values; all that were ever written, so that no use has to write zeros first.
    values: Vec<T>,
    len: usize,
}

impl<T: Real> Buffer<T> {
    /// `len` numbers left from some earlier use: write before you read.
    pub fn stale(len: usize) -> Self {
        let mut values = recycled(len, usize::MAX).unwrap_or_default();
        if values.len() < len {
            values.resize(len, T::default());
        }
        Self { values, len }
    }
}

/// As many numbers left from some earlier use, to be written over and kept: the values of a new tensor.
pub(crate) fn stale_vector<T: Real>(len: usize) -> Vec<T> {
    if len < WORTH_KEEPING {
        return vec![T::default(); len];
    }
    // What is kept for long is not taken from a buffer of much more than its size.
    let mut values = recycled(len, len + len / 4).unwrap_or_default();
    values.resize(len, T::default());
    values
}

/// Keeps the memory of a tensor that nobody needs any more.
pub(crate) fn give_back<T: Real>(values: Vec<T>) {
    if values.len() < WORTH_KEEPING {
        return;
    }
    let mut kept = T::pool().lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < KEPT {
        kept.push(values);
    }
}

/// The smallest kept buffer that is long enough, so that a long one is not wasted on a short request.
fn recycled<T: Real>(len: usize, most: usize) -> Option<Vec<T>> {
    let mut kept = T::pool().lock().unwrap_or_else(PoisonError::into_inner);
    let fits = kept.iter().enumerate().filter(|(_, values)| (len..=most).contains(&values.len()));
    let (place, _) = fits.min_by_key(|(_, values)| values.len())?;
    Some(kept.swap_remove(place))
}

impl<T: Real> Drop for Buffer<T> {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.values));
    }
}

impl<T: Real> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T: Real> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length that no other test asks for.
    const LEN: usize = 123_457;

    #[test]
    fn what_is_dropped_is_used_again() {
        let mut first = Buffer::<f32>::stale(LEN);
        first[LEN - 1] = 5.0;
        drop(first);
        let second = Buffer::<f32>::stale(LEN);
        assert_eq!(second.len(), LEN);
        assert_eq!(second[LEN - 1], 5.0);
        let third = Buffer::<f32>::stale(LEN);
        assert_eq!(third[LEN - 1], 0.0, "one buffer was given to two");
    }
}
