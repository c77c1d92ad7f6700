//! Mounts and mount namespaces (`man 7 mount_namespaces`). Skeleton for its owner.

use std::sync::Arc;

use crate::vfs::inode::FileSystem;

/// A file system, or a part of one, at its place.
#[derive(Debug)]
pub struct Mount {
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
}
