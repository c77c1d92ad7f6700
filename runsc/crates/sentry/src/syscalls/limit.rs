//! Resource limits (`man 2 getrlimit`).

use std::sync::Arc;

use abi::Errno;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::limits::{Limit, RESOURCES, Resource};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::timers::cpu_limit;
use crate::syscalls::declare::calls;

calls! {
    97 getrlimit(resource: u32 as OneOf(process::RESOURCE), limit: UserPtr<Rlimit> as Out(process::rlimit))
        => full ["limits::limits_are_set_and_read"];
    160 setrlimit(resource: u32 as OneOf(process::RESOURCE), limit: UserPtr<Rlimit> as In(process::rlimit))
        => full ["limits::limits_are_set_and_read"];
    302 prlimit64(
        pid: i32,
        resource: u32 as OneOf(process::RESOURCE),
        new: UserPtr<Rlimit> as In(process::rlimit),
        old: UserPtr<Rlimit> as Out(process::rlimit),
    )
        => full ["limits::limit_errors", "mmap::brk_stops_at_its_limit"];
}

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

fn getrlimit(task: &Task, resource: u32, limit: UserPtr<Rlimit>) -> SyscallResult {
    let present = task.group().limits().0[index(resource)?];
    limit.write(
        &task.mm(),
        &Rlimit {
            soft: present.soft,
            hard: present.hard,
        },
    )?;
    Ok(0)
}

fn setrlimit(task: &Task, resource: u32, limit: UserPtr<Rlimit>) -> SyscallResult {
    let index = index(resource)?;
    let new: Rlimit = limit.read(&task.mm())?;
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

fn prlimit64(
    task: &Task,
    pid: i32,
    resource: u32,
    new: UserPtr<Rlimit>,
    old: UserPtr<Rlimit>,
) -> SyscallResult {
    let index = index(resource)?;
    let group = target(task, pid)?;
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
