//! An address space: page tables, and the windows that they lead to.

use super::interrupt::Flag;
use super::layout::{PAGE, WINDOW};
use super::machine::Machine;
use super::tables::{Entry, PageRanges, Tables};
use super::windows::File;
use crate::{Access, Result};
use abi::{Errno, PAGE_SIZE};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

/// When all of a space with more tables than this is unmapped, it gets fresh ones.
const FEW_TABLES: usize = 256;

/// A space of the KVM platform.
#[derive(Debug)]
pub(crate) struct Space {
    machine: Arc<Machine>,
    root: AtomicU64,
    state: Mutex<State>,
    /// The contexts that are in the space.
    residents: Mutex<Vec<Arc<Flag>>>,
}

#[derive(Debug)]
struct State {
    /// There always is one, but while the space is dropped.
    tables: Option<Tables>,
    /// How many entries lead to which window.
    nr_pages: HashMap<u32, u64>,
    /// Groups that are open, one a thread.
    groups: Vec<OpenGroup>,
}

/// What the calls of a group have left to be done when it is closed.
#[derive(Debug)]
struct OpenGroup {
    owner: ThreadId,
    /// How many groups there are, one within the other.
    nr_open: usize,
    change: Change,
}

/// What a change of entries has left to be done.
#[derive(Debug, Default)]
struct Change {
    stale: PageRanges,
    /// What entries newly lead to.
    fresh: PageRanges,
    /// Pages that entries no longer lead to, by window.
    released: HashMap<u32, u64>,
}

impl Space {
    pub(crate) fn new(machine: &Arc<Machine>) -> Result<Space> {
        let tables = machine.new_tables().map_err(|error| match error {
            Errno::ENOMEM => Errno::ENOMEM,
            _ => Errno::EAGAIN,
        })?;
        Ok(Space {
            machine: Arc::clone(machine),
            root: AtomicU64::new(tables.root()),
            state: Mutex::new(State {
                tables: Some(tables),
                nr_pages: HashMap::new(),
                groups: Vec::new(),
            }),
            residents: Mutex::default(),
        })
    }

    /// What `CR3` is in the space. To be read between [`Flag::enter`] and [`Flag::leave`].
    pub(super) fn root(&self) -> u64 {
        self.root.load(Ordering::SeqCst)
    }

    pub(super) fn enter(&self, flag: &Arc<Flag>) {
        self.residents.lock().push(Arc::clone(flag));
    }

    pub(super) fn leave(&self, flag: &Arc<Flag>) {
        self.residents
            .lock()
            .retain(|other| !Arc::ptr_eq(other, flag));
    }

    pub(crate) fn map(
        &self,
        at: Range<usize>,
        fd: BorrowedFd<'_>,
        offset: u64,
        access: Access,
        populate: bool,
    ) -> Result<()> {
        if !offset.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if access.is_empty() {
            return self.unmap(at);
        }
        let file = File::new(fd)?;
        if access.contains(Access::WRITE) && !file.is_writable() {
            return Err(Errno::EACCES);
        }
        let mut state = self.state.lock();
        let mut change = Change::default();
        let result = self.map_pieces(&mut state, &mut change, at, &file, offset, access);
        if populate {
            for range in change.fresh.ranges() {
                self.machine.windows().populate(range, access);
            }
        }
        self.follow_up(&mut state, change);
        result
    }

    fn map_pieces(
        &self,
        state: &mut State,
        change: &mut Change,
        at: Range<usize>,
        file: &File<'_>,
        offset: u64,
        access: Access,
    ) -> Result<()> {
        let State {
            tables, nr_pages, ..
        } = state;
        let tables = tables.as_mut().ok_or(Errno::ESRCH)?;
        if tables.are_many() {
            return Err(Errno::ENOMEM);
        }
        let mut address = at.start;
        let mut offset = offset;
        while address < at.end {
            let in_window = offset % WINDOW;
            let left = usize::try_from(WINDOW - in_window).map_err(|_| Errno::EINVAL)?;
            let len = left.min(at.end - address);
            tables.reach(self.machine.chunks(), address)?;
            tables.reach(self.machine.chunks(), address + len - PAGE_SIZE)?;
            let pages = (len / PAGE_SIZE) as u64;
            let windows = self.machine.windows();
            let (number, window) = windows.acquire(file, offset / WINDOW, pages)?;
            *nr_pages.entry(number).or_default() += pages;
            for page in 0..pages {
                let new = Entry::user(window + in_window + page * PAGE, access);
                change.fresh.add(new.page());
                let old = tables.set(address, new);
                if old.is_present() {
                    change.replace(&self.machine, old, new);
                }
                address += PAGE_SIZE;
            }
            offset = offset.checked_add(len as u64).ok_or(Errno::EOVERFLOW)?;
        }
        Ok(())
    }

