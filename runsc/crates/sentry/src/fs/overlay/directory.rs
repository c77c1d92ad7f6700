//! The entries of a directory: our own over the lower ones.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use abi::Errno;

use super::inode::OverlayInode;
use crate::error::Result;
use crate::fs::gofer::{GoferDirectory, GoferInode};
use crate::vfs::attr::FileType;
use crate::vfs::inode::DirEntry;

/// Lower directories with at most this many entries are remembered by name, so that making a file needs
/// no question to the gofer.
const NAMES_MAX: usize = 2000;

/// What differs from the lower directory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    own: HashMap<Vec<u8>, Entry>,
    lower_names: LowerNames,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// The lower entry is hidden.
    Whiteout,
    /// This inode; there is a lower entry of the name as well, or not.
    Inode {
        inode: Arc<OverlayInode>,
        covers: bool,
    },
}

/// The names of the lower directory, as far as they are known.
#[derive(Clone, Debug, Default)]
enum LowerNames {
    #[default]
    Unknown,
    TooMany,
    Known(Arc<HashSet<Vec<u8>>>),
}

impl OverlayInode {
    /// What this directory has to say of `name` itself.
    fn own_entry(&self, name: &[u8]) -> Option<Entry> {
        self.entries.lock().own.get(name).cloned()
    }

    /// Whether every entry is a lower one.
    fn is_untouched(&self) -> bool {
        self.entries.lock().own.is_empty()
    }

    /// The entry `name`.
    pub(super) fn find(&self, name: &[u8]) -> Result<Arc<OverlayInode>> {
        if self.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        match self.own_entry(name) {
            Some(Entry::Inode { inode, .. }) => Ok(inode),
            Some(Entry::Whiteout) => Err(Errno::ENOENT),
            None => self.find_lower(name).map(|lower| self.core.over(&lower)),
        }
    }

    fn find_lower(&self, name: &[u8]) -> Result<Arc<GoferInode>> {
        let lower = self.lower().ok_or(Errno::ENOENT)?;
        if let LowerNames::Known(names) = &self.entries.lock().lower_names
            && !names.contains(name)
        {
            return Err(Errno::ENOENT);
        }
        lower.walk(&[name])?.pop().ok_or(Errno::ENOENT)
    }

    /// The inodes along `names`, as far as they exist and cross directories only.
    pub(super) fn walk(&self, names: &[&[u8]]) -> Result<Vec<Arc<OverlayInode>>> {
        let mut found: Vec<Arc<OverlayInode>> = Vec::with_capacity(names.len());
        while let Some(rest) = names.get(found.len()..).filter(|rest| !rest.is_empty()) {
            let dir = found.last().map_or(self, |last| &**last);
            match dir.walk_on(rest) {
                Ok(more) if more.is_empty() => break,
                Ok(more) => found.extend(more),
                Err(error) if found.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(found)
    }

    /// The next inodes of a walk: as many as the lower tree has at once, up to the first directory with
    /// entries of our own.
    fn walk_on(&self, names: &[&[u8]]) -> Result<Vec<Arc<OverlayInode>>> {
        let Some(lower) = self
            .lower()
            .filter(|_| self.file_type() == FileType::Directory && self.is_untouched())
        else {
            let first = names.first().ok_or(Errno::ENOENT)?;
            return Ok(vec![self.find(first)?]);
        };
        let mut found = Vec::new();
        for lower in lower.walk(names)? {
            let inode = self.core.over(&lower);
            let goes_on = inode.is_untouched();
            found.push(inode);
            if !goes_on {
                break;
            }
        }
        Ok(found)
    }

    /// Whether the lower directory has an entry `name`.
    fn lower_has(&self, name: &[u8]) -> Result<bool> {
        let unknown = matches!(self.entries.lock().lower_names, LowerNames::Unknown);
        if let Some(lower) = self.lower().filter(|_| unknown) {
            let names = lower_names(lower)?;
            self.entries.lock().lower_names = names;
        }
        match self.find_lower(name) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a new entry `name` would cover; EEXIST if there is one to be seen.
    pub(super) fn vacancy(&self, name: &[u8]) -> Result<bool> {
        match self.own_entry(name) {
            Some(Entry::Inode { .. }) => Err(Errno::EEXIST),
            Some(Entry::Whiteout) => Ok(true),
            None if self.lower_has(name)? => Err(Errno::EEXIST),
            None => Ok(false),
        }
    }

    /// Whether the entry `name`, which is to be seen, has a lower one.
    pub(super) fn covers(&self, name: &[u8]) -> bool {
        match self.own_entry(name) {
            Some(Entry::Inode { covers, .. }) => covers,
            Some(Entry::Whiteout) | None => true,
        }
    }

    /// Makes `name` stand for `inode`.
    pub(super) fn put(&self, name: &[u8], inode: Arc<OverlayInode>, covers: bool) {
        let old = self
            .entries
            .lock()
            .own
            .insert(name.to_vec(), Entry::Inode { inode, covers });
        drop(old);
    }

    /// Takes the entry `name`, which is to be seen, away.
    pub(super) fn take(&self, name: &[u8]) {
        let covers = self.covers(name);
        let mut entries = self.entries.lock();
        let old = if covers {
            entries.own.insert(name.to_vec(), Entry::Whiteout)
        } else {
            entries.own.remove(name)
        };
        drop(entries);
        drop(old);
    }

    /// All entries, in no order; their cursors count up from 1.
    pub(super) fn list(&self) -> Result<Vec<DirEntry>> {
        let own = self.entries.lock().own.clone();
        let mut listing = Vec::new();
        for (name, entry) in &own {
            if let Entry::Inode { inode, .. } = entry {
                listing.push(DirEntry {
                    name: name.clone(),
                    ino: inode.ino(),
                    file_type: inode.file_type(),
                    next: 0,
                });
            }
        }
        if let Some(lower) = self.lower() {
            let mut emit = |entry: DirEntry| {
                if !own.contains_key(&entry.name) {
                    listing.push(entry);
                }
                true
            };
            GoferDirectory::new(lower.clone()).list(0, &mut emit)?;
        }
        for (index, entry) in (1..).zip(&mut listing) {
            entry.next = index;
        }
        Ok(listing)
    }

    /// Whether there is no entry to be seen.
    pub(super) fn is_empty(&self) -> Result<bool> {
        let own = self.entries.lock().own.clone();
        if own
            .values()
            .any(|entry| matches!(entry, Entry::Inode { .. }))
        {
            return Ok(false);
        }
        let mut empty = true;
        if let Some(lower) = self.lower() {
            let mut emit = |entry: DirEntry| {
                empty = own.contains_key(&entry.name);
                empty
            };
            GoferDirectory::new(lower.clone()).list(0, &mut emit)?;
        }
        Ok(empty)
    }
}

fn lower_names(lower: &Arc<GoferInode>) -> Result<LowerNames> {
    let mut names = HashSet::new();
    let mut emit = |entry: DirEntry| {
        names.insert(entry.name);
        names.len() <= NAMES_MAX
    };
    GoferDirectory::new(lower.clone()).list(0, &mut emit)?;
    Ok(if names.len() <= NAMES_MAX {
        LowerNames::Known(Arc::new(names))
    } else {
        LowerNames::TooMany
    })
}
