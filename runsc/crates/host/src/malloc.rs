//! The C library's heap: how many arenas it has, and giving back what is free in them.

#![expect(unsafe_code, reason = "mallopt and malloc_trim have no safe form")]

/// Has all threads share so many arenas (`man 3 mallopt`, *`M_ARENA_MAX`*), so that what one of them has freed
/// is there for the others. To be called while there is one thread.
pub fn limit_arenas(count: u8) {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator's own, under its lock. It can't fail for a positive count.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, libc::c_int::from(count));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// Gives all whole pages that are free back to the host (`man 3 malloc_trim`).
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: works on memory that nobody has allocated, under the allocator's locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
