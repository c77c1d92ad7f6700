//! `mount(2)`, `umount2(2)`, `pivot_root(2)`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use mm::user_ptr::UserPtr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::fs::types;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::syscalls::args::{DirFd, Fd, UserPath, UserText};
use crate::syscalls::declare::calls;
use crate::vfs::attr::FileType;
use crate::vfs::mount::{MountFlags, MountNamespace, Propagation, Unmount};
use crate::vfs::path::Path;
use crate::vfs::walk::WalkFlags;

calls! {
    165 mount(source: UserPath, target: UserPath, kind: UserText, flags: u32 as Hex, data: UserPtr<u8>)
        => partial("file systems in memory, proc and the like; no block devices") [
            "mount_lock::locked_mount_is_no_new_root",
            "mount_lock::file_system_belongs_to_who_mounted_it",
        ];
    166 umount2(target: UserPath, flags: u32)
        => partial("`MNT_EXPIRE` only ever marks") by umount [
            "namespace::mounts_are_locked",
            "mount_lock::places_are_locked",
        ];
    155 pivot_root(new_root: UserPath, put_old: UserPath)
        => full ["killable::pivot_root_above_the_root_is_einval"];
    303 name_to_handle_at(
        dirfd: DirFd,
        path: UserPath,
        handle: UserPtr<u8>,
        mount_id: UserPtr<u8>,
        flags: u32,
    )
        => refused(EOPNOTSUPP, "no file system here exports handles");
    304 open_by_handle_at(mount_fd: Fd, handle: UserPtr<u8>, flags: u32)
        => refused(EPERM, "no file system here exports handles");
}

/// The old magic number in the upper half of the flags.
const MAGIC: u32 = 0xc0ed_0000;
const MAGIC_MASK: u32 = 0xffff_0000;
const PROPAGATION: u32 = nr::MS_SHARED | nr::MS_PRIVATE | nr::MS_SLAVE | nr::MS_UNBINDABLE;
/// Longest option text.
const OPTIONS_MAX: usize = 4096;

/// The task's mount namespace, in which it must be privileged; EPERM.
fn namespace(task: &Task) -> Result<Arc<MountNamespace>> {
    let mounts = task.namespaces().mounts.clone().ok_or(Errno::EINVAL)?;
    let credentials = task.credentials();
    if credentials.has_in(&mounts.user_ns, Capability::SysAdmin) {
        Ok(mounts)
    } else {
        Err(Errno::EPERM)
    }
}

fn mount_flags(flags: u32, before: MountFlags) -> MountFlags {
    let table = [
        (nr::MS_RDONLY, MountFlags::READ_ONLY),
        (nr::MS_NOSUID, MountFlags::NO_SUID),
        (nr::MS_NODEV, MountFlags::NO_DEV),
        (nr::MS_NOEXEC, MountFlags::NO_EXEC),
        (nr::MS_NODIRATIME, MountFlags::NO_DIR_ATIME),
        (nr::MS_NOSYMFOLLOW, MountFlags::NO_SYMLINK_FOLLOW),
    ];
    let mut result = MountFlags::empty();
    for (_, flag) in table.iter().filter(|(bit, _)| flags & bit != 0) {
        result |= *flag;
    }
    let atime = nr::MS_NOATIME | nr::MS_RELATIME | nr::MS_STRICTATIME | nr::MS_NODIRATIME;
    if flags & nr::MS_REMOUNT != 0 && flags & atime == 0 {
        // A remount that does not speak of access times leaves them.
        result | before & (MountFlags::NO_ATIME | MountFlags::RELATIME | MountFlags::NO_DIR_ATIME)
    } else if flags & nr::MS_NOATIME != 0 {
        result | MountFlags::NO_ATIME
    } else if flags & nr::MS_STRICTATIME != 0 {
        result
    } else {
        result | MountFlags::RELATIME
    }
}

fn mount(
    task: &Task,
    source: UserPath,
    target: UserPath,
    kind: UserText,
    flags: u32,
    data: UserPtr<u8>,
) -> SyscallResult {
    let mut flags = flags;
    if flags & MAGIC_MASK == MAGIC {
        flags &= !MAGIC_MASK;
    }
    let target = at::follow(task, target)?;
    let namespace = namespace(task)?;
    if flags & nr::MS_REMOUNT != 0 {
        return remount(task, &target, flags, data);
    }
    if flags & nr::MS_BIND != 0 {
        return bind(task, &namespace, source, &target, flags);
    }
    if flags & PROPAGATION != 0 {
        return propagate(task, &namespace, &target, flags);
    }
    if flags & nr::MS_MOVE != 0 {
        let from = at::follow(task, source)?;
        check_types(&from, &target)?;
        namespace.move_to(&from, &target)?;
        return Ok(0);
    }
    new_mount(task, &namespace, (source, kind, data), &target, flags)
}

