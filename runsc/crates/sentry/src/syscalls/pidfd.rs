//! Process descriptors: `man 2 pidfd_open`, `man 2 pidfd_send_signal`, `man 2 pidfd_getfd`.

use abi::Errno;
use abi::signal::SIGINFO_LEN;
use mm::user_ptr::UserPtr;

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::pidfd;
use crate::kernel::signal::info::code;
use crate::kernel::signal::{Signal, SignalInfo, permission};
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFlags;

calls! {
    434 pidfd_open(pid: i32, flags: OpenFlags as Flags(process::PIDFD))
        => partial("PIDFD_THREAD is EINVAL") ["wait::waitid_pidfd", "signal::pidfd_send_signal_works"];
    424 pidfd_send_signal(
        fd: Fd,
        number: i32 as Signal,
        info: UserPtr<u8> as In(siginfo::siginfo),
        flags: u32,
    )
        => partial("flags are EINVAL, and so is a directory of /proc as descriptor (EBADF)") [
            "signal::pidfd_send_signal_works",
        ];
    438 pidfd_getfd(pidfd: Fd, target: i32, flags: u32)
        => full ["security::other_user_namespace_is_not_looked_into"];
}

fn pidfd_open(task: &Task, pid: i32, flags: OpenFlags) -> SyscallResult {
    if !OpenFlags::NONBLOCK.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or(Errno::EINVAL)?;
    let namespace = task.pid_namespace();
    let target = namespace.task(pid).ok_or(Errno::ESRCH)?;
    // A thread that is not a leader is no process (`man 2 pidfd_open`; ENOENT since Linux 6.9's rework).
    if !target.is_leader() {
        return Err(Errno::ENOENT.into());
    }
    let fd = pidfd::open(task, target.group(), flags)?;
    Ok(u64::from(fd.unsigned_abs()))
}

fn pidfd_send_signal(
    task: &Task,
    fd: Fd,
    number: i32,
    info: UserPtr<u8>,
    flags: u32,
) -> SyscallResult {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(fd)?;
    let group = pidfd::group_of(&open)?;
    let number = u64::try_from(number).map_err(|_| Errno::EINVAL)?;
    let signal = match number {
        0 => None,
        number => Some(Signal::new(number).ok_or(Errno::EINVAL)?),
    };
    let info = if info.is_null() {
        None
    } else {
        given(task, group.pid(), signal, info)?
    };
    if group.pid() == 0 {
        return Err(Errno::ESRCH.into());
    }
    permission::send_to_process(task, group, signal, info)?;
    Ok(0)
}

/// What the application says of the signal; it must name the same signal.
fn given(
    task: &Task,
    receiver: u32,
    signal: Option<Signal>,
    at: UserPtr<u8>,
) -> Result<Option<SignalInfo>> {
    let mut bytes = [0; SIGINFO_LEN];
    at.read_bytes(&task.mm(), &mut bytes)?;
    let named = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if named != signal.map_or(0, |signal| i32::from(signal.number())) {
        return Err(Errno::EINVAL);
    }
    let Some(signal) = signal else {
        return Ok(None);
    };
    let info = SignalInfo::from_bytes(signal, &bytes);
    let own = task.group().pid() == receiver;
    if (info.code >= 0 || info.code == code::SI_TKILL) && !own {
        return Err(Errno::EPERM);
    }
    Ok(Some(info))
}

fn pidfd_getfd(task: &Task, pidfd: Fd, target: i32, flags: u32) -> SyscallResult {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(pidfd)?;
    let group = pidfd::group_of(&open)?;
    let file = pidfd::take_file(task, group, target)?;
    let fd = install::descriptor(task, file, OpenFlags::CLOEXEC)?;
    Ok(u64::from(fd.unsigned_abs()))
}
