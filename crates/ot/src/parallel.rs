//! When a pass over a matrix is worth more than one thread.
//!
//! Passes are divided by rows, each of which is computed as it would be alone: no result depends on the threads.

/// Whether a pass over this many entries takes clearly longer than to wake other threads.
pub(crate) fn worth_threads(entries: usize) -> bool {
    entries >= 1 << 18
}
