//! `mlock(2)`, `munlock(2)`, `mlockall(2)`: counted and populated; the host does not lock anything.

use abi::Errno;

use super::address_space::{AddressSpace, MmLimits};
use super::areas::{PAGE, page_down, page_up};
use super::map::populate_access;
use super::vma::VmaFlags;
use crate::Result;

impl AddressSpace {
    /// Counts a range as locked and makes its pages, unless `on_fault` (`MLOCK_ONFAULT`).
    ///
    /// # Errors
    /// As `mlock(2)`: ENOMEM for a hole or beyond `RLIMIT_MEMLOCK`, EPERM if that is 0, EINVAL, EAGAIN if
    /// pages can't be made.
    pub fn lock(
        &self,
        address: usize,
        len: usize,
        on_fault: bool,
        limits: &MmLimits,
    ) -> Result<()> {
        if limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        let range = lock_range(address, len)?;
        let mut areas = self.areas.write();
        if !areas.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        let fresh: usize = areas
            .vmas
            .overlapping(range.clone())
            .filter(|(_, vma)| !vma.flags.contains(VmaFlags::LOCKED))
            .map(|(area, _)| area.end.min(range.end) - area.start.max(range.start))
            .sum();
        if (areas.locked as u64).saturating_add(fresh as u64) > limits.locked {
            return Err(Errno::ENOMEM);
        }
        areas.room_for(2)?;
        areas.change(range.clone(), |vma| vma.flags.insert(VmaFlags::LOCKED));
        if !on_fault {
            self.populate_range(&areas, range)?;
        }
        Ok(())
    }

    /// Ends a lock.
    ///
    /// # Errors
    /// ENOMEM for a hole, EINVAL.
    pub fn unlock(&self, address: usize, len: usize) -> Result<()> {
        let range = lock_range(address, len)?;
        let mut areas = self.areas.write();
        if !areas.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        areas.room_for(2)?;
        areas.change(range, |vma| vma.flags.remove(VmaFlags::LOCKED));
        Ok(())
    }

    /// Locks everything that is mapped (`current`), that will be mapped (`future`), or both.
    ///
    /// # Errors
    /// As `mlockall(2)`: EPERM, ENOMEM.
    pub fn lock_all(
        &self,
        current: bool,
        future: bool,
        on_fault: bool,
        limits: &MmLimits,
    ) -> Result<()> {
        if limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        let mut areas = self.areas.write();
        if current && areas.total as u64 > limits.locked {
            return Err(Errno::ENOMEM);
        }
        areas.lock_future = future;
        if current {
            areas.change(0..usize::MAX, |vma| vma.flags.insert(VmaFlags::LOCKED));
            if !on_fault {
                // As in Linux, what can't be made now is not an error.
                let ranges: Vec<_> = areas.vmas.iter().map(|(range, _)| range).collect();
                for range in ranges {
                    let _ = self.populate_range(&areas, range);
                }
            }
        }
        Ok(())
    }

    /// Ends all locks.
    pub fn unlock_all(&self) {
        let mut areas = self.areas.write();
        areas.lock_future = false;
        areas.change(0..usize::MAX, |vma| vma.flags.remove(VmaFlags::LOCKED));
    }

    fn populate_range(
        &self,
        areas: &super::areas::Areas,
        range: std::ops::Range<usize>,
    ) -> Result<()> {
        let mut active = self.active.write();
        for (area, vma) in areas.vmas.overlapping(range.clone()) {
            if vma.access.is_empty() {
                continue;
            }
            let part = area.start.max(range.start)..area.end.min(range.end);
            self.provide_all(areas, &mut active, part, populate_access(vma))
                .map_err(|_| Errno::EAGAIN)?;
        }
        Ok(())
    }
}

/// The pages that a lock of any bytes takes.
fn lock_range(address: usize, len: usize) -> Result<std::ops::Range<usize>> {
    let start = page_down(address);
    let len = len
        .checked_add(address % PAGE)
        .and_then(page_up)
        .ok_or(Errno::EINVAL)?;
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    Ok(start..end)
}
