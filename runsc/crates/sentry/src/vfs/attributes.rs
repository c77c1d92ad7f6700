//! Changes of attributes, with the checks that are the same for every file system.

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::{Capability, Credentials};
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, FileType, SetAttr, SetTime};
use crate::vfs::inode::InodeRef;
use crate::vfs::locks::WriteAccess;
use crate::vfs::notify::{self, FileEvent};
use crate::vfs::path::Path;
use crate::vfs::permission;

/// New times of a file; what is none stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Of the last access.
    pub access: Option<SetTime>,
    /// Of the last modification.
    pub modification: Option<SetTime>,
}

impl Times {
    /// Both now.
    pub const NOW: Times = Times {
        access: Some(SetTime::Now),
        modification: Some(SetTime::Now),
    };
    /// Neither changes.
    pub const NONE: Times = Times {
        access: None,
        modification: None,
    };
}

/// `chmod(2)`: EROFS, EPERM; EOPNOTSUPP for a symbolic link.
pub fn set_mode(task: &Task, path: &Path, mode: u32) -> Result<()> {
    path.mount.check_writable()?;
    let attr = path.inode().attr()?;
    if attr.file_type == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    let credentials = task.credentials();
    if !permission::owns(&credentials, &attr) {
        return Err(Errno::EPERM);
    }
    let mut permissions = mode & 0o7777;
    if !credentials.in_group(attr.gid)
        && !credentials.has_over(Capability::Fsetid, attr.uid, attr.gid)
    {
        permissions &= !0o2000;
    }
    path.inode().set_attr(&SetAttr {
        permissions: Some(permissions),
        ..SetAttr::default()
    })?;
    notify::happened(path, FileEvent::ATTRIB);
    Ok(())
}

/// `chown(2)`: EROFS, EPERM. Set-ID bits of what is not a directory go, even for root.
pub fn set_owner(task: &Task, path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    path.mount.check_writable()?;
    let attr = path.inode().attr()?;
    let credentials = task.credentials();
    if !may_change_owner(&credentials, &attr, uid, gid) {
        return Err(Errno::EPERM);
    }
    let mut permissions = None;
    if attr.file_type != FileType::Directory {
        let mut kept = attr.permissions & !0o4000;
        let drops_group_bit = attr.permissions & 0o010 != 0
            || !(credentials.in_group(attr.gid)
                || credentials.has_over(Capability::Fsetid, attr.uid, attr.gid));
        if drops_group_bit {
            kept &= !0o2000;
        }
        permissions = Some(kept).filter(|kept| *kept != attr.permissions);
    }
    path.inode().set_attr(&SetAttr {
        permissions,
        uid,
        gid,
        ..SetAttr::default()
    })?;
    notify::happened(path, FileEvent::ATTRIB);
    Ok(())
}

fn may_change_owner(
    credentials: &Credentials,
    attr: &Attr,
    uid: Option<u32>,
    gid: Option<u32>,
) -> bool {
    if credentials.has_over(Capability::Chown, attr.uid, attr.gid) {
        return true;
    }
    let owner = credentials.fsuid == attr.uid;
    let uid_stays = uid.is_none_or(|uid| uid == attr.uid && owner);
    let gid_allowed = gid.is_none_or(|gid| owner && (gid == attr.gid || credentials.in_group(gid)));
    uid_stays && gid_allowed
}

/// `utimensat(2)`: EROFS, EPERM, EACCES (the current time may be set by who may write).
pub fn set_times(task: &Task, path: &Path, times: Times) -> Result<()> {
    path.mount.check_writable()?;
    let attr = path.inode().attr()?;
    let credentials = task.credentials();
    if !permission::owns(&credentials, &attr) {
        if times != Times::NOW {
            return Err(Errno::EPERM);
        }
        permission::check(&credentials, &attr, permission::WRITE)?;
    }
    path.inode().set_attr(&SetAttr {
        atime: times.access,
        mtime: times.modification,
        ..SetAttr::default()
    })?;
    notify::happened(path, FileEvent::ATTRIB);
    Ok(())
}

/// Whether `truncate(2)` of `path` is allowed: EISDIR, EINVAL, EROFS, EACCES.
pub fn check_truncate(task: &Task, path: &Path) -> Result<()> {
    let attr = path.inode().attr()?;
    match attr.file_type {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    path.mount.check_writable()?;
    permission::check(&task.credentials(), &attr, permission::WRITE)
}

/// `truncate(2)` of what has been checked; ETXTBSY if it is being executed.
pub fn truncate(task: &Task, path: &Path, len: u64) -> Result<()> {
    let _access = WriteAccess::take(path.inode(), &path.mount)?;
    set_size(task, path.inode(), len)?;
    notify::happened(path, FileEvent::MODIFY);
    Ok(())
}

/// What the permissions of a file with set-ID bits are to be after a change of its contents; none for one without:
/// the host takes the bits away from files of its own, whoever it is that writes in here.
pub fn permissions_after_write(task: &Task, attr: &Attr) -> Option<u32> {
    let kept = permission::without_set_id(&task.credentials(), attr);
    (attr.permissions & 0o6000 != 0).then(|| kept.unwrap_or(attr.permissions))
}

/// Sets the size; set-ID bits go as for a write.
pub fn set_size(task: &Task, inode: &InodeRef, len: u64) -> Result<()> {
    let attr = inode.attr()?;
    inode.set_attr(&SetAttr {
        size: Some(len),
        permissions: permissions_after_write(task, &attr),
        ..SetAttr::default()
    })
}
