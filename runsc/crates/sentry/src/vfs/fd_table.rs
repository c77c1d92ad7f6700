//! Descriptor tables.

use std::sync::Arc;

use abi::Errno;
use parking_lot::Mutex;

use crate::error::Result;
use crate::vfs::file::OpenFile;

/// One descriptor.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The open file description.
    pub file: Arc<OpenFile>,
    /// FD_CLOEXEC
    pub close_on_exec: bool,
}

/// The descriptors of a task, shared by CLONE_FILES.
#[derive(Debug, Default)]
pub struct FdTable {
    slots: Mutex<Vec<Option<Descriptor>>>,
}

impl FdTable {
    /// The file of a descriptor; EBADF.
    pub fn get(&self, fd: i32) -> Result<Arc<OpenFile>> {
        self.descriptor(fd).map(|descriptor| descriptor.file)
    }

    /// A descriptor; EBADF.
    pub fn descriptor(&self, fd: i32) -> Result<Descriptor> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.slots
            .lock()
            .get(index)
            .cloned()
            .flatten()
            .ok_or(Errno::EBADF)
    }

    /// Puts `descriptor` at the lowest free number from `lowest` on and below `limit` (RLIMIT_NOFILE);
    /// EMFILE.
    pub fn insert(&self, descriptor: Descriptor, lowest: usize, limit: u64) -> Result<i32> {
        let mut slots = self.slots.lock();
        let free = slots
            .iter()
            .skip(lowest)
            .position(Option::is_none)
            .map_or(slots.len().max(lowest), |at| lowest + at);
        if free as u64 >= limit {
            return Err(Errno::EMFILE);
        }
        let fd = i32::try_from(free).map_err(|_| Errno::EMFILE)?;
        if free >= slots.len() {
            slots.resize(free + 1, None);
        }
        slots[free] = Some(descriptor);
        Ok(fd)
    }

    /// Takes a descriptor out; EBADF. The caller flushes the file.
    pub fn remove(&self, fd: i32) -> Result<Descriptor> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.slots
            .lock()
            .get_mut(index)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)
    }

    /// A copy for a child without CLONE_FILES.
    #[must_use]
    pub fn fork(&self) -> FdTable {
        FdTable {
            slots: Mutex::new(self.slots.lock().clone()),
        }
    }

    /// For `execve`: takes out what is close-on-exec.
    pub fn take_close_on_exec(&self) -> Vec<Descriptor> {
        let mut slots = self.slots.lock();
        slots
            .iter_mut()
            .filter_map(|slot| slot.take_if(|descriptor| descriptor.close_on_exec))
            .collect()
    }
}

/// A task no longer uses `files`; the last one closes every descriptor.
pub fn release(task: &crate::kernel::Task, files: Arc<FdTable>) {
    let Ok(table) = Arc::try_unwrap(files) else {
        return;
    };
    for descriptor in table.slots.into_inner().into_iter().flatten() {
        // Nobody is left to be told of a failure.
        let _ = descriptor.file.file().flush(task);
    }
}
