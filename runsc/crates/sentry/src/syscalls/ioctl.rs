//! `ioctl(2)`: what every file answers; the rest is the file's own.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::async_io;
use crate::vfs::attr::FileType;
use crate::vfs::command::CommandArg;
use crate::vfs::file::{OpenFile, OpenFlags};

calls! {
    16 ioctl(
        fd: Fd,
        command: u32 as OneOf(terminal::IOCTL),
        argument: CommandArg as After(terminal::argument),
    )
        => partial("inode flags, cloning and encryption are ENOTTY or EOPNOTSUPP") [
            "dup::ioctl_errors",
            "namespace::ioctls_tell_of_namespaces",
        ];
}

const FIBMAP: u32 = 1;
const FIGETBSZ: u32 = 2;
const FIONBIO: u32 = 0x5421;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIOASYNC: u32 = 0x5452;
const FIOQSIZE: u32 = 0x5460;
const FIONREAD: u32 = 0x541b;
const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;

fn ioctl(task: &Task, fd: Fd, command: u32, argument: CommandArg) -> SyscallResult {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    match command {
        FIOCLEX | FIONCLEX => {
            task.files().set_close_on_exec(fd, command == FIOCLEX)?;
            Ok(0)
        }
        FIONBIO => set_flag(task, &open, (fd, argument), OpenFlags::NONBLOCK),
        FIOASYNC => set_flag(task, &open, (fd, argument), OpenFlags::ASYNC),
        _ => match stored(task, &open, command, argument)? {
            Some(value) => Ok(value),
            None => open.file().ioctl(task, &open, command, argument),
        },
    }
}

fn set_flag(
    task: &Task,
    open: &Arc<OpenFile>,
    (fd, argument): (Fd, CommandArg),
    flag: OpenFlags,
) -> SyscallResult {
    let on: i32 = task.mm().read_value(argument.address())?;
    let mut flags = open.flags();
    flags.set(flag, on != 0);
    open.set_flags(flags);
    async_io::update(task, open, fd.0);
    Ok(0)
}

/// What regular files and directories answer, whatever their file system.
fn stored(
    task: &Task,
    open: &Arc<OpenFile>,
    command: u32,
    argument: CommandArg,
) -> Result<Option<u64>> {
    let kind = open.inode().kind()?;
    let regular = kind == FileType::Regular && open.file().is_seekable();
    let directory = kind == FileType::Directory;
    if !regular && !directory {
        return Ok(None);
    }
    let (mm, address) = (task.mm(), argument.address());
    match command {
        FIGETBSZ => {
            let size = open.inode().attr()?.block_size;
            mm.write_value(address, &size)?;
        }
        FIOQSIZE => {
            let size = open.inode().attr()?.size;
            mm.write_value(address, &size)?;
        }
        FIONREAD if regular => {
            let offset = *open.offset().lock();
            let left = open.inode().attr()?.size.saturating_sub(offset);
            let left = i32::try_from(left).unwrap_or(i32::MAX);
            mm.write_value(address, &left)?;
        }
        FIBMAP if regular => return Err(Errno::EINVAL),
        FICLONE | FICLONERANGE | FIDEDUPERANGE if regular => return Err(Errno::EOPNOTSUPP),
        _ => return Ok(None),
    }
    Ok(Some(0))
}
