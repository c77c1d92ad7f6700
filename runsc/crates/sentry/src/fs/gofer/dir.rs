//! An open directory of the host: its entries come in batches.
//!
//! The cursor of an entry (`d_off`) is the host's own, so that a listing continues where it stopped
//! even when entries come and go. `.` and `..` are the caller's.

use std::sync::Arc;

use ::gofer::{Detail, Entry};
use locks::{Mutex, rank};

use super::attr;
use super::inode::GoferInode;
use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::FileType;
use crate::vfs::file::File;
use crate::vfs::inode::DirEntry;

/// An open directory.
#[derive(Debug)]
pub(crate) struct GoferDirectory {
    inode: Arc<GoferInode>,
    batch: Mutex<Batch, rank::Listing>,
}

/// Consecutive entries.
#[derive(Debug, Default)]
struct Batch {
    /// The cursor before the first entry.
    start: u64,
    entries: Vec<Entry>,
    /// Whether the directory ends behind them.
    end: bool,
}

impl Batch {
    /// The index of the entry that follows cursor `from`; the number of entries if all come before.
    fn find(&self, from: u64) -> Option<usize> {
        if from == self.start {
            return Some(0);
        }
        // Continuing at the end of what was emitted last is the rule, and that is mostly the end.
        let before = self
            .entries
            .iter()
            .rposition(|entry| entry.cookie == from)?;
        Some(before + 1)
    }
}

impl GoferDirectory {
    pub(crate) fn new(inode: Arc<GoferInode>) -> GoferDirectory {
        GoferDirectory {
            inode,
            batch: Mutex::default(),
        }
    }

    /// [`File::read_dir`] without a task.
    pub(crate) fn list(&self, mut from: u64, emit: &mut dyn FnMut(DirEntry) -> bool) -> Result<()> {
        let mut batch = self.batch.lock();
        if from == 0 {
            // A rewound directory is read anew.
            *batch = Batch::default();
        }
        loop {
            let index = match batch.find(from) {
                Some(index) if index < batch.entries.len() => index,
                Some(_) if batch.end => return Ok(()),
                _ => {
                    *batch = self.fetch(from)?;
                    0
                }
            };
            let Some(rest) = batch.entries.get(index..).filter(|rest| !rest.is_empty()) else {
                return Ok(());
            };
            for entry in rest {
                if !emit(entry_of(entry)) {
                    return Ok(());
                }
                from = entry.cookie;
            }
        }
    }

    fn fetch(&self, from: u64) -> Result<Batch> {
        let listing = self.inode.ask(|tree, node| {
            let listing = tree.read_dir(node, from, Detail::Types)?;
            if listing.entries.iter().all(|entry| entry.kind.is_some()) {
                return Ok(listing);
            }
            // A host file system without types in its directories.
            tree.read_dir(node, from, Detail::Attributes)
        })?;
        Ok(Batch {
            start: from,
            entries: listing.entries,
            end: listing.end,
        })
    }
}

fn entry_of(entry: &Entry) -> DirEntry {
    let kind = entry
        .kind
        .or_else(|| entry.attr.and_then(|attr| attr.kind()));
    DirEntry {
        name: entry.name.clone(),
        ino: entry.ino,
        // An entry that vanished before its type was known; whoever looks finds nothing.
        file_type: kind.map_or(FileType::Regular, attr::file_type),
        next: entry.cookie,
    }
}

impl File for GoferDirectory {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read_dir(
        &self,
        _task: &Task,
        from: u64,
        emit: &mut dyn FnMut(DirEntry) -> bool,
    ) -> Result<()> {
        self.list(from, emit)
    }

    fn sync(&self) -> Result<()> {
        self.inode
            .ask(|tree, node| tree.sync(node, ::gofer::SyncKind::All))
    }
}
