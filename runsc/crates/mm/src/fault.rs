//! Page faults: making pages that an area promises, and having the platform map them.
//!
//! Pages are made in runs: zeroed ones in blocks of 64 KiB or more, copies of shared ones in blocks of
//! 16 to 64 KiB, files that the host caches for the whole area at once, since the host's own page
//! tables then do the rest without us.

use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use memory::{FrameRange, HostFile, Placement, Shortage};
use platform::{Access, Fault, FaultAccess};

use super::address_space::{AddressSpace, FaultSignal};
use super::areas::{Areas, GUARD_GAP, PAGE, page_down};
use super::pages::{Active, Pages, Source, allows};
use super::vma::{Vma, VmaFlags};

/// Unit in which zeroed pages are made.
pub(crate) const CHUNK: usize = 64 << 10;
/// Longest run that one fault makes of zeroed pages.
const MOST_AT_ONCE: usize = 1 << 20;
/// Areas up to this size are packed in the memory file and made in one go.
pub(crate) const SMALL_AREA: usize = 256 << 10;
/// Areas up to this size are taken to be touched from end to end.
const TOUCHED_WHOLE: usize = 32 << 10;
/// How far around a fault further runs are mapped, and how many.
const AROUND: usize = 1 << 20;
const RUNS_AROUND: usize = 8;
/// How far behind its code the data of a program or library may be.
const PROGRAM_SPAN: usize = 64 << 20;
/// How often memory that others take at once is fought for.
const MOST_ATTEMPTS: usize = 100;
/// Longest instruction.
const INSTRUCTION: u64 = 15;

const SIGBUS: u8 = 7;
const SIGKILL: u8 = 9;
const SIGSEGV: u8 = 11;
const BUS_ADRERR: i32 = 2;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const SI_KERNEL: i32 = 0x80;

/// Why a page can't be had.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// No area is there.
    Unmapped,
    /// The area does not allow it.
    Denied,
    /// The file ends before it.
    Bus,
    /// There is no memory for it.
    NoMemory,
    /// The host has yet to read it from its disk, for which no lock may be held.
    Cold(ColdPart),
}

/// A part of a host file that is not in the host's page cache.
#[derive(Clone, Debug)]
pub(crate) struct ColdPart {
    pub(crate) file: Arc<HostFile>,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

impl ColdPart {
    /// Has the host read it; no lock may be held.
    pub(crate) fn warm_up(&self) {
        let mut scratch = vec![0; self.len.min(CHUNK * 4)];
        // A failure shows when the page is made.
        let _ = rustix::io::pread(&*self.file, &mut scratch, self.offset);
    }
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Errno {
        match refusal {
            Refusal::NoMemory => Errno::ENOMEM,
            Refusal::Unmapped | Refusal::Denied | Refusal::Bus | Refusal::Cold(_) => Errno::EFAULT,
        }
    }
}

/// What happens when the host has to read from its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// [`Refusal::Cold`]
    Refuse,
    /// It is waited for: the second time, lest someone evicts the page again and again.
    Wait,
}

/// A request for a page.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    /// Where.
    pub(crate) address: usize,
    /// What for.
    pub(crate) need: Access,
    /// Up to where more of the same will be needed.
    pub(crate) upto: usize,
    /// The access may have been a store: private pages are made writable at once.
    pub(crate) perhaps_store: bool,
    /// Whether to wait for the host's disk, rather than say that it is needed.
    pub(crate) disk: Disk,
}

impl PageRequest {
    /// The page at an address.
    pub(crate) fn at(address: usize, need: Access) -> PageRequest {
        PageRequest {
            address,
            need,
            upto: address.saturating_add(1),
            perhaps_store: false,
            disk: Disk::Wait,
        }
    }
}

impl AddressSpace {
    /// Handles a fault of application code: on success it runs again from the same instruction.
    /// `rip` is where it stopped, `stack_limit` is `RLIMIT_STACK`.
    ///
    /// # Errors
    /// The signal that Linux raises.
    pub fn handle_fault(
        &self,
        fault: &Fault,
        rip: u64,
        _rsp: u64,
        stack_limit: u64,
    ) -> Result<(), FaultSignal> {
        self.remember_stack_limit(stack_limit);
        let served = self.with_room(|| self.try_fault(fault, rip, stack_limit));
        served.map_err(|refusal| {
            let (signal, code) = match refusal {
                Refusal::Unmapped => (SIGSEGV, SEGV_MAPERR),
                Refusal::Denied => (SIGSEGV, SEGV_ACCERR),
                Refusal::Bus | Refusal::Cold(_) => (SIGBUS, BUS_ADRERR),
                Refusal::NoMemory => (SIGKILL, SI_KERNEL),
            };
            let request = judge(fault, rip, &self.active.read());
            FaultSignal {
                signal,
                code,
                address: fault.address as u64,
                error_code: error_code(fault, request.need),
            }
        })
    }

