//! Who hears of a file's readiness by SIGIO (`man 2 fcntl`, *Managing signals*). Skeleton for its owner.

/// The owner of an open file description.
#[derive(Clone, Debug, Default)]
pub struct FileOwner {}
