//! Finding entries: a walk is one round trip, however many components.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::gofer::{NodeId, Step, Walk, WalkEnd};
use abi::Errno;

use super::inode::GoferInode;
use crate::error::Result;
use crate::vfs::attr::FileType;
use crate::vfs::inode::CachePolicy;

impl GoferInode {
    /// The inodes along `names`, as far as they exist and cross directories only; an error if the
    /// first is not there.
    pub(crate) fn walk(&self, names: &[&[u8]]) -> Result<Vec<Arc<GoferInode>>> {
        if self.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let mut found = Vec::with_capacity(names.len());
        if self.core.options.policy == CachePolicy::Keep {
            found = self.known_prefix(names);
        }
        let Some(rest) = names.get(found.len()..).filter(|rest| !rest.is_empty()) else {
            return Ok(found);
        };
        let from = match found.last() {
            None => self.arc()?,
            Some(last) if last.file_type() == FileType::Directory => last.clone(),
            Some(_) => return Ok(found),
        };
        let lacks_first = rest
            .first()
            .is_some_and(|name| from.children.lock().lacks(name));
        if lacks_first && self.core.options.policy == CachePolicy::Keep {
            return if found.is_empty() {
                Err(Errno::ENOENT)
            } else {
                Ok(found)
            };
        }
        match from.ask_walk(rest) {
            Ok(more) => found.extend(more),
            Err(error) if found.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(found)
    }

    /// The entry `name`, if it is in use.
    pub(super) fn known_child(&self, name: &[u8]) -> Option<Arc<GoferInode>> {
        self.children.lock().get(name)
    }

    fn known_prefix(&self, names: &[&[u8]]) -> Vec<Arc<GoferInode>> {
        let mut known: Vec<Arc<GoferInode>> = Vec::new();
        for name in names {
            let dir = known.last().map_or(self, |last| &**last);
            let Some(child) = dir.known_child(name) else {
                break;
            };
            known.push(child);
        }
        known
    }

    fn ask_walk(self: &Arc<Self>, names: &[&[u8]]) -> Result<Vec<Arc<GoferInode>>> {
        let changes = self.core.changes.load(Ordering::Acquire);
        // Held until the answer has been taken in: it may name their nodes, without a finding.
        let known = self.known_prefix(names);
        let nodes: Vec<NodeId> = known.iter().map(|inode| inode.node()).collect();
        let step = |(index, &name)| Step {
            name,
            known: nodes.get(index).copied(),
        };
        let steps: Vec<Step<'_>> = names.iter().enumerate().map(step).collect();
        let walk = self.ask(|tree, node| tree.walk(node, &steps))?;
        self.take_in(names, &nodes, changes, &walk)
    }

    fn take_in(
        self: &Arc<Self>,
        names: &[&[u8]],
        known: &[NodeId],
        changes: u64,
        walk: &Walk,
    ) -> Result<Vec<Arc<GoferInode>>> {
        let unchanged = || self.core.changes.load(Ordering::Acquire) == changes;
        let mut dir = self.clone();
        let mut inodes = Vec::with_capacity(walk.found.len());
        for (index, (name, found)) in names.iter().zip(&walk.found).enumerate() {
            let given = known.get(index).copied();
            let inode = self.core.adopt(found, given)?;
            let mut children = dir.children.lock();
            if unchanged() {
                children.insert(name, &inode);
            }
            drop(children);
            inodes.push(inode.clone());
            dir = inode;
        }
        match &walk.end {
            WalkEnd::Symlink(target) => {
                // Set already if the link was walked before.
                let _ = dir.target.set(target.clone());
            }
            WalkEnd::Missing => {
                if let Some(name) = names.get(inodes.len()) {
                    let mut children = dir.children.lock();
                    if unchanged() {
                        children.insert_missing(name);
                    }
                }
                if inodes.is_empty() {
                    return Err(Errno::ENOENT);
                }
            }
            WalkEnd::Failed(error) if inodes.is_empty() => {
                return Err(if *error == Errno::ESTALE {
                    Errno::ENOENT
                } else {
                    *error
                });
            }
            WalkEnd::NotDirectory if inodes.is_empty() => return Err(Errno::ENOTDIR),
            WalkEnd::Done | WalkEnd::NotDirectory | WalkEnd::Failed(_) => {}
        }
        Ok(inodes)
    }

    /// The target of a symbolic link.
    pub(crate) fn link_target(&self) -> Result<Vec<u8>> {
        if self.file_type() != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = self.target.get() {
            return Ok(target.clone());
        }
        let target = self.ask(|tree, node| tree.read_link(node))?;
        Ok(self.target.get_or_init(|| target).clone())
    }
}
