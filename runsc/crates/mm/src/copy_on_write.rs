//! Pages of files and pages that forks share, and what a store to them takes.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use abi::Errno;
use memory::{FrameRange, io};
use platform::Access;

use super::address_space::AddressSpace;
use super::areas::{PAGE, page_down, page_up};
use super::fault::{CHUNK, ColdPart, Disk, PageRequest, Refusal, SMALL_AREA, placement, window};
use super::mappable::Extent;
use super::pages::{Active, Pages, Source, cut};
use super::vma::Vma;

/// Unit in which shared pages are copied; what goes on where a copy ended takes 64 KiB.
const COPY_CHUNK: usize = 16 << 10;

impl AddressSpace {
    /// Makes pages of a file where there are none, as the file has them.
    pub(crate) fn populate_file(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        gap: &Range<usize>,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let page = page_down(request.address);
        let part = window(gap, request, CHUNK);
        let (extent, len, limit) = match file_extent(area, vma, part.clone(), request.need) {
            Ok(found) if part.start + found.1 > page => found,
            _ => {
                let found = file_extent(area, vma, page..part.end, request.need)?;
                return self.insert_extent(active, vma, page, found);
            }
        };
        if let Extent::Host(..) = extent {
            // The host does the paging: everything that it has at once.
            if let Ok(found) = file_extent(area, vma, gap.clone(), request.need)
                && gap.start + found.1 > page
            {
                return self.insert_extent(active, vma, gap.start, found);
            }
        }
        self.insert_extent(active, vma, part.start, (extent, len, limit))
    }

    fn insert_extent(
        &self,
        active: &mut Active,
        vma: &Vma,
        at: usize,
        (extent, len, limit): (Extent, usize, Access),
    ) -> Result<(), Refusal> {
        let source = match extent {
            Extent::Memory(frames) => {
                let (kept, rest) = frames.split_at(len as u64);
                self.release_frames(rest);
                Source::Memory(kept.start())
            }
            Extent::Host(file, offset) => Source::Host(file, offset),
        };
        let pages = Pages {
            source,
            access: vma.access & limit,
            limit,
            owned: false,
            mapped: Access::empty(),
        };
        active.pages.insert(at..at + len, pages);
        Ok(())
    }

    /// Makes private copies of a file's pages where there are none yet.
    pub(crate) fn populate_copy(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        gap: &Range<usize>,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let page = page_down(request.address);
        let small = area.len() <= SMALL_AREA;
        let part = if small {
            gap.clone()
        } else {
            window(gap, request, CHUNK)
        };
        let (start, (extent, len, _)) = match file_extent(area, vma, part.clone(), Access::READ) {
            Ok(found) if part.start + found.1 > page => (part.start, found),
            _ => (page, file_extent(area, vma, page..part.end, Access::READ)?),
        };
        let len = len.min(part.end - start);
        let (source, held) = match extent {
            Extent::Memory(frames) => (Source::Memory(frames.start()), Some(frames)),
            Extent::Host(file, offset) => (Source::Host(file, offset), None),
        };
        let copied = self.copy_pages(active, start..start + len, &source, request, small);
        if let Some(frames) = held {
            self.release_frames(frames);
        }
        let (range, frames) = copied?;
        active
            .pages
            .insert(range.clone(), Pages::owned(frames, vma.access));
        self.realise(active, range, true)
    }

    /// Makes the page at `want.address` of a private area writable: in place if nobody else has it,
    /// else as a copy.
    pub(crate) fn break_sharing(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let Some((run, pages)) = active.pages.at(request.address) else {
            return Err(Refusal::Unmapped);
        };
        let run = run.start.max(area.start)..run.end.min(area.end);
        let pages = pages.clone();
        if pages.owned
            && let Some(own) = self.unshared_part(active, &run, request.address)
        {
            active.pages.update(own.clone(), |_, pages| {
                pages.limit = Access::all();
                pages.access = vma.access;
            });
            return self.realise(active, own, false);
        }
        self.copy_part(active, area, vma, &run, request)
    }

