//! One address space.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use locks::{Mutex, RwLock, rank};
use memory::MemoryFile;
use platform::{Access, Platform, Space};

use super::areas::{Areas, PAGE};
use super::pages::Active;
use super::settings::DEFAULT_CORE_DUMP_FILTER;
use crate::Result;
use crate::mappable::Mappable;
use crate::vma::HeldFile;

/// What backs a new mapping.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Zeroed memory of its own; it is private.
    Anonymous,
    /// A file, from an offset in bytes (page-aligned).
    File {
        /// What gives the pages.
        mappable: Arc<dyn Mappable>,
        /// Where the mapping begins.
        offset: u64,
        /// The open file; none for memory that has no file.
        open: Option<HeldFile>,
    },
    /// A special area with a name of its own (`[vdso]`, `[vvar]`), pages given by the mappable.
    Special {
        /// What gives the pages.
        mappable: Arc<dyn Mappable>,
        /// The name, with brackets.
        name: &'static str,
    },
}

/// Where a new mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapAt {
    /// Anywhere; the address is a hint (0: none).
    Hint(usize),
    /// There, over whatever is there (`MAP_FIXED`).
    Fixed(usize),
    /// There, EEXIST if something is there (`MAP_FIXED_NOREPLACE`).
    FixedNoReplace(usize),
    /// Below 2 GiB (`MAP_32BIT`); the address is a hint (0: none).
    Low(usize),
}

/// A request for `mmap(2)`.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where.
    pub at: MapAt,
    /// Length in bytes; rounded up to pages.
    pub len: usize,
    /// PROT_*.
    pub access: Access,
    /// What `mprotect` may raise it to (a file open read-only can't be mapped shared and writable).
    pub max_access: Access,
    /// `MAP_PRIVATE` rather than `MAP_SHARED`.
    pub private: bool,
    /// What backs it.
    pub backing: Backing,
    /// `MAP_GROWSDOWN`.
    pub grows_down: bool,
    /// `MAP_LOCKED` or `mlockall(MCL_FUTURE)`.
    pub locked: bool,
    /// `MAP_NORESERVE`.
    pub no_reserve: bool,
    /// `MAP_POPULATE`.
    pub populate: bool,
    /// The main thread's stack: shown as `[stack]`.
    pub stack: bool,
}

/// The signal that a fault becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSignal {
    /// SIGSEGV or SIGBUS.
    pub signal: u8,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
    /// The processor's error code, as far as it can be told: present, write, user, fetch.
    pub error_code: u64,
}

