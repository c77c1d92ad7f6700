//! Process descriptors (`man 2 pidfd_open`).

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::fs::anon::{self, Anonymous};
use crate::kernel::Task;
use crate::kernel::limits::Resource;
use crate::kernel::ptrace::access;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::{File, OpenFile, OpenFlags};
use crate::vfs::file_count;

/// Holds a process, not its number: never another one that got the number later.
#[derive(Debug)]
pub struct PidFd {
    group: Arc<ThreadGroup>,
}

impl PidFd {
    /// The process.
    #[must_use]
    pub fn group(&self) -> &Arc<ThreadGroup> {
        &self.group
    }
}

impl File for PidFd {
    fn poll(&self) -> Events {
        if self.group.pid() == 0 {
            Events::IN | Events::RDNORM | Events::HUP
        } else if self.group.is_zombie() {
            Events::IN | Events::RDNORM
        } else {
            Events::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.group.exit_event)
    }

    fn fd_info(&self) -> String {
        match self.group.pid() {
            0 => "Pid:\t-1\nNSpid:\t-1\n".to_owned(),
            pid => format!("Pid:\t{pid}\nNSpid:\t{pid}\n"),
        }
    }
}

/// A file for `group`.
#[must_use]
pub fn new_file(task: &Task, group: &Arc<ThreadGroup>, flags: OpenFlags) -> Arc<OpenFile> {
    let file = Arc::new(PidFd {
        group: group.clone(),
    });
    let what = Anonymous::Inode("[pidfd]");
    anon::open(task, what, file, flags | OpenFlags::RDWR)
}

/// Opens a descriptor for `group` in the table of `task`; close-on-exec, as always with these. EMFILE.
pub fn open(task: &Task, group: &Arc<ThreadGroup>, flags: OpenFlags) -> Result<i32> {
    let limit = task.group().limits().get(Resource::OpenFiles).soft;
    let file = new_file(task, group, flags);
    file_count::count(task, &file)?;
    let descriptor = Descriptor {
        file,
        close_on_exec: true,
    };
    task.files().insert(descriptor, 0, limit)
}

/// The process behind an open file; EBADF for other files.
pub fn group_of(open: &OpenFile) -> Result<&Arc<ThreadGroup>> {
    open.file_as::<PidFd>()
        .map(PidFd::group)
        .ok_or(Errno::EBADF)
}

/// `pidfd_getfd(2)`: the file behind descriptor `fd` of `group`. ESRCH, EBADF; EPERM if `task` may not
/// trace it.
pub fn take_file(task: &Task, group: &Arc<ThreadGroup>, fd: i32) -> Result<Arc<OpenFile>> {
    let target = group.leader().ok_or(Errno::ESRCH)?;
    access::check(task, &target, access::Mode::Real)?;
    if group.is_zombie() {
        return Err(Errno::ESRCH);
    }
    target.files().get(fd)
}
