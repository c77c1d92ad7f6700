//! Permission checks (`man 7 path_resolution`, *Permissions*; `man 7 capabilities`).

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::{Capability, Credentials};
use crate::vfs::attr::{Attr, FileType};

/// What is asked of a file, with the bits of `access(2)`.
pub const READ: u32 = 4;
/// Write permission.
pub const WRITE: u32 = 2;
/// Execute or search permission.
pub const EXECUTE: u32 = 1;

/// Whether the file-system ids of `credentials` allow `wanted` (a union of [`READ`], [`WRITE`],
/// [`EXECUTE`]) on an inode with these attributes; EACCES.
pub fn check(credentials: &Credentials, attr: &Attr, wanted: u32) -> Result<()> {
    let shift = if credentials.fsuid == attr.uid {
        6
    } else if credentials.in_group(attr.gid) {
        3
    } else {
        0
    };
    if (attr.permissions >> shift) & wanted == wanted {
        return Ok(());
    }
    let directory = attr.file_type == FileType::Directory;
    let override_allows = wanted & EXECUTE == 0 || directory || attr.permissions & 0o111 != 0;
    if credentials.has_over(Capability::DacOverride, attr.uid, attr.gid) && override_allows {
        return Ok(());
    }
    let only_reads = wanted == READ || (directory && wanted & WRITE == 0);
    if credentials.has_over(Capability::DacReadSearch, attr.uid, attr.gid) && only_reads {
        return Ok(());
    }
    Err(Errno::EACCES)
}

/// Whether `credentials` own the inode or may act as if they did (`CAP_FOWNER`).
#[must_use]
pub fn owns(credentials: &Credentials, attr: &Attr) -> bool {
    credentials.fsuid == attr.uid || credentials.has_over(Capability::Fowner, attr.uid, attr.gid)
}

/// Whether a sticky directory keeps `credentials` from removing or renaming an entry of it
/// (`man 7 inode`, *`S_ISVTX`*).
pub fn check_sticky(credentials: &Credentials, directory: &Attr, entry: &Attr) -> Result<()> {
    let sticky = directory.permissions & 0o1000 != 0;
    if !sticky || credentials.fsuid == directory.uid || owns(credentials, entry) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// The permission bits that are left when someone else than `CAP_FSETID` changes the content of a file
/// (`man 2 write`: set-user-ID and set-group-ID are cleared); none if nothing changes.
#[must_use]
pub fn without_set_id(credentials: &Credentials, attr: &Attr) -> Option<u32> {
    let mut cleared = attr.permissions & 0o4000;
    if attr.permissions & 0o2010 == 0o2010 {
        cleared |= 0o2000;
    }
    let clears = attr.file_type == FileType::Regular
        && cleared != 0
        && !credentials.has_over(Capability::Fsetid, attr.uid, attr.gid);
    clears.then_some(attr.permissions & !cleared)
}
