//! `mmap(2)` and `munmap(2)`.

use std::ops::Range;

use abi::Errno;
use platform::Access;

use super::address_space::{AddressSpace, Backing, MapRequest, MmLimits};
use super::areas::{Areas, PAGE, checked_range, page_up};
use super::fault::{PageRequest, SMALL_AREA};
use super::pages::Active;
use super::place;
use super::vma::{FileMapping, Vma, VmaFlags, VmaName};
use crate::Result;

impl AddressSpace {
    /// Makes a mapping; returns its address.
    ///
    /// # Errors
    /// As `mmap(2)`: EINVAL, ENOMEM, EEXIST, EPERM, EAGAIN, EOVERFLOW.
    pub fn map(&self, request: &MapRequest, limits: &MmLimits) -> Result<usize> {
        self.remember_stack_limit(limits.stack);
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(request.len).ok_or(Errno::ENOMEM)?;
        let mut vma = self.new_vma(request, len)?;
        let mut areas = self.areas.write();
        if areas.lock_future {
            vma.flags.insert(VmaFlags::LOCKED);
        }
        let start = place::place(&areas, request, len)?;
        let range = start..start + len;
        let replaced = areas.bytes_in(range.clone());
        check_limits(&areas, &vma, len, replaced, limits)?;
        self.check_commit(&vma, len)?;
        areas.room_for(2)?;
        let removed = self.cut(&mut areas, range.clone());
        if let Some(set) = vma.file.as_ref().and_then(|file| file.mappable.mappings()) {
            set.register(self.me());
        }
        let populate = request.populate || vma.flags.contains(VmaFlags::LOCKED);
        let eager = is_eager(&vma, len);
        areas.add(range.clone(), vma);
        if populate || eager {
            self.map_at_once(&areas, &range, populate);
        }
        drop(areas);
        // Closing files may do anything: not under the lock.
        drop(removed);
        Ok(start)
    }

    /// Removes all mappings in a range.
    ///
    /// # Errors
    /// EINVAL for a range that is not page-aligned, empty or beyond the address space; ENOMEM if cutting
    /// an area in two makes too many.
    pub fn unmap(&self, address: usize, len: usize) -> Result<()> {
        let range = checked_range(address, len, Errno::EINVAL)?;
        if range.is_empty() || range.end > self.bounds.end {
            return Err(Errno::EINVAL);
        }
        let mut areas = self.areas.write();
        let splits = areas
            .vmas
            .at(range.start)
            .is_some_and(|(area, _)| area.start < range.start && area.end > range.end);
        if splits {
            areas.room_for(1)?;
        }
        let removed = self.cut(&mut areas, range);
        drop(areas);
        drop(removed);
        Ok(())
    }

    /// Removes areas and what is active of them; the caller drops them without the lock.
    pub(crate) fn cut(&self, areas: &mut Areas, range: Range<usize>) -> Vec<(Range<usize>, Vma)> {
        let removed = areas.cut(range.clone());
        if !removed.is_empty() {
            self.drop_pages(&mut self.active.write(), range);
        }
        removed
    }

    /// Drops the active pages of a range; on return no application code can use them.
    pub(crate) fn drop_pages(&self, active: &mut Active, range: Range<usize>) {
        if active.is_mapped(range.clone()) {
            self.unmap_from_space(active, range.clone());
        }
        let pages = active.pages.remove(range);
        self.release_pages(pages);
    }

