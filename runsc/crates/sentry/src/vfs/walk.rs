//! Path resolution (`man 7 path_resolution`). Skeleton for its owner.

use bitflags::bitflags;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::path::Path;

bitflags! {
    /// How a path is resolved.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct WalkFlags: u32 {
        /// Follow a symbolic link in the last component.
        const FOLLOW = 1;
        /// The result must be a directory.
        const DIRECTORY = 2;
        /// An empty path is the start itself (AT_EMPTY_PATH).
        const EMPTY = 4;
        /// RESOLVE_NO_XDEV
        const NO_XDEV = 8;
        /// RESOLVE_NO_MAGICLINKS
        const NO_MAGICLINKS = 16;
        /// RESOLVE_NO_SYMLINKS
        const NO_SYMLINKS = 32;
        /// RESOLVE_BENEATH
        const BENEATH = 64;
        /// RESOLVE_IN_ROOT
        const IN_ROOT = 128;
    }
}

/// Resolves `path` from `start` (none: the working directory; absolute paths start at the root).
pub fn resolve(
    _task: &Task,
    _start: Option<&Path>,
    _path: &[u8],
    _flags: WalkFlags,
) -> Result<Path> {
    todo!()
}

/// Resolves all but the last component: the parent and the last name (for create, unlink, rename).
pub fn resolve_parent(
    _task: &Task,
    _start: Option<&Path>,
    _path: &[u8],
    _flags: WalkFlags,
) -> Result<(Path, Vec<u8>)> {
    todo!()
}
