//! Directories: `getdents(2)`, `mkdir(2)`, `rmdir(2)`, `chdir(2)`, `getcwd(2)`, `chroot(2)`, `umask(2)`.

use abi::Errno;
use abi::raw::general as nr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::attr::FileType;
use crate::vfs::edit;
use crate::vfs::inode::{DirEntry, NewKind};
use crate::vfs::list;
use crate::vfs::path::Path;
use crate::vfs::permission;
use crate::vfs::walk::{LastName, WalkFlags};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_getdents, "getdents", getdents),
    Call::full(nr::__NR_getdents64, "getdents64", getdents64),
    Call::full(nr::__NR_mkdir, "mkdir", mkdir),
    Call::full(nr::__NR_mkdirat, "mkdirat", mkdirat),
    Call::full(nr::__NR_rmdir, "rmdir", rmdir),
    Call::full(nr::__NR_chdir, "chdir", chdir),
    Call::full(nr::__NR_fchdir, "fchdir", fchdir),
    Call::full(nr::__NR_getcwd, "getcwd", getcwd),
    Call::full(nr::__NR_chroot, "chroot", chroot),
    Call::full(nr::__NR_umask, "umask", umask),
];

/// Builds one record of `getdents` in a buffer.
type Encode = fn(&DirEntry, &mut Vec<u8>);

fn getdents64(task: &Task, args: &SyscallArgs) -> SyscallResult {
    entries(task, args, encode_64)
}

fn getdents(task: &Task, args: &SyscallArgs) -> SyscallResult {
    entries(task, args, encode_old)
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

fn entries(task: &Task, args: &SyscallArgs, encode: Encode) -> SyscallResult {
    /// Larger buffers are filled in several calls.
    const MOST: usize = 256 << 10;
    let open = task.files().get(args.i32(0))?;
    let room = usize::try_from(args.u32(2)).unwrap_or(MOST).min(MOST);
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
    task.mm().write_bytes(args.usize(1), &records)?;
    Ok(records.len() as u64)
}

fn mkdir(task: &Task, args: &SyscallArgs) -> SyscallResult {
    make_directory(task, nr::AT_FDCWD, args.usize(0), args.u32(1))
}

fn mkdirat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    make_directory(task, args.i32(0), args.usize(1), args.u32(2))
}

fn make_directory(task: &Task, dirfd: i32, address: usize, mode: u32) -> SyscallResult {
    let entry = at::entry(task, dirfd, address, |_| Errno::EEXIST)?;
    edit::make(task, &entry, NewKind::Directory, mode & 0o1777)?;
    Ok(0)
}

fn rmdir(task: &Task, args: &SyscallArgs) -> SyscallResult {
    remove_directory(task, nr::AT_FDCWD, args.usize(0))
}

/// `rmdir(2)`, `unlinkat(2)` with `AT_REMOVEDIR`
pub(super) fn remove_directory(task: &Task, dirfd: i32, address: usize) -> SyscallResult {
    let entry = at::entry(task, dirfd, address, |name| match name {
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

fn directory(task: &Task, address: usize) -> Result<Path> {
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let path = at::resolve(task, nr::AT_FDCWD, address, flags)?;
    check_enter(task, &path)?;
    Ok(path)
}

fn chdir(task: &Task, args: &SyscallArgs) -> SyscallResult {
    task.fs().set_cwd(directory(task, args.usize(0))?);
    Ok(0)
}

fn fchdir(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    check_enter(task, open.path())?;
    task.fs().set_cwd(open.path().clone());
    Ok(0)
}

fn chroot(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = directory(task, args.usize(0))?;
    if !task.credentials().has_own(Capability::SysChroot) {
        return Err(Errno::EPERM.into());
    }
    task.fs().set_root(path);
    Ok(0)
}

fn getcwd(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let mut text = task.fs().cwd().text_for_cwd(task).ok_or(Errno::ENOENT)?;
    text.push(0);
    if text.len() > args.usize(1) {
        return Err(Errno::ERANGE.into());
    }
    task.mm().write_bytes(args.usize(0), &text)?;
    Ok(text.len() as u64)
}

fn umask(task: &Task, args: &SyscallArgs) -> SyscallResult {
    Ok(u64::from(task.fs().set_umask(args.u32(0))))
}