/// The option text, empty for NULL.
fn options(task: &Task, data: UserPtr<u8>) -> Result<Vec<u8>> {
    if data.is_null() {
        return Ok(Vec::new());
    }
    task.mm().read_string(data.address(), OPTIONS_MAX)
}

fn remount(task: &Task, target: &Path, flags: u32, data: UserPtr<u8>) -> SyscallResult {
    if !Arc::ptr_eq(&target.dentry, target.mount.root()) {
        return Err(Errno::EINVAL.into());
    }
    let before = target.mount.flags();
    let after = mount_flags(flags, before);
    if !before.may_become(after) {
        return Err(Errno::EPERM.into());
    }
    if flags & nr::MS_BIND == 0 {
        let text = options(task, data)?;
        let credentials = task.credentials();
        let owner = target.mount.tree().owner(&credentials.user_ns);
        if !credentials.has_in(&owner, Capability::SysAdmin) {
            return Err(Errno::EPERM.into());
        }
        types::remount(task, &target.mount.fs, &text)?;
    }
    target.mount.set_flags(after)?;
    Ok(0)
}

/// A directory goes on a directory, anything else on anything else.
fn check_types(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.inode().kind()?, to.inode().kind()?);
    if (from == FileType::Directory) != (to == FileType::Directory) {
        return Err(Errno::ENOTDIR);
    }
    Ok(())
}

fn bind(
    task: &Task,
    namespace: &Arc<MountNamespace>,
    source: UserPath,
    target: &Path,
    flags: u32,
) -> SyscallResult {
    let from = at::follow(task, source)?;
    check_types(&from, target)?;
    let vfs = &task.kernel().vfs;
    let copy = namespace.copy(vfs, &from, flags & nr::MS_REC != 0)?;
    namespace.attach(task.kernel(), &copy, target)?;
    Ok(0)
}

fn propagate(
    task: &Task,
    namespace: &Arc<MountNamespace>,
    target: &Path,
    flags: u32,
) -> SyscallResult {
    let to = match flags & PROPAGATION {
        nr::MS_SHARED => Propagation::Shared,
        nr::MS_PRIVATE => Propagation::Private,
        nr::MS_SLAVE => Propagation::Slave,
        nr::MS_UNBINDABLE => Propagation::Unbindable,
        _ => return Err(Errno::EINVAL.into()),
    };
    let recursive = flags & nr::MS_REC != 0;
    namespace.set_propagation(&task.kernel().vfs, target, to, recursive)?;
    Ok(0)
}

fn new_mount(
    task: &Task,
    namespace: &Arc<MountNamespace>,
    (source, kind, data): (UserPath, UserText, UserPtr<u8>),
    target: &Path,
    flags: u32,
) -> SyscallResult {
    if kind.0.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let type_name = kind.read(task, abi::PAGE_SIZE)?;
    let text = options(task, data)?;
    let source = if source.is_null() {
        b"none".to_vec()
    } else {
        source.read(task)?
    };
    let owner = types::owner(task, &type_name);
    if !task.credentials().has_in(&owner, Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    let fs = types::make(task, &type_name, &text)?;
    let is_directory = target.inode().kind()? == FileType::Directory;
    if !is_directory {
        return Err(Errno::ENOTDIR.into());
    }
    let vfs = &task.kernel().vfs;
    let mut flags = mount_flags(flags, MountFlags::empty());
    flags |= namespace.check_revealing(&fs, flags)?;
    let mount = vfs.mount(fs, &source, flags);
    mount.tree().set_owner(owner);
    namespace.attach(task.kernel(), &mount, target)?;
    Ok(0)
}

fn umount(task: &Task, target: UserPath, flags: u32) -> SyscallResult {
    let flags = Unmount::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(Unmount::EXPIRE) && flags.intersects(Unmount::FORCE | Unmount::DETACH) {
        return Err(Errno::EINVAL.into());
    }
    let namespace = namespace(task)?;
    let mut walk = WalkFlags::FOLLOW;
    walk.set(WalkFlags::FOLLOW, !flags.contains(Unmount::NO_FOLLOW));
    let path = at::resolve(task, DirFd::CWD, target, walk)?;
    namespace.unmount(&path, flags)?;
    Ok(0)
}

fn pivot_root(task: &Task, new_root: UserPath, put_old: UserPath) -> SyscallResult {
    let namespace = namespace(task)?;
    let directory = |address| {
        let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
        at::resolve(task, DirFd::CWD, address, flags)
    };
    let new_root = directory(new_root)?;
    let put_old = directory(put_old)?;
    let old_root = task.fs().root();
    namespace.pivot(&old_root, &new_root, &put_old)?;
    // Whoever was at the old root is at the new one (`man 2 pivot_root`).
    for (_, other) in task.kernel().root_pid_ns().tasks() {
        other.fs().replace(&old_root, &new_root);
    }
    Ok(0)
}
