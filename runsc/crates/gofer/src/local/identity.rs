//! Which file a name or a descriptor leads to: the one that a node stands for, or another.
//!
//! Device and inode number alone do not say. A number is used again once its file is gone, an overlayfs
//! changes the birth time when it copies a file up, the inode number too when that breaks a hard link of a
//! lower layer, and numbers its directories anew when the layers are on several file systems and `xino` is
//! off. A file that is held open keeps its number, so that the open descriptor is the authority. For one
//! that had to be closed the file handle stands in (`name_to_handle_at(2)`, which needs no privilege): it
//! has a generation, and an overlayfs gives that of the lower file before and after a copy-up.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use host::at::{Handle, file_handle};
use rustix::fs;

use crate::types::{Attr, FileKind, Timestamp};

/// `OVERLAYFS_SUPER_MAGIC` of `statfs(2)`.
const OVERLAYFS: i64 = 0x794c_7630;
/// `OVL_FILEID_V1`, the type of an overlayfs's handles (`fs/overlayfs/overlayfs.h`).
const OVERLAY_HANDLE: i32 = 0xf8;
/// Where such a handle has its flags, behind padding, version, magic and length.
const OVERLAY_FLAGS: usize = 6;
/// `OVL_FH_FLAG_PATH_UPPER`
const UPPER: u8 = 1 << 2;

/// A name in a directory, or with an empty name what the descriptor itself is open on.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) dir: BorrowedFd<'a>,
    pub(super) name: &'a CStr,
}

impl<'a> At<'a> {
    /// What `fd` is open on.
    pub(super) fn open(fd: BorrowedFd<'a>) -> At<'a> {
        At { dir: fd, name: c"" }
    }

    fn handle(self) -> Option<Handle> {
        file_handle(self.dir, self.name).ok()
    }

    fn is_on_overlay(self) -> bool {
        fs::fstatfs(self.dir).is_ok_and(|stat| stat.f_type == OVERLAYFS)
    }

    /// Whether an overlayfs has this file in a lower layer. Without an index each of several names of such a
    /// file is an inode of its own, which its first copy-up separates from the others.
    pub(super) fn is_in_lower_layer(self) -> bool {
        self.handle().is_some_and(|handle| {
            let flags = handle.bytes.get(OVERLAY_FLAGS);
            handle.kind == OVERLAY_HANDLE && flags.is_some_and(|flags| flags & UPPER == 0)
        })
    }
}

/// What a file looked like when it was last known to be this one.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    identity: (u64, u64),
    born: Timestamp,
    /// Read when the descriptor is closed.
    handle: Option<Handle>,
}

impl Seen {
    pub(super) fn of(attr: &Attr) -> Seen {
        Seen {
            identity: attr.identity(),
            born: attr.btime,
            handle: None,
        }
    }

    /// The same with what recognises the file when it is opened again.
    pub(super) fn before_closing(attr: &Attr, fd: BorrowedFd<'_>) -> Seen {
        Seen {
            handle: At::open(fd).handle(),
            ..Seen::of(attr)
        }
    }

    /// Its inode number.
    pub(super) fn ino(&self) -> u64 {
        self.identity.1
    }

    /// Whether nothing has changed.
    pub(super) fn is(&self, attr: &Attr) -> bool {
        self.identity == attr.identity() && self.born == attr.btime
    }

    /// Whether the file at `at`, with attributes `attr`, is the one that was closed.
    pub(super) fn is_the_closed(&self, attr: &Attr, at: At<'_>) -> bool {
        match &self.handle {
            Some(handle) => at.handle().as_ref() == Some(handle),
            // An overlayfs before Linux 6.6 gives no handles.
            None => {
                let is_dir = attr.kind() == Some(FileKind::Directory);
                (self.identity == attr.identity() || (is_dir && self.identity.0 == attr.dev))
                    && at.is_on_overlay()
                    && at.handle().is_none()
            }
        }
    }

    /// Notes what the file looks like now.
    pub(super) fn refresh(&mut self, attr: &Attr) {
        self.identity = attr.identity();
        self.born = attr.btime;
    }
}
