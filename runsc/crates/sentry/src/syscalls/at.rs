//! Paths as calls are given them: a descriptor, a string, flags (`man 2 openat`).

use abi::Errno;
use abi::raw::general::{AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW};

use crate::error::Result;
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, UserPath};
use crate::vfs::edit::Entry;
use crate::vfs::path::Path;
use crate::vfs::walk::{self, LastName, Resolver, WalkFlags};

/// Where `text` starts: none for the working directory. A descriptor does not matter, not even whether
/// it is open, before an absolute path.
pub(super) fn start(task: &Task, dirfd: DirFd, text: &[u8]) -> Result<Option<Path>> {
    if dirfd == DirFd::CWD || text.first() == Some(&b'/') {
        return Ok(None);
    }
    Ok(Some(task.files().get(dirfd)?.path().clone()))
}

/// Resolves the path `path`, relative to `dirfd`.
pub(super) fn resolve(task: &Task, dirfd: DirFd, path: UserPath, flags: WalkFlags) -> Result<Path> {
    let text = path.read(task)?;
    let start = start(task, dirfd, &text)?;
    walk::resolve(task, start.as_ref(), &text, flags)
}

/// Resolves a path, following a last symbolic link.
pub(super) fn follow(task: &Task, path: UserPath) -> Result<Path> {
    resolve(task, DirFd::CWD, path, WalkFlags::FOLLOW)
}

/// The walk's flags for `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`; EINVAL for others than `allowed`.
pub(super) fn flags_following(flags: u32, allowed: u32) -> Result<WalkFlags> {
    if flags & !allowed != 0 {
        return Err(Errno::EINVAL);
    }
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags & AT_SYMLINK_NOFOLLOW == 0);
    walk.set(WalkFlags::EMPTY, flags & AT_EMPTY_PATH != 0);
    Ok(walk)
}

/// The walk's flags for `AT_SYMLINK_FOLLOW` and `AT_EMPTY_PATH`; EINVAL for others.
pub(super) fn flags_not_following(flags: u32) -> Result<WalkFlags> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags & AT_SYMLINK_FOLLOW != 0);
    walk.set(WalkFlags::EMPTY, flags & AT_EMPTY_PATH != 0);
    Ok(walk)
}

/// The directory and name that `path` ends in. `special` is the error for a path that
/// ends in `.`, `..` or nothing.
pub(super) fn entry(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    special: impl FnOnce(LastName) -> Errno,
) -> Result<Entry> {
    entry_if_named(task, dirfd, path, special)?
}

/// The same for calls with two paths, both of which are followed before the last name of either counts.
pub(super) fn entry_if_named(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    special: impl FnOnce(LastName) -> Errno,
) -> Result<Result<Entry>> {
    let text = path.read(task)?;
    let start = start(task, dirfd, &text)?;
    let last = Resolver::of(task, start.as_ref()).resolve_last(&text, WalkFlags::empty())?;
    match last.name {
        LastName::Name(name) => Ok(Ok(Entry {
            parent: last.parent,
            name,
            must_be_directory: last.trailing_slash,
        })),
        other => Ok(Err(special(other))),
    }
}
