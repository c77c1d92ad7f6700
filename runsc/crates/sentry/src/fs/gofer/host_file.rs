//! The host descriptor of a regular file: at most one per inode, opened on first use.
//!
//! It is opened for reading first, and replaced by a writable one when someone opens the file for
//! writing: on an overlayfs the first writable open copies the file up, and the old descriptor would
//! map the lower file for ever, so that mappings are taken away and made again from the new one. When
//! the last writer closes, the writable descriptor goes too, or the host could not execute the file
//! (`ETXTBSY`). Descriptors that nobody used lately are closed when there are too many, except
//! those of files without a name, which could not be opened again, and of mapped files, since a page
//! fault may not wait for the gofer.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use ::gofer::{Access, file};
use locks::{Mutex, MutexGuard};
use memory::HostFile;
use mm::mapping_set::Invalidate;

use super::inode::GoferInode;
use crate::error::Result;
use crate::vfs::inode::Inode;

/// The end of the largest file, in whole pages.
pub(crate) const END: u64 = !(abi::PAGE_SIZE as u64 - 1);

/// An inode's host descriptor and who needs it.
#[derive(Debug, Default)]
pub(super) struct HostSlot {
    file: Option<Arc<HostFile>>,
    writable: bool,
    /// Open files that write.
    writers: usize,
    /// Open files.
    users: usize,
    /// What is mapped of it; while it is not 0 there is a descriptor.
    mapped: usize,
    /// The file has lost its name: its descriptor is all that reaches it.
    nameless: bool,
}

/// Whether a descriptor is needed for reading or for writing too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

impl GoferInode {
    /// The host descriptor, opened or replaced if need be.
    pub(crate) fn host_file(&self, wanted: Use) -> Result<Arc<HostFile>> {
        self.recently_used.store(true, Ordering::Relaxed);
        let mut slot = self.host.lock();
        if let Some(file) = &slot.file
            && (slot.writable || wanted == Use::Read)
        {
            return Ok(file.clone());
        }
        let writable = wanted == Use::Write || slot.writers > 0;
        let access = if writable {
            Access::ReadWrite
        } else {
            Access::Read
        };
        let opened = self.ask(|tree, node| tree.open(node, access))?;
        self.remember(&opened.attr);
        let file = HostFile::new(opened.fd);
        let old = slot.file.replace(file.clone());
        slot.writable = writable;
        drop(slot);
        self.settle(old)?;
        Ok(file)
    }

    /// Makes a descriptor that came with the file's creation the inode's own.
    pub(super) fn set_host_file(&self, fd: std::os::fd::OwnedFd, nameless: bool) -> Result<()> {
        let mut slot = self.host.lock();
        let old = slot.file.replace(HostFile::new(fd));
        slot.writable = true;
        slot.nameless = nameless;
        drop(slot);
        self.settle(old)
    }

    /// After the descriptor has changed: mappings of the old one are made again, the new one is counted.
    fn settle(&self, old: Option<Arc<HostFile>>) -> Result<()> {
        match old {
            Some(_) => {
                self.shared()
                    .mappings
                    .invalidate(0..END, Invalidate::FilePages);
            }
            None => self.core.descriptors.opened(&self.arc()?),
        }
        Ok(())
    }

    /// The attributes through the open descriptor, if there is one: no round trip, and always true.
    pub(super) fn attr_of_open_file(&self) -> Option<Result<::gofer::Attr>> {
        let file = self.host.lock().file.clone()?;
        Some(file::attributes(file.as_fd()).map(|attr| self.remember_seen_here(attr)))
    }

    /// Sets the size through the open descriptor, if there is one that can write.
    pub(super) fn truncate_open_file(&self, size: u64) -> Result<bool> {
        let slot = self.host.lock();
        let Some(file) = slot.file.clone().filter(|_| slot.writable) else {
            return Ok(false);
        };
        drop(slot);
        file::truncate(file.as_fd(), size)?;
        self.attr_changed();
        Ok(true)
    }

    /// Counts an open file, with its descriptor at hand.
    pub(super) fn add_user(&self, wanted: Use) -> Result<()> {
        let mut slot = self.host.lock();
        slot.users += 1;
        if wanted == Use::Write {
            slot.writers += 1;
        }
        drop(slot);
        self.host_file(wanted)
            .map(drop)
            .inspect_err(|_| self.remove_user(wanted))
    }

