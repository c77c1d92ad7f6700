//! Descriptor tables.

use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::locks::{LockOwner, LockRange};

/// One descriptor.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The open file description.
    pub file: Arc<OpenFile>,
    /// `FD_CLOEXEC`
    pub close_on_exec: bool,
}

/// The descriptors of a task, shared by `CLONE_FILES`. When the last user is gone, so are its record
/// locks. Files are never dropped while the table is locked.
#[derive(Debug, Default)]
pub struct FdTable {
    slots: Mutex<Slots>,
    /// Its address is the table's identity, wherever the table itself moves.
    identity: Box<u8>,
}

#[derive(Clone, Debug, Default)]
struct Slots {
    list: Vec<Option<Descriptor>>,
    /// No slot below is free.
    lowest_free: usize,
}

impl FdTable {
    /// The file of a descriptor; EBADF.
    pub fn get(&self, fd: impl Into<i32>) -> Result<Arc<OpenFile>> {
        let fd = fd.into();
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let slots = self.slots.lock();
        match slots.list.get(index) {
            Some(Some(descriptor)) => Ok(descriptor.file.clone()),
            _ => Err(Errno::EBADF),
        }
    }

    /// A descriptor; EBADF.
    pub fn descriptor(&self, fd: impl Into<i32>) -> Result<Descriptor> {
        let fd = fd.into();
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let slots = self.slots.lock();
        slots.list.get(index).cloned().flatten().ok_or(Errno::EBADF)
    }

    /// EMFILE if no descriptor below `limit` (`RLIMIT_NOFILE`) is free: for calls that would leave
    /// something behind before they find out.
    pub fn check_room(&self, limit: u64) -> Result<()> {
        if self.slots.lock().free_from(0) as u64 >= limit {
            return Err(Errno::EMFILE);
        }
        Ok(())
    }

    /// Puts `descriptor` at the lowest free number from `lowest` on and below `limit` (`RLIMIT_NOFILE`);
    /// EMFILE.
    pub fn insert(&self, descriptor: Descriptor, lowest: usize, limit: u64) -> Result<i32> {
        let mut slots = self.slots.lock();
        let free = slots.free_from(lowest);
        let fd = i32::try_from(free).ok().filter(|_| (free as u64) < limit);
        let Some(fd) = fd else {
            drop(slots);
            return Err(Errno::EMFILE);
        };
        slots.put(free, descriptor);
        Ok(fd)
    }

    /// How much the table grows when a descriptor is put at `fd`, in bytes.
    #[must_use]
    pub fn growth_to(&self, fd: i32) -> u64 {
        let len = self.slots.lock().list.len();
        let wanted = usize::try_from(fd).unwrap_or(0).saturating_add(1);
        (wanted.saturating_sub(len) * size_of::<Option<Descriptor>>()) as u64
    }

