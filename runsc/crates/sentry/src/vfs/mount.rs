//! Mounts and mount namespaces (`man 7 mount_namespaces`). Skeleton for its owner.

use std::sync::Arc;

use crate::vfs::inode::FileSystem;

/// A file system, or a part of one, at its place.
#[derive(Debug)]
pub struct Mount {
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
}

impl Mount {
    /// Whether programs can't be executed from it (MS_NOEXEC).
    #[must_use]
    pub fn is_no_exec(&self) -> bool {
        false
    }

    /// Whether set-ID bits and file capabilities count for nothing (MS_NOSUID).
    #[must_use]
    pub fn is_no_suid(&self) -> bool {
        false
    }
}