    /// The part of a run of owned pages around an address that no other address space has.
    fn unshared_part(
        &self,
        active: &Active,
        run: &Range<usize>,
        address: usize,
    ) -> Option<Range<usize>> {
        let (whole, pages) = active.pages.at(address)?;
        let page = page_down(address);
        let unshared_from = |start: usize| {
            let (part, source) = cut(&whole, pages, start..run.end);
            let (shared, len) = self.memory.sharing(source.frames(part.len())?);
            let len = usize::try_from(len).ok()?;
            (!shared && start + len > page).then(|| start..start + len)
        };
        unshared_from(run.start).or_else(|| unshared_from(page))
    }

    fn copy_part(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        run: &Range<usize>,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let Some((whole, pages)) = active.pages.at(request.address) else {
            return Err(Refusal::Unmapped);
        };
        let page = page_down(request.address);
        // Going on where a copy ended: whoever writes through memory gets larger copies.
        let follows = active
            .pages
            .before(run.start)
            .is_some_and(|(before, pages)| {
                before.end == run.start
                    && pages.owned
                    && pages.access.contains(Access::WRITE)
                    && run.start == page
            });
        let part = window(run, request, if follows { CHUNK } else { COPY_CHUNK });
        let (part, source) = cut(&whole, pages, part);
        let small = area.len() <= SMALL_AREA;
        let (part, frames) = self.copy_pages(active, part, &source, request, small)?;
        let old = active.pages.remove(part.clone());
        active
            .pages
            .insert(part.clone(), Pages::owned(frames, vma.access));
        let outcome = self.replace_mapping(active, part);
        // Only now can no thread of this space use the old frames.
        self.release_pages(old);
        outcome
    }

    /// Maps what has replaced other pages in `range`; if that fails, nothing stays mapped there.
    fn replace_mapping(&self, active: &mut Active, range: Range<usize>) -> Result<(), Refusal> {
        let outcome = self.realise(active, range.clone(), true);
        if outcome.is_err() {
            self.unmap_from_space(active, range);
        }
        outcome
    }

    /// Fresh frames with a copy of `range`, whose bytes are at `source`; perhaps only part of it, which
    /// holds `page`.
    fn copy_pages(
        &self,
        active: &Active,
        range: Range<usize>,
        source: &Source,
        request: &PageRequest,
        small: bool,
    ) -> Result<(Range<usize>, FrameRange), Refusal> {
        let page = page_down(request.address);
        let placement = placement(active, &range, small);
        let (part, frames) = self.allocate(range.clone(), page, placement)?;
        let source = source.advance(part.start - range.start);
        let copied = match self.copy_bytes(&source, frames, request.disk) {
            Ok(copied) => copied,
            Err(cold) => {
                self.release_frames(frames);
                return Err(Refusal::Cold(cold));
            }
        };
        // A file that ends within a page leaves zeroes behind its end.
        let len = page_up(copied).unwrap_or(0).min(part.len());
        let (kept, rest) = frames.split_at(len as u64);
        self.release_frames(rest);
        if part.start + len <= page {
            self.release_frames(kept);
            return Err(Refusal::Bus);
        }
        Ok((part.start..part.start + len, kept))
    }

