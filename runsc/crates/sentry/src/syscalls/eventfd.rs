//! `man 2 eventfd`: eventfd, eventfd2.

use abi::Errno;

use super::install;
use crate::error::SyscallResult;
use crate::fs::anon::Anonymous;
use crate::fs::eventfd::{EventFd, Taking};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFlags;

calls! {
    284 eventfd(initial: u32) => full ["forms::old_calls_make_descriptors"];
    290 eventfd2(initial: u32, flags: u32 as Flags(file::EVENTFD))
        => full ["aio::event_descriptors_are_told", "openat::files_that_are_opened_are_large"];
}

const EFD_SEMAPHORE: u32 = 1;

fn eventfd(task: &Task, initial: u32) -> SyscallResult {
    open(task, initial, Taking::All, OpenFlags::empty())
}

fn eventfd2(task: &Task, initial: u32, flags: u32) -> SyscallResult {
    let taking = if flags & EFD_SEMAPHORE == 0 {
        Taking::All
    } else {
        Taking::One
    };
    let flags = OpenFlags::from_bits_retain(flags & !EFD_SEMAPHORE);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    open(task, initial, taking, flags)
}

fn open(task: &Task, count: u32, taking: Taking, flags: OpenFlags) -> SyscallResult {
    let file = EventFd::new(task.kernel().unique_id(), count.into(), taking);
    let what = Anonymous::Inode("[eventfd]");
    install::anonymous(task, what, file, flags | OpenFlags::RDWR)
}
