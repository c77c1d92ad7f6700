//! Telling watchers of what happens to files (`man 7 inotify`). Only what the application itself does is
//! seen, not what others do to a tree on the host.
//!
//! An inode keeps its watches ([`Watches`]); an event on a file is told to its own watches and, with its
//! name, to those of its directory.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use bitflags::bitflags;
use locks::Mutex;

use crate::error::Result;
use crate::fs::inotify::Watch;
use crate::vfs::attr::FileType;
use crate::vfs::inode::InodeRef;
use crate::vfs::path::Path;

bitflags! {
    /// What happened, with the bits of inotify.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FileEvent: u32 {
        /// IN_ACCESS
        const ACCESS = 0x1;
        /// IN_MODIFY
        const MODIFY = 0x2;
        /// IN_ATTRIB
        const ATTRIB = 0x4;
        /// IN_CLOSE_WRITE
        const CLOSE_WRITE = 0x8;
        /// IN_CLOSE_NOWRITE
        const CLOSE_NOWRITE = 0x10;
        /// IN_OPEN
        const OPEN = 0x20;
        /// IN_MOVED_FROM
        const MOVED_FROM = 0x40;
        /// IN_MOVED_TO
        const MOVED_TO = 0x80;
        /// IN_CREATE
        const CREATE = 0x100;
        /// IN_DELETE
        const DELETE = 0x200;
        /// IN_DELETE_SELF
        const DELETE_SELF = 0x400;
        /// IN_MOVE_SELF
        const MOVE_SELF = 0x800;
        /// IN_UNMOUNT
        const UNMOUNT = 0x2000;
        /// IN_Q_OVERFLOW
        const OVERFLOW = 0x4000;
        /// IN_IGNORED
        const IGNORED = 0x8000;
        /// IN_ISDIR
        const ISDIR = 0x4000_0000;
    }
}

/// The watches of one inode.
#[derive(Debug, Default)]
pub struct Watches {
    /// What any of them watches for; 0: there are none.
    mask: AtomicU32,
    list: Mutex<Vec<Weak<Watch>>>,
}

impl Watches {
    /// Adds a watch, or works the mask out again after one has changed.
    pub fn update(&self, new: Option<&Arc<Watch>>) {
        let mut list = self.list.lock();
        list.retain(|watch| watch.strong_count() > 0);
        list.extend(new.map(Arc::downgrade));
        let masks = list.iter().filter_map(Weak::upgrade);
        let mask = masks.fold(0, |all, watch| all | watch.mask());
        self.mask.store(mask, Ordering::Release);
    }

    fn tell(&self, event: FileEvent, cookie: u32, name: &[u8]) {
        let asked = (event - FileEvent::ISDIR).bits();
        if self.mask.load(Ordering::Acquire) & asked == 0 {
            return;
        }
        let watches: Vec<Arc<Watch>> = {
            let list = self.list.lock();
            list.iter().filter_map(Weak::upgrade).collect()
        };
        for watch in watches {
            watch.tell(event, cookie, name);
        }
    }
}

fn with_kind(inode: &InodeRef, event: FileEvent) -> FileEvent {
    if inode.kind() == Ok(FileType::Directory) {
        event | FileEvent::ISDIR
    } else {
        event
    }
}

/// Something happened to the file at `path`.
pub fn happened(path: &Path, event: FileEvent) {
    let inode = path.inode();
    let own = &inode.shared().watches;
    let parent = path.dentry.parent();
    let watched = |watches: &Watches| watches.mask.load(Ordering::Acquire) & event.bits() != 0;
    let parent = parent.filter(|parent| watched(&parent.inode().shared().watches));
    if parent.is_none() && !watched(own) {
        return;
    }
    let event = with_kind(inode, event);
    if let Some(parent) = parent {
        let watches = &parent.inode().shared().watches;
        watches.tell(event, 0, &path.dentry.name());
    }
    own.tell(event, 0, &[]);
}

/// Something happened to the inode itself: it was moved, its last name is gone.
pub fn happened_to_self(inode: &InodeRef, event: FileEvent) {
    let watches = &inode.shared().watches;
    if watches.mask.load(Ordering::Acquire) != 0 {
        watches.tell(event, 0, &[]);
    }
}

/// An entry of a directory came, went or moved.
pub fn entry(directory: &InodeRef, name: &[u8], child: &InodeRef, event: FileEvent, cookie: u32) {
    let watches = &directory.shared().watches;
    if watches.mask.load(Ordering::Acquire) & event.bits() != 0 {
        watches.tell(with_kind(child, event), cookie, name);
    }
}

/// A name of `child` was removed from `directory`.
pub fn removed(directory: &InodeRef, name: &[u8], child: &InodeRef) {
    entry(directory, name, child, FileEvent::DELETE, 0);
    replaced(child);
}

/// A name of `child` has come to mean another file, or nothing.
pub fn replaced(child: &InodeRef) {
    let watches = &child.shared().watches;
    if watches.mask.load(Ordering::Acquire) == 0 {
        return;
    }
    let directory = child.kind() == Ok(FileType::Directory);
    let gone = directory || child.attr().map_or(true, |attr| attr.nlink == 0);
    if !directory {
        watches.tell(FileEvent::ATTRIB, 0, &[]);
    }
    if gone {
        watches.tell(FileEvent::DELETE_SELF, 0, &[]);
        let list: Vec<Arc<Watch>> = watches
            .list
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        list.iter().for_each(|watch| watch.end());
    }
}

/// ENOTDIR where only a directory may be watched (`IN_ONLYDIR`).
pub fn check_directory(inode: &InodeRef) -> Result<()> {
    if inode.kind()? == FileType::Directory {
        Ok(())
    } else {
        Err(Errno::ENOTDIR)
    }
}
