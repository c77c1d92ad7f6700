//! Extended attributes: `getxattr(2)`, `setxattr(2)`, `listxattr(2)`, `removexattr(2)` and their kin.

use abi::Errno;
use mm::user_ptr::UserPtr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, Fd, UserPath, UserText};
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFlags;
use crate::vfs::inode::XattrFlags;
use crate::vfs::path::Path;
use crate::vfs::walk::WalkFlags;
use crate::vfs::xattr;

calls! {
    191 getxattr(path: UserPath, name: UserText, buffer: UserPtr<u8> as Filled, size: usize)
        => full ["dup::attribute_flags"];
    192 lgetxattr(path: UserPath, name: UserText, buffer: UserPtr<u8> as Filled, size: usize) => full [
            "forms::attributes_of_links_and_descriptors",
        ];
    193 fgetxattr(fd: Fd, name: UserText, buffer: UserPtr<u8> as Filled, size: usize) => full [
            "forms::attributes_of_links_and_descriptors",
        ];
    188 setxattr(
        path: UserPath,
        name: UserText,
        buffer: UserPtr<u8> as Buffer(3),
        size: usize,
        flags: u32 as Flags(file::XATTR),
    )
        => full ["dup::attribute_errors"];
    189 lsetxattr(
        path: UserPath,
        name: UserText,
        buffer: UserPtr<u8> as Buffer(3),
        size: usize,
        flags: u32 as Flags(file::XATTR),
    )
        => full ["dup::attribute_errors", "forms::attributes_of_links_and_descriptors"];
    190 fsetxattr(
        fd: Fd,
        name: UserText,
        buffer: UserPtr<u8> as Buffer(3),
        size: usize,
        flags: u32 as Flags(file::XATTR),
    )
        => full ["dup::user_attributes", "forms::attributes_of_links_and_descriptors"];
    194 listxattr(path: UserPath, buffer: UserPtr<u8> as Filled, size: usize)
        => full ["dup::attribute_flags", "dup::user_attributes"];
    195 llistxattr(path: UserPath, buffer: UserPtr<u8> as Filled, size: usize) => full [
            "forms::attributes_of_links_and_descriptors",
        ];
    196 flistxattr(fd: Fd, buffer: UserPtr<u8> as Filled, size: usize) => full [
            "forms::attributes_of_links_and_descriptors",
        ];
    197 removexattr(path: UserPath, name: UserText) => full ["dup::user_attributes", "dup::attribute_errors"];
    198 lremovexattr(path: UserPath, name: UserText) => full ["forms::attributes_of_links_and_descriptors"];
    199 fremovexattr(fd: Fd, name: UserText) => full ["forms::attributes_of_links_and_descriptors"];
}

fn followed(task: &Task, path: UserPath) -> Result<Path> {
    at::follow(task, path)
}

fn itself(task: &Task, path: UserPath) -> Result<Path> {
    at::resolve(task, DirFd::CWD, path, WalkFlags::empty())
}

fn opened(task: &Task, fd: Fd) -> Result<Path> {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    Ok(open.path().clone())
}

fn read_name(task: &Task, name: UserText) -> Result<Vec<u8>> {
    match name.read(task, xattr::NAME_MAX + 1) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        other => other,
    }
}

/// Gives `bytes` to a buffer, or only their number if it has no room at all; ERANGE if it is too small.
fn give(task: &Task, buffer: UserPtr<u8>, room: usize, bytes: &[u8]) -> SyscallResult {
    if room == 0 {
        return Ok(bytes.len() as u64);
    }
    if bytes.len() > room {
        return Err(Errno::ERANGE.into());
    }
    buffer.write_array(&task.mm(), bytes)?;
    Ok(bytes.len() as u64)
}

fn get(
    task: &Task,
    path: &Path,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
) -> SyscallResult {
    let name = read_name(task, name)?;
    let value = xattr::get(task, path, &name)?;
    give(task, buffer, size, &value)
}

fn getxattr(
    task: &Task,
    path: UserPath,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
) -> SyscallResult {
    get(task, &followed(task, path)?, name, buffer, size)
}

fn lgetxattr(
    task: &Task,
    path: UserPath,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
) -> SyscallResult {
    get(task, &itself(task, path)?, name, buffer, size)
}

fn fgetxattr(
    task: &Task,
    fd: Fd,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
) -> SyscallResult {
    get(task, &opened(task, fd)?, name, buffer, size)
}

/// A value that the application gives: its address, its length, and whether it may replace another.
type Value = (UserPtr<u8>, usize, u32);

fn set(task: &Task, path: &Path, name: UserText, (value, len, flags): Value) -> SyscallResult {
    let flags = XattrFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let name = read_name(task, name)?;
    if len > xattr::SIZE_MAX {
        return Err(Errno::E2BIG.into());
    }
    let mut bytes = vec![0; len];
    value.read_bytes(&task.mm(), &mut bytes)?;
    xattr::set(task, path, &name, &bytes, flags)?;
    Ok(0)
}

fn setxattr(
    task: &Task,
    path: UserPath,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> SyscallResult {
    set(task, &followed(task, path)?, name, (buffer, size, flags))
}

fn lsetxattr(
    task: &Task,
    path: UserPath,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> SyscallResult {
    set(task, &itself(task, path)?, name, (buffer, size, flags))
}

fn fsetxattr(
    task: &Task,
    fd: Fd,
    name: UserText,
    buffer: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> SyscallResult {
    set(task, &opened(task, fd)?, name, (buffer, size, flags))
}

fn list(task: &Task, path: &Path, buffer: UserPtr<u8>, size: usize) -> SyscallResult {
    let names = xattr::list(task, path)?;
    give(task, buffer, size, &names)
}

fn listxattr(task: &Task, path: UserPath, buffer: UserPtr<u8>, size: usize) -> SyscallResult {
    list(task, &followed(task, path)?, buffer, size)
}

fn llistxattr(task: &Task, path: UserPath, buffer: UserPtr<u8>, size: usize) -> SyscallResult {
    list(task, &itself(task, path)?, buffer, size)
}

fn flistxattr(task: &Task, fd: Fd, buffer: UserPtr<u8>, size: usize) -> SyscallResult {
    list(task, &opened(task, fd)?, buffer, size)
}

fn remove(task: &Task, path: &Path, name: UserText) -> SyscallResult {
    let name = read_name(task, name)?;
    xattr::remove(task, path, &name)?;
    Ok(0)
}

fn removexattr(task: &Task, path: UserPath, name: UserText) -> SyscallResult {
    remove(task, &followed(task, path)?, name)
}

fn lremovexattr(task: &Task, path: UserPath, name: UserText) -> SyscallResult {
    remove(task, &itself(task, path)?, name)
}

fn fremovexattr(task: &Task, fd: Fd, name: UserText) -> SyscallResult {
    remove(task, &opened(task, fd)?, name)
}