/// Resource limits that the calling process has now, in bytes (`man 2 getrlimit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmLimits {
    /// `RLIMIT_AS`
    pub address_space: u64,
    /// `RLIMIT_DATA`
    pub data: u64,
    /// `RLIMIT_STACK`
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`, `u64::MAX` with `CAP_IPC_LOCK`
    pub locked: u64,
}

/// What tells futexes apart (`man 2 futex`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FutexKey {
    /// Private: the address space's id and the address.
    Private {
        /// [`AddressSpace::id`]
        mm: u64,
        /// Where the word is.
        address: usize,
    },
    /// Shared: the backing object's id and the offset in it.
    Shared {
        /// [`Mappable::id`]
        object: u64,
        /// Where the word is, in bytes.
        offset: u64,
    },
}

/// A set of mappings and the platform's space that realises them (`struct mm_struct`).
///
/// The areas are under one lock, the pages that are active under a second one, which is taken while
/// the first is held (*mm mappings* > *mm active*). Copies to and from user memory take the second
/// alone, unless pages have to be made.
pub struct AddressSpace {
    me: Weak<AddressSpace>,
    pub(crate) memory: Arc<MemoryFile>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) space: Arc<Space>,
    /// What can be mapped.
    pub(crate) bounds: Range<usize>,
    /// `RLIMIT_STACK` as a call or fault last told it, for copies that extend a stack.
    stack_limit: AtomicU64,
    /// The most bytes that were resident when anyone looked.
    peak_resident: AtomicUsize,
    pub(crate) areas: RwLock<Areas, rank::Mappings>,
    pub(crate) active: RwLock<Active, rank::Active>,
    pub(crate) layout: Mutex<ExecLayout>,
    pub(crate) dumpable: AtomicBool,
    /// Another process has used it (`CLONE_VM` without `CLONE_THREAD`).
    shared_by_processes: AtomicBool,
    pub(crate) huge_pages_disabled: AtomicBool,
    pub(crate) core_dump_filter: AtomicU32,
}

impl fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressSpace({:#x})", self.id())
    }
}

impl AddressSpace {
    /// An empty address space on a new space of the platform.
    ///
    /// # Errors
    /// What the platform reports: the guest's EAGAIN or ENOMEM.
    pub fn new(memory: &Arc<MemoryFile>, platform: &Arc<Platform>) -> Result<Arc<AddressSpace>> {
        let bounds = platform.limits().user_range;
        let areas = Areas {
            mmap_base: random_mmap_base(&bounds),
            bounds,
            ..Areas::default()
        };
        let space = platform.new_space()?;
        Ok(AddressSpace::assemble(
            memory,
            platform,
            space,
            areas,
            Active::default(),
        ))
    }

    pub(crate) fn assemble(
        memory: &Arc<MemoryFile>,
        platform: &Arc<Platform>,
        space: Arc<Space>,
        areas: Areas,
        active: Active,
    ) -> Arc<AddressSpace> {
        Arc::new_cyclic(|me| AddressSpace {
            me: Weak::clone(me),
            memory: Arc::clone(memory),
            platform: Arc::clone(platform),
            space,
            bounds: areas.bounds.clone(),
            stack_limit: AtomicU64::new(DEFAULT_STACK_LIMIT),
            peak_resident: AtomicUsize::new(0),
            areas: RwLock::new(areas),
            active: RwLock::new(active),
            layout: Mutex::default(),
            dumpable: AtomicBool::new(true),
            shared_by_processes: AtomicBool::new(false),
            huge_pages_disabled: AtomicBool::new(false),
            core_dump_filter: AtomicU32::new(DEFAULT_CORE_DUMP_FILTER),
        })
    }

    /// `PR_GET_DUMPABLE`: whether others of the same user may look into it.
    #[must_use]
    pub fn dumpable(&self) -> bool {
        self.dumpable.load(Ordering::Relaxed)
    }

    /// `PR_SET_DUMPABLE`.
    pub fn set_dumpable(&self, dumpable: bool) {
        self.dumpable.store(dumpable, Ordering::Relaxed);
    }

    /// Whether more than one process has used it.
    #[must_use]
    pub fn is_shared_by_processes(&self) -> bool {
        self.shared_by_processes.load(Ordering::Relaxed)
    }

    /// Another process is about to use it.
    pub fn set_shared_by_processes(&self) {
        self.shared_by_processes.store(true, Ordering::Relaxed);
    }

    /// The platform's space, for `Context::switch_to`.
    #[must_use]
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// An id that no other living address space has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.me.as_ptr().addr() as u64
    }

    /// Takes note of how much is resident; the most so far.
    pub(crate) fn note_resident(&self, resident: usize) -> usize {
        self.peak_resident
            .fetch_max(resident, Ordering::Relaxed)
            .max(resident)
    }

    pub(crate) fn stack_limit(&self) -> u64 {
        self.stack_limit.load(Ordering::Relaxed)
    }

    pub(crate) fn remember_stack_limit(&self, limit: u64) {
        self.stack_limit.store(limit, Ordering::Relaxed);
    }

    pub(crate) fn me(&self) -> &Weak<AddressSpace> {
        &self.me
    }

    /// The addresses that can be mapped.
    #[must_use]
    pub fn user_range(&self) -> Range<usize> {
        self.bounds.clone()
    }

    /// Where execve put things.
    #[must_use]
    pub fn layout(&self) -> ExecLayout {
        self.layout.lock().clone()
    }

    /// Sets where execve put things.
    pub fn set_layout(&self, layout: ExecLayout) {
        *self.layout.lock() = layout;
    }

    /// What the last task of the address space calls when it leaves: everything is given back, even if
    /// others still hold a reference (a reader of its `/proc` files). No task may run in it any more.
    pub fn release(&self) {
        let removed = {
            let mut areas = self.areas.write();
            let removed = areas.cut(0..usize::MAX);
            let mut active = self.active.write();
            let pages = active.pages.remove(0..usize::MAX);
            self.release_pages(pages);
            removed
        };
        // Closing files may do anything: not under the locks above.
        drop(removed);
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let pages = self.active.get_mut().pages.remove(0..usize::MAX);
        self.release_pages(pages);
    }
}

/// `RLIMIT_STACK` of a new process in Linux.
const DEFAULT_STACK_LIMIT: u64 = 8 << 20;
/// Stays free above the mmap base for the stack and its randomness (`mmap_base` in Linux).
const STACK_ROOM: usize = (16 << 30) + (128 << 20);

fn highest_mmap_base(bounds: &Range<usize>) -> usize {
    bounds.end.saturating_sub(STACK_ROOM.min(bounds.len() / 4)) & !(PAGE - 1)
}

/// The mmap base of a new address space: lowered by up to 2^28 pages (`mmap_rnd_bits`).
fn random_mmap_base(bounds: &Range<usize>) -> usize {
    let mut bytes = [0; 8];
    // Without randomness the base is merely predictable.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let span = (1 << 40).min(bounds.len() / 8);
    let pages = usize::from_ne_bytes(bytes) % (span / PAGE).max(1);
    highest_mmap_base(bounds) - pages * PAGE
}

/// Where `execve` put things, for /proc/\[pid\]/{stat,cmdline,environ,auxv} and `prctl(PR_SET_MM)`.
#[derive(Clone, Debug, Default)]
pub struct ExecLayout {
    /// The text.
    pub code: Range<usize>,
    /// Initialised data.
    pub data: Range<usize>,
    /// The bottom of the stack: the initial stack pointer.
    pub stack_start: usize,
    /// The argument strings.
    pub args: Range<usize>,
    /// The environment strings.
    pub env: Range<usize>,
    /// The auxiliary vector, as on the stack.
    pub auxv: Vec<u8>,
}
