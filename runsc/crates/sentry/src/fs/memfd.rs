//! `memfd_create(2)`: files in memory that have a descriptor and no name.

use std::sync::Arc;

use crate::error::Result;
use crate::fs::tmpfs::TmpFs;
use crate::kernel::task::Task;
use crate::vfs::dentry::Dentry;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::inode::{Inode, InodeRef, NewKind, NewNode};
use crate::vfs::path::Path;
use crate::vfs::seals::SealFlags;

/// An open file in memory, shown as `/memfd:` and `name`.
///
/// # Errors
/// ENOSPC, ENOMEM.
pub fn open(task: &Task, name: &[u8], permissions: u32, seals: SealFlags) -> Result<Arc<OpenFile>> {
    let kernel = task.kernel();
    let mount = kernel.vfs.memfd_mount(kernel);
    let credentials = task.credentials();
    let node = NewNode {
        kind: NewKind::Regular,
        permissions,
        uid: credentials.fsuid,
        gid: credentials.fsgid,
    };
    let inode = TmpFs::unnamed(&mount.fs, &node, seals)?;
    let file = inode.clone().open(OpenFlags::RDWR, task)?;
    let inode: InodeRef = inode;
    let path = Path {
        dentry: Dentry::anonymous(inode.clone(), [b"/memfd:", name, b" (deleted)"].concat()),
        mount: mount.clone(),
    };
    let flags = OpenFlags::RDWR | OpenFlags::LARGEFILE;
    Ok(OpenFile::new(path, inode, file, flags))
}
