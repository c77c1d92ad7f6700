//! [`OwnAttr`]: the attributes of an inode that differ from the lower one's, or have none beneath.

use std::collections::BTreeMap;

use abi::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::error::Result;
use crate::vfs::attr::{Attr, Device, SetAttr, SetTime, Timestamp};
use crate::vfs::inode::XattrFlags;

/// Most bytes of names and values of one inode's extended attributes.
const XATTRS_MAX: usize = 256 << 10;
/// How long a time of last access stays without an update (`relatime`), in seconds.
const RELATIME: i64 = 24 * 60 * 60;

/// Attributes kept in memory. The size is that of the contents.
#[derive(Clone, Debug)]
pub(super) struct OwnAttr {
    pub(super) permissions: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u64,
    pub(super) rdev: Device,
    pub(super) atime: Timestamp,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    pub(super) btime: Option<Timestamp>,
    /// None: those of the lower file, if there is one.
    pub(super) xattrs: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// The host's time.
pub(super) fn now() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    Timestamp {
        seconds: now.tv_sec,
        nanoseconds: u32::try_from(now.tv_nsec).unwrap_or(0),
    }
}

impl OwnAttr {
    /// The attributes of something new.
    pub(super) fn new(permissions: u32, uid: u32, gid: u32, nlink: u64, rdev: Device) -> OwnAttr {
        let now = now();
        OwnAttr {
            permissions,
            uid,
            gid,
            nlink,
            rdev,
            atime: now,
            mtime: now,
            ctime: now,
            btime: Some(now),
            xattrs: Some(BTreeMap::new()),
        }
    }

    /// Those of a lower file.
    pub(super) fn copy(attr: &Attr) -> OwnAttr {
        OwnAttr {
            permissions: attr.permissions,
            uid: attr.uid,
            gid: attr.gid,
            nlink: attr.nlink,
            rdev: attr.rdev,
            atime: attr.atime,
            mtime: attr.mtime,
            ctime: attr.ctime,
            btime: attr.btime,
            xattrs: None,
        }
    }

    /// Applies a change, the size excepted.
    pub(super) fn change(&mut self, change: &SetAttr) {
        let now = now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        self.permissions = change
            .permissions
            .map_or(self.permissions, |bits| bits & 0o7777);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        self.atime = change.atime.map_or(self.atime, time);
        self.mtime = change.mtime.map_or(self.mtime, time);
        if change.size.is_some() && change.mtime.is_none() {
            self.mtime = now;
        }
        self.ctime = now;
    }

    /// Contents or entries have changed.
    pub(super) fn modified(&mut self) {
        let now = now();
        (self.mtime, self.ctime) = (now, now);
    }

    /// Contents or entries have been read (`relatime`, `man 8 mount`).
    pub(super) fn accessed(&mut self) {
        let now = now();
        let old = self.atime <= self.mtime || self.atime <= self.ctime;
        if old || now.seconds.saturating_sub(self.atime.seconds) >= RELATIME {
            self.atime = now;
        }
    }

    /// A writer without `CAP_FSETID` takes set-ID bits away (`man 7 inode`).
    pub(super) fn clear_set_id(&mut self) {
        self.permissions &= !0o4000;
        if self.permissions & 0o010 != 0 {
            self.permissions &= !0o2000;
        }
    }
}

/// Sets one of `xattrs`.
pub(super) fn set_xattr(
    xattrs: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    name: &[u8],
    value: &[u8],
    flags: XattrFlags,
) -> Result<()> {
    match (xattrs.contains_key(name), flags) {
        (true, flags) if flags.contains(XattrFlags::CREATE) => return Err(Errno::EEXIST),
        (false, flags) if flags.contains(XattrFlags::REPLACE) => return Err(Errno::ENODATA),
        _ => {}
    }
    let used: usize = xattrs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if used + name.len() + value.len() > XATTRS_MAX {
        return Err(Errno::ENOSPC);
    }
    xattrs.insert(name.to_vec(), value.to_vec());
    Ok(())
}
