//! Sending signals: `man 2 kill`, `man 2 tkill`, `man 2 rt_sigqueueinfo`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;
use abi::signal::SIGINFO_LEN;

use crate::error::{Result, SyscallResult};
use crate::kernel::signal::info::code;
use crate::kernel::signal::{Signal, SignalInfo, permission};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_kill, "kill", kill),
    Call::full(nr::__NR_tkill, "tkill", tkill),
    Call::full(nr::__NR_tgkill, "tgkill", tgkill),
    Call::full(nr::__NR_rt_sigqueueinfo, "rt_sigqueueinfo", rt_sigqueueinfo),
    Call::full(
        nr::__NR_rt_tgsigqueueinfo,
        "rt_tgsigqueueinfo",
        rt_tgsigqueueinfo,
    ),
];

/// A signal number, none for 0, which only checks; EINVAL.
fn signal(raw: i32) -> Result<Option<Signal>> {
    let number = u64::try_from(raw).map_err(|_| Errno::EINVAL)?;
    match number {
        0 => Ok(None),
        number => Signal::new(number).map(Some).ok_or(Errno::EINVAL),
    }
}

fn kill(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (pid, raw) = (args.i32(0), args.i32(1));
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    permission::kill(task, pid, signal(raw)?)?;
    Ok(0)
}

/// The thread `tid`, of process `tgid` if that is given: EINVAL, ESRCH.
fn thread(task: &Task, tgid: Option<i32>, tid: i32) -> Result<Arc<Task>> {
    if tid <= 0 || tgid.is_some_and(|tgid| tgid <= 0) {
        return Err(Errno::EINVAL);
    }
    let namespace = task.pid_namespace();
    let receiver = namespace.task(tid.unsigned_abs()).ok_or(Errno::ESRCH)?;
    match tgid {
        Some(tgid) if receiver.group().pid_in(&namespace) != tgid.unsigned_abs() => {
            Err(Errno::ESRCH)
        }
        _ => Ok(receiver),
    }
}

fn tkill(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let receiver = thread(task, None, args.i32(0))?;
    permission::send_to_thread(task, &receiver, signal(args.i32(1))?, None)?;
    Ok(0)
}

fn tgkill(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let receiver = thread(task, Some(args.i32(0)), args.i32(1))?;
    permission::send_to_thread(task, &receiver, signal(args.i32(2))?, None)?;
    Ok(0)
}

/// What the application says of a signal that it queues: to others it may not pretend to be the kernel or
/// `kill(2)` (EPERM).
fn given(
    task: &Task,
    pid: i32,
    signal: Option<Signal>,
    address: usize,
) -> Result<Option<SignalInfo>> {
    let mut bytes = [0; SIGINFO_LEN];
    task.mm().read_bytes(address, &mut bytes)?;
    let any = signal.unwrap_or(Signal::SIGKILL);
    let info = SignalInfo::from_bytes(any, &bytes);
    let own = u64::from(task.group().pid()) == u64::from(pid.unsigned_abs());
    if (info.code >= 0 || info.code == code::SI_TKILL) && !own {
        return Err(Errno::EPERM);
    }
    Ok(signal.map(|_| info))
}

fn rt_sigqueueinfo(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (pid, signal) = (args.i32(0), signal(args.i32(1)));
    let info = given(task, pid, signal.unwrap_or(None), args.usize(2))?;
    let signal = signal?;
    let id = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let receiver = task.pid_namespace().group(id).ok_or(Errno::ESRCH)?;
    permission::send_to_process(task, &receiver, signal, info)?;
    Ok(0)
}

fn rt_tgsigqueueinfo(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (tgid, tid, signal) = (args.i32(0), args.i32(1), signal(args.i32(2)));
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = given(task, tgid, signal.unwrap_or(None), args.usize(3))?;
    let signal = signal?;
    let receiver = thread(task, Some(tgid), tid)?;
    permission::send_to_thread(task, &receiver, signal, info)?;
    Ok(0)
}
