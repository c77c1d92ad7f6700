//! Process, thread, group and session ids.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::pids::{PidNumbers, ProcessGroup, Session};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::syscalls::declare::calls;

calls! {
    39 getpid() => full ["limits::seccomp_strict_mode", "clone::clone_parent_makes_a_sibling"];
    186 gettid() => full ["clone::fork_clears_pending_signals"];
    110 getppid() => full [
            "forms::old_fork_makes_a_process",
            "seccomp::kill_thread_ends_the_only_thread_with_sigsys",
        ];
    121 getpgid(pid: i32) => full ["session::getpgid_and_getsid_errors"];
    111 getpgrp() => full ["procfs::stat_fields", "session::setpgid_table"];
    109 setpgid(pid: i32, pgid: i32)
        => full ["session::setpgid_table", "session::setpgid_after_exec_is_eacces"];
    124 getsid(pid: i32) => full ["procfs::stat_fields", "session::getpgid_and_getsid_errors"];
    112 setsid()
        => full ["session::session_of_a_group_leader_is_eperm", "session::tty_without_terminal_is_enxio"];
    218 set_tid_address(word: UserPtr<u8>) => full ["clone::set_tid_address_returns_the_tid"];
}

fn getpid(task: &Task) -> SyscallResult {
    Ok(u64::from(task.group().pid_in(&task.pid_namespace())))
}

fn gettid(task: &Task) -> SyscallResult {
    Ok(u64::from(task.tid()))
}

fn getppid(task: &Task) -> SyscallResult {
    Ok(task
        .group()
        .parent()
        .map_or(0, |parent| u64::from(parent.pid_in(&task.pid_namespace()))))
}

fn getpgrp(task: &Task) -> SyscallResult {
    Ok(group_id(task, task.group()))
}

fn getpgid(task: &Task, pid: i32) -> SyscallResult {
    let group = find(task, pid)?;
    Ok(group_id(task, &group))
}

fn getsid(task: &Task, pid: i32) -> SyscallResult {
    let group = find(task, pid)?;
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

fn setpgid(task: &Task, pid: i32, pgid: i32) -> SyscallResult {
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

fn setsid(task: &Task) -> SyscallResult {
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

fn set_tid_address(task: &Task, word: UserPtr<u8>) -> SyscallResult {
    task.own.lock().clear_child_tid = word.address();
    Ok(u64::from(task.tid()))
}
