//! Listing a directory: `.` and `..` before what the file system has, and cursors for all of them.
//!
//! The offset of an open directory is 0 at the beginning, 1 behind `.`, and from 2 on two more than the
//! file system's own cursor (which may use all of 63 bits: the last two stay as they are).

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::FileType;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::inode::DirEntry;

/// Entries before those of the file system.
const DOTS: u64 = 2;
const LARGEST: u64 = i64::MAX as u64;

/// Gives entries from the file offset on to `emit` until it returns false; the offset moves behind the
/// last one taken. ENOTDIR, ENOENT (the directory was removed).
pub fn read(
    task: &Task,
    open: &Arc<OpenFile>,
    emit: &mut dyn FnMut(DirEntry) -> bool,
) -> Result<()> {
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    if open.inode().kind()? != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    if open.path().dentry.is_deleted() {
        return Err(Errno::ENOENT);
    }
    let mut offset = open.offset().lock();
    for (at, name) in [(0, b".".as_slice()), (1, b"..")] {
        if *offset != at {
            continue;
        }
        if !emit(dot_entry(open, name, at + 1)?) {
            return Ok(());
        }
        *offset = at + 1;
    }
    let mut reached = *offset;
    open.file()
        .read_dir(task, cursor(*offset), &mut |mut entry: DirEntry| {
            entry.next = offset_of(entry.next);
            let next = entry.next;
            let taken = emit(entry);
            if taken {
                reached = next;
            }
            taken
        })?;
    *offset = reached;
    drop(offset);
    Ok(())
}

fn dot_entry(open: &OpenFile, name: &[u8], next: u64) -> Result<DirEntry> {
    let path = open.path();
    let inode = if name == b".." {
        // Above the root of the file system is the root itself, as far as its entries tell.
        let parent = path.dentry.parent();
        parent
            .unwrap_or_else(|| path.dentry.clone())
            .inode()
            .clone()
    } else {
        open.inode().clone()
    };
    Ok(DirEntry {
        name: name.to_vec(),
        ino: inode.attr()?.ino,
        file_type: FileType::Directory,
        next,
    })
}

fn offset_of(cursor: u64) -> u64 {
    cursor
        .checked_add(DOTS)
        .map_or(LARGEST, |at| at.min(LARGEST))
}

fn cursor(offset: u64) -> u64 {
    if offset >= LARGEST {
        LARGEST
    } else {
        offset.saturating_sub(DOTS)
    }
}
