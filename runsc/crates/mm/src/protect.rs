//! `mprotect(2)`.

use std::ops::Range;

use abi::Errno;
use platform::Access;

use super::address_space::AddressSpace;
use super::areas::checked_range;
use super::pages::{Active, Pages};
use super::vma::VmaFlags;
use crate::Result;

/// Most runs that are mapped anew at once when a range may be used for more than before.
const RAISED_RUNS: usize = 4;

impl AddressSpace {
    /// Changes what the application may do with a range; with `grows_down` the change begins where the
    /// area that holds `address` begins (`PROT_GROWSDOWN`).
    ///
    /// # Errors
    /// As `mprotect(2)`: EINVAL, ENOMEM for a range with holes, EACCES for more than the file allows.
    pub fn protect(
        &self,
        address: usize,
        len: usize,
        access: Access,
        grows_down: bool,
    ) -> Result<()> {
        let mut range = checked_range(address, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut areas = self.areas.write();
        if grows_down {
            let (area, vma) = areas.vmas.at(range.start).ok_or(Errno::ENOMEM)?;
            if !vma.flags.contains(VmaFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL);
            }
            range.start = area.start;
        }
        if areas.vmas.is_free(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        areas.room_for(2)?;
        // Areas before a hole, or before one that does not allow it, are changed all the same.
        let (allowed, outcome) = self.allowed_part(&areas, &range, access);
        if !allowed.is_empty() {
            areas.change(allowed.clone(), |vma| vma.access = access);
            self.change_access(&mut self.active.write(), allowed, access);
        }
        outcome
    }

    /// How far from its start the range can be changed, and why not further.
    fn allowed_part(
        &self,
        areas: &super::areas::Areas,
        range: &Range<usize>,
        access: Access,
    ) -> (Range<usize>, Result<()>) {
        let mut at = range.start;
        for (area, vma) in areas.vmas.overlapping(range.clone()) {
            if area.start > at {
                return (range.start..at, Err(Errno::ENOMEM));
            }
            if !vma.most_access().contains(access) {
                return (range.start..at, Err(Errno::EACCES));
            }
            let mut changed = vma.clone();
            changed.access = access;
            let part = area.end.min(range.end) - at;
            if let Err(error) = self.check_commit(&changed, part) {
                return (range.start..at, Err(error));
            }
            at = area.end.min(range.end);
        }
        let outcome = if at < range.end {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        };
        (range.start..at, outcome)
    }

    /// Brings active pages in line with what their area now allows.
    pub(crate) fn change_access(&self, active: &mut Active, range: Range<usize>, access: Access) {
        active.pages.update(range.clone(), |_, pages| {
            pages.access = access & pages.limit;
        });
        self.lower(active, range.clone());
        // What was in use before will be in use again: mapping it now saves a fault.
        let raised = |(_, pages): &(Range<usize>, &Pages)| {
            !pages.mapped.is_empty() && pages.mapped != pages.access
        };
        let runs: Vec<Range<usize>> = active
            .pages
            .overlapping(range)
            .filter(raised)
            .map(|(run, _)| run)
            .collect();
        if runs.len() <= RAISED_RUNS {
            for run in runs {
                // If this fails, the fault that follows tells.
                let _ = self.realise(active, run, true);
            }
        }
    }

    /// Takes from the platform what pages in `range` no longer allow, with one call per stretch.
    pub(crate) fn lower(&self, active: &mut Active, range: Range<usize>) {
        let mut stretches: Vec<(Range<usize>, Access)> = Vec::new();
        for (run, pages) in active.pages.overlapping(range.clone()) {
            if pages.access.contains(pages.mapped) {
                continue;
            }
            let run = run.start.max(range.start)..run.end.min(range.end);
            let left = pages.mapped & pages.access;
            match stretches.last_mut() {
                Some((last, access)) if last.end == run.start && *access == left => {
                    last.end = run.end;
                }
                _ => stretches.push((run, left)),
            }
        }
        let group = self.space.group();
        for (stretch, left) in stretches {
            let lowered = if left.is_empty() {
                Err(Errno::EINVAL)
            } else {
                self.space.protect(stretch.clone(), left)
            };
            match lowered {
                Ok(()) => active.pages.update(stretch, |_, pages| pages.mapped = left),
                Err(_) => self.unmap_from_space(active, stretch),
            }
        }
        if group.close().is_err() {
            self.unmap_everything(active);
        }
    }
}
