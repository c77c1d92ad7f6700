//! Dentries: the place of an inode in a tree. Skeleton for its owner.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::vfs::inode::InodeRef;

/// An inode's place in a tree.
#[derive(Debug)]
pub struct Dentry {
    pub(crate) inode: InodeRef,
    pub(crate) place: Mutex<Place>,
    pub(crate) children: Mutex<HashMap<Vec<u8>, Weak<Dentry>>>,
}

/// Where a dentry is; changes with rename.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) parent: Option<Arc<Dentry>>,
    pub(crate) name: Vec<u8>,
    /// Unlinked: shown with ` (deleted)`.
    pub(crate) deleted: bool,
}

impl Dentry {
    /// A root.
    #[must_use]
    pub fn root(inode: InodeRef) -> Arc<Dentry> {
        Arc::new(Dentry {
            inode,
            place: Mutex::new(Place {
                parent: None,
                name: Vec::new(),
                deleted: false,
            }),
            children: Mutex::default(),
        })
    }

    /// The inode.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        &self.inode
    }
}
