//! `man 2 pipe`: pipe, pipe2.

use std::sync::Arc;

use abi::Errno;
use mm::user_ptr::UserPtr;

use super::install;
use crate::error::SyscallResult;
use crate::fs::anon::{self, Anonymous};
use crate::fs::pipe::Pipe;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;
use crate::vfs::file::{OpenFile, OpenFlags};

calls! {
    22 pipe(fds: UserPtr<[i32; 2]> as Out(id::pair)) => full ["forms::old_calls_make_descriptors"];
    293 pipe2(fds: UserPtr<[i32; 2]> as Out(id::pair), flags: OpenFlags as Flags(file::OPEN))
        => partial("O_NOTIFICATION_PIPE is EINVAL") ["pipe::flags_of_pipe2"];
}

fn pipe(task: &Task, fds: UserPtr<[i32; 2]>) -> SyscallResult {
    open(task, fds.address(), OpenFlags::empty())
}

fn pipe2(task: &Task, fds: UserPtr<[i32; 2]>, flags: OpenFlags) -> SyscallResult {
    let known = OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT;
    if !known.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    open(task, fds.address(), flags)
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
