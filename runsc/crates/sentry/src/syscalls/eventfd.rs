//! `man 2 eventfd`: eventfd, eventfd2.

use abi::Errno;
use abi::raw::general as nr;

use super::install;
use crate::error::SyscallResult;
use crate::fs::anon::Anonymous;
use crate::fs::eventfd::{EventFd, Taking};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::OpenFlags;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_eventfd, "eventfd", eventfd),
    Call::full(nr::__NR_eventfd2, "eventfd2", eventfd2),
];

const EFD_SEMAPHORE: u32 = 1;

fn eventfd(task: &Task, args: &SyscallArgs) -> SyscallResult {
    open(task, args.u32(0), Taking::All, OpenFlags::empty())
}

fn eventfd2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let raw = args.u32(1);
    let taking = if raw & EFD_SEMAPHORE == 0 {
        Taking::All
    } else {
        Taking::One
    };
    let flags = OpenFlags::from_bits_retain(raw & !EFD_SEMAPHORE);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    open(task, args.u32(0), taking, flags)
}

fn open(task: &Task, count: u32, taking: Taking, flags: OpenFlags) -> SyscallResult {
    let file = EventFd::new(task.kernel().unique_id(), count.into(), taking);
    let what = Anonymous::Inode("[eventfd]");
    install::anonymous(task, what, file, flags | OpenFlags::RDWR)
}
