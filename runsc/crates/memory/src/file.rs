//! [`MemoryFile`]: the memfd, its mapping in the Sentry, and the thread that gives memory back.

#![expect(unsafe_code, reason = "maps the memory file")]

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::fs::{self, FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use crate::allocator::{Allocator, Kind, Placement, Usage};
use crate::bytes::GuestBytes;
use crate::frame::FrameRange;
use crate::heap::KernelMemory;
use crate::host_room::{HostMemory, HostRoom};
use crate::huge::{HugePages, HugeView};
use crate::window::WindowCache;
use crate::{Errno, Result};

/// Size of the sparse file; smaller ones are tried where the host does not allow as much.
const LARGEST: u64 = 4 << 40;
const SMALLEST: u64 = 16 << 30;
/// How long freed frames may wait before they go back to the host.
const DELAY: Duration = Duration::from_millis(100);
/// How long free memory of the heap may wait.
const TRIM_DELAY: Duration = Duration::from_millis(500);
/// How many freed bytes make the reclaimer start at once.
const MANY_DIRTY: u64 = 64 << 20;
/// How many windows of host files stay mapped: 1 GiB of addresses.
const WINDOWS: usize = 512;

/// Somebody could not have memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Whose memory it was to be: an id of an address space, as its maker gives them; 0 for none.
    pub space: u64,
    /// How much is missing, in bytes.
    pub bytes: u64,
}

/// Asked to make room (by ending a process); returns whether it is worth trying again.
pub type MakeRoom = dyn Fn(Shortage) -> bool + Send + Sync;

/// The guest's physical memory.
pub struct MemoryFile {
    shared: Arc<Shared>,
    /// None where the host has no huge pages for the file.
    huge: Option<HugeView>,
    windows: Arc<WindowCache>,
    /// Bytes of memory that the host has.
    host_total: u64,
    /// Bytes that may be allocated.
    limit: AtomicU64,
    /// What the host can still give.
    host_room: HostRoom,
    /// How often an allocation did not fit into the limit.
    failures: AtomicU64,
    /// The most that was in use.
    peak: AtomicU64,
    make_room: Mutex<Option<Arc<MakeRoom>>>,
    reclaimer: Option<JoinHandle<()>>,
}

struct Shared {
    fd: OwnedFd,
    base: usize,
    size: u64,
    state: Mutex<State>,
    /// Signalled when there is work for the reclaimer.
    work: Condvar,
    /// Signalled when a thread has given memory back.
    cleaned: Condvar,
}

struct State {
    allocator: Allocator,
    /// How many threads give memory back at the moment.
    cleaning: u32,
    /// The reclaimer sleeps without a deadline.
    idle: bool,
    /// The heap is to be trimmed.
    trims: bool,
    stopping: bool,
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

impl MemoryFile {
    /// As [`with_host_memory`](Self::with_host_memory), without an eye on what the host has left.
    ///
    /// # Errors
    /// What `memfd_create(2)`, ftruncate(2), mmap(2) or the making of a thread report.
    pub fn new(limit_bytes: Option<u64>) -> Result<Arc<Self>> {
        Self::with_host_memory(limit_bytes, HostMemory::default())
    }

