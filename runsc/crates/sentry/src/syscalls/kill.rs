//! Sending signals: `man 2 kill`, `man 2 tkill`, `man 2 rt_sigqueueinfo`.

use std::sync::Arc;

use abi::Errno;
use abi::signal::SIGINFO_LEN;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::signal::info::code;
use crate::kernel::signal::{Signal, SignalInfo, permission};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    62 kill(pid: i32, signal: i32 as Signal)
        => full ["signal::handler_gets_the_siginfo_of_kill", "session::kill_of_a_group"];
    200 tkill(tid: i32, signal: i32 as Signal) => full ["signal::tgkill_and_tkill_codes"];
    234 tgkill(tgid: i32, tid: i32, signal: i32 as Signal) => full ["signal::tgkill_and_tkill_codes"];
    129 rt_sigqueueinfo(pid: i32, signal: i32 as Signal, info: UserPtr<u8> as In(siginfo::siginfo))
        => full ["signal::sigqueueinfo_cannot_forge_the_kernel"];
    297 rt_tgsigqueueinfo(
        tgid: i32,
        tid: i32,
        signal: i32 as Signal,
        info: UserPtr<u8> as In(siginfo::siginfo),
    )
        => full ["signal::tgsigqueueinfo_targets_a_thread"];
}

/// A signal number, none for 0, which only checks; EINVAL.
fn decode(raw: i32) -> Result<Option<Signal>> {
    let number = u64::try_from(raw).map_err(|_| Errno::EINVAL)?;
    match number {
        0 => Ok(None),
        number => Signal::new(number).map(Some).ok_or(Errno::EINVAL),
    }
}

fn kill(task: &Task, pid: i32, signal: i32) -> SyscallResult {
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    permission::kill(task, pid, decode(signal)?)?;
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

fn tkill(task: &Task, tid: i32, signal: i32) -> SyscallResult {
    let receiver = thread(task, None, tid)?;
    permission::send_to_thread(task, &receiver, decode(signal)?, None)?;
    Ok(0)
}

fn tgkill(task: &Task, tgid: i32, tid: i32, signal: i32) -> SyscallResult {
    let receiver = thread(task, Some(tgid), tid)?;
    permission::send_to_thread(task, &receiver, decode(signal)?, None)?;
    Ok(0)
}

/// What the application says of a signal that it queues: to others it may not pretend to be the kernel or
/// `kill(2)` (EPERM).
fn given(
    task: &Task,
    pid: i32,
    signal: Option<Signal>,
    at: UserPtr<u8>,
) -> Result<Option<SignalInfo>> {
    let mut bytes = [0; SIGINFO_LEN];
    at.read_bytes(&task.mm(), &mut bytes)?;
    let any = signal.unwrap_or(Signal::SIGKILL);
    let info = SignalInfo::from_bytes(any, &bytes);
    let own = u64::from(task.group().pid()) == u64::from(pid.unsigned_abs());
    if (info.code >= 0 || info.code == code::SI_TKILL) && !own {
        return Err(Errno::EPERM);
    }
    Ok(signal.map(|_| info))
}

fn rt_sigqueueinfo(task: &Task, pid: i32, signal: i32, info: UserPtr<u8>) -> SyscallResult {
    let signal = decode(signal);
    let info = given(task, pid, signal.unwrap_or(None), info)?;
    let signal = signal?;
    let id = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let receiver = task.pid_namespace().group(id).ok_or(Errno::ESRCH)?;
    permission::send_to_process(task, &receiver, signal, info)?;
    Ok(0)
}

fn rt_tgsigqueueinfo(
    task: &Task,
    tgid: i32,
    tid: i32,
    signal: i32,
    info: UserPtr<u8>,
) -> SyscallResult {
    let signal = decode(signal);
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = given(task, tgid, signal.unwrap_or(None), info)?;
    let signal = signal?;
    let receiver = thread(task, Some(tgid), tid)?;
    permission::send_to_thread(task, &receiver, signal, info)?;
    Ok(0)
}
