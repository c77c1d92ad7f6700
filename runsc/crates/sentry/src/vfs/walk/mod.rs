//! Path resolution (`man 7 path_resolution`).
//!
//! [`Resolver`] says for whom and from where a path is resolved; its walk goes component by component,
//! asking the file system for as many at once as it can ([`crate::vfs::inode::Inode::lookup_path`]).

mod components;
mod resolver;
mod step;

use abi::Errno;
use bitflags::bitflags;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::path::Path;

pub use resolver::{Last, LastName, Resolver};
pub(crate) use step::{Walk, lookup, lookup_locked};

/// Longest name of a component.
pub const NAME_MAX: usize = 255;
/// Longest path with its NUL.
pub const PATH_MAX: usize = 4096;

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
pub fn resolve(task: &Task, start: Option<&Path>, path: &[u8], flags: WalkFlags) -> Result<Path> {
    Resolver::of(task, start).resolve(path, flags)
}

/// Resolves all but the last component: the parent and the last name (for what makes a new name).
/// EEXIST if the last component is `.`, `..` or `/`.
pub fn resolve_parent(
    task: &Task,
    start: Option<&Path>,
    path: &[u8],
    flags: WalkFlags,
) -> Result<(Path, Vec<u8>)> {
    let last = Resolver::of(task, start).resolve_last(path, flags)?;
    match last.name {
        LastName::Name(name) => Ok((last.parent, name)),
        LastName::Dot | LastName::DotDot | LastName::Root => Err(Errno::EEXIST),
    }
}
