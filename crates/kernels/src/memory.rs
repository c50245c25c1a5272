//! What becomes of memory that is freed.

/// Lets the process keep freed memory for what comes next, up to 256 MiB, and take large blocks from there.
///
/// The C library of Linux gives large blocks back to the system as soon as they are freed and takes them anew as untouched
/// pages. A network that makes tensors of a megabyte layer after layer then spends a quarter of its time on page faults.
/// This is a setting of the whole process, so a program decides on it, once and early; no library does. Where the C
/// library is another one, nothing happens.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEPT: libc::c_int = 256 << 20;
        // Larger blocks are the system's business; this is also the most that older versions accept.
        const LARGEST: libc::c_int = 32 << 20;
        // What is asked for in advance when more is needed. Untouched, it costs nothing.
        const AHEAD: libc::c_int = 64 << 20;
        for (parameter, value) in
            [(libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, LARGEST), (libc::M_TOP_PAD, AHEAD)]
        {
            set(parameter, value);
        }
    }
}

/// A value that is refused leaves things as they were.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn set(parameter: libc::c_int, value: libc::c_int) {
    // SAFETY: it takes two numbers, and the allocator's own lock protects what it changes.
    unsafe {
        libc::mallopt(parameter, value);
    }
}
