//! What a directory remembers of its entries.
//!
//! On a tree of our own (`CachePolicy::Keep`) this answers lookups; on one that the host changes too it
//! only tells the gofer which nodes there are already. What a walk has found is not remembered if an
//! entry was changed meanwhile: the two may have passed each other on different connections.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::inode::GoferInode;

/// How many dead entries a directory may remember before they are cleared out.
const SLACK: usize = 64;
/// Most names remembered as missing; one more, and all are forgotten.
const MISSING_MAX: usize = 256;

/// Entries that have been looked up.
#[derive(Debug, Default)]
pub(super) struct Children {
    known: HashMap<Vec<u8>, Weak<GoferInode>>,
    missing: HashSet<Vec<u8>>,
}

impl Children {
    /// The entry `name`, if it is in use.
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<GoferInode>> {
        self.known.get(name).and_then(Weak::upgrade)
    }

    /// Whether there was no entry `name`.
    pub(super) fn lacks(&self, name: &[u8]) -> bool {
        self.missing.contains(name)
    }

    /// Remembers that `name` is `inode`.
    pub(super) fn insert(&mut self, name: &[u8], inode: &Arc<GoferInode>) {
        self.missing.remove(name);
        if let Some(known) = self.known.get_mut(name) {
            *known = Arc::downgrade(inode);
            return;
        }
        if self.known.len() >= SLACK && self.known.len() == self.known.capacity() {
            self.known.retain(|_, child| child.strong_count() > 0);
        }
        self.known.insert(name.to_vec(), Arc::downgrade(inode));
    }

    /// Forgets what `name` was.
    pub(super) fn remove(&mut self, name: &[u8]) {
        self.known.remove(name);
        self.missing.remove(name);
    }

    /// Remembers that there is no entry `name`.
    pub(super) fn insert_missing(&mut self, name: &[u8]) {
        self.known.remove(name);
        if self.missing.len() >= MISSING_MAX {
            self.missing.clear();
        }
        self.missing.insert(name.to_vec());
    }
}