    /// Does what needs memory, again and again as long as there is none and room can be made for it.
    /// No lock may be held.
    pub(crate) fn with_room<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let shortage = Shortage {
            space: self.id(),
            bytes: PAGE as u64,
        };
        let mut outcome = attempt();
        for _ in 0..MOST_ATTEMPTS {
            let short = matches!(outcome, Err(Refusal::NoMemory));
            if !short || !self.memory.make_room(shortage) {
                break;
            }
            outcome = attempt();
        }
        outcome
    }

    fn try_fault(&self, fault: &Fault, rip: u64, stack_limit: u64) -> Result<(), Refusal> {
        let mut areas = self.areas.read();
        if areas.vmas.at(fault.address).is_none() {
            drop(areas);
            self.grow_stack(fault.address, stack_limit)?;
            areas = self.areas.read();
        }
        let mut active = self.active.write();
        if fault.bus {
            return Err(bus_refusal(&active, fault.address));
        }
        let request = judge(fault, rip, &active);
        let outcome = self.provide(
            &areas,
            &mut active,
            &PageRequest {
                disk: Disk::Refuse,
                ..request
            },
        );
        drop((active, areas));
        let Err(Refusal::Cold(part)) = outcome else {
            return outcome;
        };
        part.warm_up();
        let areas = self.areas.read();
        let mut active = self.active.write();
        // What is mapped may have changed: the fault is judged anew.
        let request = judge(fault, rip, &active);
        self.provide(&areas, &mut active, &request)
    }

    /// Extends the stack whose area begins above `address` down to it.
    pub(crate) fn grow_stack(&self, address: usize, stack_limit: u64) -> Result<(), Refusal> {
        let mut areas = self.areas.write();
        if areas.vmas.at(address).is_some() {
            return Ok(());
        }
        let (next, vma) = areas.vmas.after(address).ok_or(Refusal::Unmapped)?;
        let (start, vma) = (page_down(address), vma.clone());
        let below = areas
            .vmas
            .before(address)
            .map_or(areas.bounds.start, |(before, other)| {
                let gap = if other.access.is_empty() || other.flags.contains(VmaFlags::GROWS_DOWN) {
                    0
                } else {
                    GUARD_GAP
                };
                before.end.saturating_add(gap)
            });
        // The area may have been cut; the limit is on what is left of it, as in Linux.
        let within = (next.end - start) as u64 <= stack_limit;
        if !vma.flags.contains(VmaFlags::GROWS_DOWN) || !within || start < below {
            return Err(Refusal::Unmapped);
        }
        areas.add(start..next.start, vma);
        Ok(())
    }

    /// Makes the page at `want.address`, and what is sensible around it, allow `want.need`, and has
    /// the platform map it.
    pub(crate) fn provide(
        &self,
        areas: &Areas,
        active: &mut Active,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let (area, vma) = areas.vmas.at(request.address).ok_or(Refusal::Unmapped)?;
        self.provide_in(areas, active, &area, vma, request)
    }

    /// As [`provide`](Self::provide) in an area that is known.
    pub(crate) fn provide_in(
        &self,
        areas: &Areas,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        if !allows(vma.access, request.need) {
            return Err(Refusal::Denied);
        }
        match active.pages.at(request.address) {
            None => self.populate(areas, active, area, vma, request)?,
            Some((_, pages)) if allows(pages.access, request.need) => {}
            Some(_) if vma.is_private() => return self.break_sharing(active, area, vma, request),
            Some((run, _)) => return self.obtain_for_stores(active, area, vma, run, request),
        }
        self.realise_around(active, area, request.address)
    }

    /// Makes pages where there are none.
    fn populate(
        &self,
        areas: &Areas,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        let gap = active.gap_around(page_down(request.address), area.clone());
        match &vma.file {
            None => self.populate_zeroes(active, area, vma, &gap, request),
            Some(_) if vma.is_private() && wants_copy(areas, area, vma, request) => {
                self.populate_copy(active, area, vma, &gap, request)
            }
            Some(_) => self.populate_file(active, area, vma, &gap, request),
        }
    }

    fn populate_zeroes(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        vma: &Vma,
        gap: &Range<usize>,
        request: &PageRequest,
    ) -> Result<(), Refusal> {
        if self.populate_huge(active, vma, gap, request.address) {
            return Ok(());
        }
        let small = area.len() <= SMALL_AREA;
        let mut window = if small {
            gap.clone()
        } else {
            window(gap, request, CHUNK)
        };
        // Whoever goes up through memory gets as much again as it has.
        let mut soon = window.len() <= TOUCHED_WHOLE;
        if let Some((before, _)) = active.pages.before(window.start)
            && before.end == window.start
        {
            soon |= before.len() >= CHUNK;
            let more = before.len().clamp(CHUNK, MOST_AT_ONCE);
            window.end = window
                .end
                .max(window.start.saturating_add(more).min(gap.end));
        }
        let placement = placement(active, &window, small);
        let (window, frames) = self.allocate(window, page_down(request.address), placement)?;
        active
            .pages
            .insert(window.clone(), Pages::owned(frames, vma.access));
        if soon {
            // The host makes them at once, which costs a part of what its own faults do.
            self.realise(active, window, true)?;
        }
        Ok(())
    }

    /// Frames for `window`, or if there is no memory for it, for the page that is needed.
    pub(crate) fn allocate(
        &self,
        window: Range<usize>,
        page: usize,
        placement: Placement,
    ) -> Result<(Range<usize>, FrameRange), Refusal> {
        let allocate = |len: usize, placement| {
            self.memory
                .allocate(len as u64, memory::Kind::Anonymous, placement)
        };
        if let Ok(frames) = allocate(window.len(), placement) {
            return Ok((window, frames));
        }
        let frames = allocate(PAGE, Placement::Packed).map_err(|_| Refusal::NoMemory)?;
        Ok((page..page + PAGE, frames))
    }

    /// Has the platform map the run at an address as it allows now, and runs around it that are not
    /// mapped yet.
    fn realise_around(
        &self,
        active: &mut Active,
        area: &Range<usize>,
        address: usize,
    ) -> Result<(), Refusal> {
        let Some((run, pages)) = active.pages.at(address) else {
            return Err(Refusal::Unmapped);
        };
        let group = self.space.group();
        if pages.mapped != pages.access {
            self.realise(active, run, false)?;
        }
        let near = area.start.max(address.saturating_sub(AROUND))
            ..area.end.min(address.saturating_add(AROUND));
        let missing = active
            .pages
            .overlapping(near)
            .filter(|(_, pages)| pages.mapped != pages.access);
        let missing: Vec<Range<usize>> = missing.map(|(run, _)| run).take(RUNS_AROUND).collect();
        for run in missing {
            // These are a bonus: whatever is wrong with them shows when they are touched.
            let _ = self.realise(active, run, false);
        }
        if group.close().is_err() {
            self.unmap_everything(active);
        }
        Ok(())
    }

    /// Has the platform map the pages in `range` with the access they allow now. `resident`: their
    /// content exists or soon will, so the host may fill in its page tables at once.
    pub(crate) fn realise(
        &self,
        active: &mut Active,
        range: Range<usize>,
        resident: bool,
    ) -> Result<(), Refusal> {
        match self.try_realise(active, range.clone(), resident) {
            Err(Errno::ENOMEM) => {
                // The host's limit of mappings: begin again with none.
                self.unmap_everything(active);
                self.try_realise(active, range, resident)
                    .map_err(|_| Refusal::NoMemory)
            }
            // The space is gone: its tasks learn it when they run next.
            Err(Errno::ESRCH) | Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!("mapping {range:x?} failed: {error}");
                Err(Refusal::Bus)
            }
        }
    }

    fn try_realise(
        &self,
        active: &mut Active,
        range: Range<usize>,
        resident: bool,
    ) -> Result<(), Errno> {
        let todo: Vec<(Range<usize>, Pages)> = active
            .pages
            .overlapping(range.clone())
            .filter(|(_, pages)| pages.mapped != pages.access)
            .map(|(run, pages)| {
                let (part, source) = super::pages::cut(&run, pages, range.clone());
                (
                    part,
                    Pages {
                        source,
                        ..pages.clone()
                    },
                )
            })
            .collect();
        for (part, pages) in todo {
            self.map_run(&part, &pages, resident)?;
            active
                .pages
                .update(part, |_, pages| pages.mapped = pages.access);
        }
        Ok(())
    }

    fn map_run(&self, at: &Range<usize>, pages: &Pages, resident: bool) -> Result<(), Errno> {
        if pages.access.is_empty() {
            return self.space.unmap(at.clone());
        }
        match &pages.source {
            Source::Memory(offset) => self.space.map(
                at.clone(),
                self.memory.fd(),
                *offset,
                pages.access,
                resident,
            ),
            Source::Host(file, offset) => {
                let fd = std::os::fd::AsFd::as_fd(&**file);
                self.space.map(at.clone(), fd, *offset, pages.access, false)
            }
        }
    }

    /// Makes all pages of `range` that areas allow, as far as there is memory; for `MAP_POPULATE`,
    /// mlock and `MADV_POPULATE`.
    pub(crate) fn provide_all(
        &self,
        areas: &Areas,
        active: &mut Active,
        range: Range<usize>,
        need: Access,
    ) -> Result<(), Refusal> {
        let mut at = range.start;
        while at < range.end {
            let request = PageRequest {
                upto: range.end,
                ..PageRequest::at(at, need)
            };
            self.provide(areas, active, &request)?;
            at = active.pages.at(at).map_or(at + PAGE, |(run, pages)| {
                if allows(pages.access, need) {
                    run.end
                } else {
                    at + PAGE
                }
            });
        }
        Ok(())
    }
}

