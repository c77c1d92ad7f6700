//! Directories: `getdents(2)`, `mkdir(2)`, `rmdir(2)`, `chdir(2)`, `getcwd(2)`, `chroot(2)`, `umask(2)`.

use abi::Errno;
use mm::user_ptr::UserPtr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, Fd, Mode, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::attr::FileType;
use crate::vfs::edit;
use crate::vfs::inode::{DirEntry, NewKind};
use crate::vfs::list;
use crate::vfs::path::Path;
use crate::vfs::permission;
use crate::vfs::walk::{LastName, WalkFlags};

calls! {
    78 getdents(fd: Fd, buffer: UserPtr<u8>, size: u32 as Size) => full [
            "forms::old_directory_entries_end_with_their_type",
        ];
    217 getdents64(fd: Fd, buffer: UserPtr<u8> as After(directory::entries), size: u32 as Size)
        => full ["dup::getdents_errors"];
    83 mkdir(path: UserPath, mode: Mode) => full ["link::mkdir_errors_and_modes"];
    258 mkdirat(dirfd: DirFd, path: UserPath, mode: Mode) => full ["forms::names_relative_to_a_directory"];
    84 rmdir(path: UserPath) => full ["link::rmdir_errors"];
    80 chdir(path: UserPath) => full ["path::chdir_into_a_file_is_enotdir", "path::chdir_and_getcwd"];
    81 fchdir(fd: Fd) => full ["path::fchdir_moves_too"];
    79 getcwd(buffer: UserPtr<u8> as After(file::returned_string), size: usize)
        => full ["path::getcwd_errors"];
    161 chroot(path: UserPath) => full ["path::chroot_needs_the_capability", "path::chroot_hides_the_rest"];
    95 umask(mask: Mode) -> Octal => full ["stat::umask_is_kept"];
}

/// Builds one record of `getdents` in a buffer.
type Encode = fn(&DirEntry, &mut Vec<u8>);

fn getdents64(task: &Task, fd: Fd, buffer: UserPtr<u8>, size: u32) -> SyscallResult {
    entries(task, fd, (buffer, size), encode_64)
}

fn getdents(task: &Task, fd: Fd, buffer: UserPtr<u8>, size: u32) -> SyscallResult {
    entries(task, fd, (buffer, size), encode_old)
}

/// `struct linux_dirent64`
fn encode_64(entry: &DirEntry, record: &mut Vec<u8>) {
    const HEAD: usize = 19;
    let len = (HEAD + entry.name.len() + 1).next_multiple_of(8);
    record.extend_from_slice(&entry.ino.to_ne_bytes());
    record.extend_from_slice(&entry.next.to_ne_bytes());
    record.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_ne_bytes());
    record.push(entry.file_type.dirent_type());
    record.extend_from_slice(&entry.name);
    record.resize(len, 0);
}

/// `struct linux_dirent`: the type is in the last byte.
fn encode_old(entry: &DirEntry, record: &mut Vec<u8>) {
    const HEAD: usize = 18;
    let len = (HEAD + entry.name.len() + 2).next_multiple_of(8);
    record.extend_from_slice(&entry.ino.to_ne_bytes());
    record.extend_from_slice(&entry.next.to_ne_bytes());
    record.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_ne_bytes());
    record.extend_from_slice(&entry.name);
    record.resize(len - 1, 0);
    record.push(entry.file_type.dirent_type());
}

fn entries(
    task: &Task,
    fd: Fd,
    (buffer, size): (UserPtr<u8>, u32),
    encode: Encode,
) -> SyscallResult {
    /// Larger buffers are filled in several calls.
    const MOST: usize = 256 << 10;
    let open = task.files().get(fd)?;
    let room = usize::try_from(size).unwrap_or(MOST).min(MOST);
    let mut records: Vec<u8> = Vec::new();
    let mut record = Vec::new();
    let mut too_small = false;
    list::read(task, &open, &mut |entry| {
        record.clear();
        encode(&entry, &mut record);
        let fits = records.len() + record.len() <= room;
        if fits {
            records.extend_from_slice(&record);
        }
        too_small = records.is_empty() && !fits;
        fits
    })?;
    if too_small {
        return Err(Errno::EINVAL.into());
    }
    buffer.write_array(&task.mm(), &records)?;
    Ok(records.len() as u64)
}

fn mkdir(task: &Task, path: UserPath, mode: Mode) -> SyscallResult {
    make_directory(task, DirFd::CWD, path, mode.0)
}

fn mkdirat(task: &Task, dirfd: DirFd, path: UserPath, mode: Mode) -> SyscallResult {
    make_directory(task, dirfd, path, mode.0)
}

fn make_directory(task: &Task, dirfd: DirFd, path: UserPath, mode: u32) -> SyscallResult {
    let entry = at::entry(task, dirfd, path, |_| Errno::EEXIST)?;
    edit::make(task, &entry, NewKind::Directory, mode & 0o1777)?;
    Ok(0)
}

fn rmdir(task: &Task, path: UserPath) -> SyscallResult {
    remove_directory(task, DirFd::CWD, path)
}

/// `rmdir(2)`, `unlinkat(2)` with `AT_REMOVEDIR`
pub(super) fn remove_directory(task: &Task, dirfd: DirFd, path: UserPath) -> SyscallResult {
    let entry = at::entry(task, dirfd, path, |name| match name {
        LastName::Dot => Errno::EINVAL,
        LastName::DotDot => Errno::ENOTEMPTY,
        LastName::Root | LastName::Name(_) => Errno::EBUSY,
    })?;
    edit::rmdir(task, &entry)?;
    Ok(0)
}

/// A directory that the task may go to.
fn check_enter(task: &Task, path: &Path) -> Result<()> {
    let attr = path.inode().attr()?;
    if attr.file_type != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    permission::check(&task.credentials(), &attr, permission::EXECUTE)
}

fn directory(task: &Task, path: UserPath) -> Result<Path> {
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let path = at::resolve(task, DirFd::CWD, path, flags)?;
    check_enter(task, &path)?;
    Ok(path)
}

fn chdir(task: &Task, path: UserPath) -> SyscallResult {
    task.fs().set_cwd(directory(task, path)?);
    Ok(0)
}

fn fchdir(task: &Task, fd: Fd) -> SyscallResult {
    let open = task.files().get(fd)?;
    check_enter(task, open.path())?;
    task.fs().set_cwd(open.path().clone());
    Ok(0)
}

fn chroot(task: &Task, path: UserPath) -> SyscallResult {
    let path = directory(task, path)?;
    if !task.credentials().has_own(Capability::SysChroot) {
        return Err(Errno::EPERM.into());
    }
    task.fs().set_root(path);
    Ok(0)
}

fn getcwd(task: &Task, buffer: UserPtr<u8>, size: usize) -> SyscallResult {
    let mut text = task.fs().cwd().text_for_cwd(task).ok_or(Errno::ENOENT)?;
    text.push(0);
    if text.len() > size {
        return Err(Errno::ERANGE.into());
    }
    buffer.write_array(&task.mm(), &text)?;
    Ok(text.len() as u64)
}

fn umask(task: &Task, mask: Mode) -> SyscallResult {
    Ok(u64::from(task.fs().set_umask(mask.0)))
}
