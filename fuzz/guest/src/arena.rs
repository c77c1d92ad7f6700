//! Memory that system calls are about: pages of every kind beside each other, and scratch pages for structures.

use crate::raw::raw;

/// The size of a page.
pub(crate) const PAGE: u64 = 4096;
/// How many pages the arena has.
pub(crate) const NR_PAGES: u64 = 192;
/// How many scratch pages a thread has; what follows them is not mapped.
pub(crate) const NR_SCRATCH: u64 = 16;

/// How many pages behind the arena are a hole.
const GUARD: u64 = 64;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// Where the memory of a worker is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arena {
    /// The first page of the memory that calls may change as they like.
    pub(crate) base: u64,
}

impl Arena {
    /// Maps it: plain pages, a hole, a file that ends in the middle of a page (private and shared), pages that can't be
    /// read or written, shared pages, a memory file, and room.
    pub(crate) fn new() -> Arena {
        let all = map(
            0,
            NR_PAGES + GUARD,
            READ_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
        );
        let arena = Arena { base: all };
        // What lies behind it is out of the reach of buffers that begin in it.
        raw!(SYS_munmap, arena.page(NR_PAGES), GUARD * PAGE);
        raw!(SYS_munmap, arena.page(64), 4 * PAGE);
        let file = raw!(SYS_open, c"mapped", libc::O_RDWR | libc::O_CREAT, 0o600);
        raw!(SYS_ftruncate, file, 10 * PAGE + 100);
        let file = i32::try_from(file).unwrap_or(-1);
        map(
            arena.page(68),
            16,
            READ_WRITE,
            libc::MAP_PRIVATE | libc::MAP_FIXED,
            file,
        );
        map(
            arena.page(84),
            16,
            READ_WRITE,
            libc::MAP_SHARED | libc::MAP_FIXED,
            file,
        );
        raw!(SYS_mprotect, arena.page(100), PAGE, libc::PROT_NONE);
        raw!(SYS_mprotect, arena.page(101), PAGE, libc::PROT_READ);
        let shared = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        map(arena.page(104), 16, READ_WRITE, shared, -1);
        let memory = raw!(SYS_memfd_create, c"memory", libc::MFD_ALLOW_SEALING);
        raw!(SYS_ftruncate, memory, 6 * PAGE);
        let memory = i32::try_from(memory).unwrap_or(-1);
        map(
            arena.page(120),
            8,
            READ_WRITE,
            libc::MAP_SHARED | libc::MAP_FIXED,
            memory,
        );
        arena
    }

    /// The address of a page.
    pub(crate) fn page(self, index: u64) -> u64 {
        self.base.wrapping_add(index * PAGE)
    }
}

/// Scratch pages for one thread, with a hole behind them.
pub(crate) fn scratch() -> u64 {
    let base = reserve(NR_SCRATCH + 1);
    raw!(SYS_munmap, base + NR_SCRATCH * PAGE, PAGE);
    base
}

/// Plain pages anywhere.
pub(crate) fn reserve(nr_pages: u64) -> u64 {
    map(
        0,
        nr_pages,
        READ_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
    )
}

fn map(address: u64, nr_pages: u64, protection: i32, flags: i32, fd: i32) -> u64 {
    let mapped = raw!(SYS_mmap, address, nr_pages * PAGE, protection, flags, fd, 0);
    mapped.cast_unsigned()
}
