//! `stat(2)`, `statx(2)`, `access(2)`, `statfs(2)` and their kin.

use std::sync::Arc;

use abi::Errno;
use abi::fs::{Stat, StatFs, Statx, StatxTimestamp};
use abi::raw::general as nr;
use mm::user_ptr::UserPtr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::fs::anon;
use crate::kernel::credentials::{CapabilitySet, Credentials, SecureBits};
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, Fd, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::attr::{Attr, FileType, Timestamp};
use crate::vfs::mount::MountFlags;
use crate::vfs::path::Path;
use crate::vfs::permission;
use crate::vfs::walk::{Resolver, WalkFlags};

calls! {
    4 stat(path: UserPath, buffer: UserPtr<Stat> as Out(file::stat))
        => full ["stat::fields_of_other_kinds", "stat::statx_fields"];
    6 lstat(path: UserPath, buffer: UserPtr<Stat> as Out(file::stat))
        => full ["forms::names_relative_to_a_directory"];
    5 fstat(fd: Fd, buffer: UserPtr<Stat> as Out(file::stat))
        => full ["stat::blocks_and_sizes"];
    262 newfstatat(
        dirfd: DirFd,
        path: UserPath,
        buffer: UserPtr<Stat> as Out(file::stat),
        flags: u32 as Flags(file::AT),
    )
        => full ["stat::statfs_of_tmp_and_proc"];
    332 statx(
        dirfd: DirFd,
        path: UserPath,
        flags: u32 as Flags(file::AT_STATX),
        wanted: u32 as Flags(file::STATX),
        buffer: UserPtr<Statx> as Out(file::statx),
    )
        => partial("no direct I/O alignment and no atomic writes") ["stat::statx_errors"];
    21 access(path: UserPath, wanted: u32 as Flags(file::ACCESS))
        => full ["stat::access_errors", "stat::access_uses_the_real_id"];
    269 faccessat(dirfd: DirFd, path: UserPath, wanted: u32 as Flags(file::ACCESS))
        => full ["stat::access_errors"];
    439 faccessat2(
        dirfd: DirFd,
        path: UserPath,
        wanted: u32 as Flags(file::ACCESS),
        flags: u32 as Flags(file::AT_ACCESS),
    )
        => full ["stat::access_errors", "stat::access_uses_the_real_id"];
    137 statfs(path: UserPath, buffer: UserPtr<StatFs> as Out(file::statfs))
        => full ["stat::statfs_of_tmp_and_proc"];
    138 fstatfs(fd: Fd, buffer: UserPtr<StatFs> as Out(file::statfs)) => full ["stat::statfs_of_tmp_and_proc"];
}

/// Flags of `fstatat` and `statx` that say nothing to a file system without remote parts.
const SYNC_FLAGS: u32 = nr::AT_NO_AUTOMOUNT | nr::AT_STATX_SYNC_TYPE;

fn stat(task: &Task, path: UserPath, buffer: UserPtr<Stat>) -> SyscallResult {
    let path = at::follow(task, path)?;
    store(task, buffer, &path)
}

fn lstat(task: &Task, path: UserPath, buffer: UserPtr<Stat>) -> SyscallResult {
    let path = at::resolve(task, DirFd::CWD, path, WalkFlags::empty())?;
    store(task, buffer, &path)
}

fn fstat(task: &Task, fd: Fd, buffer: UserPtr<Stat>) -> SyscallResult {
    let open = task.files().get(fd)?;
    store(task, buffer, open.path())
}

fn newfstatat(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    buffer: UserPtr<Stat>,
    flags: u32,
) -> SyscallResult {
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH | SYNC_FLAGS;
    let flags = at::flags_following(flags, allowed)?;
    let path = lookup(task, dirfd, path, flags)?;
    store(task, buffer, &path)
}

/// A NULL path with `AT_EMPTY_PATH` is the descriptor too, as newer kernels have it.
fn lookup(task: &Task, dirfd: DirFd, path: UserPath, flags: WalkFlags) -> Result<Path> {
    if flags.contains(WalkFlags::EMPTY) && path.is_null() {
        let start = at::start(task, dirfd, b"")?;
        return Resolver::of(task, start.as_ref()).resolve(b"", flags);
    }
    at::resolve(task, dirfd, path, flags)
}

