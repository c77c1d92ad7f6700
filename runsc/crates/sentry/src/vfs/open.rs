//! `open(2)`: from a path to an open file description.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Result, SysError};
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, FileType, SetAttr};
use crate::vfs::attributes;
use crate::vfs::device::{DeviceKind, Opened};
use crate::vfs::edit;
use crate::vfs::file::{File, OpenFile, OpenFlags};
use crate::vfs::inode::NewKind;
use crate::vfs::locks::WriteAccess;
use crate::vfs::mount::MountFlags;
use crate::vfs::notify::{self, FileEvent};
use crate::vfs::path::Path;
use crate::vfs::permission::{self, READ, WRITE};
use crate::vfs::walk::{LastName, Resolver, Walk, WalkFlags, lookup_locked};

/// Opening can be interrupted by a signal.
type Outcome<T> = core::result::Result<T, SysError>;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// O_*
    pub flags: OpenFlags,
    /// Permission bits of a file that is made, before the umask.
    pub mode: u32,
    /// RESOLVE_* of `openat2(2)`; FOLLOW and DIRECTORY come from the flags.
    pub resolve: WalkFlags,
}

/// What `O_PATH` leaves of the flags.
const WITH_PATH: OpenFlags = OpenFlags::PATH
    .union(OpenFlags::DIRECTORY)
    .union(OpenFlags::NOFOLLOW)
    .union(OpenFlags::CLOEXEC);

/// The file of a descriptor opened with `O_PATH`: it does nothing.
#[derive(Debug)]
pub struct PathFile;

impl File for PathFile {}

/// Opens `path`, relative to `start` (none: the working directory).
pub fn open(
    task: &Task,
    start: Option<&Path>,
    path: &[u8],
    how: &OpenHow,
) -> Outcome<Arc<OpenFile>> {
    let how = normalise(how)?;
    let resolver = Resolver::of(task, start);
    if how.flags.contains(OpenFlags::TMPFILE_BIT) {
        return open_unnamed(task, &resolver, path, &how);
    }
    if how.flags.contains(OpenFlags::CREAT) {
        return open_or_create(task, &resolver, path, &how);
    }
    let found = resolver.resolve(path, how.resolve)?;
    open_existing(task, &found, how.flags)
}

/// Opens what is at `path`, as `execve` and `/proc/[pid]/fd/N` do. Permissions are checked.
pub fn open_existing(task: &Task, path: &Path, flags: OpenFlags) -> Outcome<Arc<OpenFile>> {
    let attr = path.inode().attr()?;
    if flags.contains(OpenFlags::DIRECTORY) && attr.file_type != FileType::Directory {
        return Err(Errno::ENOTDIR.into());
    }
    if flags.contains(OpenFlags::PATH) {
        let inode = path.inode().clone();
        return Ok(OpenFile::new(
            path.clone(),
            inode,
            Arc::new(PathFile),
            flags,
        ));
    }
    check_openable(task, path, &attr, flags)?;
    finish(task, path.clone(), &attr, flags, Truncate::AsAsked)
}

