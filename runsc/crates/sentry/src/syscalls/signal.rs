//! Dispositions, masks and waiting for signals: `man 2 sigaction`, `man 2 sigprocmask`, `man 2 sigpending`,
//! `man 2 sigsuspend`, `man 2 sigwaitinfo`, `man 2 sigaltstack`, `man 2 sigreturn`, `man 2 pause`.

use abi::Errno;
use abi::signal::{KernelSigaction, SIGSET_LEN, SaFlags, StackT};
use abi::time::Timespec;
use mm::user_ptr::UserPtr;

use crate::error::{Restart, Result, SysError, SyscallResult};
use crate::kernel::signal::{Action, Handler, Signal, SignalSet};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    13 rt_sigaction(
        signal: i32 as Signal,
        new: UserPtr<KernelSigaction> as In(signal::action),
        old: UserPtr<KernelSigaction> as Out(signal::action),
        size: usize,
    )
        => full ["signal::sigaction_returns_the_old_action", "signal::sigaction_errors"];
    14 rt_sigprocmask(
        how: i32 as OneOf(signal::HOW),
        set: UserPtr<u64> as In(signal::set),
        old: UserPtr<u64> as Out(signal::set),
        size: usize,
    )
        => full ["signal::sigprocmask_errors"];
    127 rt_sigpending(set: UserPtr<u64> as Out(signal::set), len: usize)
        => full ["signal::sigprocmask_errors"];
    130 rt_sigsuspend(set: UserPtr<u64> as In(signal::set), size: usize)
        => full ["signal::sigsuspend_waits_with_another_mask", "eintr::never_restarted_even_with_the_flag"];
    128 rt_sigtimedwait(
        set: UserPtr<u64> as In(signal::set),
        info: UserPtr<u8> as Out(siginfo::siginfo),
        timeout: UserPtr<Timespec> as In(time::timespec),
        size: usize,
    )
        => full ["signal::sigtimedwait_times_out"];
    131 sigaltstack(new: UserPtr<StackT> as In(signal::stack), old: UserPtr<StackT> as Out(signal::stack))
        => full ["fault::alternate_stack_errors", "fault::autodisarm_disables_while_in_use"];
    15 rt_sigreturn(frame: UserPtr<u8> as Before(signal::frame))
        => partial("a frame with a 32-bit code segment is SIGSEGV") [
            "fault::wide_vector_registers_survive",
            "fault::single_step_trap",
        ];
    34 pause() => full ["signal::pause_returns_eintr"];
}

/// `sigset_t` sizes other than the kernel's own are EINVAL.
fn check_set_len(len: usize) -> Result<()> {
    if len == SIGSET_LEN {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn rt_sigaction(
    task: &Task,
    signal: i32,
    new: UserPtr<KernelSigaction>,
    old: UserPtr<KernelSigaction>,
    size: usize,
) -> SyscallResult {
    let signal = Signal::new(signal.max(0).unsigned_abs().into()).ok_or(Errno::EINVAL)?;
    check_set_len(size)?;
    let mm = task.mm();
    let action = if new.is_null() {
        None
    } else {
        Some(to_action(&new.read(&mm)?))
    };
    if action.is_some() && SignalSet::UNBLOCKABLE.has(signal) {
        return Err(Errno::EINVAL.into());
    }
    let before = task.set_signal_action(signal, action);
    if !old.is_null() {
        old.write(&mm, &from_action(&before))?;
    }
    Ok(0)
}

fn to_action(raw: &KernelSigaction) -> Action {
    Action {
        handler: Handler::from_raw(raw.handler),
        flags: SaFlags::from_bits_retain(raw.flags) & SaFlags::KNOWN,
        restorer: raw.restorer,
        mask: SignalSet(raw.mask).minus(SignalSet::UNBLOCKABLE),
    }
}

fn from_action(action: &Action) -> KernelSigaction {
    KernelSigaction {
        handler: action.handler.to_raw(),
        flags: action.flags.bits(),
        restorer: action.restorer,
        mask: action.mask.0,
    }
}

fn rt_sigprocmask(
    task: &Task,
    how: i32,
    set: UserPtr<u64>,
    old: UserPtr<u64>,
    size: usize,
) -> SyscallResult {
    const BLOCK: i32 = 0;
    const UNBLOCK: i32 = 1;
    const SETMASK: i32 = 2;
    check_set_len(size)?;
    let mm = task.mm();
    let before = task.signal_mask();
    if !set.is_null() {
        let given = SignalSet(set.read(&mm)?);
        task.set_signal_mask(match how {
            BLOCK => before.union(given),
            UNBLOCK => before.minus(given),
            SETMASK => given,
            _ => return Err(Errno::EINVAL.into()),
        });
    }
    if !old.is_null() {
        old.write(&mm, &before.0)?;
    }
    Ok(0)
}

fn rt_sigpending(task: &Task, set: UserPtr<u64>, len: usize) -> SyscallResult {
    if len > SIGSET_LEN {
        return Err(Errno::EINVAL.into());
    }
    let pending = task.pending_signals().and(task.signal_mask());
    task.mm()
        .write_bytes(set.address(), &pending.0.to_ne_bytes()[..len])?;
    Ok(0)
}

fn rt_sigsuspend(task: &Task, set: UserPtr<u64>, size: usize) -> SyscallResult {
    check_set_len(size)?;
    let mask = SignalSet(set.read(&task.mm())?);
    task.with_signal_mask(Some(mask), || wait_for_any(task))
}

fn pause(task: &Task) -> SyscallResult {
    wait_for_any(task)
}

/// Sleeps until a signal has been handled.
fn wait_for_any(task: &Task) -> SyscallResult {
    match task.wait_for(&[], None, || None::<u64>) {
        Ok(value) => Ok(value),
        Err(_) => Err(SysError::Restart(Restart::NoHandler)),
    }
}

fn rt_sigtimedwait(
    task: &Task,
    set: UserPtr<u64>,
    info: UserPtr<u8>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> SyscallResult {
    check_set_len(size)?;
    let mm = task.mm();
    let wanted = SignalSet(set.read(&mm)?);
    let deadline = if timeout.is_null() {
        None
    } else {
        let delay_ns = timeout.read(&mm)?.to_nanos().ok_or(Errno::EINVAL)?;
        Some(task.kernel().clock().after(delay_ns))
    };
    let taken = task.wait_for_signal(wanted, deadline)?;
    if !info.is_null() {
        info.write_array(&mm, &taken.to_bytes())?;
    }
    Ok(taken.signal.number().into())
}

fn sigaltstack(task: &Task, new: UserPtr<StackT>, old: UserPtr<StackT>) -> SyscallResult {
    let mm = task.mm();
    let before = task.alt_stack();
    if !new.is_null() {
        task.set_alt_stack(&new.read(&mm)?)?;
    }
    if !old.is_null() {
        old.write(&mm, &before)?;
    }
    Ok(0)
}

fn rt_sigreturn(task: &Task, _frame: UserPtr<u8>) -> SyscallResult {
    task.return_from_handler();
    Err(SysError::NoReturn)
}