fn store(task: &Task, to: UserPtr<Stat>, path: &Path) -> SyscallResult {
    to.write(&task.mm(), &encode(task, path)?)?;
    Ok(0)
}

/// What `stat` tells of the mode: anonymous inodes have no type there.
fn mode(path: &Path, attr: &Attr) -> u32 {
    if attr.file_type == FileType::Regular && anon::is_anonymous(path.inode()) {
        attr.permissions
    } else {
        attr.mode()
    }
}

fn encode(task: &Task, path: &Path) -> Result<Stat> {
    let attr = path.inode().attr()?;
    let user_ns = task.credentials().user_ns.clone();
    Ok(Stat {
        dev: path.mount.fs.device().encode(),
        ino: attr.ino,
        nlink: attr.nlink,
        mode: mode(path, &attr),
        uid: user_ns.user_inward(attr.uid),
        gid: user_ns.group_inward(attr.gid),
        rdev: attr.rdev.encode(),
        size: attr.size.cast_signed(),
        blksize: i64::from(attr.block_size),
        blocks: attr.blocks.cast_signed(),
        atime: attr.atime.seconds,
        atime_nsec: u64::from(attr.atime.nanoseconds),
        mtime: attr.mtime.seconds,
        mtime_nsec: u64::from(attr.mtime.nanoseconds),
        ctime: attr.ctime.seconds,
        ctime_nsec: u64::from(attr.ctime.nanoseconds),
        ..Stat::default()
    })
}

fn statx(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    flags: u32,
    wanted: u32,
    buffer: UserPtr<Statx>,
) -> SyscallResult {
    let allowed = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH | SYNC_FLAGS;
    let walk = at::flags_following(flags, allowed)?;
    let invalid_sync = flags & nr::AT_STATX_SYNC_TYPE == nr::AT_STATX_SYNC_TYPE;
    if invalid_sync || wanted & nr::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = lookup(task, dirfd, path, walk)?;
    let value = encode_statx(task, &path, wanted)?;
    buffer.write(&task.mm(), &value)?;
    Ok(0)
}

fn encode_statx(task: &Task, path: &Path, wanted: u32) -> Result<Statx> {
    let attr = path.inode().attr()?;
    let user_ns = task.credentials().user_ns.clone();
    let device = path.mount.fs.device();
    let is_mount_root = Arc::ptr_eq(path.mount.root(), &path.dentry);
    let id = if wanted & nr::STATX_MNT_ID_UNIQUE != 0 {
        nr::STATX_MNT_ID_UNIQUE
    } else {
        nr::STATX_MNT_ID
    };
    // Of what can be told cheaply, this alone is told only to who asks for it.
    let btime = attr.btime.filter(|_| wanted & nr::STATX_BTIME != 0);
    Ok(Statx {
        mask: nr::STATX_BASIC_STATS | id | btime.map_or(0, |_| nr::STATX_BTIME),
        blksize: attr.block_size,
        attributes: if is_mount_root {
            u64::from(nr::STATX_ATTR_MOUNT_ROOT)
        } else {
            0
        },
        attributes_mask: u64::from(nr::STATX_ATTR_MOUNT_ROOT),
        nlink: u32::try_from(attr.nlink).unwrap_or(u32::MAX),
        uid: user_ns.user_inward(attr.uid),
        gid: user_ns.group_inward(attr.gid),
        mode: u16::try_from(mode(path, &attr)).unwrap_or(0),
        ino: attr.ino,
        size: attr.size,
        blocks: attr.blocks,
        atime: statx_time(attr.atime),
        btime: btime.map(statx_time).unwrap_or_default(),
        ctime: statx_time(attr.ctime),
        mtime: statx_time(attr.mtime),
        rdev_major: attr.rdev.major,
        rdev_minor: attr.rdev.minor,
        dev_major: device.major,
        dev_minor: device.minor,
        mnt_id: path.mount.id,
        ..Statx::default()
    })
}