    /// Makes the file, maps it and starts the thread that gives freed memory back to the host.
    /// From `host` it learns when the host itself runs out: that is then the limit. If there is a
    /// control group, its limit takes the place of `limit_bytes`, also when it changes.
    ///
    /// # Errors
    /// What `memfd_create(2)`, ftruncate(2), mmap(2) or the making of a thread report.
    pub fn with_host_memory(limit_bytes: Option<u64>, host: HostMemory) -> Result<Arc<Self>> {
        let own_limit = match (&host.group, limit_bytes) {
            (None, Some(limit)) => limit,
            _ => u64::MAX,
        };
        let shared = Arc::new(Shared::new()?);
        let huge = match host.huge_pages {
            HugePages::Never => None,
            // Without the mapping, the memory is made of ordinary pages.
            rule => HugeView::new(rule, &shared.fd, shared.len()).ok(),
        };
        let worker = Arc::clone(&shared);
        let reclaimer = std::thread::Builder::new()
            .name("reclaim".into())
            .stack_size(64 << 10)
            .spawn(move || worker.reclaim_until_stopped())
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(11)))?;
        Ok(Arc::new(Self {
            shared,
            huge,
            windows: WindowCache::new(WINDOWS),
            host_total: host_total(),
            limit: AtomicU64::new(own_limit),
            host_room: HostRoom::new(host),
            failures: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            make_room: Mutex::new(None),
            reclaimer: Some(reclaimer),
        }))
    }

    /// The memfd, for mapping it into spaces.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }

    /// The windows of host files in the Sentry.
    #[must_use]
    pub fn windows(&self) -> &WindowCache {
        &self.windows
    }

    /// How many bytes the guest may use at most: the limit, or the host's memory if that is less.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.limit().min(self.host_total)
    }

    /// How many bytes the host has at all.
    #[must_use]
    pub fn host_total(&self) -> u64 {
        self.host_total
    }

    /// When areas of the guest are made of huge pages.
    #[must_use]
    pub fn huge_pages(&self) -> HugePages {
        self.huge.as_ref().map_or(HugePages::Never, HugeView::rule)
    }

    /// Has the host make the huge page of a range that has its length and alignment, before anything
    /// there is touched. Where it has none to give, the range is made of ordinary pages.
    pub fn make_huge(&self, range: FrameRange) {
        if let Some(huge) = &self.huge {
            huge.make(range);
        }
    }

    /// Sets who makes room when the guest's memory is used up.
    pub fn set_make_room(&self, make_room: Arc<MakeRoom>) {
        *self.make_room.lock() = Some(make_room);
    }

    /// After an allocation has failed: has room made, which may end processes and take a while. No
    /// lock may be held. Returns whether it is worth trying again.
    #[must_use]
    pub fn make_room(&self, shortage: Shortage) -> bool {
        let make_room = self.make_room.lock().clone();
        make_room.is_some_and(|make_room| make_room(shortage))
    }

    /// The memory that the kernel itself holds.
    #[must_use]
    pub fn kernel(&self) -> KernelMemory {
        KernelMemory::default()
    }

    /// Whether [`look_after_heap`](Self::look_after_heap) has something to do.
    #[must_use]
    pub fn is_look_due(&self) -> bool {
        self.kernel().is_due()
    }

    /// Keeps room for `bytes` that the kernel is about to allocate in one call, as long as the result lives;
    /// none if there is no such room.
    #[must_use]
    pub fn reserve(&self, bytes: u64) -> Option<Reserved<'_>> {
        self.host_room.promise(bytes);
        let reserved = Reserved {
            memory: self,
            bytes,
        };
        self.look_after_heap().then_some(reserved)
    }

    /// Compares what the kernel holds with the limit and with what the host has left. Returns false if
    /// room has to be made. It makes none itself.
    #[must_use]
    pub fn look_after_heap(&self) -> bool {
        self.kernel().take_due();
        if self.kernel().has_shrunk() {
            self.shared.wake_trimmer();
        }
        self.host_room.ask_again();
        self.fits(0)
    }

    /// Whether there is room for an object that will outlive the process that makes it, so that nobody
    /// could be killed for it. These are refused a little before the limit is reached.
    ///
    /// # Errors
    /// `errno` if there is none.
    pub fn check_lasting(&self, errno: Errno) -> Result<()> {
        let limit = self.limit();
        let has_room = || self.host_room.has_lasting_room(limit);
        if has_room() || (self.look_after_heap() && has_room()) {
            Ok(())
        } else {
            Err(errno)
        }
    }

    /// Whether so many more bytes could be allocated now.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.fits(bytes)
    }

    /// How often an allocation did not fit into the limit.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The most bytes that were in use.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// The limit in bytes; `u64::MAX` if there is none.
    #[must_use]
    pub fn limit(&self) -> u64 {
        let own = || self.limit.load(Ordering::Relaxed);
        self.host_room.group_limit().unwrap_or_else(own)
    }

    /// Changes the limit. What is in use already stays.
    pub fn set_limit(&self, limit_bytes: Option<u64>) {
        self.limit
            .store(limit_bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Allocates zero frames of `len` bytes, a multiple of the page size, with one reference.
    ///
    /// # Errors
    /// ENOMEM if the limit, the host or the file is exhausted: then [`make_room`](Self::make_room) may
    /// help. EINVAL if the length is 0 or not page-aligned.
    pub fn allocate(&self, len: u64, kind: Kind, placement: Placement) -> Result<FrameRange> {
        if !self.fits(len) {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(Errno::ENOMEM);
        }
        let mut state = self.shared.state.lock();
        let frames = state.allocator.allocate(len, kind, placement)?;
        self.host_room.gave_frames();
        self.peak
            .fetch_max(state.allocator.usage().total(), Ordering::Relaxed);
        Ok(frames)
    }

    /// Adds a reference to every frame of a range.
    pub fn retain(&self, range: FrameRange) {
        self.shared.state.lock().allocator.retain(range);
    }

    /// Drops a reference of every frame of a range.
    pub fn release(&self, range: FrameRange) {
        let mut state = self.shared.state.lock();
        state.allocator.release(range);
        self.shared.wake_reclaimer(&mut state);
    }

    /// Keeps the frames of a range from being reused until [`unpin`](Self::unpin), without counting
    /// as a further owner: for I/O that is under way.
    pub fn pin(&self, range: FrameRange) {
        self.shared.state.lock().allocator.pin(range);
    }

    /// Ends a [`pin`](Self::pin).
    pub fn unpin(&self, range: FrameRange) {
        let mut state = self.shared.state.lock();
        state.allocator.unpin(range);
        self.shared.wake_reclaimer(&mut state);
    }

    /// Whether the first frame of the range has more than one owner, and for how many bytes of the
    /// range the answer is the same.
    #[must_use]
    pub fn sharing(&self, range: FrameRange) -> (bool, u64) {
        self.uniform(range, |refs, _| refs > 1)
    }

    /// Whether the first frame of the range is pinned, and for how many bytes of the range the
    /// answer is the same.
    #[must_use]
    pub fn pinned(&self, range: FrameRange) -> (bool, u64) {
        self.uniform(range, |_, pins| pins > 0)
    }

    /// How many owners the first frame of the range has, and for how many bytes of the range there
    /// are equally many.
    #[must_use]
    pub fn owners(&self, range: FrameRange) -> (u32, u64) {
        let state = self.shared.state.lock();
        state
            .allocator
            .prefix(range)
            .map_or((0, range.len()), |(counts, len)| (counts.refs, len))
    }

    /// The Sentry's addresses of a range.
    #[must_use]
    pub fn view(&self, range: FrameRange) -> GuestBytes<'_> {
        self.shared.view(range)
    }

    /// How much is in use.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shared.state.lock().allocator.usage()
    }

    /// How many bytes the host has given to the file.
    ///
    /// # Errors
    /// What fstat(2) reports.
    pub fn resident(&self) -> Result<u64> {
        let stat = fs::fstat(&self.shared.fd).map_err(host::errno)?;
        Ok(u64::try_from(stat.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512))
    }

    /// Gives all freed frames back to the host now.
    pub fn reclaim(&self) {
        let mut state = self.shared.clean(self.shared.state.lock());
        // What another thread has taken is not yet there for others.
        while state.cleaning > 0 {
            self.shared.cleaned.wait(&mut state);
        }
    }

    /// Drops the Sentry's own view of everything, to be faulted in again: so that the host's OOM killer
    /// does not take the guest's memory for the Sentry's.
    pub fn forget_view(&self) {
        let len = self.shared.len();
        let base = ptr::without_provenance_mut(self.shared.base);
        // SAFETY: 1. the range is the mapping made in `new`, removed only when `shared` is dropped;
        // 2. it is a shared mapping of a file, whose contents stay, and nothing refers to its bytes but
        // `GuestBytes`, whose accesses may fault at any time. A failure leaves the pages mapped.
        let _ = unsafe { mm::madvise(base, len, Advice::LinuxDontNeed) };
    }

    /// Whether `len` more bytes, with what the kernel itself holds, stay within the limit and what the host
    /// can give. Frames that no one has touched yet do not count once the limit seems reached: what the
    /// host has given does.
    fn fits(&self, len: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let within = |used: u64| {
            let held = self.kernel().held();
            let sum = used.checked_add(len).and_then(|sum| sum.checked_add(held));
            sum.is_some_and(|sum| sum <= limit)
        };
        let allows = |used| {
            let resident = || self.resident().unwrap_or(0);
            self.host_room.allows(used, len, resident)
        };
        let used = self.usage().total();
        if within(used) && allows(used) {
            return true;
        }
        self.reclaim();
        self.kernel().trim();
        let used = self.usage().total();
        (within(used) || self.resident().is_ok_and(within)) && allows(used)
    }

    fn uniform(&self, range: FrameRange, answer: impl Fn(u32, u32) -> bool) -> (bool, u64) {
        let state = self.shared.state.lock();
        let mut first = None;
        let mut len = 0;
        while len < range.len() {
            let rest = range.split_at(len).1;
            let (here, here_len) = state
                .allocator
                .prefix(rest)
                .map_or((false, rest.len()), |(counts, here_len)| {
                    (answer(counts.refs, counts.pins), here_len)
                });
            if *first.get_or_insert(here) != here {
                break;
            }
            len += here_len;
        }
        (first.unwrap_or(false), len)
    }
}

