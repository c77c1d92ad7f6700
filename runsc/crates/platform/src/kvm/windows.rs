//! Windows: 2 MiB pieces of host files that are guest-physical memory.
//!
//! A window is counted by the page-table entries that lead to it, and stays for a while after the
//! last is gone. It is known by its file and where in the file it is. Files are told apart by
//! device and inode; one that is open for reading only also by its change time, since under an
//! overlay the same inode has other content after it was copied up.

use super::layout::{Layout, WINDOW, WINDOWS_PER_SLOT};
use super::region::Region;
use super::slots::{Slot, Slots};
use crate::{Access, Result};
use abi::Errno;
use parking_lot::Mutex;
use rustix::fs::{self, OFlags};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How many windows that nothing leads to are kept.
const MOST_IDLE: usize = 512;
/// How many of them are closed at once where the host gives no more descriptors.
const ROOM: usize = 16;
/// A deleted file shorter than this is let go of at once: it may be somebody's disk space. The
/// guest's memory file, which has no name either, is longer.
const LONG_FILE: u64 = 1 << 30;

/// All windows.
#[derive(Debug)]
pub(super) struct Windows {
    layout: Layout,
    slots: Arc<Slots>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Arc<Slot>>,
    windows: Vec<Window>,
    free: Vec<u32>,
    by_key: HashMap<(FileKey, u64), u32>,
    /// One descriptor of each file that windows show.
    files: HashMap<FileKey, Arc<OwnedFd>>,
    /// Windows that have become idle, with their generation then; those that are in use again are
    /// skipped when their turn comes.
    idle: VecDeque<(u32, u64)>,
    nr_idle: usize,
}

#[derive(Debug, Default)]
struct Window {
    of: Option<Content>,
    nr_pages: u64,
    generation: u64,
}

#[derive(Clone, Debug)]
struct Content {
    key: FileKey,
    index: u64,
    file: Arc<OwnedFd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileKey {
    device: u64,
    inode: u64,
    writable: bool,
    changed: Option<(i64, u64)>,
}

/// A file to be mapped, as its descriptor says.
#[derive(Debug)]
pub(super) struct File<'fd> {
    fd: BorrowedFd<'fd>,
    key: FileKey,
}

impl<'fd> File<'fd> {
    /// Looks at a descriptor.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn new(fd: BorrowedFd<'fd>) -> Result<File<'fd>> {
        let stat = fs::fstat(fd).map_err(host::errno)?;
        let flags = fs::fcntl_getfl(fd).map_err(host::errno)?;
        let writable = flags & OFlags::RWMODE == OFlags::RDWR;
        let changed = (stat.st_ctime, stat.st_ctime_nsec);
        let key = FileKey {
            device: stat.st_dev,
            inode: stat.st_ino,
            writable,
            changed: (!writable).then_some(changed),
        };
        Ok(File { fd, key })
    }

    /// Whether its pages may be mapped writable.
    pub(super) fn is_writable(&self) -> bool {
        self.key.writable
    }
}

impl Windows {
    pub(super) fn new(layout: Layout, slots: &Arc<Slots>) -> Windows {
        Windows {
            layout,
            slots: Arc::clone(slots),
            state: Mutex::default(),
        }
    }

    /// The window of a file's piece `index`, with `nr_pages` more entries that lead to it: its
    /// number and guest-physical address.
    ///
    /// # Errors
    /// `ENOMEM` when there is no place for another, and what mmap(2) reports of the file.
    pub(super) fn acquire(&self, file: &File<'_>, index: u64, nr_pages: u64) -> Result<(u32, u64)> {
        let mut state = self.state.lock();
        let number = match state.by_key.get(&(file.key, index)) {
            Some(&number) => number,
            None => self.open(&mut state, file, index)?,
        };
        let state = &mut *state;
        let window = window_mut(&mut state.windows, number)?;
        if window.nr_pages == 0 {
            window.generation += 1;
            state.nr_idle = state.nr_idle.saturating_sub(1);
        }
        window.nr_pages += nr_pages;
        let at = self.layout.window(number).ok_or(Errno::ENOMEM)?;
        Ok((number, at))
    }

    /// Takes back `nr_pages` entries that led to a window.
    pub(super) fn release(&self, number: u32, nr_pages: u64) {
        let mut state = self.state.lock();
        let Ok(window) = window_mut(&mut state.windows, number) else {
            return;
        };
        window.nr_pages = window.nr_pages.saturating_sub(nr_pages);
        if window.nr_pages > 0 {
            return;
        }
        let generation = window.generation;
        let deleted = window.of.as_ref().is_some_and(is_deleted);
        state.nr_idle += 1;
        if deleted {
            self.close(&mut state, number);
            return;
        }
        state.idle.push_back((number, generation));
        while state.nr_idle > MOST_IDLE {
            if !self.close_idlest(&mut state) {
                break;
            }
        }
    }

