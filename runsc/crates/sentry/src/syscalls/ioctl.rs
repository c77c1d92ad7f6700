//! `ioctl(2)`: what every file answers; the rest is the file's own.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::async_io;
use crate::vfs::attr::FileType;
use crate::vfs::file::{OpenFile, OpenFlags};

pub(super) const CALLS: &[Call] = &[Call::partial(
    nr::__NR_ioctl,
    "ioctl",
    ioctl,
    "inode flags, cloning and encryption are ENOTTY or EOPNOTSUPP",
)];

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

fn ioctl(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (fd, command) = (args.i32(0), args.u32(1));
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    match command {
        FIOCLEX | FIONCLEX => {
            task.files().set_close_on_exec(fd, command == FIOCLEX)?;
            Ok(0)
        }
        FIONBIO => set_flag(task, &open, args, OpenFlags::NONBLOCK),
        FIOASYNC => set_flag(task, &open, args, OpenFlags::ASYNC),
        _ => match stored(task, &open, command, args)? {
            Some(value) => Ok(value),
            None => open.file().ioctl(task, &open, command, args),
        },
    }
}

fn set_flag(
    task: &Task,
    open: &Arc<OpenFile>,
    args: &SyscallArgs,
    flag: OpenFlags,
) -> SyscallResult {
    let on: i32 = task.mm().read_value(args.usize(2))?;
    let mut flags = open.flags();
    flags.set(flag, on != 0);
    open.set_flags(flags);
    async_io::update(task, open, args.i32(0));
    Ok(0)
}

/// What regular files and directories answer, whatever their file system.
fn stored(
    task: &Task,
    open: &Arc<OpenFile>,
    command: u32,
    args: &SyscallArgs,
) -> Result<Option<u64>> {
    let kind = open.inode().kind()?;
    let regular = kind == FileType::Regular && open.file().is_seekable();
    let directory = kind == FileType::Directory;
    if !regular && !directory {
        return Ok(None);
    }
    let (mm, address) = (task.mm(), args.usize(2));
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