    pub(crate) fn protect(&self, range: Range<usize>, access: Access) -> Result<()> {
        let mut state = self.state.lock();
        let mut change = Change::default();
        let mut nr_present = 0;
        state.tables()?.update(&range, |_, old| {
            nr_present += 1;
            let new = self.with_access(old, access);
            if new.is_present() {
                change.note_stale(old, new);
            } else {
                change.replace(&self.machine, old, new);
            }
            new
        });
        self.follow_up(&mut state, change);
        if nr_present < range.len() / PAGE_SIZE {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// An entry with another access; not writable where the file may not be written.
    fn with_access(&self, old: Entry, access: Access) -> Entry {
        let raised = access.contains(Access::WRITE) && !old.is_writable();
        let number = self.machine.layout().window_of(old.page());
        let refused = raised && number.is_none_or(|(n, _)| !self.machine.windows().is_writable(n));
        let access = if refused {
            access - Access::WRITE
        } else {
            access
        };
        if access.is_empty() {
            return Entry::NONE;
        }
        Entry::user(old.page(), access)
    }

    pub(crate) fn unmap(&self, range: Range<usize>) -> Result<()> {
        let everything = self.machine.is_everything(&range);
        let mut state = self.state.lock();
        if everything && state.tables()?.nr_leaves() > FEW_TABLES {
            return self.begin_again(&mut state);
        }
        self.clear(&mut state, &range, |_, _| true)?;
        Ok(())
    }

    /// Empties the entries of a range that `condition` picks; their addresses.
    fn clear(
        &self,
        state: &mut State,
        range: &Range<usize>,
        condition: impl Fn(usize, Entry) -> bool,
    ) -> Result<Vec<usize>> {
        let mut change = Change::default();
        let mut cleared = Vec::new();
        state.tables()?.update(range, |address, old| {
            if !condition(address, old) {
                return old;
            }
            change.replace(&self.machine, old, Entry::NONE);
            cleared.push(address);
            Entry::NONE
        });
        self.follow_up(state, change);
        Ok(cleared)
    }

    /// Gives the space a fresh tree, and waits until no vCPU uses the old one.
    fn begin_again(&self, state: &mut State) -> Result<()> {
        let fresh = self.machine.new_tables()?;
        self.root.store(fresh.root(), Ordering::SeqCst);
        let old = state.tables.replace(fresh);
        for flag in self.residents.lock().iter() {
            flag.wait_for_lap();
        }
        if let Some(old) = old {
            old.give_back();
        }
        for (number, pages) in state.nr_pages.drain() {
            self.machine.windows().release(number, pages);
        }
        // Nothing is left of what they were about.
        for group in &mut state.groups {
            group.change = Change::default();
        }
        Ok(())
    }

    /// Opens a group of the calling thread's.
    pub(crate) fn open_group(&self) {
        let owner = std::thread::current().id();
        let mut state = self.state.lock();
        match state.group(owner) {
            Some(group) => group.nr_open += 1,
            None => state.groups.push(OpenGroup {
                owner,
                nr_open: 1,
                change: Change::default(),
            }),
        }
    }

    /// Closes the calling thread's innermost group; with the outermost one all its calls take effect.
    pub(crate) fn close_group(&self) {
        let owner = std::thread::current().id();
        let mut state = self.state.lock();
        if let Some(group) = state.group(owner) {
            group.nr_open -= 1;
        }
        let closed = |group: &OpenGroup| group.nr_open == 0;
        if let Some(index) = state.groups.iter().position(closed) {
            let change = state.groups.swap_remove(index).change;
            self.finish(&mut state, &change);
        }
    }

    /// Has a change of entries take effect: now, or with the calling thread's group.
    fn follow_up(&self, state: &mut State, change: Change) {
        if change.is_empty() {
            return;
        }
        match state.group(std::thread::current().id()) {
            Some(group) => group.change.append(change),
            None => self.finish(state, &change),
        }
    }

    /// Does what has to follow a change of entries before the lock is let go of.
    fn finish(&self, state: &mut State, change: &Change) {
        let windows = self.machine.windows();
        for range in change.stale.merged() {
            windows.forget(&range);
        }
        for (&number, &pages) in &change.released {
            if let Some(count) = state.nr_pages.get_mut(&number) {
                *count = count.saturating_sub(pages);
                if *count == 0 {
                    state.nr_pages.remove(&number);
                }
            }
            windows.release(number, pages);
        }
    }

    /// Whether a page fault at an address, with this error code, would not happen now.
    pub(super) fn allows(&self, address: usize, error_code: u64) -> bool {
        self.entry(address).allows(error_code)
    }

    /// Whether there is a page at an address.
    pub(super) fn has_page(&self, address: usize) -> bool {
        self.entry(address).is_present()
    }

    fn entry(&self, address: usize) -> Entry {
        let state = self.state.lock();
        let tables = state.tables.as_ref();
        tables.map_or(Entry::NONE, |tables| tables.get(address))
    }

    /// The bytes of an instruction, as far as its pages are there; zeroes from there.
    pub(super) fn code_at(&self, rip: u64) -> [u8; 3] {
        let mut code = [0; 3];
        for (index, byte) in code.iter_mut().enumerate() {
            let address = usize::try_from(rip)
                .ok()
                .and_then(|rip| rip.checked_add(index));
            let Some(address) = address.filter(|&address| address < crate::ptrace::USER_END) else {
                break;
            };
            let entry = self.entry(address);
            let mut one = [0];
            let at = entry.page() + (address % PAGE_SIZE) as u64;
            if !entry.is_present() || self.machine.windows().read(at, &mut one) != Some(1) {
                break;
            }
            [*byte] = one;
        }
        code
    }

    /// Unmaps all pages that are beyond the ends of their files, which the host can't give; their
    /// addresses. Touching one then faults, which tells where.
    pub(super) fn hide_lost_pages(&self) -> Vec<usize> {
        let mut state = self.state.lock();
        let windows = self.machine.windows();
        let short: HashMap<u32, u64> = state
            .nr_pages
            .keys()
            .filter_map(|&number| Some((number, windows.bytes_in_file(number)?)))
            .filter(|&(_, bytes)| bytes < WINDOW)
            .collect();
        let layout = self.machine.layout();
        let is_lost = |_: usize, entry: Entry| {
            layout
                .window_of(entry.page())
                .and_then(|(number, offset)| Some(offset >= *short.get(&number)?))
                .unwrap_or(false)
        };
        self.clear(&mut state, &(0..crate::ptrace::USER_END), is_lost)
            .unwrap_or_default()
    }
}

impl State {
    fn tables(&self) -> Result<&Tables> {
        self.tables.as_ref().ok_or(Errno::ESRCH)
    }

    /// The open group of a thread.
    fn group(&mut self, owner: ThreadId) -> Option<&mut OpenGroup> {
        self.groups.iter_mut().find(|group| group.owner == owner)
    }
}

impl Change {
    /// Whether nothing has to follow.
    fn is_empty(&self) -> bool {
        self.stale.ranges().is_empty() && self.released.is_empty()
    }

    /// Adds what a later call has left to be done.
    fn append(&mut self, later: Change) {
        self.stale.append(later.stale);
        for (number, pages) in later.released {
            *self.released.entry(number).or_default() += pages;
        }
    }

    /// Notes that an entry no longer leads to `old`, which was present, but to `new`.
    fn replace(&mut self, machine: &Machine, old: Entry, new: Entry) {
        self.note_stale(old, new);
        if let Some((number, _)) = machine.layout().window_of(old.page()) {
            *self.released.entry(number).or_default() += 1;
        }
    }

    /// Notes that KVM may know an entry as `old` that is now `new`.
    fn note_stale(&mut self, old: Entry, new: Entry) {
        if !old.is_within(new) {
            self.stale.add(old.page());
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(tables) = state.tables.take() {
            tables.give_back();
        }
        for (number, pages) in state.nr_pages.drain() {
            self.machine.windows().release(number, pages);
        }
    }
}
