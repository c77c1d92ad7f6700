//! The process-wide SIGSEGV and SIGBUS handler behind [`crate::access`].

#![expect(
    unsafe_code,
    reason = "installs a signal handler and edits the interrupted context"
)]

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use crate::{Errno, Result, access};

/// The actions that were in force before ours, for faults that are not ours.
struct Previous {
    segv: libc::sigaction,
    bus: libc::sigaction,
}

static PREVIOUS: OnceLock<Previous> = OnceLock::new();

/// Installs the handler that fallible access needs; further calls do nothing.
///
/// A fault anywhere else goes to the action that was in force before: by default the process ends.
/// Threads that access guest memory must not block SIGSEGV or SIGBUS.
///
/// # Errors
/// Whatever sigaction(2) reports.
pub fn install_fault_handler() -> Result<()> {
    let mut outcome = Ok(());
    PREVIOUS.get_or_init(|| {
        let (segv, bus) = (current(libc::SIGSEGV), current(libc::SIGBUS));
        outcome = segv
            .as_ref()
            .and(bus.as_ref())
            .map(drop)
            .map_err(|error| *error);
        // An all-zero action is the default one, should the current one be unreadable.
        // SAFETY: sigaction is plain data for which all zeroes is a valid value.
        let default = || unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
        Previous {
            segv: segv.unwrap_or_else(|_| default()),
            bus: bus.unwrap_or_else(|_| default()),
        }
    });
    outcome?;
    // The old actions are stored first: a foreign fault in between finds them.
    install(libc::SIGSEGV)?;
    install(libc::SIGBUS)
}

fn last_error() -> Errno {
    Errno::from_raw(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

fn current(signal: c_int) -> Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; the kernel fills in the old one.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(last_error());
    }
    // SAFETY: the call has succeeded, so the action is initialised (and zeroes are valid as well).
    Ok(unsafe { action.assume_init() })
}

fn install(signal: c_int) -> Result<()> {
    // SAFETY: sigaction is plain data for which all zeroes is a valid value.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, lives as long as the process,
    // and only calls async-signal-safe functions.
    if unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } != 0 {
        return Err(last_error());
    }
    Ok(())
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid ucontext_t, ours alone until the return.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    // SAFETY: likewise for the siginfo.
    let sent_by_kernel = unsafe { (*info).si_code } > 0;
    let rip = &mut registers[libc::REG_RIP as usize];
    if sent_by_kernel
        && let Some(target) = usize::try_from(*rip).ok().and_then(access::recovery)
        && let Ok(target) = i64::try_from(target)
    {
        *rip = target;
        return;
    }
    pass_on(signal, info, context, sent_by_kernel);
}

/// Hands a foreign fault to the previous action.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void, sent_by_kernel: bool) {
    let previous = PREVIOUS.get().map(|previous| {
        if signal == libc::SIGBUS {
            &previous.bus
        } else {
            &previous.segv
        }
    });
    match previous {
        Some(action)
            if action.sa_sigaction > libc::SIG_IGN && action.sa_flags & libc::SA_SIGINFO != 0 =>
        {
            // SAFETY: the kernel was told that this address is a handler of this signature, and it
            // gets what the kernel passed to us.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(action.sa_sigaction) };
            handler(signal, info, context);
        }
        _ => {
            // Back to the default: the faulting instruction runs again and ends the process.
            // SAFETY: signal(2) with SIG_DFL and raise(3) are async-signal-safe.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if !sent_by_kernel {
                    libc::raise(signal);
                }
            }
        }
    }
}
