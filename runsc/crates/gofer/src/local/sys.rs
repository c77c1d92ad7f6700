//! The host calls of [`super::LocalTree`], each one component deep.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use abi::Errno;
use host::errno;
use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags};

use crate::types::{Attr, Result, StatFs, Timestamp};

/// Opens one component beneath `dir`. Symbolic links are not followed anywhere, and nothing outside
/// `dir` can be reached, whatever others do to the tree meanwhile.
pub(super) fn open_beneath(
    dir: BorrowedFd<'_>,
    name: &CStr,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match fs::openat2(dir, name, flags, mode, resolve) {
            Ok(fd) => return Ok(fd),
            Err(error) => match errno(error) {
                Errno::EINTR | Errno::EAGAIN => {}
                error => return Err(error),
            },
        }
    }
}

/// Whether `fd` is of a proc file system.
pub(super) fn is_proc(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(fs::fstatfs(fd).map_err(errno)?.f_type == fs::PROC_SUPER_MAGIC)
}

/// Opens what `fd` names anew, through its entry in `own`, which is `/proc/self/fd`. The name is made here:
/// this follows no link but that of our own descriptor.
pub(super) fn reopen(own: BorrowedFd<'_>, fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
    let name = fd.as_raw_fd().to_string();
    fs::openat(own, name, flags, Mode::empty()).map_err(errno)
}

/// The attributes of what `fd` names. Owner and group are as the calling process's user namespace shows
/// them.
///
/// # Errors
/// Those of `statx(2)`.
pub fn stat_fd(fd: BorrowedFd<'_>) -> Result<Attr> {
    statx(fd, c"", AtFlags::EMPTY_PATH)
}

/// The attributes of `name` in `dir`, a symbolic link not followed.
pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Attr> {
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn statx(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<Attr> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let statx = fs::statx(dir, name, flags | AtFlags::NO_AUTOMOUNT, mask).map_err(errno)?;
    Ok(attr_of(&statx))
}

fn attr_of(statx: &Statx) -> Attr {
    let time = |sec: i64, nsec: u32| Timestamp {
        sec,
        nsec: i64::from(nsec),
    };
    Attr {
        ino: statx.stx_ino,
        dev: fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
        rdev: fs::makedev(statx.stx_rdev_major, statx.stx_rdev_minor),
        size: statx.stx_size,
        blocks: statx.stx_blocks,
        atime: time(statx.stx_atime.tv_sec, statx.stx_atime.tv_nsec),
        mtime: time(statx.stx_mtime.tv_sec, statx.stx_mtime.tv_nsec),
        ctime: time(statx.stx_ctime.tv_sec, statx.stx_ctime.tv_nsec),
        btime: time(statx.stx_btime.tv_sec, statx.stx_btime.tv_nsec),
        mode: u32::from(statx.stx_mode),
        nlink: statx.stx_nlink,
        uid: statx.stx_uid,
        gid: statx.stx_gid,
        blksize: statx.stx_blksize,
        reserved: 0,
    }
}

/// The target of the symbolic link `name` in `dir`.
pub(super) fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>> {
    let target = fs::readlinkat(dir, name, Vec::new()).map_err(errno)?;
    Ok(target.into_bytes())
}

/// The file system that `fd` is on.
pub(super) fn stat_fs(fd: BorrowedFd<'_>) -> Result<StatFs> {
    let statfs = fs::fstatfs(fd).map_err(errno)?;
    let unsigned = |value: i64| value.cast_unsigned();
    Ok(StatFs {
        fs_type: unsigned(statfs.f_type),
        block_size: unsigned(statfs.f_bsize),
        blocks: statfs.f_blocks,
        blocks_free: statfs.f_bfree,
        blocks_available: statfs.f_bavail,
        files: statfs.f_files,
        files_free: statfs.f_ffree,
        name_len: unsigned(statfs.f_namelen),
        fragment_size: unsigned(statfs.f_frsize),
        flags: unsigned(statfs.f_flags),
    })
}
