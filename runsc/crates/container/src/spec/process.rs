//! The process of a spec, or of `exec --process`.

use std::collections::HashSet;

use control::{Process, Rlimit, User};
use oci_spec::runtime::{
    LinuxSchedulerPolicy, PosixRlimit, PosixRlimitType, Process as SpecProcess,
};
use rustix::process::{Resource, getrlimit};

use crate::Result;
use crate::spec::{capability, invalid};

/// Turns a spec's process into the kernel's terms, checked.
///
/// # Errors
/// [`crate::ContainerError::Spec`].
pub fn convert_process(process: &SpecProcess) -> Result<Process> {
    let user = process.user();
    let converted = Process {
        args: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
        cwd: process.cwd().to_string_lossy().into_owned(),
        user: User {
            uid: user.uid(),
            gid: user.gid(),
            additional_gids: user.additional_gids().clone().unwrap_or_default(),
            umask: user.umask(),
        },
        capabilities: capability::convert(process.capabilities().as_ref())?,
        rlimits: process
            .rlimits()
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(rlimit)
            .collect::<Result<_>>()?,
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        terminal: process.terminal().unwrap_or(false),
        oom_score_adj: process.oom_score_adj(),
    };
    check_process(&converted)?;
    check_scheduling(process)?;
    Ok(converted)
}

/// Gives a process whose spec does not limit its open files the caller's limit, as a program that the caller executes
/// has it. The kernel's own bound (`/proc/sys/fs/nr_open`) applies to both.
pub(crate) fn inherit_limits(process: &mut Process) {
    const MOST: u64 = 1 << 20;
    let resource = resource(PosixRlimitType::RlimitNofile);
    if process
        .rlimits
        .iter()
        .any(|limit| limit.resource == resource)
    {
        return;
    }
    let own = getrlimit(Resource::Nofile);
    let bounded = |limit: Option<u64>| limit.unwrap_or(MOST).min(MOST);
    process.rlimits.push(Rlimit {
        resource,
        soft: bounded(own.current),
        hard: bounded(own.maximum),
    });
}

/// Policies and priorities are checked, and mean nothing: the guest's threads are scheduled by the host with the
/// sandbox's own.
fn check_scheduling(process: &SpecProcess) -> Result<()> {
    if let Some(priority) = process.io_priority()
        && !(0..=7).contains(&priority.priority())
    {
        return Err(invalid(format!(
            "process.ioPriority {} is not in 0..=7",
            priority.priority()
        )));
    }
    let Some(scheduler) = process.scheduler() else {
        return Ok(());
    };
    if scheduler
        .nice()
        .is_some_and(|nice| !(-20..=19).contains(&nice))
    {
        return Err(invalid("process.scheduler.nice is not in -20..=19"));
    }
    let real_time = matches!(
        scheduler.policy(),
        LinuxSchedulerPolicy::SchedFifo | LinuxSchedulerPolicy::SchedRr
    );
    let priority = scheduler.priority().unwrap_or(0);
    if priority != 0 && !(real_time && (1..=99).contains(&priority)) {
        return Err(invalid(format!(
            "process.scheduler.priority {priority} does not fit the policy {}",
            scheduler.policy()
        )));
    }
    Ok(())
}

/// Checks what any process must have.
///
/// # Errors
/// [`crate::ContainerError::Spec`].
pub fn check_process(process: &Process) -> Result<()> {
    if process.args.first().is_none_or(String::is_empty) {
        return Err(invalid("process.args must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(invalid(format!(
            "process.cwd {:?} must be an absolute path",
            process.cwd
        )));
    }
    let strings = process
        .args
        .iter()
        .chain(&process.env)
        .chain([&process.cwd]);
    if strings.clone().any(|s| s.contains('\0')) {
        return Err(invalid("process has a string with a NUL byte"));
    }
    if let Some(bad) = process.env.iter().find(|pair| !pair.contains('=')) {
        return Err(invalid(format!("process.env entry {bad:?} has no =")));
    }
    if let Some(score) = process.oom_score_adj
        && !(-1000..=1000).contains(&score)
    {
        return Err(invalid(format!(
            "process.oomScoreAdj {score} is not in -1000..=1000"
        )));
    }
    check_ids(process)?;
    let mut seen = HashSet::new();
    let twice = process
        .rlimits
        .iter()
        .find(|limit| !seen.insert(limit.resource));
    match twice {
        Some(limit) => Err(invalid(format!(
            "process.rlimits has two entries for resource {}",
            limit.resource
        ))),
        None => Ok(()),
    }
}

/// `-1` means "no change" to the calls that set ids.
fn check_ids(process: &Process) -> Result<()> {
    let user = &process.user;
    let groups = user.additional_gids.iter();
    if groups
        .chain([&user.uid, &user.gid])
        .any(|id| *id == u32::MAX)
    {
        return Err(invalid("process.user has an id that is not valid"));
    }
    if user.umask.is_some_and(|umask| umask > 0o777) {
        return Err(invalid("process.user.umask has more than nine bits"));
    }
    Ok(())
}

fn rlimit(limit: &PosixRlimit) -> Result<Rlimit> {
    let (soft, hard) = (limit.soft(), limit.hard());
    let name = format!("{:?}", limit.typ());
    if soft > hard {
        return Err(invalid(format!(
            "rlimit {name}: soft limit {soft} is above hard limit {hard}"
        )));
    }
    Ok(Rlimit {
        resource: resource(limit.typ()),
        soft,
        hard,
    })
}

/// The resource's number on x86-64 (`asm-generic/resource.h`).
fn resource(kind: PosixRlimitType) -> u32 {
    match kind {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    }
}
