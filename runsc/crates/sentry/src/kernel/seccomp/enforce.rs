//! What a task's filters do to its calls.

use abi::Errno;
use abi::raw::general as nr;

use super::program::CallData;
use super::{AUDIT_ARCH_X86_64, State};
use crate::error::{SysError, SyscallResult};
use crate::kernel::exit;
use crate::kernel::seccomp::filter::Action;
use crate::kernel::signal::info::{Detail, SignalInfo};
use crate::kernel::signal::{Signal, send};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ExitStatus;
use crate::syscalls::SyscallArgs;

/// `si_code` of SIGSYS.
const SYS_SECCOMP: i32 = 1;
/// The highest error number that a filter can make a call fail with.
const MAX_ERRNO: i32 = 4095;
/// The calls of strict mode.
const STRICT_CALLS: [u32; 4] = [
    nr::__NR_read,
    nr::__NR_write,
    nr::__NR_exit,
    nr::__NR_rt_sigreturn,
];

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is made.
    Make,
    /// It is not made, and ends like this.
    Skip(SyscallResult),
    /// The tracer is asked, with this datum; without one, ENOSYS.
    AskTracer(u16),
}

/// Asks the task's filters. Ends the task, or sends it SIGSYS, where they say so.
pub(crate) fn rule(task: &Task, args: &SyscallArgs) -> Ruling {
    match task.seccomp() {
        State::Disabled => Ruling::Make,
        State::Strict
            if STRICT_CALLS
                .iter()
                .any(|call| u64::from(*call) == args.number) =>
        {
            Ruling::Make
        }
        State::Strict => {
            end_thread(task, Signal::SIGKILL);
            Ruling::Skip(Err(SysError::NoReturn))
        }
        State::Filter(filter) => {
            let data = call_data(task, args);
            let value = filter.evaluate(&data);
            let action = Action::of(value);
            if filter.logs() && action != Action::Allow || action == Action::Log {
                tracing::info!(tid = task.tid(), number = args.number, ?action, "seccomp");
            }
            act(task, action, value, &data)
        }
    }
}

/// The low half of the register is the number, as for Linux's own filters.
#[expect(clippy::cast_possible_truncation, reason = "seccomp_data.nr is an int")]
fn call_data(task: &Task, args: &SyscallArgs) -> CallData {
    CallData {
        number: args.number as u32,
        arch: AUDIT_ARCH_X86_64,
        instruction_pointer: task.registers.lock().rip,
        arguments: args.raw,
    }
}

fn act(task: &Task, action: Action, value: u32, data: &CallData) -> Ruling {
    let [low, high, ..] = value.to_le_bytes();
    let datum = u16::from_le_bytes([low, high]);
    match action {
        Action::Allow | Action::Log => Ruling::Make,
        Action::Errno => Ruling::Skip(fail_with(i32::from(datum).min(MAX_ERRNO))),
        Action::Trace => Ruling::AskTracer(datum),
        // As on Linux without a listener.
        Action::UserNotify => Ruling::Skip(Err(Errno::ENOSYS.into())),
        Action::Trap => {
            roll_back(task);
            send::force(task, trap_info(data, datum.into()));
            Ruling::Skip(Err(SysError::NoReturn))
        }
        Action::KillProcess => {
            kill(task);
            Ruling::Skip(Err(SysError::NoReturn))
        }
        Action::KillThread => {
            if task.group().live_threads() == 1 {
                kill(task);
            } else {
                end_thread(task, Signal::SIGSYS);
            }
            Ruling::Skip(Err(SysError::NoReturn))
        }
    }
}

/// 0 is success with the value 0.
fn fail_with(errno: i32) -> SyscallResult {
    if errno == 0 {
        Ok(0)
    } else {
        Err(Errno::from_raw(errno).into())
    }
}

/// The registers become what they were before the call, for handlers and tracers.
fn roll_back(task: &Task) {
    let mut registers = task.registers.lock();
    registers.rax = registers.orig_rax;
    registers.orig_rax = u64::MAX;
}

fn trap_info(data: &CallData, errno: i32) -> SignalInfo {
    SignalInfo {
        signal: Signal::SIGSYS,
        errno,
        code: SYS_SECCOMP,
        detail: Detail::Syscall {
            address: data.instruction_pointer,
            number: data.number.cast_signed(),
            arch: data.arch,
        },
    }
}

fn kill(task: &Task) {
    roll_back(task);
    send::force_fatal(task, Signal::SIGSYS);
}

/// Ends one thread as a signal would end it.
fn end_thread(task: &Task, signal: Signal) {
    let status = ExitStatus::Killed {
        signal,
        core: false,
    };
    exit::end_task_with(task, status);
}
