//! Epolls that watch epolls: never in a circle, never deep.

use std::sync::Arc;

use abi::Errno;
use locks::{Mutex, MutexGuard};

use super::Epoll;
use crate::error::Result;

/// The longest chain of epolls that Linux allows (`EP_MAX_NESTS` links).
const MAX_CHAIN: usize = 5;

/// Serialises the making of links between the epolls of a kernel.
#[derive(Debug, Default)]
pub struct EpollGraph(Mutex<()>);

impl EpollGraph {
    /// Checks that `parent` may watch `child`, ELOOP, and keeps others from making links until the
    /// guard is dropped.
    pub(super) fn link(&self, parent: &Epoll, child: &Epoll) -> Result<MutexGuard<'_, ()>> {
        let guard = self.0.lock();
        let below = depth_below(child, parent, MAX_CHAIN)?;
        let above = depth_above(parent, MAX_CHAIN)?;
        if below + above > MAX_CHAIN {
            return Err(Errno::ELOOP);
        }
        Ok(guard)
    }
}

/// The longest chain from `epoll` down, itself included; ELOOP if it meets `forbidden` or exceeds `left`.
fn depth_below(epoll: &Epoll, forbidden: &Epoll, left: usize) -> Result<usize> {
    if left == 0 || std::ptr::eq(epoll, forbidden) {
        return Err(Errno::ELOOP);
    }
    let files: Vec<_> = {
        let interests = epoll.interests.lock();
        let watches = interests.watches.values();
        watches
            .filter_map(|watch| watch.item.file.upgrade())
            .collect()
    };
    let mut deepest = 0;
    for child in files.iter().filter_map(|file| super::of(file)) {
        deepest = deepest.max(depth_below(child, forbidden, left - 1)?);
    }
    Ok(deepest + 1)
}

/// The longest chain from `epoll` up, itself included.
fn depth_above(epoll: &Epoll, left: usize) -> Result<usize> {
    if left == 0 {
        return Err(Errno::ELOOP);
    }
    let parents: Vec<Arc<Epoll>> = {
        let mut parents = epoll.parents.lock();
        parents.retain(|parent| parent.strong_count() > 0);
        parents
            .iter()
            .filter_map(std::sync::Weak::upgrade)
            .collect()
    };
    let mut deepest = 0;
    for parent in parents {
        deepest = deepest.max(depth_above(&parent, left - 1)?);
    }
    Ok(deepest + 1)
}
