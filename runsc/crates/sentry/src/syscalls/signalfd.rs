//! `man 2 signalfd`: signalfd, signalfd4.

use abi::Errno;
use abi::raw::general as nr;

use super::install;
use crate::error::SyscallResult;
use crate::fs::anon::Anonymous;
use crate::fs::signalfd::SignalFd;
use crate::kernel::signal::SignalSet;
use crate::kernel::task::Task;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::OpenFlags;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_signalfd, "signalfd", signalfd),
    Call::full(nr::__NR_signalfd4, "signalfd4", signalfd4),
];

fn signalfd(task: &Task, args: &SyscallArgs) -> SyscallResult {
    open(task, args, OpenFlags::empty())
}

fn signalfd4(task: &Task, args: &SyscallArgs) -> SyscallResult {
    open(task, args, args.open_flags(3))
}

fn open(task: &Task, args: &SyscallArgs, flags: OpenFlags) -> SyscallResult {
    let fd = args.i32(0);
    let mask: UserPtr<u64> = args.ptr(1);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    if args.usize(2) != abi::signal::SIGSET_LEN {
        return Err(Errno::EINVAL.into());
    }
    let mask = SignalSet(mask.read(&task.mm())?).minus(SignalSet::UNBLOCKABLE);
    if fd != -1 {
        let open = task.files().get(fd)?;
        let file = open.file_as::<SignalFd>().ok_or(Errno::EINVAL)?;
        file.set_mask(mask);
        return Ok(u64::from(fd.unsigned_abs()));
    }
    let file = SignalFd::new(task, mask);
    let what = Anonymous::Inode("[signalfd]");
    install::anonymous(task, what, file, flags | OpenFlags::RDWR)
}
