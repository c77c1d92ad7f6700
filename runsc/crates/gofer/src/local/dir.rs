//! Listings of directories, in batches.
//!
//! The descriptor that reads a directory stays open between batches: an overlayfs builds its merged
//! listing anew each time the directory is opened, which would make long listings quadratic. It is
//! dropped at the end of the directory, with the node, or when the table has [enough](Table::readers_max) others.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use host::errno;
use rustix::fs::{self, OFlags, RawDir, RawDirEntry, SeekFrom};

use super::node::Node;
use super::sys;
use super::table::Table;
use crate::types::{Detail, Entry, FileKind, Listing, NodeId, Result};

/// Bytes of `getdents64(2)` records per batch. A record takes at least 24 bytes, so that a batch with
/// attributes fits in one message of the wire.
const BATCH_BYTES: usize = 8 << 10;

/// Most directories among which one is looked for that was renamed.
const LOOKED_AT_MAX: usize = 1024;

/// An open descriptor that reads a directory, and where it stands.
#[derive(Debug)]
pub(super) struct Reader {
    fd: OwnedFd,
    cookie: u64,
    // Its count is the number of open readers.
    _counted: Arc<()>,
}

/// See [`crate::HostTree::read_dir`].
pub(super) fn read(table: &Table, node: NodeId, cookie: u64, detail: Detail) -> Result<Listing> {
    let node = table.directory(node)?;
    let mut slot = node.reader.lock();
    let mut reader = match slot.take() {
        Some(reader) if cookie != 0 => reader,
        _ => Reader::open(table, &node)?,
    };
    let listing = reader.batch(table, &node, cookie, detail)?;
    if !listing.end && Arc::strong_count(&table.readers) <= table.readers_max {
        *slot = Some(reader);
    }
    Ok(listing)
}

/// The names of the directories in `parent`, as many as [`LOOKED_AT_MAX`], those that have inode number `ino`
/// in the listing first.
pub(super) fn directories(table: &Table, parent: &Arc<Node>, ino: u64) -> Result<Vec<CString>> {
    let fd = parent.open_again(table, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut buffer = [const { MaybeUninit::uninit() }; BATCH_BYTES];
    let mut records = RawDir::new(&fd, &mut buffer);
    let (mut alike, mut others) = (Vec::new(), Vec::new());
    while let Some(record) = records.next() {
        let record = record.map_err(errno)?;
        let name = record.file_name();
        let may_be = matches!(
            kind_of(record.file_type()),
            Some(FileKind::Directory) | None
        );
        if !may_be || name == c"." || name == c".." {
            continue;
        }
        if record.ino() == ino {
            alike.push(name.to_owned());
        } else if others.len() < LOOKED_AT_MAX {
            others.push(name.to_owned());
        }
    }
    alike.append(&mut others);
    alike.truncate(LOOKED_AT_MAX);
    Ok(alike)
}

impl Reader {
    fn open(table: &Table, node: &Arc<Node>) -> Result<Reader> {
        let fd = node.open_again(table, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Reader {
            fd,
            cookie: 0,
            _counted: table.readers.clone(),
        })
    }

    fn batch(
        &mut self,
        table: &Table,
        node: &Arc<Node>,
        cookie: u64,
        detail: Detail,
    ) -> Result<Listing> {
        if self.cookie != cookie {
            fs::seek(&self.fd, SeekFrom::Start(cookie)).map_err(errno)?;
            self.cookie = cookie;
        }
        let parent = match detail {
            Detail::Types => None,
            Detail::Attributes => Some(node.path_fd(table)?),
        };
        let mut listing = Listing::default();
        let mut buffer = [const { MaybeUninit::uninit() }; BATCH_BYTES];
        // A buffer may hold nothing but `.` and `..`, which are not passed on.
        while listing.entries.is_empty() {
            let mut records = RawDir::new(&self.fd, &mut buffer);
            let mut any = false;
            loop {
                if any && records.is_buffer_empty() {
                    break;
                }
                let Some(record) = records.next() else {
                    listing.end = true;
                    return Ok(listing);
                };
                any = true;
                let record = record.map_err(errno)?;
                self.cookie = record.next_entry_cookie();
                listing.entries.extend(entry_of(&record, parent.as_deref()));
            }
        }
        Ok(listing)
    }
}

fn entry_of(record: &RawDirEntry<'_>, parent: Option<&super::budget::PathFd>) -> Option<Entry> {
    let name = record.file_name();
    if name == c"." || name == c".." {
        return None;
    }
    Some(Entry {
        name: name.to_bytes().to_vec(),
        ino: record.ino(),
        kind: kind_of(record.file_type()),
        cookie: record.next_entry_cookie(),
        attr: parent.and_then(|parent| sys::stat_at(parent.as_fd(), name).ok()),
    })
}

fn kind_of(file_type: fs::FileType) -> Option<FileKind> {
    Some(match file_type {
        fs::FileType::RegularFile => FileKind::Regular,
        fs::FileType::Directory => FileKind::Directory,
        fs::FileType::Symlink => FileKind::Symlink,
        fs::FileType::Fifo => FileKind::Fifo,
        fs::FileType::Socket => FileKind::Socket,
        fs::FileType::CharacterDevice => FileKind::CharDevice,
        fs::FileType::BlockDevice => FileKind::BlockDevice,
        fs::FileType::Unknown => return None,
    })
}