    /// What a copy of the table takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.slots.lock().list.len() * size_of::<Option<Descriptor>>()) as u64
    }

    /// `dup2(2)`: puts `descriptor` at `fd`, below `limit` (else EBADF). Returns what was there; the
    /// caller ends it with [`FdTable::ended`].
    pub fn replace(
        &self,
        fd: i32,
        descriptor: Descriptor,
        limit: u64,
    ) -> Result<Option<Descriptor>> {
        let index = usize::try_from(fd).ok().filter(|&at| (at as u64) < limit);
        let index = index.ok_or(Errno::EBADF)?;
        Ok(self.slots.lock().put(index, descriptor))
    }

    /// Takes a descriptor out; EBADF. The caller ends it with [`FdTable::ended`].
    pub fn remove(&self, fd: impl Into<i32>) -> Result<Descriptor> {
        let fd = fd.into();
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.slots.lock().take(index).ok_or(Errno::EBADF)
    }

    /// `close_range(2)`: takes out the descriptors from `first` to `last`.
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Descriptor> {
        let mut slots = self.slots.lock();
        let indices = slots.range(first, last);
        indices.filter_map(|index| slots.take(index)).collect()
    }

    /// `close_range(2)` with `CLOSE_RANGE_CLOEXEC`.
    pub fn set_range_close_on_exec(&self, first: u32, last: u32) {
        let mut slots = self.slots.lock();
        for index in slots.range(first, last) {
            if let Some(Some(descriptor)) = slots.list.get_mut(index) {
                descriptor.close_on_exec = true;
            }
        }
    }

    /// `F_SETFD`; EBADF.
    pub fn set_close_on_exec(&self, fd: impl Into<i32>, close_on_exec: bool) -> Result<()> {
        let fd = fd.into();
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.slots.lock().list.get_mut(index) {
            Some(Some(descriptor)) => {
                descriptor.close_on_exec = close_on_exec;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// A copy for a child without `CLONE_FILES`.
    #[must_use]
    pub fn fork(&self) -> FdTable {
        FdTable {
            slots: Mutex::new(self.slots.lock().clone()),
            identity: Box::default(),
        }
    }

    /// For `execve`: takes out what is close-on-exec. The caller ends each with [`FdTable::ended`].
    pub fn take_close_on_exec(&self) -> Vec<Descriptor> {
        let mut slots = self.slots.lock();
        let closing: Vec<usize> = (0..slots.list.len())
            .filter(
                |&index| matches!(&slots.list[index], Some(descriptor) if descriptor.close_on_exec),
            )
            .collect();
        closing
            .into_iter()
            .filter_map(|index| slots.take(index))
            .collect()
    }

    /// Numbers and descriptors in order, for `/proc/[pid]/fd`.
    #[must_use]
    pub fn list(&self) -> Vec<(i32, Descriptor)> {
        let slots = self.slots.lock();
        let numbered = (0..).zip(slots.list.iter());
        numbered
            .filter_map(|(fd, slot)| Some((fd, slot.clone()?)))
            .collect()
    }

    /// The sum of what `of` finds for all open files; one with several numbers counts each time.
    pub fn sum(&self, of: impl Fn(&OpenFile) -> u64) -> u64 {
        let slots = self.slots.lock();
        let files = slots.list.iter().flatten();
        files.map(|descriptor| of(&descriptor.file)).sum()
    }

    /// How many numbers the table spans, for `FDSize` of `/proc/[pid]/status`.
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.lock().list.len().next_power_of_two().max(64)
    }

    /// To whom record locks set through this table belong.
    #[must_use]
    pub fn lock_owner(&self) -> LockOwner {
        LockOwner::Table(std::ptr::from_ref(&*self.identity).addr())
    }

    /// A descriptor of this table has been taken out: the process's record locks on the file go, and
    /// the file hears of it (`man 2 close`).
    pub fn ended(&self, task: &Task, descriptor: Descriptor) -> Result<()> {
        self.release_record_locks(&descriptor);
        descriptor.file.file().flush(task)
    }

    /// One of `O_PATH` is none by which locks are had or lost.
    fn release_record_locks(&self, descriptor: &Descriptor) {
        if descriptor.file.flags().contains(OpenFlags::PATH) {
            return;
        }
        let locks = &descriptor.file.inode().shared().locks;
        locks.clear(self.lock_owner(), LockRange::ALL);
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        let list = std::mem::take(&mut self.slots.get_mut().list);
        for descriptor in list.into_iter().flatten() {
            self.release_record_locks(&descriptor);
        }
    }
}

impl Slots {
    fn free_from(&self, lowest: usize) -> usize {
        let from = lowest.max(self.lowest_free);
        let mut slots = self.list.iter().enumerate().skip(from);
        slots
            .find_map(|(index, slot)| slot.is_none().then_some(index))
            .unwrap_or(self.list.len().max(from))
    }

    fn put(&mut self, index: usize, descriptor: Descriptor) -> Option<Descriptor> {
        if index >= self.list.len() {
            self.list.resize(index + 1, None);
        }
        if index == self.lowest_free {
            self.lowest_free += 1;
        }
        self.list[index].replace(descriptor)
    }

    fn take(&mut self, index: usize) -> Option<Descriptor> {
        let taken = self.list.get_mut(index)?.take();
        if taken.is_some() {
            self.lowest_free = self.lowest_free.min(index);
        }
        taken
    }

    /// The indices from `first` to `last` that there are.
    fn range(&self, first: u32, last: u32) -> Range<usize> {
        let len = self.list.len();
        let end = usize::try_from(last).map_or(len, |last| last.saturating_add(1).min(len));
        usize::try_from(first).unwrap_or(len).min(end)..end
    }
}

/// A task no longer uses `files`; the last one closes every descriptor.
pub fn release(task: &Task, files: Arc<FdTable>) {
    let Some(table) = Arc::into_inner(files) else {
        return;
    };
    for descriptor in table.remove_range(0, u32::MAX) {
        // Nobody is left to be told of a failure.
        let _ = table.ended(task, descriptor);
    }
}
