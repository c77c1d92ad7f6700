//! The mounts on a mount: in the order in which they came, and by the place where they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Mount;
use crate::vfs::dentry::Dentry;

/// The mounts directly on a mount.
#[derive(Debug, Default)]
pub(super) struct Children {
    next: u64,
    by_order: BTreeMap<u64, Arc<Mount>>,
    /// The orders of those at one dentry, known by its address; each holds its dentry.
    by_place: HashMap<usize, Vec<u64>>,
}

fn key(dentry: &Arc<Dentry>) -> usize {
    Arc::as_ptr(dentry).addr()
}

impl Children {
    /// Adds a mount at `dentry`; by what is returned it is removed again.
    pub(super) fn add(&mut self, mount: Arc<Mount>, dentry: &Arc<Dentry>) -> u64 {
        let order = self.next;
        self.next += 1;
        self.by_order.insert(order, mount);
        self.by_place.entry(key(dentry)).or_default().push(order);
        order
    }

    /// Takes the mount off that was added as `order` at `dentry`.
    pub(super) fn remove(&mut self, order: u64, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        let key = key(dentry);
        if let Some(orders) = self.by_place.get_mut(&key) {
            orders.retain(|other| *other != order);
            if orders.is_empty() {
                self.by_place.remove(&key);
            }
        }
        self.by_order.remove(&order)
    }

    /// The last that came to `dentry`.
    pub(super) fn at(&self, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        let order = self.by_place.get(&key(dentry))?.last()?;
        self.by_order.get(order).cloned()
    }

    /// All of them, in the order in which they came.
    pub(super) fn list(&self) -> Vec<Arc<Mount>> {
        self.by_order.values().cloned().collect()
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> Vec<Arc<Mount>> {
        self.by_place.clear();
        std::mem::take(&mut self.by_order).into_values().collect()
    }
}
