//! Nice values and I/O priorities.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::partial(
        nr::__NR_getpriority,
        "getpriority",
        getpriority,
        "nothing; the values do not reach the host's scheduler",
    ),
    Call::partial(
        nr::__NR_setpriority,
        "setpriority",
        setpriority,
        "the values do not reach the host's scheduler",
    ),
    Call::partial(
        nr::__NR_ioprio_get,
        "ioprio_get",
        ioprio_get,
        "groups and users",
    ),
    Call::hint(nr::__NR_ioprio_set, "ioprio_set", ioprio_set),
];

const PRIO_PROCESS: i32 = 0;
const PRIO_PGRP: i32 = 1;
const PRIO_USER: i32 = 2;

/// The tasks that `which` and `who` name; ESRCH if there is none.
fn select(task: &Task, which: i32, who: u32) -> Result<Vec<Arc<Task>>> {
    let namespace = task.pid_namespace();
    let all = || namespace.tasks().into_iter().map(|(_, task)| task);
    let chosen: Vec<Arc<Task>> = match which {
        PRIO_PROCESS if who == 0 => namespace.task(task.tid()).into_iter().collect(),
        PRIO_PROCESS => namespace.task(who).into_iter().collect(),
        PRIO_PGRP => {
            let wanted = if who == 0 {
                task.group().process_group()
            } else {
                namespace.process_group(who)
            };
            let wanted = wanted.ok_or(Errno::ESRCH)?;
            all()
                .filter(|task| {
                    task.group()
                        .process_group()
                        .is_some_and(|group| Arc::ptr_eq(&group, &wanted))
                })
                .collect()
        }
        PRIO_USER => {
            let uid = if who == 0 {
                task.credentials().uid
            } else {
                who
            };
            all().filter(|task| task.credentials().uid == uid).collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if chosen.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(chosen)
    }
}

fn getpriority(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let tasks = select(task, args.i32(0), args.u32(1))?;
    let lowest = tasks
        .iter()
        .map(|task| task.own.lock().nice)
        .min()
        .unwrap_or(0);
    // The call itself returns 20 − nice (man 2 getpriority, C library/kernel differences).
    Ok(u64::from((20 - i16::from(lowest)).unsigned_abs()))
}

fn setpriority(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let wanted = i8::try_from(args.i32(2).clamp(-20, 19)).unwrap_or(0);
    let tasks = select(task, args.i32(0), args.u32(1))?;
    let mine = task.credentials();
    let privileged = mine.has(Capability::SysNice);
    // RLIMIT_NICE n allows nice values down to 20 − n.
    let floor =
        20 - i64::try_from(task.group().limits().get(Resource::Nice).soft.min(40)).unwrap_or(40);
    for target in tasks {
        let theirs = target.credentials();
        if !privileged && mine.euid != theirs.uid && mine.euid != theirs.euid {
            return Err(Errno::EPERM.into());
        }
        let mut own = target.own.lock();
        if wanted < own.nice && !privileged && i64::from(wanted) < floor {
            return Err(Errno::EACCES.into());
        }
        own.nice = wanted;
    }
    Ok(0)
}

const IOPRIO_WHO_PROCESS: i32 = 1;
/// Classes none, real time, best effort, idle.
const IOPRIO_CLASSES: i32 = 4;

fn io_target(task: &Task, args: &SyscallArgs) -> Result<Arc<Task>> {
    if !(IOPRIO_WHO_PROCESS..=3).contains(&args.i32(0)) {
        return Err(Errno::EINVAL);
    }
    let who = if args.i32(1) == 0 {
        task.tid()
    } else {
        args.u32(1)
    };
    task.pid_namespace().task(who).ok_or(Errno::ESRCH)
}

fn ioprio_get(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let priority = io_target(task, args)?.own.lock().io_priority;
    Ok(u64::from(priority.unsigned_abs()))
}

fn ioprio_set(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let priority = args.i32(2);
    if !(0..IOPRIO_CLASSES).contains(&(priority >> 13)) {
        return Err(Errno::EINVAL.into());
    }
    io_target(task, args)?.own.lock().io_priority = priority;
    Ok(0)
}
