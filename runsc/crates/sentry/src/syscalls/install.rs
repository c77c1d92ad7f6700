//! Giving new files their descriptors.

use std::sync::Arc;

use crate::error::{Result, SyscallResult};
use crate::fs::anon::{self, Anonymous};
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::{File, OpenFile, OpenFlags};
use crate::vfs::file_count;

/// Puts `file` at the lowest free number; EMFILE, ENFILE.
pub(super) fn descriptor(task: &Task, file: Arc<OpenFile>, flags: OpenFlags) -> Result<i32> {
    let limit = task.group().limits().get(Resource::OpenFiles).soft;
    file_count::count(task, &file)?;
    let descriptor = Descriptor {
        file,
        close_on_exec: flags.contains(OpenFlags::CLOEXEC),
    };
    task.files().insert(descriptor, 0, limit)
}

/// Opens a file without a name; its descriptor.
pub(super) fn anonymous(
    task: &Task,
    what: Anonymous,
    file: Arc<dyn File>,
    flags: OpenFlags,
) -> SyscallResult {
    let open = anon::open(task, what, file, flags);
    let fd = descriptor(task, open, flags)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// EMFILE if there is no room for a descriptor, ENFILE if there is none for a file: for calls that should know before they do anything.
pub(super) fn check_room(task: &Task) -> Result<()> {
    let limit = task.group().limits().get(Resource::OpenFiles).soft;
    task.files().check_room(limit)?;
    file_count::check(task)
}

/// Gives two files descriptors and stores the numbers at `address`; on failure neither stays.
pub(super) fn pair(
    task: &Task,
    files: [Arc<OpenFile>; 2],
    flags: OpenFlags,
    address: usize,
) -> SyscallResult {
    let [one, two] = files;
    let first = descriptor(task, one, flags)?;
    let second = match descriptor(task, two, flags) {
        Ok(second) => second,
        Err(errno) => {
            task.files().remove(first)?;
            return Err(errno.into());
        }
    };
    let fds = [first, second];
    if let Err(errno) = task.mm().write_value(address, &fds) {
        for fd in fds {
            task.files().remove(fd)?;
        }
        return Err(errno.into());
    }
    Ok(0)
}
