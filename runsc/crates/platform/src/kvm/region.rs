//! A range of this process's addresses that is guest-physical memory.
#![expect(
    unsafe_code,
    reason = "maps memory and touches it through raw pointers"
)]

use super::layout::WINDOW;
use crate::Result;
use abi::Errno;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64};

/// An owned mapping. Rust references to what is in it are to atomics only: a vCPU may touch it too.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<c_void>,
    len: usize,
}

// SAFETY: the region is addresses, which any thread may use; what is reached through shared
// references is atomic.
unsafe impl Send for Region {}
// SAFETY: see above.
unsafe impl Sync for Region {}

impl Region {
    /// Zeroed memory, readable and writable.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn anonymous(len: usize) -> Result<Region> {
        Region::make(len, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// Addresses without memory, aligned so that huge pages of files have their place.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn reserve(len: usize) -> Result<Region> {
        let align = usize::try_from(WINDOW).map_err(|_| Errno::EINVAL)?;
        let longer = len.checked_add(align).ok_or(Errno::ENOMEM)?;
        let mut region = Region::make(longer, ProtFlags::empty())?;
        let before = region.base.as_ptr().align_offset(align);
        region.cut(before, len)?;
        Ok(region)
    }

    /// Leaves `len` bytes from `before` on, and gives the rest of the addresses back.
    fn cut(&mut self, before: usize, len: usize) -> Result<()> {
        let start = self.range(before, len)?;
        let (base, old_len) = (self.base.as_ptr(), self.len);
        let behind = old_len - before - len;
        self.base = NonNull::new(start).ok_or(Errno::EINVAL)?;
        self.len = len;
        for (start, len) in [(base, before), (start.wrapping_byte_add(len), behind)] {
            if len > 0 {
                // SAFETY: a part of this region's mapping that is no longer the region's; nothing is in it.
                unsafe { mm::munmap(start, len) }.map_err(host::errno)?;
            }
        }
        Ok(())
    }

    fn make(len: usize, protection: ProtFlags) -> Result<Region> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping where the host likes it: nothing that exists is changed.
        let base = unsafe { mm::mmap_anonymous(std::ptr::null_mut(), len, protection, flags) };
        let base = NonNull::new(base.map_err(host::errno)?).ok_or(Errno::ENOMEM)?;
        Ok(Region { base, len })
    }

    /// The start of a shared file mapping: what KVM and this process both use of a vCPU.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn of_file(file: BorrowedFd<'_>, len: usize) -> Result<Region> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the host likes it: nothing that exists is changed.
        let base =
            unsafe { mm::mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, file, 0) };
        let base = NonNull::new(base.map_err(host::errno)?).ok_or(Errno::ENOMEM)?;
        Ok(Region { base, len })
    }

    /// Where the region is.
    pub(super) fn address(&self) -> u64 {
        self.base.as_ptr().expose_provenance() as u64
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn at<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let fits = offset.checked_add(size_of::<T>())? <= self.len;
        let aligned = offset.is_multiple_of(align_of::<T>());
        // SAFETY: the offset is within the mapping, so the addition stays in one allocation.
        (fits && aligned).then(|| unsafe { self.base.byte_add(offset) }.cast())
    }

    /// A word of an [`anonymous`](Region::anonymous) region.
    pub(super) fn word(&self, offset: usize) -> Option<&AtomicU64> {
        // SAFETY: `at` has checked place and alignment; the memory stays mapped as long as `self`
        // lives, is initialised (zeroed by the host), and is only accessed as atomics.
        self.at(offset).map(|word| unsafe { word.as_ref() })
    }

    /// A byte of a region that is mapped whole.
    pub(super) fn byte(&self, offset: usize) -> Option<&AtomicU8> {
        // SAFETY: as for `word`; KVM reads the byte as one.
        self.at(offset).map(|byte| unsafe { byte.as_ref() })
    }

    /// Gives a range's memory back; it is zeroes then, or the file's content again. KVM drops its
    /// own mappings of it before this returns.
    pub(super) fn drop_pages(&self, offset: usize, len: usize) {
        let Ok(start) = self.range(offset, len) else {
            return;
        };
        // SAFETY: the range is within the region. Of an anonymous region the caller no longer uses
        // it; of a file's mapping nothing is lost.
        let _always_works = unsafe { mm::madvise(start, len, Advice::LinuxDontNeed) };
    }

    /// Has the host enter a range of a file in this process's page tables, which KVM makes its own
    /// from: several at one fault of the application's. What the host does not have is left out.
    pub(super) fn populate(&self, offset: usize, len: usize, writable: bool) {
        let Ok(start) = self.range(offset, len) else {
            return;
        };
        let advice = if writable {
            Advice::LinuxPopulateWrite
        } else {
            Advice::LinuxPopulateRead
        };
        // SAFETY: the range is within the region, and what it holds does not change.
        let _faults_later = unsafe { mm::madvise(start, len, advice) };
    }

    /// Puts a range of a file, shared, at an offset.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn place(
        &self,
        offset: usize,
        len: usize,
        file: BorrowedFd<'_>,
        file_offset: u64,
        writable: bool,
    ) -> Result<()> {
        let start = self.range(offset, len)?;
        let mut access = ProtFlags::READ;
        access.set(ProtFlags::WRITE, writable);
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the range is within the region, in which nothing is but such mappings; nobody
        // holds references to them.
        let placed = unsafe { mm::mmap(start, len, access, flags, file, file_offset) };
        placed.map(drop).map_err(host::errno)
    }

    /// Takes what is in a range away, leaving the addresses reserved.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn clear(&self, offset: usize, len: usize) -> Result<()> {
        let start = self.range(offset, len)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: as for `place`.
        let cleared = unsafe { mm::mmap_anonymous(start, len, ProtFlags::empty(), flags) };
        cleared.map(drop).map_err(host::errno)
    }

    fn range(&self, offset: usize, len: usize) -> Result<*mut c_void> {
        let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
        let start = self.at::<u8>(offset).ok_or(Errno::EINVAL)?;
        (end <= self.len)
            .then_some(start.as_ptr().cast())
            .ok_or(Errno::EINVAL)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and no reference into it outlives `self`.
        let _always_works = unsafe { mm::munmap(self.base.as_ptr(), self.len) };
    }
}
