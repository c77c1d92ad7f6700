//! Dispositions, masks and waiting for signals: `man 2 sigaction`, `man 2 sigprocmask`, `man 2 sigpending`,
//! `man 2 sigsuspend`, `man 2 sigwaitinfo`, `man 2 sigaltstack`, `man 2 sigreturn`, `man 2 pause`.

use abi::Errno;
use abi::raw::general as nr;
use abi::signal::{KernelSigaction, SIGSET_LEN, SaFlags, StackT};
use abi::time::Timespec;

use crate::error::{Restart, Result, SysError, SyscallResult};
use crate::kernel::signal::{Action, Handler, Signal, SignalSet};
use crate::kernel::task::Task;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_rt_sigaction, "rt_sigaction", rt_sigaction),
    Call::full(nr::__NR_rt_sigprocmask, "rt_sigprocmask", rt_sigprocmask),
    Call::full(nr::__NR_rt_sigpending, "rt_sigpending", rt_sigpending),
    Call::full(nr::__NR_rt_sigsuspend, "rt_sigsuspend", rt_sigsuspend),
    Call::full(nr::__NR_rt_sigtimedwait, "rt_sigtimedwait", rt_sigtimedwait),
    Call::full(nr::__NR_sigaltstack, "sigaltstack", sigaltstack),
    Call::partial(
        nr::__NR_rt_sigreturn,
        "rt_sigreturn",
        rt_sigreturn,
        "a frame with a 32-bit code segment is SIGSEGV",
    ),
    Call::full(nr::__NR_pause, "pause", pause),
];

/// `sigset_t` sizes other than the kernel's own are EINVAL.
fn check_set_len(args: &SyscallArgs, n: usize) -> Result<()> {
    if args.usize(n) == SIGSET_LEN {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn rt_sigaction(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let signal = Signal::new(args.i32(0).max(0).unsigned_abs().into()).ok_or(Errno::EINVAL)?;
    let (new, old): (UserPtr<KernelSigaction>, UserPtr<KernelSigaction>) =
        (args.ptr(1), args.ptr(2));
    check_set_len(args, 3)?;
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

fn rt_sigprocmask(task: &Task, args: &SyscallArgs) -> SyscallResult {
    const BLOCK: i32 = 0;
    const UNBLOCK: i32 = 1;
    const SETMASK: i32 = 2;
    let (how, set, old): (_, UserPtr<u64>, UserPtr<u64>) = (args.i32(0), args.ptr(1), args.ptr(2));
    check_set_len(args, 3)?;
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

fn rt_sigpending(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (set, len) = (args.usize(0), args.usize(1));
    if len > SIGSET_LEN {
        return Err(Errno::EINVAL.into());
    }
    let pending = task.pending_signals().and(task.signal_mask());
    task.mm()
        .write_bytes(set, &pending.0.to_ne_bytes()[..len])?;
    Ok(0)
}

fn rt_sigsuspend(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let set: UserPtr<u64> = args.ptr(0);
    check_set_len(args, 1)?;
    let mask = SignalSet(set.read(&task.mm())?);
    task.with_signal_mask(Some(mask), || wait_for_any(task))
}

fn pause(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    wait_for_any(task)
}

/// Sleeps until a signal has been handled.
fn wait_for_any(task: &Task) -> SyscallResult {
    match task.wait_for(&[], None, || None::<u64>) {
        Ok(value) => Ok(value),
        Err(_) => Err(SysError::Restart(Restart::NoHandler)),
    }
}

fn rt_sigtimedwait(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (set, info, timeout): (UserPtr<u64>, _, UserPtr<Timespec>) =
        (args.ptr(0), args.usize(1), args.ptr(2));
    check_set_len(args, 3)?;
    let mm = task.mm();
    let wanted = SignalSet(set.read(&mm)?);
    let deadline = if timeout.is_null() {
        None
    } else {
        let delay_ns = timeout.read(&mm)?.to_nanos().ok_or(Errno::EINVAL)?;
        Some(task.kernel().clock().after(delay_ns))
    };
    let taken = task.wait_for_signal(wanted, deadline)?;
    if info != 0 {
        mm.write_bytes(info, &taken.to_bytes())?;
    }
    Ok(taken.signal.number().into())
}

fn sigaltstack(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (new, old): (UserPtr<StackT>, UserPtr<StackT>) = (args.ptr(0), args.ptr(1));
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

fn rt_sigreturn(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    task.return_from_handler();
    Err(SysError::NoReturn)
}