/// Checks flags against each other and translates them for the walk.
fn normalise(how: &OpenHow) -> Result<OpenHow> {
    let mut how = *how;
    if how.flags.contains(OpenFlags::PATH) {
        how.flags &= WITH_PATH;
    } else {
        // As for every process with 64-bit offsets (`man 2 fcntl`, F_GETFL).
        how.flags |= OpenFlags::LARGEFILE;
    }
    let flags = how.flags;
    if flags.contains(OpenFlags::TMPFILE_BIT) {
        let allowed = flags.contains(OpenFlags::DIRECTORY)
            && flags.writable()
            && !flags.contains(OpenFlags::CREAT);
        if !allowed {
            return Err(Errno::EINVAL);
        }
    } else if flags.contains(OpenFlags::CREAT | OpenFlags::DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    if !flags.contains(OpenFlags::NOFOLLOW) {
        how.resolve |= WalkFlags::FOLLOW;
    }
    if flags.contains(OpenFlags::DIRECTORY) {
        how.resolve |= WalkFlags::DIRECTORY;
    }
    Ok(how)
}

/// `O_TMPFILE`
fn open_unnamed(
    task: &Task,
    resolver: &Resolver<'_>,
    path: &[u8],
    how: &OpenHow,
) -> Outcome<Arc<OpenFile>> {
    let parent = resolver.resolve(path, how.resolve | WalkFlags::DIRECTORY)?;
    let credentials = task.credentials();
    let attr = edit::check_may_create(&credentials, &parent)?;
    let permissions = how.mode & 0o7777 & !task.fs().umask();
    let node = edit::new_node(&credentials, &attr, NewKind::Regular, permissions);
    let inode = parent
        .inode()
        .create_unnamed(node.permissions, node.uid, node.gid)?;
    let attr = inode.attr()?;
    let name = format!("#{}", attr.ino).into_bytes();
    let path = parent.child(parent.dentry.unnamed_child(inode, name));
    finish(task, path, &attr, how.flags, Truncate::Never)
}

/// `O_CREAT`
fn open_or_create(
    task: &Task,
    resolver: &Resolver<'_>,
    path: &[u8],
    how: &OpenHow,
) -> Outcome<Arc<OpenFile>> {
    if path.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let mut walk = Walk::new(resolver, path, how.resolve)?;
    loop {
        walk.go_before_last()?;
        let (LastName::Name(name), slash) = walk.last() else {
            walk.go_to_end()?;
            if how.flags.contains(OpenFlags::EXCL) {
                return Err(Errno::EEXIST.into());
            }
            return open_found(task, &walk.into_path(), how.flags);
        };
        if slash {
            return Err(Errno::EISDIR.into());
        }
        let parent = walk.at().clone();
        let directory = parent.inode().attr()?;
        if directory.file_type != FileType::Directory {
            return Err(Errno::ENOTDIR.into());
        }
        permission::check(&task.credentials(), &directory, permission::EXECUTE)?;
        match find_or_create(task, &parent, &directory, &name, how)? {
            Found::Created(path, attr) => {
                return finish(task, path, &attr, how.flags, Truncate::Never);
            }
            Found::Existing(child) => {
                if how.flags.contains(OpenFlags::EXCL) {
                    return Err(Errno::EEXIST.into());
                }
                if child.inode().kind()? != FileType::Symlink {
                    return open_found(task, &child.topmost(), how.flags);
                }
                if how.flags.contains(OpenFlags::NOFOLLOW) {
                    return Err(Errno::ELOOP.into());
                }
                walk.follow_last(&child)?;
            }
        }
    }
}

enum Found {
    Existing(Path),
    Created(Path, Attr),
}

/// How often a file that others make and remove is looked for.
const MOST_LOOKS: usize = 100;

fn find_or_create(
    task: &Task,
    parent: &Path,
    directory: &Attr,
    name: &[u8],
    how: &OpenHow,
) -> Result<Found> {
    // Most files that are opened with O_CREAT exist.
    if let Some(dentry) = parent.dentry.known_child(name)
        && parent.mount.fs.cache_policy() == crate::vfs::inode::CachePolicy::Keep
    {
        return Ok(Found::Existing(parent.child(dentry)));
    }
    let _changes = parent.dentry.lock_changes();
    for _ in 0..MOST_LOOKS {
        match lookup_locked(&parent.dentry, name) {
            Ok(dentry) => return Ok(Found::Existing(parent.child(dentry))),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        match create_locked(task, parent, directory, name, how) {
            // Somebody outside was faster: the file is there now.
            Err(Errno::EEXIST) if !how.flags.contains(OpenFlags::EXCL) => {}
            created => return created,
        }
    }
    Err(Errno::EEXIST)
}

fn create_locked(
    task: &Task,
    parent: &Path,
    directory: &Attr,
    name: &[u8],
    how: &OpenHow,
) -> Result<Found> {
    let credentials = task.credentials();
    edit::check_may_create(&credentials, parent)?;
    let permissions = how.mode & 0o7777 & !task.fs().umask();
    let node = edit::new_node(&credentials, directory, NewKind::Regular, permissions);
    let path = edit::make_locked(parent, name, &node)?;
    let attr = path.inode().attr()?;
    Ok(Found::Created(path, attr))
}

/// Opens a file that `O_CREAT` found.
fn open_found(task: &Task, path: &Path, flags: OpenFlags) -> Outcome<Arc<OpenFile>> {
    if path.inode().kind()? == FileType::Directory {
        return Err(Errno::EISDIR.into());
    }
    open_existing(task, path, flags)
}

/// `may_open`: what the type of the file, its mount and its permissions have to say.
fn check_openable(task: &Task, path: &Path, attr: &Attr, flags: OpenFlags) -> Result<()> {
    let truncates = flags.contains(OpenFlags::TRUNC);
    let writes = flags.writable() || truncates;
    let mount_flags = path.mount.flags();
    match attr.file_type {
        FileType::Symlink => return Err(Errno::ELOOP),
        FileType::Directory if writes => return Err(Errno::EISDIR),
        FileType::CharDevice | FileType::BlockDevice
            if mount_flags.contains(MountFlags::NO_DEV) =>
        {
            return Err(Errno::EACCES);
        }
        FileType::Regular if writes => path.mount.check_writable()?,
        _ => {}
    }
    let access_mode = flags.bits() & abi::raw::general::O_ACCMODE;
    let mut wanted = 0;
    if flags.readable() || access_mode == abi::raw::general::O_ACCMODE {
        wanted |= READ;
    }
    if writes || access_mode == abi::raw::general::O_ACCMODE {
        wanted |= WRITE;
    }
    let credentials = task.credentials();
    permission::check(&credentials, attr, wanted)?;
    if flags.contains(OpenFlags::NOATIME) && !permission::owns(&credentials, attr) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truncate {
    /// The file was just made.
    Never,
    /// If `O_TRUNC` says so.
    AsAsked,
}

/// Opens what has been checked.
fn finish(
    task: &Task,
    path: Path,
    attr: &Attr,
    flags: OpenFlags,
    truncate: Truncate,
) -> Outcome<Arc<OpenFile>> {
    let inode = path.inode().clone();
    if let Some(file) = inode.open_itself(flags) {
        return Ok(OpenFile::new(path, inode, file?, flags));
    }
    let opened: Opened = match attr.file_type {
        FileType::Symlink => return Err(Errno::ELOOP.into()),
        FileType::Socket => return Err(Errno::ENXIO.into()),
        FileType::Fifo if inode.is_foreign_fifo() => {
            let text = String::from_utf8_lossy(&path.text(task)).into_owned();
            task.kernel().vfs.tell_user_once(format!(
                "{text:?} is a FIFO of the host or of another container, which can't be opened (--host-fifo=none)"
            ));
            return Err(Errno::ENXIO.into());
        }
        FileType::Fifo => {
            let pipe = inode.shared().fifo();
            if path.dentry.is_anonymous() {
                crate::fs::pipe::reopen_pipe(&pipe, flags)?.into()
            } else {
                crate::fs::pipe::open_fifo(task, &pipe, flags)?.into()
            }
        }
        FileType::CharDevice => open_device(task, DeviceKind::Character, &path, attr, flags)?,
        FileType::BlockDevice => open_device(task, DeviceKind::Block, &path, attr, flags)?,
        FileType::Regular | FileType::Directory => {
            return open_stored(task, path, attr, flags, truncate);
        }
    };
    let path = opened.path.unwrap_or(path);
    let inode = path.inode().clone();
    notify::happened(&path, FileEvent::OPEN);
    Ok(OpenFile::new(path, inode, opened.file, flags))
}

fn open_device(
    task: &Task,
    kind: DeviceKind,
    path: &Path,
    attr: &Attr,
    flags: OpenFlags,
) -> Outcome<Opened> {
    let driver = task.kernel().vfs.devices.find(kind, attr.rdev)?;
    driver.open(task, attr.rdev, path, flags)
}

fn open_stored(
    task: &Task,
    path: Path,
    attr: &Attr,
    flags: OpenFlags,
    truncate: Truncate,
) -> Outcome<Arc<OpenFile>> {
    let inode = path.inode().clone();
    let regular = attr.file_type == FileType::Regular;
    let truncates = truncate == Truncate::AsAsked && flags.contains(OpenFlags::TRUNC) && regular;
    let write_access = ((flags.writable() && regular) || truncates)
        .then(|| WriteAccess::take(&inode, &path.mount))
        .transpose()?;
    if truncates {
        let permissions = attributes::permissions_after_write(task, attr);
        inode.set_attr(&SetAttr {
            size: Some(0),
            permissions,
            ..SetAttr::default()
        })?;
    }
    let file = inode.clone().open(flags, task)?;
    if truncates {
        notify::happened(&path, FileEvent::MODIFY);
    }
    notify::happened(&path, FileEvent::OPEN);
    let write_access = write_access.filter(|_| flags.writable());
    Ok(OpenFile::with_write_access(
        path,
        inode,
        file,
        flags,
        write_access,
    ))
}
