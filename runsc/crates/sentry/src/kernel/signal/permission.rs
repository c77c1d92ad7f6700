//! `kill(2)` and its relatives: who may send to whom, and sending to many at once.

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::job_control;
use crate::kernel::signal::send::{Origin, OutgoingSignal, post};
use crate::kernel::signal::{Signal, SignalInfo};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;

/// Whether `sender` may send `signal` to `receiver`: EPERM. Same user, `CAP_KILL`, or SIGCONT within the
/// session; always to its own process.
pub fn check(sender: &Task, receiver: &Task, signal: Option<Signal>) -> Result<()> {
    if Arc::ptr_eq(sender.group(), receiver.group()) {
        return Ok(());
    }
    let (from, to) = (sender.credentials(), receiver.credentials());
    let same_user = [from.euid, from.uid]
        .iter()
        .any(|uid| *uid == to.suid || *uid == to.uid);
    if same_user || from.has_in(&to.user_ns, Capability::Kill) {
        return Ok(());
    }
    let session = |task: &Task| task.group().process_group().map(|of| of.session.clone());
    if signal == Some(Signal::SIGCONT)
        && let (Some(mine), Some(theirs)) = (session(sender), session(receiver))
        && Arc::ptr_eq(&mine, &theirs)
    {
        return Ok(());
    }
    Err(Errno::EPERM)
}

/// `info` of a signal that `sender` sends with `kill(2)` or `tgkill(2)`, as `receiver` sees it.
fn info(sender: &Task, receiver: &Task, signal: Signal, code: i32) -> SignalInfo {
    let namespace = receiver.pid_namespace();
    let pid = sender.group().pid_in(&namespace);
    SignalInfo {
        code,
        ..SignalInfo::user(signal, pid, sender.credentials().uid)
    }
}

fn origin(sender: &Task, receiver: &Task) -> Origin {
    if Arc::ptr_eq(&sender.pid_namespace(), &receiver.pid_namespace()) {
        Origin::Within
    } else {
        Origin::Above
    }
}

/// Sends to a process on behalf of `sender`; no signal: only checks. `given` is what `rt_sigqueueinfo`
/// brought. EPERM, EAGAIN, ESRCH for one that has been reaped.
pub fn send_to_process(
    sender: &Task,
    receiver: &Arc<ThreadGroup>,
    signal: Option<Signal>,
    given: Option<SignalInfo>,
) -> Result<()> {
    let leader = receiver.leader().ok_or(Errno::ESRCH)?;
    check(sender, &leader, signal)?;
    let Some(signal) = signal else {
        return Ok(());
    };
    let info = given.unwrap_or_else(|| {
        info(
            sender,
            &leader,
            signal,
            crate::kernel::signal::info::code::SI_USER,
        )
    });
    let outgoing =
        OutgoingSignal::new(info, origin(sender, &leader)).from_user(sender.credentials().uid);
    post(receiver, None, outgoing)
}

/// Sends to one thread, as [`send_to_process`] does to a process.
pub fn send_to_thread(
    sender: &Task,
    receiver: &Arc<Task>,
    signal: Option<Signal>,
    given: Option<SignalInfo>,
) -> Result<()> {
    check(sender, receiver, signal)?;
    let Some(signal) = signal else {
        return Ok(());
    };
    let info = given.unwrap_or_else(|| {
        info(
            sender,
            receiver,
            signal,
            crate::kernel::signal::info::code::SI_TKILL,
        )
    });
    let outgoing =
        OutgoingSignal::new(info, origin(sender, receiver)).from_user(sender.credentials().uid);
    post(receiver.group(), Some(receiver), outgoing)
}

/// `kill(2)`: to a process, a process group, or everyone. ESRCH, EPERM.
pub fn kill(sender: &Task, pid: i32, signal: Option<Signal>) -> Result<()> {
    let namespace = sender.pid_namespace();
    match pid {
        0 => {
            let process_group = sender.group().process_group().ok_or(Errno::ESRCH)?;
            send_to_each(sender, &job_control::members(&process_group), signal)
        }
        -1 => {
            let all = namespace.groups().into_iter().filter(|(id, group)| {
                *id > 1 && !Arc::ptr_eq(group, sender.group()) && !group.is_zombie()
            });
            let all: Vec<_> = all.map(|(_, group)| group).collect();
            // With everyone as receiver, those that may not be sent to do not count as failures.
            match send_to_each(sender, &all, signal) {
                Err(Errno::EPERM) => Ok(()),
                result => result,
            }
        }
        1.. => {
            let receiver = namespace.group(pid.unsigned_abs()).ok_or(Errno::ESRCH)?;
            send_to_process(sender, &receiver, signal, None)
        }
        _ => {
            let process_group = namespace
                .process_group(pid.unsigned_abs())
                .ok_or(Errno::ESRCH)?;
            // Zombies can be sent to as well, without effect.
            send_to_each(sender, &process_group.members(), signal)
        }
    }
}

/// Succeeds if one of them could be sent to.
fn send_to_each(
    sender: &Task,
    receivers: &[Arc<ThreadGroup>],
    signal: Option<Signal>,
) -> Result<()> {
    let mut outcome = Err(Errno::ESRCH);
    for receiver in receivers {
        let sent = send_to_process(sender, receiver, signal, None);
        if outcome != Ok(()) {
            outcome = sent;
        }
    }
    outcome
}
