//! Changes of directories: permissions, the file system's work, the dentries afterwards.

use std::sync::Arc;

use abi::Errno;
use locks::MutexGuard;

use crate::error::Result;
use crate::kernel::credentials::{Capability, Credentials};
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, FileType};
use crate::vfs::dentry::Dentry;
use crate::vfs::inode::{Inode, InodeRef, NewKind, NewNode, RenameFlags};
use crate::vfs::notify::{self, FileEvent};
use crate::vfs::path::Path;
use crate::vfs::permission;
use crate::vfs::walk::lookup_locked;

/// A name in a directory, as the calls that change names are given it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The directory.
    pub parent: Path,
    /// The name.
    pub name: Vec<u8>,
    /// A slash stood behind it: only a directory will do.
    pub must_be_directory: bool,
}

/// Makes `entry` as `kind` with the permission bits `mode`, of which the umask takes its share.
/// EEXIST, ENOENT (the directory was removed), EROFS, EACCES.
pub fn make(task: &Task, entry: &Entry, kind: NewKind<'_>, mode: u32) -> Result<Path> {
    let parent = &entry.parent;
    let _changes = parent.dentry.lock_changes();
    check_absent(parent, &entry.name)?;
    if entry.must_be_directory && kind != NewKind::Directory {
        return Err(Errno::ENOENT);
    }
    let credentials = task.credentials();
    let attr = check_may_create(&credentials, parent)?;
    let permissions = match kind {
        NewKind::Symlink(_) => 0o777,
        _ => mode & 0o7777 & !task.fs().umask(),
    };
    let node = new_node(&credentials, &attr, kind, permissions);
    make_locked(parent, &entry.name, &node)
}

/// As [`make`] for what has been checked, with the directory's changes locked.
pub(crate) fn make_locked(parent: &Path, name: &[u8], node: &NewNode<'_>) -> Result<Path> {
    let inode = parent.inode().create(name, node)?;
    let child = parent.child(parent.dentry.add_child(name, &inode));
    notify::entry(parent.inode(), name, &inode, FileEvent::CREATE, 0);
    Ok(child)
}

/// Owner, group and mode of what `credentials` make in a directory with the attributes `parent`
/// (`man 7 inode`, *`S_ISGID`*).
pub(crate) fn new_node<'a>(
    credentials: &Credentials,
    parent: &Attr,
    kind: NewKind<'a>,
    mut permissions: u32,
) -> NewNode<'a> {
    let mut gid = credentials.fsgid;
    if parent.permissions & 0o2000 != 0 {
        gid = parent.gid;
        if kind == NewKind::Directory {
            permissions |= 0o2000;
        } else if permissions & 0o2010 == 0o2010
            && !credentials.in_group(gid)
            && !credentials.has_over(Capability::Fsetid, parent.uid, gid)
        {
            permissions &= !0o2000;
        }
    }
    NewNode {
        kind,
        permissions,
        uid: credentials.fsuid,
        gid,
    }
}

/// Gives the file `old` another name.
pub fn link(task: &Task, old: &Path, entry: &Entry) -> Result<()> {
    let parent = &entry.parent;
    let _changes = parent.dentry.lock_changes();
    check_absent(parent, &entry.name)?;
    if entry.must_be_directory {
        return Err(Errno::ENOENT);
    }
    if !Arc::ptr_eq(&old.mount, &parent.mount) {
        return Err(Errno::EXDEV);
    }
    check_may_create(&task.credentials(), parent)?;
    if old.inode().kind()? == FileType::Directory {
        return Err(Errno::EPERM);
    }
    parent.inode().link(&entry.name, old.inode())?;
    parent.dentry.add_child(&entry.name, old.inode());
    notify::happened_to_self(old.inode(), FileEvent::ATTRIB);
    notify::entry(
        parent.inode(),
        &entry.name,
        old.inode(),
        FileEvent::CREATE,
        0,
    );
    Ok(())
}

/// Removes a name that is not a directory's.
pub fn unlink(task: &Task, entry: &Entry) -> Result<()> {
    let parent = &entry.parent;
    let _changes = parent.dentry.lock_changes();
    let dentry = lookup_locked(&parent.dentry, &entry.name)?;
    parent.mount.check_writable()?;
    let kind = dentry.inode().kind()?;
    if entry.must_be_directory {
        let is_directory = kind == FileType::Directory;
        return Err(if is_directory {
            Errno::EISDIR
        } else {
            Errno::ENOTDIR
        });
    }
    check_may_delete(&task.credentials(), parent, &**dentry.inode())?;
    if kind == FileType::Directory {
        return Err(Errno::EISDIR);
    }
    if dentry.is_mountpoint() {
        return Err(Errno::EBUSY);
    }
    parent.inode().unlink(&entry.name)?;
    parent.dentry.forget_child(&entry.name, &dentry);
    notify::removed(parent.inode(), &entry.name, dentry.inode());
    Ok(())
}

