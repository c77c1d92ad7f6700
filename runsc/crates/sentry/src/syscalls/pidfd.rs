//! Process descriptors: `man 2 pidfd_open`, `man 2 pidfd_send_signal`, `man 2 pidfd_getfd`.

use abi::Errno;
use abi::raw::general as nr;
use abi::signal::SIGINFO_LEN;

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::pidfd;
use crate::kernel::signal::info::code;
use crate::kernel::signal::{Signal, SignalInfo, permission};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::OpenFlags;

pub(super) const CALLS: &[Call] = &[
    Call::partial(
        nr::__NR_pidfd_open,
        "pidfd_open",
        pidfd_open,
        "PIDFD_THREAD is EINVAL",
    ),
    Call::partial(
        nr::__NR_pidfd_send_signal,
        "pidfd_send_signal",
        pidfd_send_signal,
        "flags are EINVAL, and so is a directory of /proc as descriptor (EBADF)",
    ),
    Call::full(nr::__NR_pidfd_getfd, "pidfd_getfd", pidfd_getfd),
];

fn pidfd_open(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (pid, flags) = (args.i32(0), args.open_flags(1));
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

fn pidfd_send_signal(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (fd, number, address, flags) = (args.i32(0), args.i32(1), args.usize(2), args.u32(3));
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
    let info = if address == 0 {
        None
    } else {
        given(task, group.pid(), signal, address)?
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
    address: usize,
) -> Result<Option<SignalInfo>> {
    let mut bytes = [0; SIGINFO_LEN];
    task.mm().read_bytes(address, &mut bytes)?;
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

fn pidfd_getfd(task: &Task, args: &SyscallArgs) -> SyscallResult {
    if args.u32(2) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(args.i32(0))?;
    let group = pidfd::group_of(&open)?;
    let file = pidfd::take_file(task, group, args.i32(1))?;
    let fd = install::descriptor(task, file, OpenFlags::CLOEXEC)?;
    Ok(u64::from(fd.unsigned_abs()))
}
