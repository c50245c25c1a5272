//! Where the work of a program begins.

/// Runs `work` on a thread of rayon's global pool, if there are several.
///
/// An operation that is called from a thread outside of the pool is handed in and waited for: two threads are woken where
/// one would do, and then the caller again. A network of many small operations is a fifth faster from within. The
/// program and the benchmarks do all their work in here.
///
/// With a single thread nothing is moved: whoever waited in the pool for a thread outside of it, which in turn waited for
/// the pool, would wait for ever.
pub fn on_the_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() > 1 { rayon::scope(|_| work()) } else { work() }
}
