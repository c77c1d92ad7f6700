//! `madvise(2)`, `msync(2)`, `mincore(2)`, and names of anonymous areas.

use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use platform::Access;

use super::address_space::AddressSpace;
use super::areas::{Areas, PAGE, checked_range};
use super::fault::Refusal;
use super::mappable::Mappable;
use super::vma::{Vma, VmaFlags, VmaName};
use crate::Result;

/// What `madvise(2)` can be told; hints that change nothing here are [`Advice::Hint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// `MADV_WILLNEED`, `MADV_COLD`, `MADV_PAGEOUT`, `MADV_COLLAPSE`, …: checked and otherwise ignored.
    Hint,
    /// `MADV_NORMAL`, `MADV_SEQUENTIAL`, `MADV_RANDOM`, `MADV_DOFORK`, `MADV_HUGEPAGE`, …: flags that are set and
    /// flags that are removed.
    Flags {
        /// What is set.
        set: VmaFlags,
        /// What is removed.
        clear: VmaFlags,
    },
    /// `MADV_DONTNEED`: private memory is zero again, files are read again.
    DontNeed,
    /// `MADV_DONTNEED_LOCKED`: the same, of locked memory too.
    DontNeedLocked,
    /// `MADV_FREE`: private anonymous memory may be dropped, and is.
    Free,
    /// `MADV_REMOVE`: a hole in the shared memory behind.
    Remove,
    /// `MADV_POPULATE_READ` and `MADV_POPULATE_WRITE`
    Populate(Access),
}

