//! All nodes of one client: by their ids, and by what their files are.
//!
//! A file has one node however often and under whichever name it is found, so that the client, who takes
//! nodes for files, shares locks, mappings and attributes between names. Each answer that names a node is
//! a *finding*, unless the question already named it; the client gives each back once, and with the last
//! it knows the node no more. The node lives on while others are below it, to be found again.
//!
//! Lock order: the maps come last; nothing is asked of the host, and no node is dropped, while they are
//! held.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use parking_lot::RwLock;

use super::Root;
use super::budget::Budget;
use super::identity::At;
use super::node::{Node, Place};
use crate::types::{Attr, FileKind, NodeId, Result};

/// Most nodes that a client may keep: a bound on the gofer's memory.
const NODES_MAX: usize = 1 << 20;

/// Most descriptors that read directories and are kept open between batches.
const READERS_MAX: usize = 256;

/// All nodes of one client.
#[derive(Debug)]
pub(super) struct Table {
    maps: Arc<RwLock<Maps>>,
    next: AtomicU64,
    pub(super) budget: Arc<Budget>,
    /// `/proc/self/fd`, if it may be used.
    pub(super) own_descriptors: Option<OwnedFd>,
    /// Counts the open readers of directories.
    pub(super) readers: Arc<()>,
    /// Most of those.
    pub(super) readers_max: usize,
}

#[derive(Debug, Default)]
pub(super) struct Maps {
    /// Those that the client knows.
    by_id: HashMap<NodeId, Arc<Node>>,
    /// Those that have, or had when last seen, this device and inode number.
    by_identity: HashMap<(u64, u64), Alike>,
}

/// Nodes with the same device and inode number: nearly always one.
#[derive(Debug)]
struct Alike {
    first: (NodeId, Weak<Node>),
    others: Vec<(NodeId, Weak<Node>)>,
}