/// What the access was: as the platform says, else as follows from what is mapped.
fn judge(fault: &Fault, rip: u64, active: &Active) -> PageRequest {
    let request = |need| PageRequest::at(fault.address, need);
    let fetch = (rip..rip.saturating_add(INSTRUCTION)).contains(&(fault.address as u64));
    let mapped = active
        .pages
        .at(fault.address)
        .map_or(Access::empty(), |(_, pages)| pages.mapped);
    match fault.access {
        FaultAccess::Read => request(Access::READ),
        FaultAccess::Write => request(Access::WRITE),
        FaultAccess::Execute => request(Access::EXECUTE),
        // Whatever is mapped can be loaded from.
        FaultAccess::Unknown if fault.mapped && fetch && !mapped.contains(Access::EXECUTE) => {
            request(Access::EXECUTE)
        }
        FaultAccess::Unknown if fault.mapped => request(Access::WRITE),
        FaultAccess::Unknown if fetch => request(Access::EXECUTE),
        FaultAccess::Unknown => PageRequest {
            perhaps_store: true,
            ..request(Access::READ)
        },
    }
}

/// The processor's error code of a fault: present, write, user, fetch.
fn error_code(fault: &Fault, need: Access) -> u64 {
    let bit = |set: bool, bit: u64| if set { bit } else { 0 };
    bit(fault.mapped, 1) | bit(need == Access::WRITE, 2) | 4 | bit(need == Access::EXECUTE, 16)
}

