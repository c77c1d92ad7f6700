//! Unix sockets (`man 7 unix`). Skeleton for its owner.

/// A unix socket that a name leads to.
#[derive(Debug, Default)]
pub struct BoundSocket {}
