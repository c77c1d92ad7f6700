//! The vDSO in address spaces, and the page of parameters that it reads.
//!
//! One image and one page serve every process. The page starts out saying "make the call". The first call
//! that comes thereby fits the counter to the host's clocks and publishes; from then on a timer fits again,
//! seldom, as long as tasks run. When none has run for a while, the page says "make the call" again and no
//! timer is left, until the next call. A host clock that is set is noticed at the next fit, within a minute.
//!
//! The sandbox can't ask which clock source the host uses. It takes the counter if the processor says that
//! it is invariant, and gives it up for good if it does not keep up with the host's clocks.

use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use abi::{Errno, PAGE_SIZE};
use host::tsc::{self, Sample};
use locks::Mutex;
use memory::{FrameRange, GuestBytes, Kind, MemoryFile, Placement};
use mm::AddressSpace;
use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use mm::mappable::{Extent, Mappable};
use mm::mapping_set::MappingSet;
use platform::Access;
use vdso::parameters as at;

use crate::error::Result;
use crate::kernel::Kernel;
use crate::kernel::timers::queue::Expire;
use crate::time::fit::Fit;

/// The shortest time between two samples that a fit is made of.
const BASELINE_NS: u64 = 20_000_000;
/// A baseline that makes a good fit by itself.
const LONG_BASELINE_NS: u64 = 1_000_000_000;
/// Times between fits: short at first, while the baseline is.
const REFITS: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(60),
];

/// What a kernel has of the vDSO, made when the first program is loaded.
#[derive(Debug, Default)]
pub struct Vdso {
    pages: OnceLock<Option<Arc<Pages>>>,
}

/// Frames and parameters.
#[derive(Debug)]
struct Pages {
    kernel: Weak<Kernel>,
    memory: Arc<MemoryFile>,
    /// The parameter page, then the image.
    frames: FrameRange,
    id: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sequence: u32,
    first: Sample,
    /// What is published; none: the page says "make the call".
    fit: Option<Fit>,
    /// The last fit, to go on from without a step back.
    last: Option<Fit>,
    nr_fits: usize,
    /// The counter is no clock here.
    hopeless: bool,
}

/// Maps the image and its parameter page; where the image is, none if there is no memory for it.
pub fn map(kernel: &Arc<Kernel>, mm: &AddressSpace, limits: &MmLimits) -> Result<Option<usize>> {
    let Some(pages) = kernel.vdso.pages(kernel) else {
        return Ok(None);
    };
    let read = Access::READ;
    let request = |part: Part, to: MapAt, access: Access| MapRequest {
        at: to,
        len: pages.len_of(part),
        access,
        max_access: access,
        // As on Linux; nothing may write to it.
        private: true,
        backing: Backing::Special {
            mappable: Arc::new(Mapped {
                pages: pages.clone(),
                part,
            }),
            name: part.name(),
        },
        grows_down: false,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: false,
    };
    // Room for all of it first, then the parts over it.
    let base = mm.map(&request(Part::All, MapAt::Hint(0), read), limits)?;
    let image = base.checked_add(at::BELOW_IMAGE).ok_or(Errno::ENOMEM)?;
    mm.map(&request(Part::Parameters, MapAt::Fixed(base), read), limits)?;
    let executable = Access::READ | Access::EXECUTE;
    mm.map(
        &request(Part::Image, MapAt::Fixed(image), executable),
        limits,
    )?;
    Ok(Some(image))
}

impl Vdso {
    fn pages(&self, kernel: &Arc<Kernel>) -> Option<Arc<Pages>> {
        self.pages
            .get_or_init(|| match Pages::new(kernel) {
                Ok(pages) => Some(Arc::new(pages)),
                Err(errno) => {
                    tracing::warn!(%errno, "no vDSO: every look at a clock is a system call");
                    None
                }
            })
            .clone()
    }

    /// A program read a clock by a system call: perhaps the page can spare it the next one.
    pub fn touch(&self) {
        if let Some(Some(pages)) = self.pages.get() {
            pages.fit_if_silent();
        }
    }
}

impl Pages {
    fn new(kernel: &Arc<Kernel>) -> Result<Pages> {
        let memory = kernel.memory().clone();
        let len = (at::PAGE_LEN + vdso::image::IMAGE_LEN) as u64;
        let frames = memory.allocate(len, Kind::Shared, Placement::Packed)?;
        let image = frames.slice(at::PAGE_LEN as u64, frames.len());
        let written = memory.view(image).write(&vdso::image());
        written.map_err(|_| Errno::ENOMEM)?;
        let pages = Pages {
            kernel: Arc::downgrade(kernel),
            memory,
            frames,
            id: kernel.unique_id(),
            state: Mutex::new(State {
                sequence: 0,
                first: guest_sample(kernel),
                fit: None,
                last: None,
                nr_fits: 0,
                hopeless: !tsc::is_invariant(),
            }),
        };
        let cpu_mode = u32::from(tsc::has_rdtscp());
        pages.store_u32(at::CPU_MODE_AT, cpu_mode);
        Ok(pages)
    }

    fn len_of(&self, part: Part) -> usize {
        let range = self.range_of(part);
        usize::try_from(range.len()).unwrap_or(PAGE_SIZE)
    }