/// A SIGBUS of the host: the file has ended, or the host has no memory for the memory file.
fn bus_refusal(active: &Active, address: usize) -> Refusal {
    match active.pages.at(address) {
        Some((
            _,
            Pages {
                source: Source::Memory(_),
                ..
            },
        )) => Refusal::NoMemory,
        _ => Refusal::Bus,
    }
}

/// Whether a private mapping of a file should get copies at once, rather than the file's pages first.
fn wants_copy(areas: &Areas, area: &Range<usize>, vma: &Vma, request: &PageRequest) -> bool {
    let writable = vma.access.contains(Access::WRITE);
    request.need.contains(Access::WRITE)
        // Most of a program's data is written soon.
        || request.perhaps_store && writable && area.len() <= SMALL_AREA && is_program_data(areas, area, vma)
}

/// Whether an area is next to code of the same file, as the data of a program or library is.
fn is_program_data(areas: &Areas, area: &Range<usize>, vma: &Vma) -> bool {
    let near = area.start.saturating_sub(PROGRAM_SPAN)..area.start;
    let object = |vma: &Vma| vma.file.as_ref().map(|file| file.mappable.id());
    areas
        .vmas
        .overlapping(near)
        .any(|(_, other)| other.access.contains(Access::EXECUTE) && object(other) == object(vma))
}

/// The part of `gap` to make for `request`: whole blocks of `unit` bytes as far as possible.
pub(crate) fn window(gap: &Range<usize>, request: &PageRequest, unit: usize) -> Range<usize> {
    let start = request.address & !(unit - 1);
    let wanted_end = request
        .upto
        .max(request.address + 1)
        .min(start.saturating_add(MOST_AT_ONCE));
    let end = wanted_end.checked_next_multiple_of(unit).unwrap_or(gap.end);
    start.max(gap.start)..end.min(gap.end)
}

/// Where in the memory file the frames of `window` are best: next to those of its neighbours.
pub(crate) fn placement(active: &Active, window: &Range<usize>, small: bool) -> Placement {
    let owned_offset = |pages: &Pages| match pages.source {
        Source::Memory(offset) if pages.owned => Some(offset),
        _ => None,
    };
    if let Some((before, pages)) = active.pages.before(window.start)
        && before.end == window.start
        && let Some(offset) = owned_offset(pages)
    {
        return Placement::At(offset.saturating_add(before.len() as u64));
    }
    if let Some((after, pages)) = active.pages.after(window.end)
        && after.start == window.end
        && let Some(offset) =
            owned_offset(pages).and_then(|offset| offset.checked_sub(window.len() as u64))
    {
        return Placement::At(offset);
    }
    if small {
        Placement::Packed
    } else {
        Placement::Growing(window.start as u64)
    }
}