/// Removes an empty directory.
pub fn rmdir(task: &Task, entry: &Entry) -> Result<()> {
    let parent = &entry.parent;
    let _changes = parent.dentry.lock_changes();
    let dentry = lookup_locked(&parent.dentry, &entry.name)?;
    parent.mount.check_writable()?;
    check_may_delete(&task.credentials(), parent, &**dentry.inode())?;
    if dentry.inode().kind()? != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    if dentry.is_mountpoint() {
        return Err(Errno::EBUSY);
    }
    // Nothing may be made in it once it is gone.
    let _inside = dentry.lock_changes_too();
    parent.inode().rmdir(&entry.name)?;
    parent.dentry.forget_child(&entry.name, &dentry);
    notify::removed(parent.inode(), &entry.name, dentry.inode());
    Ok(())
}

/// `renameat2(2)`
pub fn rename(task: &Task, from: &Entry, to: &Entry, flags: RenameFlags) -> Result<()> {
    let exclusive = RenameFlags::NOREPLACE | RenameFlags::WHITEOUT;
    if flags.contains(RenameFlags::EXCHANGE) && flags.intersects(exclusive) {
        return Err(Errno::EINVAL);
    }
    if !Arc::ptr_eq(&from.parent.mount, &to.parent.mount) {
        return Err(Errno::EXDEV);
    }
    let tree = from.parent.mount.tree().clone();
    let same_parent = Arc::ptr_eq(&from.parent.dentry, &to.parent.dentry);
    let _rename = (!same_parent).then(|| tree.rename.lock());
    let _changes = lock_both(&from.parent.dentry, &to.parent.dentry);
    let old = lookup_locked(&from.parent.dentry, &from.name)?;
    let new = match lookup_locked(&to.parent.dentry, &to.name) {
        Ok(dentry) => Some(dentry),
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(errno),
    };
    check_rename(task, from, to, flags, &old, new.as_ref())?;
    if new
        .as_ref()
        .is_some_and(|new| Arc::ptr_eq(new.inode(), old.inode()))
    {
        return Ok(());
    }
    let parent = from.parent.inode();
    parent.rename(&from.name, to.parent.inode(), &to.name, flags)?;
    if flags.contains(RenameFlags::EXCHANGE) {
        if let Some(new) = &new {
            new.move_to(&from.parent.dentry, &from.name);
        }
    } else if let Some(new) = &new {
        to.parent.dentry.forget_child(&to.name, new);
    }
    old.move_to(&to.parent.dentry, &to.name);
    tell_of_rename(task, (from, to), (&old, new.as_ref()), flags);
    Ok(())
}

/// Tells watchers of a rename: both names with the same cookie, and the inode that moved.
fn tell_of_rename(
    task: &Task,
    (from, to): (&Entry, &Entry),
    (old, new): (&Arc<Dentry>, Option<&Arc<Dentry>>),
    flags: RenameFlags,
) {
    let tell = |from: &Entry, to: &Entry, moved: &InodeRef| {
        // Any number that the next rename does not have; 32 bits are what there is room for.
        let cookie = u32::try_from(task.kernel().unique_id() & 0xffff_ffff).unwrap_or(1);
        let (left, entered) = (from.parent.inode(), to.parent.inode());
        notify::entry(left, &from.name, moved, FileEvent::MOVED_FROM, cookie);
        notify::entry(entered, &to.name, moved, FileEvent::MOVED_TO, cookie);
        notify::happened_to_self(moved, FileEvent::MOVE_SELF);
    };
    tell(from, to, old.inode());
    match new {
        Some(new) if flags.contains(RenameFlags::EXCHANGE) => tell(to, from, new.inode()),
        Some(new) => notify::replaced(new.inode()),
        None => {}
    }
}

