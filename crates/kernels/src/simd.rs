//! Loops compiled once for each width of SIMD, the widest chosen at run time.
//!
//! One program runs on an old laptop and uses AVX-512 where it is. The bodies are plain loops over slices; everything in
//! them must be inlined, because only what is inlined is compiled again with the wider instructions.

use pulp::{Arch, Simd, WithSimd};

use crate::Real;

/// A loop to be compiled for every width.
pub(crate) trait Loop {
    /// What it returns.
    type Output;

    /// The loop; to be marked `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

struct Wide<L>(L);

impl<L: Loop> WithSimd for Wide<L> {
    type Output = L::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> L::Output {
        self.0.run()
    }
}

/// Runs the loop with the widest instructions of this machine.
pub(crate) fn widest<L: Loop>(body: L) -> L::Output {
    Arch::new().dispatch(Wide(body))
}

/// Sums side by side: one running sum does not vectorise, and waits for each addition before the next.
pub(crate) const SIDE_BY_SIDE: usize = 32;

/// The sum of `of` over the slice, inside a [`Loop`].
#[inline(always)]
pub(crate) fn sum<T: Real>(values: &[T], of: impl Fn(T) -> T) -> T {
    let mut sums = [T::of(0.0); SIDE_BY_SIDE];
    let (whole, rest) = values.as_chunks::<SIDE_BY_SIDE>();
    for values in whole {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += of(*value);
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += of(*value);
    }
    total(sums)
}

/// The sum of sums side by side, in halves.
#[inline(always)]
pub(crate) fn total<T: Real>(mut sums: [T; SIDE_BY_SIDE]) -> T {
    let mut half = SIDE_BY_SIDE / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
        half /= 2;
    }
    sums[0]
}