impl Table {
    pub(super) fn new(limit: usize) -> Table {
        Table {
            maps: Arc::default(),
            next: AtomicU64::new(1),
            budget: Budget::new(limit),
            own_descriptors: None,
            readers: Arc::new(()),
            readers_max: (limit / 4).clamp(1, READERS_MAX),
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Result<Arc<Node>> {
        self.maps.read().by_id.get(&id).cloned().ok_or(Errno::EBADF)
    }

    /// A directory node; `ENOTDIR` for others.
    pub(super) fn directory(&self, id: NodeId) -> Result<Arc<Node>> {
        let node = self.get(id)?;
        if node.kind == FileKind::Directory {
            Ok(node)
        } else {
            Err(Errno::ENOTDIR)
        }
    }

    /// The root of a tree, found once more or for the first time.
    pub(super) fn root(&self, root: &Arc<Root>, attr: &Attr) -> Result<Arc<Node>> {
        let mine = |node: &Arc<Node>| Arc::ptr_eq(&node.root, root) && node.is_root();
        self.find_or_add(root, attr, Some(Place::Root), &mine)
    }

    /// A node for a file that has just been made without a name.
    pub(super) fn unnamed(&self, root: &Arc<Root>, attr: &Attr) -> Result<Arc<Node>> {
        self.find_or_add(root, attr, None, &|_| false)
    }

    /// The node of the file that `name` in `dir` is: `at`, with attributes `attr`. A finding, unless it is
    /// `known`, which the client thinks it to be.
    pub(super) fn child(
        &self,
        dir: &Arc<Node>,
        name: CString,
        attr: &Attr,
        at: At<'_>,
        known: Option<Arc<Node>>,
    ) -> Result<Arc<Node>> {
        if let Some(known) = known
            && known.is_at(self, dir, &name, attr, at)
        {
            return Ok(known);
        }
        let is_it = |node: &Arc<Node>| node.is_at(self, dir, &name, attr, at);
        let place = Place::Child(dir.clone(), name.clone().into());
        self.find_or_add(&dir.root, attr, Some(place), &is_it)
    }

    fn find_or_add(
        &self,
        root: &Arc<Root>,
        attr: &Attr,
        place: Option<Place>,
        is_it: &dyn Fn(&Arc<Node>) -> bool,
    ) -> Result<Arc<Node>> {
        loop {
            let alike = self.maps.read().alike(attr.identity());
            let mut living = alike.iter().filter_map(|(_, node)| node.upgrade());
            if let Some(node) = living.find(is_it) {
                self.found_again(&node);
                return Ok(node);
            }
            let id = NodeId(self.next.fetch_add(1, Ordering::Relaxed));
            let maps = Arc::downgrade(&self.maps);
            let node = Arc::new(Node::new(id, root, attr, place.clone(), maps)?);
            let mut maps = self.maps.write();
            // Another thread may have found the same file meanwhile.
            if !maps.are_alike(attr.identity(), &alike) {
                continue;
            }
            if maps.by_id.len() >= NODES_MAX {
                return Err(Errno::ENFILE);
            }
            maps.by_id.insert(id, node.clone());
            maps.index(attr.identity(), &node);
            return Ok(node);
        }
    }

    /// Counts a finding of a node, which the client may have given back entirely.
    fn found_again(&self, node: &Arc<Node>) {
        let maps = self.maps.read();
        if maps.by_id.contains_key(&node.id) {
            node.findings.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(maps);
        let mut maps = self.maps.write();
        node.findings.fetch_add(1, Ordering::Relaxed);
        maps.by_id.insert(node.id, node.clone());
    }

    /// Gives findings back, one for each time that an id is listed.
    pub(super) fn give_back(&self, ids: &[NodeId]) {
        let mut gone = Vec::new();
        let mut maps = self.maps.write();
        for id in ids {
            if let Entry::Occupied(entry) = maps.by_id.entry(*id)
                && entry.get().findings.fetch_sub(1, Ordering::Relaxed) == 1
            {
                gone.push(entry.remove());
            }
        }
        drop(maps);
        drop(gone);
    }

    /// The file of `node` has another device or inode number than before.
    pub(super) fn renumbered(&self, node: &Arc<Node>, identity: (u64, u64)) {
        let mut maps = self.maps.write();
        let old = node.index_as(identity);
        if old != identity {
            maps.unindex(old, node.id);
            maps.index(identity, node);
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.maps.read().by_id.len()
    }

    #[cfg(test)]
    pub(super) fn open_descriptors(&self) -> usize {
        self.budget.open_descriptors()
    }
}

impl Maps {
    fn alike(&self, identity: (u64, u64)) -> Vec<(NodeId, Weak<Node>)> {
        let alike = self.by_identity.get(&identity);
        let all = alike.map(|alike| std::iter::once(&alike.first).chain(&alike.others));
        all.into_iter().flatten().cloned().collect()
    }

    /// Whether these are the nodes with that identity still.
    fn are_alike(&self, identity: (u64, u64), nodes: &[(NodeId, Weak<Node>)]) -> bool {
        let ids =
            |nodes: &[(NodeId, Weak<Node>)]| nodes.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        ids(&self.alike(identity)) == ids(nodes)
    }

    fn index(&mut self, identity: (u64, u64), node: &Arc<Node>) {
        let node = (node.id, Arc::downgrade(node));
        match self.by_identity.entry(identity) {
            Entry::Occupied(mut entry) => entry.get_mut().others.push(node),
            Entry::Vacant(entry) => {
                let others = Vec::new();
                entry.insert(Alike {
                    first: node,
                    others,
                });
            }
        }
    }

    /// Forgets that a node, which may be gone, has an identity.
    pub(super) fn unindex(&mut self, identity: (u64, u64), id: NodeId) {
        let Entry::Occupied(mut entry) = self.by_identity.entry(identity) else {
            return;
        };
        let alike = entry.get_mut();
        alike.others.retain(|(other, _)| *other != id);
        if alike.first.0 == id {
            match alike.others.pop() {
                Some(other) => alike.first = other,
                None => drop(entry.remove()),
            }
        }
    }
}