/// Locks the changes of two directories: an ancestor first, else by address.
fn lock_both<'a>(
    one: &'a Arc<Dentry>,
    other: &'a Arc<Dentry>,
) -> (MutexGuard<'a, ()>, Option<MutexGuard<'a, ()>>) {
    if Arc::ptr_eq(one, other) {
        return (one.lock_changes(), None);
    }
    let by_address = Arc::as_ptr(one) < Arc::as_ptr(other);
    let one_first = one_is_first(one, other).unwrap_or(by_address);
    let (first, second) = if one_first {
        (one, other)
    } else {
        (other, one)
    };
    let first = first.lock_changes();
    (first, Some(second.lock_changes_too()))
}

fn one_is_first(one: &Arc<Dentry>, other: &Arc<Dentry>) -> Option<bool> {
    if other.is_within(one) {
        Some(true)
    } else if one.is_within(other) {
        Some(false)
    } else {
        None
    }
}

fn check_rename(
    task: &Task,
    from: &Entry,
    to: &Entry,
    flags: RenameFlags,
    old: &Arc<Dentry>,
    new: Option<&Arc<Dentry>>,
) -> Result<()> {
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    if new.is_some() && flags.contains(RenameFlags::NOREPLACE) {
        return Err(Errno::EEXIST);
    }
    if new.is_none() && exchange {
        return Err(Errno::ENOENT);
    }
    let old_is_dir = old.inode().kind()? == FileType::Directory;
    let new_is_dir = match new {
        Some(new) => new.inode().kind()? == FileType::Directory,
        None => old_is_dir,
    };
    let wants_dir = from.must_be_directory || (!exchange && to.must_be_directory);
    if (!old_is_dir && wants_dir) || (exchange && to.must_be_directory && !new_is_dir) {
        return Err(Errno::ENOTDIR);
    }
    if to.parent.dentry.is_within(old) {
        return Err(Errno::EINVAL);
    }
    if let Some(new) = new
        && from.parent.dentry.is_within(new)
    {
        return Err(if exchange {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    if new.is_some_and(|new| Arc::ptr_eq(new.inode(), old.inode())) {
        return Ok(());
    }
    from.parent.mount.check_writable()?;
    check_rename_permissions(task, from, to, old, new)?;
    if !exchange && new.is_some() {
        if old_is_dir && !new_is_dir {
            return Err(Errno::ENOTDIR);
        }
        if !old_is_dir && new_is_dir {
            return Err(Errno::EISDIR);
        }
    }
    let busy = |dentry: &Arc<Dentry>| dentry.is_mountpoint();
    if busy(old) || new.is_some_and(busy) {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

fn check_rename_permissions(
    task: &Task,
    from: &Entry,
    to: &Entry,
    old: &Arc<Dentry>,
    new: Option<&Arc<Dentry>>,
) -> Result<()> {
    let credentials = task.credentials();
    check_may_delete(&credentials, &from.parent, &**old.inode())?;
    match new {
        Some(new) => check_may_delete(&credentials, &to.parent, &**new.inode())?,
        None => drop(check_may_create(&credentials, &to.parent)?),
    }
    // Moving a directory changes its `..`.
    if !Arc::ptr_eq(&from.parent.dentry, &to.parent.dentry) {
        for moved in [Some(old), new].into_iter().flatten() {
            let attr = moved.inode().attr()?;
            if attr.file_type == FileType::Directory {
                permission::check(&credentials, &attr, permission::WRITE)?;
            }
        }
    }
    Ok(())
}

fn check_absent(parent: &Path, name: &[u8]) -> Result<()> {
    match lookup_locked(&parent.dentry, name) {
        Ok(_) => Err(Errno::EEXIST),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether a new name may be made in `parent`; its attributes. EROFS, ENOENT, EOVERFLOW, EACCES.
pub(crate) fn check_may_create(credentials: &Credentials, parent: &Path) -> Result<Attr> {
    parent.mount.check_writable()?;
    if parent.dentry.is_deleted() {
        return Err(Errno::ENOENT);
    }
    // What the file system's namespace has no names for can't be written down there.
    let owner = parent.mount.tree().owner(&credentials.user_ns);
    if !owner.knows(credentials.fsuid, credentials.fsgid) {
        return Err(Errno::EOVERFLOW);
    }
    let attr = parent.inode().attr()?;
    permission::check(credentials, &attr, permission::WRITE | permission::EXECUTE)?;
    Ok(attr)
}

/// Whether the name of `entry` may be removed from `parent`.
fn check_may_delete(credentials: &Credentials, parent: &Path, entry: &dyn Inode) -> Result<()> {
    let directory = parent.inode().attr()?;
    permission::check(
        credentials,
        &directory,
        permission::WRITE | permission::EXECUTE,
    )?;
    permission::check_sticky(credentials, &directory, &entry.attr()?)
}
