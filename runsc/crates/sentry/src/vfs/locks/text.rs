//! `/proc/locks` (`man 5 proc`), and the registry of inodes that it is made from.

use std::fmt::Write;
use std::sync::{Arc, Weak};

use locks::Mutex;

use super::{ListedLock, LockKind, LockOwner};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::vfs::inode::{Inode, InodeRef};

/// Inodes that have, or had, locks.
#[derive(Debug, Default)]
pub struct LockedInodes {
    inodes: Mutex<Vec<Weak<dyn Inode>>>,
}

impl LockedInodes {
    /// A lock of `inode` was taken.
    pub fn note(&self, inode: &InodeRef) {
        let mut inodes = self.inodes.lock();
        let known = inodes
            .iter()
            .any(|known| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(inode)));
        if !known {
            if inodes.len() >= 64 {
                inodes.retain(|known| known.strong_count() > 0);
            }
            inodes.push(Arc::downgrade(inode));
        }
    }

    /// `/proc/locks` as `task` sees it.
    #[must_use]
    pub fn text(&self, task: &Task) -> String {
        let inodes: Vec<InodeRef> = {
            let list = self.inodes.lock();
            list.iter().filter_map(Weak::upgrade).collect()
        };
        let mut text = String::new();
        let mut number = 0;
        for inode in inodes {
            let device = inode.file_system().device();
            let ino = inode.attr().map_or(0, |attr| attr.ino);
            let place = format!("{:02x}:{:02x}:{ino}", device.major, device.minor);
            for lock in inode.shared().locks.list() {
                number += 1;
                let _ = writeln!(text, "{number}: {}", line(task, &lock, &place));
            }
        }
        text
    }
}

fn line(task: &Task, lock: &ListedLock, place: &str) -> String {
    let pid = |by: &Weak<ThreadGroup>| {
        by.upgrade()
            .map_or(0, |group| group.pid_in(&task.pid_namespace()))
    };
    match lock {
        ListedLock::Whole(kind, by) => {
            format!("FLOCK  ADVISORY  {} {} {place} 0 EOF", word(*kind), pid(by))
        }
        ListedLock::Record(lock) => {
            let (class, pid) = match lock.owner {
                LockOwner::Table(_) => ("POSIX ", pid(&lock.by).to_string()),
                LockOwner::OpenFile(_) => ("OFDLCK", "-1".to_owned()),
            };
            let end = if lock.range.end == u64::MAX {
                "EOF".to_owned()
            } else {
                lock.range.end.saturating_sub(1).to_string()
            };
            let kind = word(lock.kind);
            format!(
                "{class} ADVISORY  {kind} {pid} {place} {} {end}",
                lock.range.start
            )
        }
    }
}

fn word(kind: LockKind) -> &'static str {
    match kind {
        LockKind::Read => "READ ",
        LockKind::Write => "WRITE",
    }
}