    /// An open file is gone.
    pub(super) fn remove_user(&self, wanted: Use) {
        let mut slot = self.host.lock();
        slot.users = slot.users.saturating_sub(1);
        if wanted == Use::Write {
            slot.writers = slot.writers.saturating_sub(1);
        }
        if slot.writers > 0 || !slot.writable || slot.nameless {
            return;
        }
        if slot.mapped > 0 {
            self.read_only_again(slot);
            return;
        }
        let closed = slot.file.take();
        slot.writable = false;
        drop(slot);
        if let Some(closed) = closed {
            self.core.descriptors.closed();
            match file::attributes(closed.as_fd()) {
                Ok(attr) => {
                    self.remember_seen_here(attr);
                }
                Err(_) => self.attr_changed(),
            }
        }
    }

    /// Puts a descriptor that only reads in the place of one that writes, for what is mapped.
    fn read_only_again(&self, mut slot: MutexGuard<'_, HostSlot>) {
        // Without one the file stays open for writing, and serves.
        let Ok(opened) = self.ask(|tree, node| tree.open(node, Access::Read)) else {
            return;
        };
        let old = slot.file.replace(HostFile::new(opened.fd));
        slot.writable = false;
        drop(slot);
        self.remember(&opened.attr);
        if let Err(error) = self.settle(old) {
            tracing::debug!(%error, "a descriptor is not counted");
        }
    }

    /// Counts what is mapped, with a descriptor at hand.
    pub(super) fn add_mapping(&self) -> Result<()> {
        self.host.lock().mapped += 1;
        self.host_file(Use::Read)
            .map(drop)
            .inspect_err(|_| self.remove_mapping())
    }

    /// Something mapped is gone.
    pub(super) fn remove_mapping(&self) {
        let mut slot = self.host.lock();
        slot.mapped = slot.mapped.saturating_sub(1);
    }

    /// Prepares for the loss of a name: what is open must stay reachable.
    pub(super) fn keep_open(&self) -> Result<()> {
        let slot = self.host.lock();
        let (used, nameless) = (slot.users > 0, slot.nameless);
        drop(slot);
        if used && !nameless {
            self.host_file(Use::Read)?;
            self.host.lock().nameless = true;
        }
        Ok(())
    }

    /// The file has a name again, or never lost it.
    pub(super) fn has_name(&self) {
        self.host.lock().nameless = false;
    }

    /// Closes the descriptor if it can be opened again and is not in use.
    fn close_unused(&self) -> bool {
        let Some(mut slot) = self.host.try_lock() else {
            return false;
        };
        let free = slot
            .file
            .as_ref()
            .is_some_and(|file| Arc::strong_count(file) == 1);
        if !free || slot.nameless || slot.mapped > 0 {
            return slot.file.is_none();
        }
        slot.writable = false;
        let closed = slot.file.take();
        drop(slot);
        if closed.is_some() {
            self.core.descriptors.closed();
        }
        true
    }
}

/// The host descriptors of one instance, closed least recently used first (second chance).
#[derive(Debug)]
pub(super) struct DescriptorCache {
    limit: usize,
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    open: usize,
    queue: VecDeque<Weak<GoferInode>>,
}

impl DescriptorCache {
    pub(super) fn new(limit: usize) -> DescriptorCache {
        DescriptorCache {
            limit: limit.max(1),
            state: Mutex::default(),
        }
    }

    fn closed(&self) {
        let mut state = self.state.lock();
        state.open = state.open.saturating_sub(1);
    }

    fn opened(&self, inode: &Arc<GoferInode>) {
        let mut state = self.state.lock();
        state.open += 1;
        state.queue.push_back(Arc::downgrade(inode));
        if state.queue.len() > self.limit.saturating_mul(2) {
            state.queue.retain(|inode| inode.strong_count() > 0);
        }
        let surplus = state.open.saturating_sub(self.limit);
        drop(state);
        self.close_some(surplus, |other| {
            Arc::ptr_eq(other, inode) || other.recently_used.swap(false, Ordering::Relaxed)
        });
    }

    /// Closes `surplus` descriptors that nobody uses and that are not spared, the oldest first; how many there were.
    pub(super) fn close_some(
        &self,
        surplus: usize,
        is_spared: impl Fn(&Arc<GoferInode>) -> bool,
    ) -> usize {
        let mut state = self.state.lock();
        let (mut closed, mut tries) = (0, state.queue.len());
        while closed < surplus && tries > 0 {
            tries -= 1;
            let Some(candidate) = state.queue.pop_front() else {
                break;
            };
            let Some(other) = candidate.upgrade() else {
                continue;
            };
            drop(state);
            let is_spared = is_spared(&other) || !other.close_unused();
            state = self.state.lock();
            if is_spared {
                state.queue.push_back(candidate);
            } else {
                closed += 1;
            }
        }
        closed
    }

    /// Counts off the descriptor of an inode that is dropped.
    pub(super) fn dropped(&self, slot: &HostSlot) {
        if slot.file.is_some() {
            self.closed();
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.state.lock().open
    }
}
