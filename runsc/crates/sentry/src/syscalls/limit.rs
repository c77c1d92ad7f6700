//! Resource limits (`man 2 getrlimit`).

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::limits::{Limit, RESOURCES, Resource};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::timers::cpu_limit;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_getrlimit, "getrlimit", getrlimit),
    Call::full(nr::__NR_setrlimit, "setrlimit", setrlimit),
    Call::full(nr::__NR_prlimit64, "prlimit64", prlimit64),
];

/// `/proc/sys/fs/nr_open`: what `RLIMIT_NOFILE` can't exceed.
const NR_OPEN: &str = "fs/nr_open";

/// `struct rlimit`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Rlimit {
    soft: u64,
    hard: u64,
}

fn index(resource: u32) -> Result<usize> {
    let index = usize::try_from(resource).map_err(|_| Errno::EINVAL)?;
    if index < RESOURCES {
        Ok(index)
    } else {
        Err(Errno::EINVAL)
    }
}

fn getrlimit(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let limit = task.group().limits().0[index(args.u32(0))?];
    args.ptr(1).write(
        &task.mm(),
        &Rlimit {
            soft: limit.soft,
            hard: limit.hard,
        },
    )?;
    Ok(0)
}

fn setrlimit(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let index = index(args.u32(0))?;
    let new: Rlimit = args.ptr(1).read(&task.mm())?;
    set(task, task.group(), index, new)?;
    Ok(0)
}

fn set(task: &Task, group: &ThreadGroup, index: usize, new: Rlimit) -> Result<Limit> {
    if new.soft > new.hard {
        return Err(Errno::EINVAL);
    }
    if index == Resource::OpenFiles as usize && new.hard > task.kernel().sysctl.number(NR_OPEN) {
        return Err(Errno::EPERM);
    }
    let mut limits = group.limits.lock();
    let old = limits.0[index];
    if new.hard > old.hard && !task.has_capability(Capability::SysResource) {
        return Err(Errno::EPERM);
    }
    limits.0[index] = Limit {
        soft: new.soft,
        hard: new.hard,
    };
    Ok(old)
}

fn prlimit64(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let index = index(args.u32(1))?;
    let group = target(task, args.i32(0))?;
    let new: UserPtr<Rlimit> = args.ptr(2);
    let old: UserPtr<Rlimit> = args.ptr(3);
    let mm = task.mm();
    let before = if new.is_null() {
        group.limits().0[index]
    } else {
        let before = set(task, &group, index, new.read(&mm)?)?;
        if index == Resource::Cpu as usize {
            cpu_limit::watch(&group);
        }
        before
    };
    if !old.is_null() {
        old.write(
            &mm,
            &Rlimit {
                soft: before.soft,
                hard: before.hard,
            },
        )?;
    }
    Ok(0)
}

/// The process whose limits are meant: one's own, one with the same ids, or any with `CAP_SYS_RESOURCE`.
fn target(task: &Task, pid: i32) -> Result<Arc<ThreadGroup>> {
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    if pid == 0 {
        return Ok(task.group().clone());
    }
    let other = task.pid_namespace().task(pid).ok_or(Errno::ESRCH)?;
    let (mine, theirs) = (task.credentials(), other.credentials());
    let same = [theirs.uid, theirs.euid, theirs.suid]
        .iter()
        .all(|id| *id == mine.uid)
        && [theirs.gid, theirs.egid, theirs.sgid]
            .iter()
            .all(|id| *id == mine.gid);
    let itself = Arc::ptr_eq(other.group(), task.group());
    if itself || same || mine.has(Capability::SysResource) {
        Ok(other.group().clone())
    } else {
        Err(Errno::EPERM)
    }
}
