//! The types of file systems that `mount(2)` knows.

use std::any::Any;
use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::fs::devpts::{DevPts, DevPtsOptions};
use crate::fs::tmpfs::{TmpFs, TmpfsOptions};
use crate::fs::{cgroup, devtmpfs, mqueue, proc, sysfs};
use crate::kernel::task::Task;
use crate::kernel::user_namespace::UserNamespace;
use crate::vfs::inode::FileSystem;

/// The user namespace that a new instance of the type called `name` belongs to: whoever mounts it must be privileged
/// there.
#[must_use]
pub fn owner(task: &Task, name: &[u8]) -> Arc<UserNamespace> {
    let owners = &task.namespaces().owners;
    match name {
        b"proc" => task.pid_namespace().user_ns.clone(),
        b"sysfs" => owners.net.clone(),
        b"mqueue" => owners.ipc.clone(),
        b"cgroup" | b"cgroup2" => owners.cgroup.clone(),
        b"tmpfs" | b"ramfs" | b"devpts" => task.credentials().user_ns.clone(),
        _ => task.credentials().user_ns.outermost().clone(),
    }
}

/// A new instance of the type called `name`, mounted with `options`; ENODEV for a type that is not known.
pub fn make(task: &Task, name: &[u8], options: &[u8]) -> Result<Arc<dyn FileSystem>> {
    let kernel = task.kernel();
    match name {
        b"tmpfs" | b"ramfs" => Ok(TmpFs::new(kernel, &memory_options(task, options)?)),
        b"devtmpfs" => devtmpfs::new(kernel, "devtmpfs", &TmpfsOptions::default()),
        b"proc" => Ok(proc::new(kernel, &task.pid_namespace())),
        b"sysfs" => Ok(sysfs::new(kernel)),
        b"cgroup" => cgroup::mount(kernel, false, options),
        b"cgroup2" => cgroup::mount(kernel, true, options),
        b"devpts" => Ok(DevPts::new(kernel, terminals_options(task, options)?)),
        b"mqueue" => Ok(mqueue::of(kernel, &task.namespaces().ipc)),
        _ => Err(Errno::ENODEV),
    }
}

/// The options of a devpts, whose owners are those of the task's user namespace; EINVAL for one that it has not.
fn terminals_options(task: &Task, text: &[u8]) -> Result<DevPtsOptions> {
    let mut options = DevPtsOptions::parse(text)?;
    owners_outward(task, &mut options.uid, &mut options.gid)?;
    Ok(options)
}

/// The options of a tmpfs, which belongs to whoever mounts it unless they say otherwise; EINVAL.
fn memory_options(task: &Task, text: &[u8]) -> Result<TmpfsOptions> {
    let mut options = TmpfsOptions::parse(text, memory_bytes(task))?;
    owners_outward(task, &mut options.uid, &mut options.gid)?;
    let credentials = task.credentials();
    options.uid = options.uid.or(Some(credentials.fsuid));
    options.gid = options.gid.or(Some(credentials.fsgid));
    Ok(options)
}

/// Makes ids of the outermost namespace of those that the task gives in its own; EINVAL for one that it has not.
fn owners_outward(task: &Task, uid: &mut Option<u32>, gid: &mut Option<u32>) -> Result<()> {
    let user_ns = &task.credentials().user_ns;
    if let Some(uid) = uid {
        *uid = user_ns.user_outward(*uid).ok_or(Errno::EINVAL)?;
    }
    if let Some(gid) = gid {
        *gid = user_ns.group_outward(*gid).ok_or(Errno::EINVAL)?;
    }
    Ok(())
}

/// Changes the options of an instance (`MS_REMOUNT`).
pub fn remount(task: &Task, fs: &Arc<dyn FileSystem>, options: &[u8]) -> Result<()> {
    let any: &dyn Any = &**fs;
    if let Some(tmpfs) = any.downcast_ref::<TmpFs>()
        && !options.is_empty()
    {
        let options = memory_options(task, options)?;
        return tmpfs.set_limits(options.size_bytes, options.max_inodes);
    }
    Ok(())
}

/// What percentages of a size are of.
fn memory_bytes(task: &Task) -> u64 {
    let limit = task.kernel().memory().limit();
    if limit == u64::MAX {
        // Half of it is the default size of a tmpfs: 8 GiB.
        16 << 30
    } else {
        limit
    }
}
