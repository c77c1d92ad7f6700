//! `man 2 pipe`: pipe, pipe2.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use super::install;
use crate::error::SyscallResult;
use crate::fs::anon::{self, Anonymous};
use crate::fs::pipe::Pipe;
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::{OpenFile, OpenFlags};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_pipe, "pipe", pipe),
    Call::partial(
        nr::__NR_pipe2,
        "pipe2",
        pipe2,
        "O_NOTIFICATION_PIPE is EINVAL",
    ),
];

fn pipe(task: &Task, args: &SyscallArgs) -> SyscallResult {
    open(task, args.usize(0), OpenFlags::empty())
}

fn pipe2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.open_flags(1);
    let known = OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT;
    if !known.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    open(task, args.usize(0), flags)
}

fn open(task: &Task, address: usize, flags: OpenFlags) -> SyscallResult {
    let (reader, writer) = Pipe::pair_of(task, flags.contains(OpenFlags::DIRECT))?;
    // Both ends are one inode.
    let path = anon::new_path(task.kernel(), &task.credentials(), Anonymous::Pipe);
    let inode = path.inode().clone();
    // Opened again through /proc/[pid]/fd, it is the same pipe.
    *inode.shared().pipe.lock() = Arc::downgrade(reader.pipe());
    let reader = OpenFile::new(path.clone(), inode.clone(), reader, flags);
    let writer = OpenFile::new(path, inode, writer, flags | OpenFlags::WRONLY);
    install::pair(task, [reader, writer], flags, address)
}
