//! Loops compiled once for each width of SIMD, the widest chosen at run time.
//!
//! One program runs on an old laptop and uses AVX-512 where it is. The bodies are plain loops over slices; everything in
//! them must be inlined, because only what is inlined is compiled again with the wider instructions.

use pulp::{Arch, Simd, WithSimd};

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
