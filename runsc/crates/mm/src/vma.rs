//! [`Vma`]: what the application asked for at a range of addresses (`struct vm_area_struct`).

use std::any::Any;
use std::sync::Arc;

use bitflags::bitflags;
use platform::Access;

use super::mappable::Mappable;
use super::range_map::Segment;

bitflags! {
    /// Properties of an area beyond its protection (`VM_*` in Linux).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct VmaFlags: u32 {
        /// `MAP_SHARED`: stores reach the object.
        const SHARED = 1;
        /// mprotect may allow loads.
        const MAY_READ = 1 << 1;
        /// mprotect may allow stores.
        const MAY_WRITE = 1 << 2;
        /// mprotect may allow instruction fetches.
        const MAY_EXEC = 1 << 3;
        /// `MAP_GROWSDOWN`: a fault just below extends it.
        const GROWS_DOWN = 1 << 4;
        /// Counted as locked (mlock(2)).
        const LOCKED = 1 << 5;
        /// `MADV_DONTFORK`
        const DONT_FORK = 1 << 6;
        /// `MADV_WIPEONFORK`
        const WIPE_ON_FORK = 1 << 7;
        /// `MADV_DONTDUMP`
        const DONT_DUMP = 1 << 8;
        /// Private writable memory, counted against the commit limit.
        const ACCOUNT = 1 << 9;
        /// `MAP_NORESERVE`
        const NORESERVE = 1 << 10;
        /// `MADV_HUGEPAGE`
        const HUGE_PAGE = 1 << 11;
        /// `MADV_NOHUGEPAGE`
        const NO_HUGE_PAGE = 1 << 12;
        /// `MADV_SEQUENTIAL`
        const SEQUENTIAL = 1 << 13;
        /// `MADV_RANDOM`
        const RANDOM = 1 << 14;
        /// `MADV_MERGEABLE`
        const MERGEABLE = 1 << 15;
        /// Made by the kernel; it can't be resized (the vDSO).
        const SPECIAL = 1 << 16;
    }
}

/// What an area is called in `/proc/[pid]/maps` when no file names it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum VmaName {
    /// It has none.
    #[default]
    None,
    /// `[heap]`
    Heap,
    /// `[stack]`
    Stack,
    /// One that the kernel has made: `[vdso]`, `[vvar]`
    Special(&'static str),
    /// `[anon:…]` (`PR_SET_VMA_ANON_NAME`)
    Anonymous(Arc<[u8]>),
}

/// An open file that is held while it is mapped. What it is, only those know who map it.
pub type HeldFile = Arc<dyn Any + Send + Sync>;

/// The file behind an area.
#[derive(Clone, Debug)]
pub struct FileMapping {
    /// What gives the pages.
    pub mappable: Arc<dyn Mappable>,
    /// Offset of the area's first byte.
    pub offset: u64,
    /// The open file, which stays open as long as it is mapped; none for shared anonymous memory.
    pub file: Option<HeldFile>,
}

/// An area's properties; its addresses are its key in the map of areas.
#[derive(Clone, Debug)]
pub struct Vma {
    /// What the application may do.
    pub access: Access,
    /// Everything else that mmap, madvise and mlock have set.
    pub flags: VmaFlags,
    /// The file, none for private anonymous memory.
    pub file: Option<FileMapping>,
    /// Its name.
    pub name: VmaName,
}

impl Vma {
    /// Whether stores stay in this address space.
    #[must_use]
    pub fn is_private(&self) -> bool {
        !self.flags.contains(VmaFlags::SHARED)
    }

    /// Whether its pages start as zeroes of its own.
    #[must_use]
    pub fn is_private_anonymous(&self) -> bool {
        self.file.is_none()
    }

    /// Whether it counts as data (`RLIMIT_DATA`, `VmData`): private, writable, not a stack.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.is_private()
            && self.access.contains(Access::WRITE)
            && !self.flags.contains(VmaFlags::GROWS_DOWN)
    }

    /// What mprotect may allow at most.
    #[must_use]
    pub fn most_access(&self) -> Access {
        let pairs = [
            (VmaFlags::MAY_READ, Access::READ),
            (VmaFlags::MAY_WRITE, Access::WRITE),
            (VmaFlags::MAY_EXEC, Access::EXECUTE),
        ];
        pairs
            .into_iter()
            .filter(|(flag, _)| self.flags.contains(*flag))
            .map(|(_, access)| access)
            .collect()
    }

    /// The file offset of what lies `delta` bytes behind the start.
    #[must_use]
    pub fn file_offset(&self, delta: usize) -> u64 {
        self.file
            .as_ref()
            .map_or(0, |file| file.offset.saturating_add(delta as u64))
    }
}

impl Segment for Vma {
    fn split_off(&mut self, at: usize) -> Self {
        let mut tail = self.clone();
        if let Some(file) = &mut tail.file {
            file.offset = file.offset.saturating_add(at as u64);
        }
        tail
    }

    fn continues_in(&self, len: usize, next: &Self) -> bool {
        self.access == next.access
            && self.flags == next.flags
            && self.name == next.name
            && !self.flags.contains(VmaFlags::SPECIAL)
            && match (&self.file, &next.file) {
                (None, None) => true,
                (Some(file), Some(other)) => {
                    Arc::ptr_eq(&file.mappable, &other.mappable)
                        && file.offset.checked_add(len as u64) == Some(other.offset)
                        && match (&file.file, &other.file) {
                            (Some(file), Some(other)) => Arc::ptr_eq(file, other),
                            (file, other) => file.is_none() && other.is_none(),
                        }
                }
                _ => false,
            }
    }
}
