//! The share of the host in the locks of one of its files: what the tasks of this kernel hold together is a lock of the
//! kernel's own host descriptor, so that the host's programs and other containers are kept out, and keep it out.
//!
//! Nobody here ever has a write lock beside another's lock of the same bytes, so the host's lock is that of the one who
//! took his last. Who waits for the host's programs looks again and again: the host tells of no end of a lock without
//! blocking a thread.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use host::file_lock::{self, Kind, Range};
use memory::HostFile;

use super::{LockKind, LockRange};
use crate::error::Result;

/// The first pause between two looks, and the longest.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// A host descriptor through which a file's locks are taken.
#[derive(Clone, Debug)]
pub struct HostLock {
    /// The descriptor.
    pub file: Arc<HostFile>,
    /// Whether it can write, which locks that exclude need.
    pub writable: bool,
}

/// A lock that somebody outside holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Shared or exclusive.
    pub kind: LockKind,
    /// What it covers.
    pub range: LockRange,
    /// Whether it is one of an open file description.
    pub by_open_file: bool,
}

fn host_kind(kind: LockKind) -> Kind {
    match kind {
        LockKind::Read => Kind::Read,
        LockKind::Write => Kind::Write,
    }
}

fn host_range(range: LockRange) -> Range {
    let start = i64::try_from(range.start).unwrap_or(i64::MAX);
    let len = match range.end {
        u64::MAX => 0,
        end => i64::try_from(end.saturating_sub(range.start)).unwrap_or(0),
    };
    Range { start, len }
}

impl HostLock {
    pub(super) fn set_record(&self, kind: Option<LockKind>, range: LockRange) -> Result<bool> {
        file_lock::set_record(self.file.as_fd(), kind.map(host_kind), host_range(range))
    }

    pub(super) fn set_whole(&self, kind: Option<LockKind>) -> Result<bool> {
        file_lock::set_whole(self.file.as_fd(), kind.map(host_kind))
    }

    /// A lock of somebody outside that one of this kind conflicts with.
    pub fn conflict(&self, kind: LockKind, range: LockRange) -> Result<Option<Outside>> {
        let held = file_lock::conflict(self.file.as_fd(), host_kind(kind), host_range(range))?;
        Ok(held.map(|held| Outside {
            kind: match held.kind {
                Kind::Read => LockKind::Read,
                Kind::Write => LockKind::Write,
            },
            range: LockRange {
                start: held.range.start.unsigned_abs(),
                end: match held.range.len {
                    0 => u64::MAX,
                    len => held.range.start.saturating_add(len).unsigned_abs(),
                },
            },
            by_open_file: held.by_open_file,
        }))
    }
}
