//! How many `O_PATH` descriptors stay open, and which is closed next (second chance).

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::node::Node;

/// An open `O_PATH` descriptor, counted in the budget.
#[derive(Debug)]
pub(super) struct PathFd {
    fd: OwnedFd,
    budget: Arc<Budget>,
}

impl AsFd for PathFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for PathFd {
    fn drop(&mut self) {
        self.budget.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The descriptors of one table.
#[derive(Debug)]
pub(super) struct Budget {
    open: AtomicUsize,
    limit: usize,
    queue: Mutex<VecDeque<Weak<Node>>>,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget {
            open: AtomicUsize::new(0),
            limit,
            queue: Mutex::new(VecDeque::new()),
        })
    }

    pub(super) fn hold(self: &Arc<Self>, fd: OwnedFd) -> Arc<PathFd> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Arc::new(PathFd {
            fd,
            budget: self.clone(),
        })
    }

    #[cfg(test)]
    pub(super) fn open_descriptors(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Notes that `node` has an open descriptor, and closes others if that is one too many. A node without a name
    /// could not be opened again: it keeps its descriptor until the client gives it back.
    pub(super) fn enqueue(&self, node: &Arc<Node>) {
        let mut closed = Vec::new();
        let mut queue = self.queue.lock();
        queue.push_back(Arc::downgrade(node));
        if queue.len() > self.limit.saturating_mul(2) {
            queue.retain(|weak| weak.strong_count() > 0);
        }
        for _ in 0..queue.len() {
            let open = self.open.load(Ordering::Relaxed);
            if open.saturating_sub(closed.len()) <= self.limit {
                break;
            }
            let Some(candidate) = queue.pop_front().and_then(|weak| weak.upgrade()) else {
                continue;
            };
            let is_spared = Arc::ptr_eq(&candidate, node) || candidate.was_used();
            if is_spared || !candidate.give_up(&mut closed) {
                queue.push_back(Arc::downgrade(&candidate));
            }
        }
    }
}