/// Room that is kept ([`MemoryFile::reserve`]).
#[derive(Debug)]
pub struct Reserved<'a> {
    memory: &'a MemoryFile,
    bytes: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.memory.host_room.take_back(self.bytes);
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.shared.state.lock().stopping = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.reclaimer.take() {
            // The thread does not panic; if it did, there is nothing left for it to do.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn new() -> Result<Self> {
        let fd = create()?;
        let mut size = LARGEST;
        let base = loop {
            match fs::ftruncate(&fd, size).and_then(|()| map(&fd, size)) {
                Ok(base) => break base,
                Err(_) if size > SMALLEST => size /= 2,
                Err(error) => return Err(host::errno(error)),
            }
        };
        fs::fcntl_add_seals(&fd, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
            .map_err(host::errno)?;
        let state = State {
            allocator: Allocator::new(size),
            cleaning: 0,
            idle: false,
            trims: false,
            stopping: false,
        };
        Ok(Self {
            fd,
            base,
            size,
            state: Mutex::new(state),
            work: Condvar::new(),
            cleaned: Condvar::new(),
        })
    }

    /// The file's size as a length in memory.
    fn len(&self) -> usize {
        usize::try_from(self.size).expect("the file fits into the address space")
    }

    fn view(&self, range: FrameRange) -> GuestBytes<'_> {
        let end = range.end().min(self.size);
        let start = range.start().min(end);
        let offset = usize::try_from(start).expect("the file fits into the address space");
        let len = usize::try_from(end - start).expect("the file fits into the address space");
        // SAFETY: 1. the clamped range lies in the mapping made in `new`, which is removed only when
        // `self` is dropped; 2. only `GuestBytes` touches it, so there are no references to its bytes.
        unsafe { GuestBytes::new(self.base + offset, len) }
    }

    fn wake_reclaimer(&self, state: &mut MutexGuard<'_, State>) {
        let dirty = state.allocator.usage().dirty;
        if (state.idle && dirty > 0) || dirty >= MANY_DIRTY {
            state.idle = false;
            self.work.notify_one();
        }
    }

    fn wake_trimmer(&self) {
        let mut state = self.state.lock();
        state.trims = true;
        if state.idle {
            state.idle = false;
            self.work.notify_one();
        }
    }

    fn reclaim_until_stopped(&self) {
        let mut state = self.state.lock();
        while !state.stopping {
            if std::mem::take(&mut state.trims) {
                // What frees much often goes on to free more.
                self.work.wait_for(&mut state, TRIM_DELAY);
                MutexGuard::unlocked(&mut state, || KernelMemory::default().trim());
            }
            if state.allocator.usage().dirty == 0 && !state.trims {
                state.idle = true;
                self.work.wait(&mut state);
            } else {
                self.work.wait_for(&mut state, DELAY);
            }
            if !state.stopping && state.allocator.usage().dirty > 0 {
                // A wake-up by the first freed range waits for more of them.
                if state.allocator.usage().dirty < MANY_DIRTY {
                    self.work.wait_for(&mut state, DELAY);
                }
                state = self.clean(state);
            }
        }
    }

    /// Gives all dirty ranges back to the host, without the lock, and makes them available again.
    fn clean<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let dirty = state.allocator.take_dirty();
        state.cleaning += 1;
        for range in dirty {
            let clean = MutexGuard::unlocked(&mut state, || self.make_zero(range));
            if clean {
                state.allocator.put_clean(range);
            } else {
                state.allocator.put_dirty(range);
            }
        }
        state.cleaning -= 1;
        self.cleaned.notify_all();
        state
    }

    fn make_zero(&self, range: FrameRange) -> bool {
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fs::fallocate(&self.fd, punch, range.start(), range.len()).is_ok()
            || self.view(range).zero().is_ok()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let len = self.len();
        // SAFETY: the mapping was made in `new` with this address and size; every `GuestBytes` of it
        // borrowed `self`, so none is left. A failure leaves the mapping in place, which is harmless.
        let _ = unsafe { mm::munmap(ptr::without_provenance_mut(self.base), len) };
    }
}

fn host_total() -> u64 {
    let host = rustix::system::sysinfo();
    host.totalram.saturating_mul(u64::from(host.mem_unit))
}

fn create() -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Hosts before 6.3 do not know the flag, later ones may demand it (vm.memfd_noexec).
    fs::memfd_create("runsc-memory", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| fs::memfd_create("runsc-memory", flags))
        .map_err(host::errno)
}

/// Maps the whole file; the mapping is not inherited by forked processes and not dumped.
fn map(fd: &OwnedFd, size: u64) -> rustix::io::Result<usize> {
    let len = usize::try_from(size).map_err(|_| rustix::io::Errno::NOMEM)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: 1. a new mapping at an address that the kernel chooses replaces nothing; 2. the advice
    // is about that mapping alone and changes no contents.
    unsafe {
        let base = mm::mmap(
            ptr::null_mut(),
            len,
            access,
            MapFlags::SHARED | MapFlags::NORESERVE,
            fd,
            0,
        )?;
        mm::madvise(base, len, Advice::LinuxDontFork)?;
        mm::madvise(base, len, Advice::LinuxDontDump)?;
        Ok(base.addr())
    }
}

#[cfg(test)]
mod tests;