    fn range_of(&self, part: Part) -> FrameRange {
        let page = at::PAGE_LEN as u64;
        match part {
            Part::All => self.frames,
            Part::Parameters => self.frames.slice(0, page),
            Part::Image => self.frames.slice(page, self.frames.len()),
        }
    }

    fn parameters(&self) -> GuestBytes<'_> {
        self.memory.view(self.range_of(Part::Parameters))
    }

    // The page is the kernel's own memory file, which nobody truncates: stores into it do not fail.

    fn store_u32(&self, offset: usize, value: u32) {
        let _ = self.parameters().slice(offset, 4).store_u32(value);
    }

    fn store_u64(&self, offset: usize, value: u64) {
        let _ = self.parameters().slice(offset, 8).store_u64(value);
    }

    /// Publishes a fit, or that calls are to be made.
    fn publish(&self, state: &mut State, fit: Option<Fit>) {
        state.sequence = state.sequence.wrapping_add(1) | 1;
        self.store_u32(at::SEQUENCE_AT, state.sequence);
        match fit {
            None => self.store_u32(at::MODE_AT, at::MODE_CALL),
            Some(fit) => {
                self.store_u64(at::TSC_BASE_AT, fit.tsc_base);
                self.store_u64(at::MULTIPLIER_AT, fit.multiplier);
                self.store_u64(at::MONOTONIC_AT, fit.monotonic_ns);
                self.store_u64(at::REALTIME_AT, fit.realtime_ns);
                self.store_u64(at::BOOTTIME_AT, fit.boottime_ns);
                self.store_u32(at::MODE_AT, at::MODE_TSC);
                state.last = Some(fit);
            }
        }
        state.sequence = state.sequence.wrapping_add(1);
        self.store_u32(at::SEQUENCE_AT, state.sequence);
        state.fit = fit;
    }

    /// Fits and publishes if the page says "make the call".
    fn fit_if_silent(self: &Arc<Self>) {
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        if state.fit.is_none() && !state.hopeless {
            state.nr_fits = 0;
            self.fit(&mut state);
        }
    }

    /// Fits once more, and says when next.
    fn fit(self: &Arc<Self>, state: &mut State) {
        let Some(kernel) = self.kernel.upgrade() else {
            return;
        };
        let now = guest_sample(&kernel);
        if now.monotonic_ns.saturating_sub(state.first.monotonic_ns) < BASELINE_NS {
            return;
        }
        if let Some(last) = state.last
            && !last.held(&now)
        {
            // Suspended, or stepped; or the counter is no clock. Start over.
            tracing::debug!("the time-stamp counter did not run as expected");
            state.hopeless = state.nr_fits > 0;
            state.first = now;
            state.last = None;
            self.publish(state, None);
            return;
        }
        let wait = REFITS[state.nr_fits.min(REFITS.len() - 1)];
        let horizon_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let Some(fresh) = Fit::through(&state.first, &now) else {
            state.hopeless = true;
            return;
        };
        let fit = state
            .last
            .map_or(fresh, |last| fresh.continuing(&last, horizon_ns));
        self.publish(state, Some(fit));
        state.nr_fits += 1;
        if now.monotonic_ns - state.first.monotonic_ns > LONG_BASELINE_NS {
            // The host's clock may be slewed from now on.
            state.first = now;
        }
        let myself: Arc<dyn Expire> = self.clone();
        kernel.timer_queue.arm(wait, Arc::downgrade(&myself));
    }
}

/// A sample in the application's terms.
fn guest_sample(kernel: &Kernel) -> Sample {
    let sample = tsc::sample();
    let clock = kernel.clock();
    Sample {
        monotonic_ns: clock.guest_monotonic_ns(sample.monotonic_ns),
        boottime_ns: clock.guest_boottime_ns(sample.boottime_ns),
        ..sample
    }
}

impl Expire for Pages {
    fn expire(self: Arc<Self>) {
        let Some(kernel) = self.kernel.upgrade() else {
            return;
        };
        let runs = |(_, task): &(u32, Arc<crate::kernel::Task>)| !task.cpu.is_idle();
        let busy = kernel.root_pid_ns().tasks().iter().any(runs);
        let mut state = self.state.lock();
        if busy {
            self.fit(&mut state);
        } else {
            self.publish(&mut state, None);
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.memory.release(self.frames);
    }
}

/// What of the pages is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Parameters,
    Image,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::All | Part::Parameters => "[vvar]",
            Part::Image => "[vdso]",
        }
    }
}

/// A part of the pages as a mappable object.
#[derive(Debug)]
struct Mapped {
    pages: Arc<Pages>,
    part: Part,
}

impl Mappable for Mapped {
    fn extent(&self, offsets: Range<u64>, _access: Access) -> Result<(Extent, u64)> {
        let range = self.pages.range_of(self.part);
        let range = range.slice(offsets.start, offsets.end);
        if range.is_empty() {
            return Err(Errno::EFAULT);
        }
        self.pages.memory.retain(range);
        Ok((Extent::Memory(range), range.len()))
    }

    fn mappings(&self) -> Option<&MappingSet> {
        None
    }

    fn id(&self) -> u64 {
        self.pages.id
    }
}
