//! Extended attributes: `getxattr(2)`, `setxattr(2)`, `listxattr(2)`, `removexattr(2)` and their kin.

use abi::Errno;
use abi::raw::general as nr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::OpenFlags;
use crate::vfs::inode::XattrFlags;
use crate::vfs::path::Path;
use crate::vfs::walk::WalkFlags;
use crate::vfs::xattr;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_getxattr, "getxattr", getxattr),
    Call::full(nr::__NR_lgetxattr, "lgetxattr", lgetxattr),
    Call::full(nr::__NR_fgetxattr, "fgetxattr", fgetxattr),
    Call::full(nr::__NR_setxattr, "setxattr", setxattr),
    Call::full(nr::__NR_lsetxattr, "lsetxattr", lsetxattr),
    Call::full(nr::__NR_fsetxattr, "fsetxattr", fsetxattr),
    Call::full(nr::__NR_listxattr, "listxattr", listxattr),
    Call::full(nr::__NR_llistxattr, "llistxattr", llistxattr),
    Call::full(nr::__NR_flistxattr, "flistxattr", flistxattr),
    Call::full(nr::__NR_removexattr, "removexattr", removexattr),
    Call::full(nr::__NR_lremovexattr, "lremovexattr", lremovexattr),
    Call::full(nr::__NR_fremovexattr, "fremovexattr", fremovexattr),
];

fn followed(task: &Task, args: &SyscallArgs) -> Result<Path> {
    at::follow(task, args.usize(0))
}

fn itself(task: &Task, args: &SyscallArgs) -> Result<Path> {
    at::resolve(task, nr::AT_FDCWD, args.usize(0), WalkFlags::empty())
}

fn opened(task: &Task, args: &SyscallArgs) -> Result<Path> {
    let open = task.files().get(args.i32(0))?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    Ok(open.path().clone())
}

fn name(task: &Task, address: usize) -> Result<Vec<u8>> {
    match task.mm().read_string(address, xattr::NAME_MAX + 1) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        other => other,
    }
}

/// Gives `bytes` to a buffer, or only their number if it has no room at all; ERANGE if it is too small.
fn give(task: &Task, buffer: usize, room: usize, bytes: &[u8]) -> SyscallResult {
    if room == 0 {
        return Ok(bytes.len() as u64);
    }
    if bytes.len() > room {
        return Err(Errno::ERANGE.into());
    }
    task.mm().write_bytes(buffer, bytes)?;
    Ok(bytes.len() as u64)
}

fn get(task: &Task, args: &SyscallArgs, path: &Path) -> SyscallResult {
    let name = name(task, args.usize(1))?;
    let value = xattr::get(task, path, &name)?;
    give(task, args.usize(2), args.usize(3), &value)
}

fn getxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    get(task, args, &followed(task, args)?)
}

fn lgetxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    get(task, args, &itself(task, args)?)
}

fn fgetxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    get(task, args, &opened(task, args)?)
}

fn set(task: &Task, args: &SyscallArgs, path: &Path) -> SyscallResult {
    let flags = XattrFlags::from_bits(args.u32(4)).ok_or(Errno::EINVAL)?;
    let name = name(task, args.usize(1))?;
    let len = args.usize(3);
    if len > xattr::SIZE_MAX {
        return Err(Errno::E2BIG.into());
    }
    let mut value = vec![0; len];
    task.mm().read_bytes(args.usize(2), &mut value)?;
    xattr::set(task, path, &name, &value, flags)?;
    Ok(0)
}

fn setxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    set(task, args, &followed(task, args)?)
}

fn lsetxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    set(task, args, &itself(task, args)?)
}

fn fsetxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    set(task, args, &opened(task, args)?)
}

fn list(task: &Task, args: &SyscallArgs, path: &Path) -> SyscallResult {
    let names = xattr::list(task, path)?;
    give(task, args.usize(1), args.usize(2), &names)
}

fn listxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    list(task, args, &followed(task, args)?)
}

fn llistxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    list(task, args, &itself(task, args)?)
}

fn flistxattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    list(task, args, &opened(task, args)?)
}

fn remove(task: &Task, args: &SyscallArgs, path: &Path) -> SyscallResult {
    let name = name(task, args.usize(1))?;
    xattr::remove(task, path, &name)?;
    Ok(0)
}

fn removexattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    remove(task, args, &followed(task, args)?)
}

fn lremovexattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    remove(task, args, &itself(task, args)?)
}

fn fremovexattr(task: &Task, args: &SyscallArgs) -> SyscallResult {
    remove(task, args, &opened(task, args)?)
}