    /// Whether the pages of a window may be written.
    pub(super) fn is_writable(&self, number: u32) -> bool {
        let state = self.state.lock();
        let window = usize::try_from(number)
            .ok()
            .and_then(|n| state.windows.get(n));
        window.is_some_and(|window| window.of.as_ref().is_some_and(|of| of.key.writable))
    }

    /// How many bytes of a window its file has.
    pub(super) fn bytes_in_file(&self, number: u32) -> Option<u64> {
        let state = self.state.lock();
        let content = state.windows.get(usize::try_from(number).ok()?)?.of.clone();
        drop(state);
        let content = content?;
        let size = fs::fstat(&content.file).ok()?.st_size;
        let size = u64::try_from(size).ok()?;
        Some(size.saturating_sub(content.index * WINDOW).min(WINDOW))
    }

    /// Makes KVM forget a range of guest-physical memory, within one window: on return no vCPU
    /// uses it without having looked at its page tables again.
    pub(super) fn forget(&self, range: &Range<u64>) {
        if let Some((slot, at, len)) = self.in_slot(range) {
            slot.region().drop_pages(at, len);
        }
    }

    /// Has the host give the pages of a range of guest-physical memory, within one window, that is
    /// about to be touched.
    pub(super) fn populate(&self, range: &Range<u64>, access: Access) {
        if let Some((slot, at, len)) = self.in_slot(range) {
            let writable = access.contains(Access::WRITE);
            slot.region().populate(at, len, writable);
        }
    }

    /// Closes windows that nothing leads to, the idlest first; false if there are none.
    pub(super) fn make_room(&self) -> bool {
        let mut state = self.state.lock();
        (0..ROOM).filter(|_| self.close_idlest(&mut state)).count() > 0
    }

    /// Takes all windows out of this process's page tables, and KVM's; they are entered again where they are used.
    pub(super) fn forget_view(&self) {
        for slot in &self.state.lock().slots {
            slot.region().drop_pages(0, slot.region().len());
        }
    }

    /// Where a range of guest-physical memory within one window is. Windows that entries lead to stay.
    fn in_slot(&self, range: &Range<u64>) -> Option<(Arc<Slot>, usize, usize)> {
        let (number, offset) = self.layout.window_of(range.start)?;
        let (slot, in_slot) = (number / WINDOWS_PER_SLOT, number % WINDOWS_PER_SLOT);
        let at = u64::from(in_slot) * WINDOW + offset;
        let len = range.end.checked_sub(range.start)?;
        let state = self.state.lock();
        let slot = Arc::clone(state.slots.get(usize::try_from(slot).ok()?)?);
        Some((slot, usize::try_from(at).ok()?, usize::try_from(len).ok()?))
    }

    /// Reads a few bytes of guest-physical memory, through the file that they are of.
    pub(super) fn read(&self, address: u64, bytes: &mut [u8]) -> Option<usize> {
        let (number, offset) = self.layout.window_of(address)?;
        let state = self.state.lock();
        let content = state
            .windows
            .get(usize::try_from(number).ok()?)?
            .of
            .clone()?;
        drop(state);
        let at = content.index * WINDOW + offset;
        rustix::io::pread(content.file.as_fd(), bytes, at).ok()
    }

    fn open(&self, state: &mut State, file: &File<'_>, index: u64) -> Result<u32> {
        let number = self.free_window(state)?;
        let own = self.descriptor(state, file);
        let place = || {
            let own = own?;
            let (region, at) = place_of(&state.slots, number)?;
            let len = usize::try_from(WINDOW).map_err(|_| Errno::EINVAL)?;
            let offset = index.checked_mul(WINDOW).ok_or(Errno::EOVERFLOW)?;
            region.place(at, len, own.as_fd(), offset, file.key.writable)?;
            Ok(own)
        };
        let own = match place() {
            Ok(own) => own,
            Err(error) => {
                state.free.push(number);
                state.drop_descriptor(file.key);
                return Err(error);
            }
        };
        let window = window_mut(&mut state.windows, number)?;
        window.nr_pages = 0;
        window.of = Some(Content {
            key: file.key,
            index,
            file: own,
        });
        state.by_key.insert((file.key, index), number);
        state.nr_idle += 1; // the caller is about to use it
        Ok(number)
    }

