//! Extended attributes: who may do what in which name space (`man 7 xattr`).

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::vfs::attr::{Attr, FileType};
use crate::vfs::file_capabilities;
use crate::vfs::inode::XattrFlags;
use crate::vfs::path::Path;
use crate::vfs::permission;

/// Longest name (`XATTR_NAME_MAX`).
pub const NAME_MAX: usize = 255;
/// What gives a program capabilities (`man 7 capabilities`, *File capabilities*).
pub const CAPABILITY: &[u8] = b"security.capability";
/// Largest value (`XATTR_SIZE_MAX`).
pub const SIZE_MAX: usize = 65536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// `getxattr(2)`
pub fn get(task: &Task, path: &Path, name: &[u8]) -> Result<Vec<u8>> {
    check(task, &path.inode().attr()?, name, Access::Read)?;
    let value = path.inode().get_xattr(name)?;
    if name != CAPABILITY {
        return Ok(value);
    }
    let reader = &task.credentials().user_ns;
    file_capabilities::shown(reader, &path.mount.tree().owner(reader), &value)
}

/// `setxattr(2)`
pub fn set(task: &Task, path: &Path, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
    path.mount.check_writable()?;
    check(task, &path.inode().attr()?, name, Access::Write)?;
    // As on Linux, none at all are of no form.
    if name != CAPABILITY || value.is_empty() {
        return path.inode().set_xattr(name, value, flags);
    }
    let credentials = task.credentials();
    let owner = path.mount.tree().owner(&credentials.user_ns);
    let stored = file_capabilities::stored(&credentials, &owner, value)?;
    path.inode().set_xattr(name, &stored, flags)
}

/// `removexattr(2)`
pub fn remove(task: &Task, path: &Path, name: &[u8]) -> Result<()> {
    path.mount.check_writable()?;
    check(task, &path.inode().attr()?, name, Access::Write)?;
    path.inode().remove_xattr(name)
}

/// `listxattr(2)`: the names that the task may know of, each ended by NUL.
pub fn list(task: &Task, path: &Path) -> Result<Vec<u8>> {
    let sees_trusted = task.has_capability(Capability::SysAdmin);
    let mut text = Vec::new();
    for name in path.inode().list_xattr()? {
        if sees_trusted || !name.starts_with(b"trusted.") {
            text.extend_from_slice(&name);
            text.push(0);
        }
    }
    Ok(text)
}

fn check(task: &Task, attr: &Attr, name: &[u8], access: Access) -> Result<()> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Errno::ERANGE);
    }
    let writes = access == Access::Write;
    if name.starts_with(b"trusted.") {
        return match (task.has_capability(Capability::SysAdmin), writes) {
            (true, _) => Ok(()),
            (false, true) => Err(Errno::EPERM),
            (false, false) => Err(Errno::ENODATA),
        };
    }
    if name.starts_with(b"security.") {
        let may_write = if name == CAPABILITY {
            let credentials = task.credentials();
            credentials.has_over(Capability::Setfcap, attr.uid, attr.gid)
        } else {
            task.has_capability(Capability::SysAdmin)
        };
        return if writes && !may_write {
            Err(Errno::EPERM)
        } else {
            Ok(())
        };
    }
    if name.starts_with(b"user.") {
        return check_user(task, attr, writes);
    }
    if name.starts_with(b"system.") && !writes {
        return Ok(());
    }
    Err(Errno::EOPNOTSUPP)
}

/// `user.` is for regular files and directories; in a sticky directory for its owner alone.
fn check_user(task: &Task, attr: &Attr, writes: bool) -> Result<()> {
    let credentials = task.credentials();
    let stored = matches!(attr.file_type, FileType::Regular | FileType::Directory);
    let sticky = attr.file_type == FileType::Directory && attr.permissions & 0o1000 != 0;
    if !stored {
        return Err(if writes { Errno::EPERM } else { Errno::ENODATA });
    }
    if sticky && writes && !permission::owns(&credentials, attr) {
        return Err(Errno::EPERM);
    }
    let wanted = if writes {
        permission::WRITE
    } else {
        permission::READ
    };
    permission::check(&credentials, attr, wanted)
}
