//! [`CountedHeap`] and [`KernelMemory`]: how much memory the Sentry itself holds.
//!
//! What the guest has the kernel remember (queues, inodes, timers, mounts) is in the heap of the sandbox, and
//! each of its threads has a stack of the host. All of that counts against the same limit as the guest's own
//! memory, but the allocator below is asked for it in places that can neither wait nor fail. So it is
//! counted: when it has grown by as much as was granted at the last look at what the host has left, tasks
//! are told to look again before they run application code, with no lock held
//! ([`MemoryFile::look_after_heap`](crate::MemoryFile::look_after_heap)).
//!
//! An allocation costs an addition to a number of the thread's own; only every [`BATCH`] bytes touch what
//! threads share. There is one heap in a process, and so one count.

#![expect(unsafe_code, reason = "implements the global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// How much a thread keeps to itself before it tells.
const BATCH: i64 = 8 << 10;
/// What must have been freed for the heap to be trimmed sooner or later.
const MUCH: i64 = 8 << 20;
/// What must have been freed for it to be trimmed when memory is short.
const LITTLE: i64 = 256 << 10;

/// The C library's allocator, counted: the global allocator of a program that is a sandbox.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountedHeap;

// SAFETY: every method passes its arguments on to the system's allocator and returns what that returns;
// counting touches numbers alone and allocates nothing.
unsafe impl GlobalAlloc for CountedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promised for this very call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promised for this very call.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: as the caller promised for this very call.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as the caller promised for this very call.
        unsafe { System.dealloc(pointer, layout) };
    }
}

thread_local! {
    /// What this thread has allocated, less what it has freed, and has not told.
    static UNTOLD: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that are allocated, but for what threads have not told.
static HELD: AtomicI64 = AtomicI64::new(0);
/// With more than this, a look is due.
static GRANTED: AtomicI64 = AtomicI64::new(i64::MAX);
/// The most that was allocated since free memory last went back to the host.
static PEAK: AtomicI64 = AtomicI64::new(0);
/// Somebody is to look.
static DUE: AtomicBool = AtomicBool::new(false);

/// A layout's size is at most `isize::MAX`.
fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[inline]
fn count(bytes: i64) {
    // An error: the thread's own numbers are gone already, at its very end.
    let _ = UNTOLD.try_with(|untold| {
        let sum = untold.get().saturating_add(bytes);
        if sum.abs() < BATCH {
            untold.set(sum);
        } else {
            untold.set(0);
            tell(sum);
        }
    });
}

#[cold]
fn tell(bytes: i64) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
    let peak = PEAK.load(Ordering::Relaxed);
    if held > peak {
        PEAK.fetch_max(held, Ordering::Relaxed);
    }
    if held > GRANTED.load(Ordering::Relaxed) || peak.saturating_sub(held) > MUCH {
        DUE.store(true, Ordering::Relaxed);
    }
}

/// What was freed since the peak.
fn freed() -> i64 {
    PEAK.load(Ordering::Relaxed)
        .saturating_sub(HELD.load(Ordering::Relaxed))
}

/// The memory that the kernel itself holds: the process's heap, and what [`Held`] stands for.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelMemory(());

impl KernelMemory {
    /// How much it is, in bytes.
    #[must_use]
    pub fn held(self) -> u64 {
        HELD.load(Ordering::Relaxed).try_into().unwrap_or(0)
    }

    /// Counts what is held elsewhere than in the heap, as long as the result lives.
    #[must_use]
    pub fn hold(self, bytes: u32) -> Held {
        tell(i64::from(bytes));
        Held(bytes)
    }

    /// Tells what the calling thread has kept to itself. To be called at its end.
    pub fn settle(self) {
        let _ = UNTOLD.try_with(|untold| tell(untold.take()));
    }

    /// Whether it has grown by what was granted, or has shrunk a lot.
    #[must_use]
    pub(crate) fn is_due(self) -> bool {
        DUE.load(Ordering::Relaxed)
    }

    /// Takes the note that it is.
    pub(crate) fn take_due(self) {
        DUE.store(false, Ordering::Relaxed);
    }

    /// Lets it grow by `bytes` before the next look.
    pub(crate) fn grant(self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let held = HELD.load(Ordering::Relaxed);
        GRANTED.store(held.saturating_add(bytes), Ordering::Relaxed);
    }

    /// Whether much was freed since free memory last went back to the host.
    pub(crate) fn has_shrunk(self) -> bool {
        freed() > MUCH
    }

    /// Gives free memory of the heap back to the host, if enough was freed for that to help.
    pub(crate) fn trim(self) {
        if freed() > LITTLE {
            PEAK.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
            host::malloc::trim();
        }
    }
}

/// Memory outside the heap that counts as the kernel's: a thread's stacks, for example.
#[derive(Debug)]
pub struct Held(u32);

impl Drop for Held {
    fn drop(&mut self) {
        tell(-i64::from(self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc as _, Layout};

    use super::{BATCH, CountedHeap, HELD, KernelMemory};

    /// One test, since there is one count.
    #[test]
    fn what_is_allocated_counts_until_it_is_freed() {
        let memory = KernelMemory::default();
        memory.settle();
        let before = memory.held();
        let layout = Layout::from_size_align(3 << 20, 16).unwrap();
        // SAFETY: the layout has a size; the block is freed below with the layout that it has then.
        let block = unsafe { CountedHeap.alloc_zeroed(layout) };
        assert_eq!(memory.held(), before + (3 << 20));
        // SAFETY: the block is of this allocator and layout.
        let block = unsafe { CountedHeap.realloc(block, layout, 1 << 20) };
        assert_eq!(memory.held(), before + (1 << 20));
        memory.grant(BATCH.unsigned_abs());
        assert!(!memory.is_due());
        let held = memory.hold(1 << 20);
        assert!(memory.is_due());
        memory.take_due();
        drop(held);
        // SAFETY: the block has this layout since it was made smaller.
        unsafe { CountedHeap.dealloc(block, Layout::from_size_align(1 << 20, 16).unwrap()) };
        assert_eq!(memory.held(), before);
        assert!(HELD.load(std::sync::atomic::Ordering::Relaxed) >= 0);
    }
}