impl AddressSpace {
    /// Applies advice to a range.
    ///
    /// # Errors
    /// As `madvise(2)`: EINVAL, ENOMEM for a range with holes (what is mapped is dealt with first), EFAULT
    /// or ENOMEM if pages to be populated can't be had.
    pub fn advise(&self, address: usize, len: usize, advice: Advice) -> Result<()> {
        let range = checked_range(address, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        let outcome = match advice {
            Advice::Hint => Ok(()),
            Advice::Flags { set, clear } => self.change_flags(&range, set, clear),
            Advice::DontNeed => self.discard(&range, |vma| {
                !vma.flags.intersects(VmaFlags::LOCKED | VmaFlags::SPECIAL)
            }),
            Advice::DontNeedLocked => {
                self.discard(&range, |vma| !vma.flags.contains(VmaFlags::SPECIAL))
            }
            Advice::Free => self.discard(&range, Vma::is_private_anonymous),
            Advice::Remove => self.remove_shared(&range),
            Advice::Populate(need) => self.populate_for(&range, need),
        };
        outcome?;
        if self.areas.read().covers(range) {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }

    fn change_flags(&self, range: &Range<usize>, set: VmaFlags, clear: VmaFlags) -> Result<()> {
        let mut areas = self.areas.write();
        areas.room_for(2)?;
        // Only private anonymous memory can be wiped on fork.
        let wipes = set.contains(VmaFlags::WIPE_ON_FORK);
        if wipes
            && areas
                .vmas
                .overlapping(range.clone())
                .any(|(_, vma)| !vma.is_private_anonymous())
        {
            return Err(Errno::EINVAL);
        }
        areas.change(range.clone(), |vma| {
            vma.flags.remove(clear);
            vma.flags.insert(set);
        });
        Ok(())
    }

    fn discard(&self, range: &Range<usize>, allowed: impl Fn(&Vma) -> bool) -> Result<()> {
        let areas = self.areas.read();
        if areas
            .vmas
            .overlapping(range.clone())
            .any(|(_, vma)| !allowed(vma))
        {
            return Err(Errno::EINVAL);
        }
        self.drop_pages(&mut self.active.write(), range.clone());
        Ok(())
    }

    fn remove_shared(&self, range: &Range<usize>) -> Result<()> {
        let mut holes = Vec::new();
        {
            let areas = self.areas.read();
            for (area, vma) in areas.vmas.overlapping(range.clone()) {
                let writable = vma.flags.contains(VmaFlags::SHARED | VmaFlags::MAY_WRITE);
                let file = vma
                    .file
                    .as_ref()
                    .filter(|_| writable)
                    .ok_or(Errno::EINVAL)?;
                let (start, end) = (area.start.max(range.start), area.end.min(range.end));
                let from = vma.file_offset(start - area.start);
                holes.push((
                    Arc::clone(&file.mappable),
                    from..from.saturating_add((end - start) as u64),
                ));
            }
        }
        holes
            .into_iter()
            .try_for_each(|(mappable, offsets)| mappable.punch_hole(offsets))
    }

    fn populate_for(&self, range: &Range<usize>, need: Access) -> Result<()> {
        if !self.areas.read().covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        let populate = || {
            let areas = self.areas.read();
            self.provide_all(&areas, &mut self.active.write(), range.clone(), need)
        };
        self.with_room(populate).map_err(|refusal| match refusal {
            Refusal::Denied => Errno::EINVAL,
            other => other.into(),
        })
    }

    /// Writes shared mappings back to their files if `wait` (`MS_SYNC`); `invalidate` is `MS_INVALIDATE`.
    ///
    /// # Errors
    /// As `msync(2)`: EINVAL, ENOMEM for a range with holes, EBUSY for invalidating what is locked, and what
    /// the file reports.
    pub fn sync(&self, address: usize, len: usize, wait: bool, invalidate: bool) -> Result<()> {
        let range = checked_range(address, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let (files, covered) = {
            let areas = self.areas.read();
            let locked = |(_, vma): (Range<usize>, &Vma)| vma.flags.contains(VmaFlags::LOCKED);
            if invalidate && areas.vmas.overlapping(range.clone()).any(locked) {
                return Err(Errno::EBUSY);
            }
            (shared_files(&areas, &range), areas.covers(range))
        };
        if wait {
            for (mappable, offsets) in files {
                mappable.sync(offsets)?;
            }
        }
        if covered { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Which pages of a range are in memory: one byte each, 1 or 0.
    ///
    /// # Errors
    /// As `mincore(2)`: EINVAL, ENOMEM for a range with holes.
    pub fn residency(&self, address: usize, len: usize) -> Result<Vec<u8>> {
        let range = checked_range(address, len, Errno::ENOMEM)?;
        if range.end > self.bounds.end {
            return Err(Errno::ENOMEM);
        }
        let areas = self.areas.read();
        if !range.is_empty() && !areas.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        let mut residency = vec![0; range.len() / PAGE];
        for (run, _) in self.active.read().pages.overlapping(range.clone()) {
            let (start, end) = (run.start.max(range.start), run.end.min(range.end));
            residency[(start - range.start) / PAGE..(end - range.start) / PAGE].fill(1);
        }
        Ok(residency)
    }

    /// Names anonymous areas (`PR_SET_VMA_ANON_NAME`); no name removes it.
    ///
    /// # Errors
    /// EINVAL, ENOMEM for a range with holes, EBADF for a file's mapping.
    pub fn set_name(&self, address: usize, len: usize, name: Option<&[u8]>) -> Result<()> {
        let range = checked_range(address, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut areas = self.areas.write();
        areas.room_for(2)?;
        if !areas.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        if areas
            .vmas
            .overlapping(range.clone())
            .any(|(_, vma)| !vma.is_private_anonymous())
        {
            return Err(Errno::EBADF);
        }
        let name = name.map_or(VmaName::None, |name| VmaName::Anonymous(name.into()));
        areas.change(range, |vma| vma.name = name.clone());
        Ok(())
    }
}

fn shared_files(areas: &Areas, range: &Range<usize>) -> Vec<(Arc<dyn Mappable>, Range<u64>)> {
    let shared = |(area, vma): (Range<usize>, &Vma)| {
        let file = vma
            .file
            .as_ref()
            .filter(|_| vma.flags.contains(VmaFlags::SHARED))?;
        let (start, end) = (area.start.max(range.start), area.end.min(range.end));
        let from = vma.file_offset(start - area.start);
        Some((
            Arc::clone(&file.mappable),
            from..from.saturating_add((end - start) as u64),
        ))
    };
    areas
        .vmas
        .overlapping(range.clone())
        .filter_map(shared)
        .collect()
}
