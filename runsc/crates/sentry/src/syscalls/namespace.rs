//! Namespaces: unshare, and the names of the UTS namespace.

use std::sync::Arc;

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::fs::{nsfs, pidfd};
use crate::kernel::clone::{self, CloneFlags};
use crate::kernel::credentials::Capability;
use crate::kernel::namespaces;
use crate::kernel::ptrace::access;
use crate::kernel::setns::{self, Namespace};
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;

calls! {
    272 unshare(flags: u64 as Flags(process::CLONE))
        => partial("time namespaces") ["clone::unshare_files", "killable::pid_namespaces_nest_32_deep"];
    308 setns(fd: Fd, kind: u32 as Flags(process::CLONE))
        => partial("time namespaces") ["namespace::setns_joins_uts_and_ipc", "namespace::setns_takes_a_pidfd"];
    170 sethostname(name: UserPtr<u8> as Buffer(1), len: i32 as Size)
        => full ["namespace::setns_joins_uts_and_ipc", "namespace::user_namespace_owns_what_is_made_with_it"];
    171 setdomainname(name: UserPtr<u8> as Buffer(1), len: i32 as Size)
        => full ["limits::setting_names_needs_privilege"];
}

/// The longest host or domain name (`__NEW_UTS_LEN`).
const NAME_MAX: usize = 64;

const NAMESPACES: CloneFlags = CloneFlags::NEWUTS
    .union(CloneFlags::NEWNS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWNET)
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWPID);

const UNSHARED: CloneFlags = NAMESPACES
    .union(CloneFlags::NEWUSER)
    .union(CloneFlags::FS)
    .union(CloneFlags::FILES)
    .union(CloneFlags::SYSVSEM);

/// What only a process with one thread may undo: it shares these by being several.
const SINGLE_THREADED: CloneFlags = CloneFlags::THREAD
    .union(CloneFlags::SIGHAND)
    .union(CloneFlags::VM);

fn unshare(task: &Task, flags: u64) -> SyscallResult {
    let flags = CloneFlags::from_bits_retain(flags);
    if !UNSHARED.union(SINGLE_THREADED).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    if flags.intersects(SINGLE_THREADED) && task.group().tasks().len() > 1 {
        return Err(Errno::EINVAL.into());
    }
    // A new user namespace gives its maker the capabilities that the others need.
    let privileged =
        flags.contains(CloneFlags::NEWUSER) || task.credentials().has_own(Capability::SysAdmin);
    if flags.intersects(NAMESPACES) && !privileged {
        return Err(Errno::EPERM.into());
    }
    if flags.contains(CloneFlags::NEWUSER) && task.group().live_threads() > 1 {
        return Err(Errno::EINVAL.into());
    }
    // A mount namespace of one's own needs a root of one's own (man 2 unshare, CLONE_NEWNS).
    if flags.intersects(CloneFlags::FS | CloneFlags::NEWNS | CloneFlags::NEWUSER) {
        let own = task.fs().fork();
        *task.fs.lock() = own.used_by(task.group());
    }
    if flags.contains(CloneFlags::FILES) {
        let shared = task.files();
        *task.files.lock() = Arc::new(shared.fork());
        crate::vfs::fd_table::release(task, shared);
    }
    namespaces::unshare(task, flags)?;
    if flags.contains(CloneFlags::NEWPID) {
        clone::new_pid_namespace(task, task)?;
    }
    Ok(0)
}

/// What a pidfd's process may be asked for.
const JOINABLE: CloneFlags = NAMESPACES.union(CloneFlags::NEWUSER);

fn setns(task: &Task, fd: Fd, kind: u32) -> SyscallResult {
    let open = task.files().get(fd)?;
    let kind = CloneFlags::from_bits_retain(u64::from(kind));
    if let Some(namespace) = nsfs::namespace_of(&open) {
        if !kind.is_empty() && kind != namespace.kind() {
            return Err(Errno::EINVAL.into());
        }
        setns::join(task, std::slice::from_ref(namespace))?;
        return Ok(0);
    }
    let Ok(group) = pidfd::group_of(&open) else {
        return Err(Errno::EINVAL.into());
    };
    if kind.is_empty() || !JOINABLE.contains(kind) {
        return Err(Errno::EINVAL.into());
    }
    let target = group.leader().filter(|_| !group.is_zombie());
    let target = target.ok_or(Errno::ESRCH)?;
    access::check(task, &target, access::Mode::Real)?;
    let names: [&[u8]; 7] = [b"user", b"cgroup", b"ipc", b"uts", b"net", b"pid", b"mnt"];
    let own_user_ns = task.credentials().user_ns.ino;
    let wanted: Vec<Namespace> = names
        .iter()
        .filter_map(|name| setns::of_task(&target, name))
        .filter(|namespace| kind.contains(namespace.kind()))
        .collect();
    // Joining the own user namespace is EINVAL, as with its file.
    if kind == CloneFlags::NEWUSER && wanted.iter().any(|user| user.ino() == own_user_ns) {
        return Err(Errno::EINVAL.into());
    }
    setns::join(task, &wanted)?;
    Ok(0)
}

fn read_name(task: &Task, address: UserPtr<u8>, len: i32) -> Result<Vec<u8>> {
    let owner = task.namespaces().uts.user_ns.clone();
    if !task.credentials().has_in(&owner, Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if len > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    let mut name = vec![0; len];
    address.read_bytes(&task.mm(), &mut name)?;
    Ok(name)
}

fn sethostname(task: &Task, name: UserPtr<u8>, len: i32) -> SyscallResult {
    let name = read_name(task, name, len)?;
    task.namespaces().uts.names.lock().host = name;
    Ok(0)
}

fn setdomainname(task: &Task, name: UserPtr<u8>, len: i32) -> SyscallResult {
    let name = read_name(task, name, len)?;
    task.namespaces().uts.names.lock().domain = name;
    Ok(0)
}
