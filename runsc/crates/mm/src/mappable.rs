//! What a file offers to be mapped.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use memory::{FrameRange, HostFile};
use platform::Access;

use crate::Result;
use crate::mapping_set::MappingSet;

/// Where the bytes of a part of a mappable object are.
#[derive(Clone, Debug)]
pub enum Extent {
    /// In the memory file; the receiver owns one reference on the whole range.
    Memory(FrameRange),
    /// In a host file, from this offset on, which is mapped from the host's page cache.
    Host(Arc<HostFile>, u64),
}

/// An object that `mmap(2)` can map: a tmpfs file, a host file behind the gofer, a memfd, a shared
/// anonymous area, a System V segment, the vDSO.
pub trait Mappable: Send + Sync + fmt::Debug {
    /// Where the page-aligned `offsets` are: an extent that covers the start of the range and perhaps more
    /// or less than all of it (its length in the second value, at least a page, page-aligned, never
    /// beyond `offsets.end`). Pages that do not exist yet are made. EFAULT: beyond the end of the file
    /// (SIGBUS); ENOMEM: no memory for it.
    fn extent(&self, offsets: Range<u64>, access: Access) -> Result<(Extent, u64)>;

    /// The registry of those who map it, for invalidation; none if it never changes.
    fn mappings(&self) -> Option<&MappingSet>;

    /// Writes changed pages to the host (`msync(2)` with `MS_SYNC`).
    fn sync(&self, _offsets: Range<u64>) -> Result<()> {
        Ok(())
    }

    /// Gives the pages at `offsets` back, so that they are zero again (`madvise(2)` with `MADV_REMOVE`).
    fn punch_hole(&self, _offsets: Range<u64>) -> Result<()> {
        Err(abi::Errno::EOPNOTSUPP)
    }

    /// An id of the object, unique for the kernel's life: the identity of shared futexes.
    fn id(&self) -> u64;

    /// Device, inode number and path for `/proc/[pid]/maps`, if mapped without an open file.
    fn describe(&self) -> Option<String> {
        None
    }
}
