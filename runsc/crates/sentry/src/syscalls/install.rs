//! Giving new files their descriptors.

use std::sync::Arc;

use crate::error::{Result, SyscallResult};
use crate::fs::anon::{self, Anonymous};
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::{File, OpenFile, OpenFlags};

/// Puts `file` at the lowest free number; EMFILE.
pub(super) fn descriptor(task: &Task, file: Arc<OpenFile>, flags: OpenFlags) -> Result<i32> {
    let limit = task.group().limits().get(Resource::OpenFiles).soft;
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
