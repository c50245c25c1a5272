//! Scratch memory that is used again.
//!
//! A large allocation comes from the operating system as untouched pages, and touching them costs as much as a pass
//! over the data. A training step asks for the same sizes again and again, so what is dropped here is kept for the next
//! step.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use crate::Real;

/// Buffers kept of each type, and their bytes; beyond that the oldest go back to the system.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 1 << 29;
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
        if len < WORTH_KEEPING {
            return Self { values: vec![T::default(); len], len };
        }
        let mut values = recycled(len, usize::MAX).unwrap_or_default();
        if values.len() < len {
            values.resize(len, T::default());
        }
        Self { values, len }
    }

    /// [`stale`](Self::stale) for what is kept for long: it never has much more memory than it needs.
    pub fn snug(len: usize) -> Self {
        Self { values: stale_vector(len), len }
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
    if values.len() >= WORTH_KEEPING {
        keep(&mut T::pool().lock().unwrap_or_else(PoisonError::into_inner), values);
    }
}

fn recycled<T: Real>(len: usize, most: usize) -> Option<Vec<T>> {
    take(&mut T::pool().lock().unwrap_or_else(PoisonError::into_inner), len, most)
}

fn keep<T>(kept: &mut Vec<Vec<T>>, values: Vec<T>) {
    let bytes = |values: &Vec<T>| values.capacity() * size_of::<T>();
    let mut total = bytes(&values) + kept.iter().map(bytes).sum::<usize>();
    while !kept.is_empty() && (kept.len() >= KEPT || total > KEPT_BYTES) {
        total -= bytes(&kept.remove(0));
    }
    if total <= KEPT_BYTES {
        kept.push(values);
    }
}

/// The smallest kept buffer that is long enough, so that a long one is not wasted on a short request. Those are looked at
/// whose memory is no more than `most` numbers.
fn take<T>(kept: &mut Vec<Vec<T>>, len: usize, most: usize) -> Option<Vec<T>> {
    let fits = kept.iter().enumerate().filter(|(_, values)| values.len() >= len && values.capacity() <= most);
    let (place, _) = fits.min_by_key(|(_, values)| values.len())?;
    Some(kept.remove(place))
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

    #[test]
    fn the_smallest_that_is_long_enough_is_used_again_once() {
        let mut kept = Vec::new();
        for len in [3000, 2000, 1000] {
            keep(&mut kept, vec![len as f32; len]);
        }
        assert_eq!(take(&mut kept, 1500, usize::MAX).unwrap(), vec![2000.0; 2000]);
        assert_eq!(take(&mut kept, 1500, usize::MAX).unwrap(), vec![3000.0; 3000]);
        assert_eq!(take(&mut kept, 1500, usize::MAX), None);
        assert_eq!(take(&mut kept, 10, 900), None, "far more than is needed");
        assert_eq!(take(&mut kept, 10, 1000).unwrap().len(), 1000);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Vec::new();
        let big = KEPT_BYTES / size_of::<f64>() / 3;
        for _ in 0..5 {
            keep(&mut kept, Vec::<f64>::with_capacity(big));
        }
        assert_eq!(kept.len(), 3);
        keep(&mut kept, Vec::with_capacity(4 * big));
        assert!(kept.is_empty(), "larger than all that may be kept");
        for _ in 0..2 * KEPT {
            keep(&mut kept, Vec::with_capacity(1));
        }
        assert_eq!(kept.len(), KEPT);
    }

    #[test]
    fn buffers_in_use_do_not_overlap_and_have_their_length() {
        let mut buffers: Vec<_> = [5000, 5000, 10, 0].map(Buffer::<f32>::stale).into();
        for (number, buffer) in buffers.iter_mut().enumerate() {
            buffer.fill(number as f32);
        }
        for (number, (buffer, len)) in buffers.iter().zip([5000, 5000, 10, 0]).enumerate() {
            assert_eq!(buffer[..], vec![number as f32; len]);
        }
    }
}