    /// A descriptor that stays open with the windows of a file: the same for all of them. Where the host gives
    /// no more, windows that nothing leads to make room.
    fn descriptor(&self, state: &mut State, file: &File<'_>) -> Result<Arc<OwnedFd>> {
        if let Some(own) = state.files.get(&file.key) {
            return Ok(Arc::clone(own));
        }
        let own = loop {
            match rustix::io::fcntl_dupfd_cloexec(file.fd, 0).map_err(host::errno) {
                Ok(own) => break Arc::new(own),
                Err(Errno::EMFILE) if self.close_idlest(state) => {}
                Err(error) => return Err(error),
            }
        };
        state.files.insert(file.key, Arc::clone(&own));
        Ok(own)
    }

    fn free_window(&self, state: &mut State) -> Result<u32> {
        if let Some(number) = state.free.pop() {
            return Ok(number);
        }
        if let Err(error) = self.add_slot(state)
            && !self.close_idlest(state)
        {
            return Err(error);
        }
        state.free.pop().ok_or(Errno::ENOMEM)
    }

    fn add_slot(&self, state: &mut State) -> Result<()> {
        let first = u32::try_from(state.windows.len()).map_err(|_| Errno::ENOMEM)?;
        let last = first
            .checked_add(WINDOWS_PER_SLOT - 1)
            .ok_or(Errno::ENOMEM)?;
        let at = self.layout.window(first).ok_or(Errno::ENOMEM)?;
        self.layout.window(last).ok_or(Errno::ENOMEM)?;
        let len = WINDOW * u64::from(WINDOWS_PER_SLOT);
        let region = Region::reserve(usize::try_from(len).map_err(|_| Errno::ENOMEM)?)?;
        state.slots.push(Arc::new(self.slots.add(at, region)?));
        for number in (first..=last).rev() {
            state.windows.push(Window::default());
            state.free.push(number);
        }
        Ok(())
    }

    /// Closes the window that has been idle for longest; false if there is none.
    fn close_idlest(&self, state: &mut State) -> bool {
        while let Some((number, generation)) = state.idle.pop_front() {
            let window = window_mut(&mut state.windows, number);
            let idle = window.is_ok_and(|window| {
                window.nr_pages == 0 && window.generation == generation && window.of.is_some()
            });
            if idle {
                self.close(state, number);
                return true;
            }
        }
        false
    }

    fn close(&self, state: &mut State, number: u32) {
        let Ok(window) = window_mut(&mut state.windows, number) else {
            return;
        };
        window.generation += 1;
        let Some(content) = window.of.take() else {
            return;
        };
        state.by_key.remove(&(content.key, content.index));
        let key = content.key;
        drop(content);
        state.drop_descriptor(key);
        state.nr_idle = state.nr_idle.saturating_sub(1);
        let cleared = place_of(&state.slots, number)
            .and_then(|(region, at)| region.clear(at, usize::try_from(WINDOW).unwrap_or_default()));
        match cleared {
            Ok(()) => state.free.push(number),
            // It stays mapped, and is not used again.
            Err(errno) => tracing::warn!(%errno, "a window on a host file can't be closed"),
        }
    }
}

impl State {
    /// Closes the descriptor of a file that no window shows any more.
    fn drop_descriptor(&mut self, key: FileKey) {
        let unused = |own: &Arc<OwnedFd>| Arc::strong_count(own) == 1;
        if self.files.get(&key).is_some_and(unused) {
            self.files.remove(&key);
        }
    }
}

fn is_deleted(content: &Content) -> bool {
    let stat = fs::fstat(&content.file);
    stat.is_ok_and(|stat| {
        stat.st_nlink == 0 && u64::try_from(stat.st_size).is_ok_and(|size| size < LONG_FILE)
    })
}

fn window_mut(windows: &mut [Window], number: u32) -> Result<&mut Window> {
    let index = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
    windows.get_mut(index).ok_or(Errno::EINVAL)
}

/// The region that a window is in, and where.
fn place_of(slots: &[Arc<Slot>], number: u32) -> Result<(&Region, usize)> {
    let slot = usize::try_from(number / WINDOWS_PER_SLOT).map_err(|_| Errno::EINVAL)?;
    let at = u64::from(number % WINDOWS_PER_SLOT) * WINDOW;
    let region = slots.get(slot).ok_or(Errno::EINVAL)?.region();
    Ok((region, usize::try_from(at).map_err(|_| Errno::EINVAL)?))
}
