//! How many open file descriptions there are, and may be (`man 5 proc_sys_fs`, */proc/sys/fs/file-max*).
//!
//! A description counts from the first descriptor that it is given.

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::vfs::file::OpenFile;

/// For calls that should know before they do anything: ENFILE if there may be no more, unless the task is privileged.
pub(crate) fn check(task: &Task) -> Result<()> {
    let kernel = task.kernel();
    if kernel.open_files.get() < kernel.sysctl.file_max()
        || task.has_capability(Capability::SysAdmin)
    {
        Ok(())
    } else {
        Err(Errno::ENFILE)
    }
}

/// Counts a description that is about to have a descriptor, if it is a new one; ENFILE.
pub(crate) fn count(task: &Task, open: &OpenFile) -> Result<()> {
    if open.counted.get().is_some() {
        return Ok(());
    }
    check(task)?;
    let _ = open.counted.set(task.kernel().open_files.charge(1));
    Ok(())
}
