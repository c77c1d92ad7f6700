//! File locks: `flock(2)`, record locks and open file description locks of `fcntl(2)`. Skeleton for its owner.

/// The locks of one inode.
#[derive(Debug, Default)]
pub struct FileLocks {}

/// Writers of an inode, or those who execute it (`ETXTBSY`).
#[derive(Debug, Default)]
pub struct WriteCount {}
