//! Sockets.

pub mod unix;

/// What socket calls ask of a socket. Skeleton for its owner.
pub trait Socket: Send + Sync + std::fmt::Debug {}

/// Tables that the sockets of one kernel share.
#[derive(Debug, Default)]
pub struct SocketTables {}
