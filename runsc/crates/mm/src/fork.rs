//! `fork`: a second address space that shares private pages until one of them stores.

use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use memory::{Kind, Placement};
use platform::Access;

use super::address_space::AddressSpace;
use super::areas::Areas;
use super::pages::{Active, Pages, Source, cut};
use super::vma::{Vma, VmaFlags};
use crate::Result;

impl AddressSpace {
    /// A copy of the address space. Pages that host I/O is using are copied at once, so that what it
    /// brings reaches the parent alone, as in Linux.
    ///
    /// # Errors
    /// ENOMEM, and what the platform reports for a new space.
    pub fn fork(&self) -> Result<Arc<AddressSpace>> {
        // Made first: it takes long, and its failure must leave nothing behind.
        let space = self.platform.new_space()?;
        let areas = self.areas.write();
        let copied_areas = fork_areas(&areas);
        let mut active = self.active.write();
        let child_active = match self.fork_pages(&areas, &mut active) {
            Ok(child_active) => child_active,
            Err(pages) => {
                self.release_pages(pages);
                return Err(Errno::ENOMEM);
            }
        };
        drop(active);
        let child = AddressSpace::assemble(
            &self.memory,
            &self.platform,
            space,
            copied_areas,
            child_active,
        );
        for (_, vma) in areas.vmas.iter() {
            if let Some(set) = vma.file.as_ref().and_then(|file| file.mappable.mappings()) {
                set.register(child.me());
            }
        }
        drop(areas);
        *child.layout.lock() = self.layout();
        child.remember_stack_limit(self.stack_limit());
        child.set_dumpable(self.dumpable());
        child.keep_settings_of(self);
        Ok(child)
    }

    /// The child's pages; if memory runs out, what has been made so far as an error.
    fn fork_pages(
        &self,
        areas: &Areas,
        active: &mut Active,
    ) -> core::result::Result<Active, Vec<(Range<usize>, Pages)>> {
        let mut child = Active::default();
        let mut shared = Vec::new();
        for (area, vma) in areas.vmas.iter() {
            if vma
                .flags
                .intersects(VmaFlags::DONT_FORK | VmaFlags::WIPE_ON_FORK)
            {
                continue;
            }
            for (run, pages) in active.pages.overlapping(area.clone()) {
                if pages.owned {
                    let part = run.start.max(area.start)..run.end.min(area.end);
                    if self
                        .fork_run(&mut child, (&run, pages), part, vma.access, &mut shared)
                        .is_err()
                    {
                        return Err(child.pages.remove(0..usize::MAX));
                    }
                }
                // Pages of files are found again when they are touched.
            }
        }
        for part in shared {
            active.pages.update(part.clone(), |_, pages| {
                pages.limit -= Access::WRITE;
                pages.access -= Access::WRITE;
            });
        }
        self.lower(active, 0..usize::MAX);
        Ok(child)
    }

    /// Gives the child a part of a run: shared, except for what is pinned. What is shared is noted.
    fn fork_run(
        &self,
        child: &mut Active,
        (run, pages): (&Range<usize>, &Pages),
        part: Range<usize>,
        allowed: Access,
        shared: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        let mut at = part.start;
        while at < part.end {
            let (rest, source) = cut(run, pages, at..part.end);
            let Some(frames) = source.frames(rest.len()) else {
                break;
            };
            let (pinned, len) = self.memory.pinned(frames);
            let frames = frames.split_at(len).0;
            let here = at..at + usize::try_from(frames.len()).unwrap_or(rest.len());
            if pinned {
                let copy =
                    self.memory
                        .allocate(frames.len(), Kind::Anonymous, Placement::Packed)?;
                // Frames of the memory file do not fault unless the host is out of memory.
                let copied = self.memory.view(frames).copy_to(self.memory.view(copy));
                child
                    .pages
                    .insert(here.clone(), Pages::owned(copy, allowed));
                copied.map_err(|_| Errno::ENOMEM)?;
            } else {
                self.memory.retain(frames);
                let limit = pages.limit - Access::WRITE;
                let access = pages.access - Access::WRITE;
                let source = Source::Memory(frames.start());
                child.pages.insert(
                    here.clone(),
                    Pages {
                        source,
                        access,
                        limit,
                        owned: true,
                        mapped: Access::empty(),
                    },
                );
                shared.push(here.clone());
            }
            at = here.end;
        }
        Ok(())
    }
}

/// The areas of the child: those that it gets, not locked.
fn fork_areas(areas: &Areas) -> Areas {
    let mut copy = Areas {
        brk: areas.brk.clone(),
        mmap_base: areas.mmap_base,
        bounds: areas.bounds.clone(),
        ..Areas::default()
    };
    for (range, vma) in areas.vmas.iter() {
        if !vma.flags.contains(VmaFlags::DONT_FORK) {
            let flags = vma.flags - VmaFlags::LOCKED;
            copy.add(
                range,
                Vma {
                    flags,
                    ..vma.clone()
                },
            );
        }
    }
    copy
}
