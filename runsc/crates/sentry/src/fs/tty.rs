//! Terminals: line discipline, sessions, job control. Skeleton for its owner.

/// A terminal that can control a session.
#[derive(Debug, Default)]
pub struct Tty {}
