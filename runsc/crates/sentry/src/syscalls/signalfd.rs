//! `man 2 signalfd`: signalfd, signalfd4.

use abi::Errno;
use mm::user_ptr::UserPtr;

use super::install;
use crate::error::SyscallResult;
use crate::fs::anon::Anonymous;
use crate::fs::signalfd::SignalFd;
use crate::kernel::signal::SignalSet;
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFlags;

calls! {
    282 signalfd(fd: Fd, mask: UserPtr<u64> as In(signal::set), size: usize) => full [
            "forms::old_calls_make_descriptors",
        ];
    289 signalfd4(
        fd: Fd,
        mask: UserPtr<u64> as In(signal::set),
        size: usize,
        flags: OpenFlags as Flags(signal::SIGNALFD),
    )
        => full ["eventfd::signalfd_errors", "eventfd::signalfd_changes_its_mask"];
}

fn signalfd(task: &Task, fd: Fd, mask: UserPtr<u64>, size: usize) -> SyscallResult {
    open(task, (fd, mask, size), OpenFlags::empty())
}

fn signalfd4(
    task: &Task,
    fd: Fd,
    mask: UserPtr<u64>,
    size: usize,
    flags: OpenFlags,
) -> SyscallResult {
    open(task, (fd, mask, size), flags)
}

fn open(
    task: &Task,
    (fd, mask, size): (Fd, UserPtr<u64>, usize),
    flags: OpenFlags,
) -> SyscallResult {
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    if size != abi::signal::SIGSET_LEN {
        return Err(Errno::EINVAL.into());
    }
    let mask = SignalSet(mask.read(&task.mm())?).minus(SignalSet::UNBLOCKABLE);
    if fd.0 != -1 {
        let open = task.files().get(fd)?;
        let file = open.file_as::<SignalFd>().ok_or(Errno::EINVAL)?;
        file.set_mask(mask);
        return Ok(u64::from(fd.0.unsigned_abs()));
    }
    let file = SignalFd::new(task, mask);
    let what = Anonymous::Inode("[signalfd]");
    install::anonymous(task, what, file, flags | OpenFlags::RDWR)
}
