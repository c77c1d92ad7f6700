//! Terminals: line discipline, sessions, job control. Skeleton for its owner.

/// A terminal that can control a session.
#[derive(Debug, Default)]
pub struct Tty {}

/// The leader of `session` exited: its terminal hangs up.
pub fn session_leader_exited(_session: &crate::kernel::pids::Session) {}
