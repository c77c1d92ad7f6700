//! What a process sets of its address space, and its children and the programs that it executes keep.

use std::sync::atomic::Ordering;

use super::address_space::AddressSpace;

/// Private and shared anonymous memory, headers of ELF files, private huge pages (`man 5 core`).
pub(crate) const DEFAULT_CORE_DUMP_FILTER: u32 = 0x33;
/// The kinds of areas that there are.
const CORE_DUMP_KINDS: u32 = 0x1ff;

impl AddressSpace {
    /// Takes over what fork and execve keep.
    pub fn keep_settings_of(&self, old: &AddressSpace) {
        self.disable_huge_pages(old.huge_pages_disabled());
        self.set_core_dump_filter(old.core_dump_filter());
    }

    /// `/proc/[pid]/coredump_filter`: a bit for each kind of area that a core dump shall hold.
    #[must_use]
    pub fn core_dump_filter(&self) -> u32 {
        self.core_dump_filter.load(Ordering::Relaxed)
    }

    /// Sets the filter; bits that stand for nothing are not kept.
    pub fn set_core_dump_filter(&self, filter: u32) {
        let known = filter & CORE_DUMP_KINDS;
        self.core_dump_filter.store(known, Ordering::Relaxed);
    }
}
