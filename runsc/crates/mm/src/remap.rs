//! `mremap(2)`.

use std::ops::Range;

use abi::Errno;
use platform::Access;

use super::address_space::{AddressSpace, MmLimits};
use super::areas::{Areas, PAGE, page_up};
use super::map::check_limits;
use super::vma::{Vma, VmaFlags};
use crate::Result;

/// A request for `mremap(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Where the mapping is.
    pub old: usize,
    /// Its length; 0 duplicates a shared mapping.
    pub old_len: usize,
    /// The length that it is to have.
    pub new_len: usize,
    /// It may move (`MREMAP_MAYMOVE`).
    pub may_move: bool,
    /// It has to move there, over what is there (`MREMAP_FIXED`).
    pub fixed: Option<usize>,
    /// The old place stays mapped, empty (`MREMAP_DONTUNMAP`).
    pub keep_old: bool,
}

impl AddressSpace {
    /// Resizes or moves a mapping; returns its address.
    ///
    /// # Errors
    /// As `mremap(2)`: EINVAL, EFAULT, ENOMEM, EAGAIN.
    pub fn remap(&self, request: &RemapRequest, limits: &MmLimits) -> Result<usize> {
        let (old_len, new_len) = check_request(request, &self.bounds)?;
        let mut areas = self.areas.write();
        let (area, vma) = areas.vmas.at(request.old).ok_or(Errno::EFAULT)?;
        let vma = Vma {
            file: moved_file(vma, request.old - area.start),
            ..vma.clone()
        };
        if vma.flags.contains(VmaFlags::SPECIAL) && new_len != old_len {
            return Err(Errno::EFAULT);
        }
        if old_len == 0 && vma.is_private()
            || request.keep_old && vma.flags.contains(VmaFlags::SPECIAL)
        {
            return Err(Errno::EINVAL);
        }
        let old = request.old..request.old + old_len;
        // One area only; several can't be moved together.
        if old.end > area.end {
            return Err(Errno::EFAULT);
        }
        let mut removed = Vec::new();
        if request.fixed.is_none() && !request.keep_old && new_len <= old_len && old_len > 0 {
            removed.extend(self.cut(&mut areas, old.start + new_len..old.end));
            drop(areas);
            return Ok(old.start);
        }
        if new_len > old_len {
            check_limits(&areas, &vma, new_len - old_len, 0, limits)?;
            self.check_commit(&vma, new_len - old_len)?;
        }
        let in_place =
            request.fixed.is_none() && !request.keep_old && old_len > 0 && old.end == area.end;
        if in_place && areas.is_usable(&(old.end..old.start + new_len)) {
            let tail = Vma {
                file: moved_file(&vma, old_len),
                ..vma
            };
            areas.add(old.end..old.start + new_len, tail);
            return Ok(old.start);
        }
        if !request.may_move {
            return Err(Errno::ENOMEM);
        }
        areas.room_for(3)?;
        let start = match request.fixed {
            Some(start) => {
                removed.extend(self.cut(&mut areas, start..start + new_len));
                start
            }
            None => areas.find_gap(new_len, PAGE)?,
        };
        removed.extend(self.move_area(&mut areas, &old, vma, start, new_len, request.keep_old));
        drop(areas);
        // Closing files may do anything: not under the lock.
        drop(removed);
        Ok(start)
    }

    /// Moves an area and what is active of it to `start`, where nothing is.
    fn move_area(
        &self,
        areas: &mut Areas,
        old: &Range<usize>,
        vma: Vma,
        start: usize,
        new_len: usize,
        keep_old: bool,
    ) -> Vec<(Range<usize>, Vma)> {
        let mut active = self.active.write();
        let moved = old.start..old.end.min(old.start.saturating_add(new_len));
        if active.is_mapped(old.clone()) {
            self.unmap_from_space(&mut active, old.clone());
        }
        for (range, mut pages) in active.pages.remove(moved.clone()) {
            pages.mapped = Access::empty();
            let to = range.start - old.start + start;
            active.pages.insert(to..to + range.len(), pages);
        }
        let dropped = active.pages.remove(old.clone());
        self.release_pages(dropped);
        drop(active);
        let mut removed = Vec::new();
        let mut new_vma = vma;
        if keep_old {
            // What stays is empty and no longer locked, as in Linux.
            areas.change(old.clone(), |vma| vma.flags.remove(VmaFlags::LOCKED));
        } else if !old.is_empty() {
            removed = areas.cut(old.clone());
        }
        if old.is_empty() {
            new_vma.flags.remove(VmaFlags::LOCKED);
        }
        areas.add(start..start + new_len, new_vma);
        removed
    }
}

fn moved_file(vma: &Vma, by: usize) -> Option<super::vma::FileMapping> {
    let mut file = vma.file.clone()?;
    file.offset = file.offset.saturating_add(by as u64);
    Some(file)
}

/// The lengths in whole pages, if the request makes sense.
fn check_request(request: &RemapRequest, bounds: &Range<usize>) -> Result<(usize, usize)> {
    let aligned = |address: usize| address.is_multiple_of(PAGE);
    let old_len = page_up(request.old_len).ok_or(Errno::EINVAL)?;
    let new_len = page_up(request.new_len)
        .filter(|&len| len > 0)
        .ok_or(Errno::EINVAL)?;
    let old_end = request.old.checked_add(old_len).ok_or(Errno::EINVAL)?;
    let moves = request.fixed.is_some() || request.keep_old;
    if !aligned(request.old) || moves && !request.may_move || request.keep_old && old_len != new_len
    {
        return Err(Errno::EINVAL);
    }
    if new_len > bounds.len() {
        return Err(Errno::EINVAL);
    }
    if let Some(start) = request.fixed {
        let end = start.checked_add(new_len).ok_or(Errno::EINVAL)?;
        let overlaps = start < old_end && request.old < end;
        if !aligned(start) || start < bounds.start || end > bounds.end || overlaps {
            return Err(Errno::EINVAL);
        }
    }
    Ok((old_len, new_len))
}