    /// Fills frames from a source; returns how many bytes there were.
    fn copy_bytes(
        &self,
        source: &Source,
        frames: FrameRange,
        disk: Disk,
    ) -> Result<usize, ColdPart> {
        let target = self.memory.view(frames);
        let (file, start) = match source {
            Source::Memory(_) => {
                let Some(from) = source.frames(target.len()) else {
                    return Ok(0);
                };
                let copied = self.memory.view(from).copy_to(target);
                return Ok(copied.unwrap_or_else(|faulted| faulted.done));
            }
            Source::Host(file, offset) => (file, *offset),
        };
        let (mut done, mut cached_only) = (0, disk == Disk::Refuse);
        while done < target.len() {
            let rest = [target.slice(done, usize::MAX)];
            let at = start.saturating_add(done as u64);
            let outcome = if cached_only {
                io::read_cached(file.as_fd(), &rest, at)
            } else {
                io::read(file.as_fd(), &rest, io::Position::At(at))
            };
            match outcome {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if cached_only => {
                    let (file, len) = (Arc::clone(file), target.len() - done);
                    return Err(ColdPart {
                        file,
                        offset: at,
                        len,
                    });
                }
                // Not every file system can tell.
                Err(_) if cached_only => cached_only = false,
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// A store to a shared mapping whose pages were obtained for loads only.
    pub(crate) fn obtain_for_stores(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        run: Range<usize>,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let within = run.start.max(area.start)..run.end.min(area.end);
        let page = page_down(request.address);
        let part = page..window(&within, request, CHUNK).end;
        let found = file_extent(area, vma, part, request.need)?;
        let part = page..page + found.1;
        let old = active.pages.remove(part.clone());
        self.insert_extent(active, vma, page, found)?;
        let outcome = self.replace_mapping(active, part);
        self.release_pages(old);
        outcome
    }

    /// Drops the references that removed pages had.
    pub(crate) fn release_pages(&self, pages: Vec<(Range<usize>, Pages)>) {
        for (range, pages) in pages {
            if let Some(frames) = pages.source.frames(range.len()) {
                self.release_frames(frames);
            }
        }
    }

    pub(crate) fn release_frames(&self, frames: FrameRange) {
        if !frames.is_empty() {
            self.memory.release(frames);
        }
    }

    /// Takes a range away from the platform; on return no application code can use it.
    pub(crate) fn unmap_from_space(&self, active: &mut Active, range: Range<usize>) {
        let range = range.start.max(self.bounds.start)..range.end.min(self.bounds.end);
        if range.is_empty() {
            return;
        }
        match self.space.unmap(range.clone()) {
            // Without its host process the space runs nothing.
            Ok(()) | Err(Errno::ESRCH) => {
                active
                    .pages
                    .update(range, |_, pages| pages.mapped = Access::empty());
            }
            // The host has no room to cut a mapping in two: away with all of them.
            Err(_) => self.unmap_everything(active),
        }
    }

    /// Takes everything away from the platform.
    pub(crate) fn unmap_everything(&self, active: &mut Active) {
        match self.space.unmap(self.bounds.clone()) {
            Ok(()) | Err(Errno::ESRCH) => active.forget_mapped(),
            // Going on would let the application keep pages that are about to be someone else's.
            Err(error) => panic!("a whole space can't be unmapped: {error}"),
        }
    }
}

/// Where the file has what belongs at `part`, how many bytes of it, and what may be done with it there.
fn file_extent(
    area: &Range<usize>,
    vma: &Vma,
    part: Range<usize>,
    need: Access,
) -> Result<(Extent, usize, Access), Refusal> {
    let file = vma.file.as_ref().ok_or(Refusal::Bus)?;
    let offset = |address: usize| file.offset.saturating_add((address - area.start) as u64);
    let offsets = offset(part.start)..offset(part.end);
    let ask = |access| {
        file.mappable
            .extent(offsets.clone(), access)
            .map_err(refusal)
    };
    let (extent, len, limit) = if vma.is_private() {
        let (extent, len) = ask(Access::READ)?;
        (extent, len, Access::all() - Access::WRITE)
    } else if vma.access.contains(Access::WRITE) {
        match ask(Access::READ | Access::WRITE) {
            Ok((extent, len)) => (extent, len, Access::all()),
            Err(_) if !need.contains(Access::WRITE) => {
                let (extent, len) = ask(Access::READ)?;
                (extent, len, Access::all() - Access::WRITE)
            }
            Err(error) => return Err(error),
        }
    } else {
        let (extent, len) = ask(Access::READ)?;
        (extent, len, Access::all() - Access::WRITE)
    };
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(part.len()) & !(PAGE - 1);
    if len == 0 {
        Err(Refusal::Bus)
    } else {
        Ok((extent, len, limit))
    }
}

fn refusal(error: Errno) -> Refusal {
    match error {
        Errno::ENOMEM => Refusal::NoMemory,
        _ => Refusal::Bus,
    }
}