    fn new_vma(&self, request: &MapRequest, len: usize) -> Result<Vma> {
        let mut flags = VmaFlags::empty();
        for (access, flag) in [
            (Access::READ, VmaFlags::MAY_READ),
            (Access::WRITE, VmaFlags::MAY_WRITE),
            (Access::EXECUTE, VmaFlags::MAY_EXEC),
        ] {
            flags.set(flag, request.max_access.contains(access));
        }
        flags.set(VmaFlags::SHARED, !request.private);
        flags.set(VmaFlags::GROWS_DOWN, request.grows_down || request.stack);
        flags.set(VmaFlags::LOCKED, request.locked);
        flags.set(VmaFlags::NORESERVE, request.no_reserve);
        let mut name = if request.stack {
            VmaName::Stack
        } else {
            VmaName::None
        };
        let file = match &request.backing {
            Backing::Anonymous if request.private => None,
            Backing::Anonymous => return Err(Errno::EINVAL),
            Backing::File {
                mappable,
                offset,
                open,
            } => {
                if !offset.is_multiple_of(PAGE as u64) {
                    return Err(Errno::EINVAL);
                }
                offset
                    .checked_add(len as u64)
                    .filter(|&end| i64::try_from(end).is_ok())
                    .ok_or(Errno::EOVERFLOW)?;
                Some(FileMapping {
                    mappable: mappable.clone(),
                    offset: *offset,
                    file: open.clone(),
                })
            }
            Backing::Special {
                mappable,
                name: text,
            } => {
                name = VmaName::Special(text);
                flags.insert(VmaFlags::SPECIAL);
                Some(FileMapping {
                    mappable: mappable.clone(),
                    offset: 0,
                    file: None,
                })
            }
        };
        Ok(Vma {
            access: request.access,
            flags,
            file,
            name,
        })
    }

    /// Refuses what can never be had (`vm.overcommit_memory` 0): more at once than the machine has. A
    /// container's limit does not count here, as a memory cgroup's does not.
    pub(crate) fn check_commit(&self, vma: &Vma, len: usize) -> Result<()> {
        let is_file = vma.file.as_ref().is_some_and(|file| file.file.is_some())
            || vma.flags.contains(VmaFlags::SPECIAL);
        let counts = if vma.is_private() {
            vma.access.contains(Access::WRITE)
        } else {
            !is_file
        };
        let counts = counts && !vma.flags.contains(VmaFlags::NORESERVE);
        if counts && len as u64 > self.memory.host_total() {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// Makes the pages of a new mapping before they are touched.
    pub(crate) fn map_at_once(&self, areas: &Areas, range: &Range<usize>, populate: bool) {
        let mut active = self.active.write();
        // What fails here shows again when the pages are touched.
        let _ = if populate {
            let need = areas
                .vmas
                .at(range.start)
                .map_or(Access::READ, |(_, vma)| populate_access(vma));
            self.provide_all(areas, &mut active, range.clone(), need)
        } else {
            self.provide(
                areas,
                &mut active,
                &PageRequest {
                    upto: range.end,
                    ..PageRequest::at(range.start, Access::READ)
                },
            )
        };
    }
}

/// What `MAP_POPULATE` and mlock make pages for: a store where that takes a page of one's own.
pub(crate) fn populate_access(vma: &Vma) -> Access {
    if vma.is_private() && vma.access.contains(Access::WRITE) {
        Access::WRITE
    } else {
        Access::READ
    }
}

/// Whether the pages are mapped with the call itself, which is cheaper than a fault: small anonymous
/// memory, and files that are not data.
pub(crate) fn is_eager(vma: &Vma, len: usize) -> bool {
    let writable = vma.access.contains(Access::WRITE);
    let grows = vma.flags.contains(VmaFlags::GROWS_DOWN);
    match &vma.file {
        None => writable && !grows && len <= SMALL_AREA,
        Some(file) => {
            let data = vma.is_private() && writable;
            file.file.is_some() && !vma.access.is_empty() && !data
        }
    }
}

/// Whether an area of `len` bytes, which takes the place of `replaced` bytes, stays within the limits.
pub(crate) fn check_limits(
    areas: &Areas,
    vma: &Vma,
    len: usize,
    replaced: usize,
    limits: &MmLimits,
) -> Result<()> {
    let grown = |before: usize| (before.saturating_sub(replaced) as u64).saturating_add(len as u64);
    if grown(areas.total) > limits.address_space {
        return Err(Errno::ENOMEM);
    }
    if vma.is_data() && (areas.data as u64).saturating_add(len as u64) > limits.data {
        return Err(Errno::ENOMEM);
    }
    if vma.flags.contains(VmaFlags::LOCKED)
        && (areas.locked as u64).saturating_add(len as u64) > limits.locked
    {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}
