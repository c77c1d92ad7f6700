//! Nice values and I/O priorities.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    140 getpriority(which: i32 as OneOf(process::PRIORITY), who: u32 as Int)
        => partial("nothing; the values do not reach the host's scheduler") ["creds::setpriority_and_nice"];
    141 setpriority(which: i32 as OneOf(process::PRIORITY), who: u32 as Int, nice: i32)
        => partial("the values do not reach the host's scheduler") ["creds::setpriority_and_nice"];
    252 ioprio_get(which: i32 as OneOf(process::IO_PRIORITY), who: u32 as Int)
        => partial("groups and users") ["limits::ioprio"];
    251 ioprio_set(which: i32 as OneOf(process::IO_PRIORITY), who: u32 as Int, priority: i32 as Hex)
        => hint ["limits::ioprio"];
}

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

fn getpriority(task: &Task, which: i32, who: u32) -> SyscallResult {
    let tasks = select(task, which, who)?;
    let lowest = tasks
        .iter()
        .map(|task| task.own.lock().nice)
        .min()
        .unwrap_or(0);
    // The call itself returns 20 − nice (man 2 getpriority, C library/kernel differences).
    Ok(u64::from((20 - i16::from(lowest)).unsigned_abs()))
}

fn setpriority(task: &Task, which: i32, who: u32, nice: i32) -> SyscallResult {
    let wanted = i8::try_from(nice.clamp(-20, 19)).unwrap_or(0);
    let tasks = select(task, which, who)?;
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

fn io_target(task: &Task, which: i32, who: u32) -> Result<Arc<Task>> {
    if !(IOPRIO_WHO_PROCESS..=3).contains(&which) {
        return Err(Errno::EINVAL);
    }
    let who = if who == 0 { task.tid() } else { who };
    task.pid_namespace().task(who).ok_or(Errno::ESRCH)
}

fn ioprio_get(task: &Task, which: i32, who: u32) -> SyscallResult {
    let priority = io_target(task, which, who)?.own.lock().io_priority;
    Ok(u64::from(priority.unsigned_abs()))
}

fn ioprio_set(task: &Task, which: i32, who: u32, priority: i32) -> SyscallResult {
    if !(0..IOPRIO_CLASSES).contains(&(priority >> 13)) {
        return Err(Errno::EINVAL.into());
    }
    io_target(task, which, who)?.own.lock().io_priority = priority;
    Ok(0)
}
