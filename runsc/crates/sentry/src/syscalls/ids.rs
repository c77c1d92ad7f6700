//! Process, thread, group and session ids.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;
use abi::raw::general as nr;

use crate::error::{Result, SyscallResult};
use crate::kernel::pids::{PidNumbers, ProcessGroup, Session};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_getpid, "getpid", getpid),
    Call::full(nr::__NR_gettid, "gettid", gettid),
    Call::full(nr::__NR_getppid, "getppid", getppid),
    Call::full(nr::__NR_getpgid, "getpgid", getpgid),
    Call::full(nr::__NR_getpgrp, "getpgrp", getpgrp),
    Call::full(nr::__NR_setpgid, "setpgid", setpgid),
    Call::full(nr::__NR_getsid, "getsid", getsid),
    Call::full(nr::__NR_setsid, "setsid", setsid),
    Call::full(nr::__NR_set_tid_address, "set_tid_address", set_tid_address),
];

fn getpid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(u64::from(task.group().pid_in(&task.pid_namespace())))
}

fn gettid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(u64::from(task.tid()))
}

fn getppid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(task
        .group()
        .parent()
        .map_or(0, |parent| u64::from(parent.pid_in(&task.pid_namespace()))))
}

fn getpgrp(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(group_id(task, task.group()))
}

fn getpgid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let group = find(task, args.i32(0))?;
    Ok(group_id(task, &group))
}

fn getsid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let group = find(task, args.i32(0))?;
    let id = group
        .process_group()
        .map(|group| group.session.numbers.in_namespace(&task.pid_namespace()));
    Ok(id.map_or(0, u64::from))
}

fn group_id(task: &Task, group: &ThreadGroup) -> u64 {
    let id = group
        .process_group()
        .map(|group| group.numbers.in_namespace(&task.pid_namespace()));
    id.map_or(0, u64::from)
}

/// The thread group of a process id, the caller's for 0; ESRCH.
fn find(task: &Task, pid: i32) -> Result<Arc<ThreadGroup>> {
    match u32::try_from(pid) {
        Ok(0) => Ok(task.group().clone()),
        Ok(pid) => task
            .pid_namespace()
            .task(pid)
            .map(|task| task.group().clone())
            .ok_or(Errno::ESRCH),
        Err(_) => Err(Errno::ESRCH),
    }
}

fn setpgid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (pid, pgid) = (args.i32(0), args.i32(1));
    if pid < 0 || pgid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let _tree = task.kernel().task_set.lock();
    let namespace = task.pid_namespace();
    let target = match u32::try_from(pid) {
        Ok(0) => task.group().clone(),
        Ok(pid) => namespace.group(pid).ok_or(Errno::ESRCH)?,
        Err(_) => return Err(Errno::ESRCH.into()),
    };
    let own = task.group().process_group().ok_or(Errno::ESRCH)?;
    let current = target.process_group().ok_or(Errno::ESRCH)?;
    check_target(task, &target, &own, &current)?;
    let pgid = if pgid == 0 {
        target.pid_in(&namespace)
    } else {
        pgid.unsigned_abs()
    };
    let new = if pgid == target.pid_in(&namespace) {
        match namespace.process_group(pgid) {
            Some(existing) if Arc::ptr_eq(&existing, &current) => return Ok(0),
            Some(existing) => existing,
            None => ProcessGroup::create(leader_numbers(&target)?, current.session.clone()),
        }
    } else {
        namespace.process_group(pgid).ok_or(Errno::EPERM)?
    };
    if !Arc::ptr_eq(&new.session, &own.session) {
        return Err(Errno::EPERM.into());
    }
    target.join(Some(new));
    Ok(0)
}

/// Who may be moved (`man 2 setpgid`, ERRORS): the caller, or a child that has not called `execve`; never a
/// session leader, never one of another session.
fn check_target(
    task: &Task,
    target: &Arc<ThreadGroup>,
    own: &Arc<ProcessGroup>,
    current: &Arc<ProcessGroup>,
) -> Result<()> {
    if !Arc::ptr_eq(target, task.group()) {
        let is_child = target
            .parent()
            .is_some_and(|parent| Arc::ptr_eq(&parent, task.group()));
        if !is_child {
            return Err(Errno::ESRCH);
        }
        if !Arc::ptr_eq(&current.session, &own.session) {
            return Err(Errno::EPERM);
        }
        if target.has_execed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    let leads_session = current.session.numbers.own() == leader_numbers(target)?.own();
    if leads_session {
        Err(Errno::EPERM)
    } else {
        Ok(())
    }
}

fn leader_numbers(group: &ThreadGroup) -> Result<PidNumbers> {
    Ok(group.leader().ok_or(Errno::ESRCH)?.numbers())
}

fn setsid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let _tree = task.kernel().task_set.lock();
    let group = task.group();
    let numbers = leader_numbers(group)?;
    let id = numbers.own();
    // A process group leader, or anyone whose id is a process group's, can't.
    if numbers.namespace().process_group(id).is_some() {
        return Err(Errno::EPERM.into());
    }
    let process_group = Session::create(numbers, group);
    group.join(Some(process_group));
    Ok(u64::from(id))
}

fn set_tid_address(task: &Task, args: &SyscallArgs) -> SyscallResult {
    task.own.lock().clear_child_tid = args.usize(0);
    Ok(u64::from(task.tid()))
}