fn statx_time(time: Timestamp) -> StatxTimestamp {
    StatxTimestamp {
        sec: time.seconds,
        nsec: time.nanoseconds,
        reserved: 0,
    }
}

fn access(task: &Task, path: UserPath, wanted: u32) -> SyscallResult {
    check_access(task, DirFd::CWD, path, wanted, 0)
}

fn faccessat(task: &Task, dirfd: DirFd, path: UserPath, wanted: u32) -> SyscallResult {
    check_access(task, dirfd, path, wanted, 0)
}

fn faccessat2(task: &Task, dirfd: DirFd, path: UserPath, wanted: u32, flags: u32) -> SyscallResult {
    check_access(task, dirfd, path, wanted, flags)
}

fn check_access(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    wanted: u32,
    flags: u32,
) -> SyscallResult {
    let allowed = nr::AT_EACCESS | nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let walk_flags = at::flags_following(flags, allowed)?;
    if wanted & !(permission::READ | permission::WRITE | permission::EXECUTE) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let text = path.read(task)?;
    let start = at::start(task, dirfd, &text)?;
    let credentials = if flags & nr::AT_EACCESS == 0 {
        Arc::new(with_real_ids(&task.credentials()))
    } else {
        task.credentials()
    };
    let resolver = Resolver::of(task, start.as_ref()).with_credentials(credentials.clone());
    let path = resolver.resolve(&text, walk_flags)?;
    check_mount(&path, wanted)?;
    permission::check(&credentials, &path.inode().attr()?, wanted)?;
    Ok(0)
}

/// What the mount forbids: writing a read-only one, executing from one with `noexec`.
fn check_mount(path: &Path, wanted: u32) -> Result<()> {
    let stored = matches!(
        path.inode().kind()?,
        FileType::Regular | FileType::Directory | FileType::Symlink
    );
    if wanted & permission::WRITE != 0 && stored {
        path.mount.check_writable()?;
    }
    let regular = path.inode().kind()? == FileType::Regular;
    if wanted & permission::EXECUTE != 0 && regular && path.mount.is_no_exec() {
        return Err(Errno::EACCES);
    }
    Ok(())
}

/// The credentials that `access(2)` checks with: the real ids in place of the effective ones.
fn with_real_ids(credentials: &Credentials) -> Credentials {
    let mut real = credentials.clone();
    real.fsuid = real.uid;
    real.fsgid = real.gid;
    if !real.secure_bits.contains(SecureBits::NO_SETUID_FIXUP) {
        real.effective = if Some(real.uid) == real.root_id() {
            real.permitted
        } else {
            CapabilitySet::EMPTY
        };
    }
    real
}

fn statfs(task: &Task, path: UserPath, buffer: UserPtr<StatFs>) -> SyscallResult {
    let path = at::follow(task, path)?;
    store_statfs(task, buffer, &path)
}

fn fstatfs(task: &Task, fd: Fd, buffer: UserPtr<StatFs>) -> SyscallResult {
    let open = task.files().get(fd)?;
    store_statfs(task, buffer, open.path())
}

fn store_statfs(task: &Task, to: UserPtr<StatFs>, path: &Path) -> SyscallResult {
    /// Says that the flags are filled in (`ST_VALID`).
    const VALID: u64 = 0x20;
    let stat = path.mount.fs.stat()?;
    let value = StatFs {
        magic: stat.magic,
        bsize: stat.block_size,
        blocks: stat.blocks,
        bfree: stat.blocks_free,
        bavail: stat.blocks_available,
        files: stat.files,
        ffree: stat.files_free,
        fsid: path.mount.fs.device().encode(),
        namelen: stat.name_max,
        frsize: stat.block_size,
        flags: VALID | u64::from(path.mount.flags().difference(MountFlags::LOCKS).bits()),
        ..StatFs::default()
    };
    to.write(&task.mm(), &value)?;
    Ok(0)
}
