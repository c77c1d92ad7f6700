//! Handlers, masks and the signals that a handler saw.

#![expect(unsafe_code, reason = "signal handlers take addresses")]

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicUsize, Ordering};

use crate::case::Failure;
use crate::sys::{self, SysError, SysResult};

/// The size of the kernel's signal set in bytes.
pub(crate) const SET_SIZE: usize = 8;

/// A handler with siginfo and context.
pub(crate) type Action = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// How many signals the recording handler has seen.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What one signal carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The signal.
    pub(crate) signo: i32,
    /// `si_code`.
    pub(crate) code: i32,
    /// `si_pid`, or the low half of the address.
    pub(crate) pid: i32,
    /// `si_uid`.
    pub(crate) uid: u32,
    /// `si_value` or `si_status`, or nothing that matters.
    pub(crate) value: i64,
    /// `si_addr`.
    pub(crate) addr: usize,
}

struct Slot {
    signo: AtomicI32,
    code: AtomicI32,
    pid: AtomicI32,
    uid: AtomicI32,
    value: AtomicI64,
    addr: AtomicUsize,
}

impl Slot {
    const fn new() -> Self {
        Self {
            signo: AtomicI32::new(0),
            code: AtomicI32::new(0),
            pid: AtomicI32::new(0),
            uid: AtomicI32::new(0),
            value: AtomicI64::new(0),
            addr: AtomicUsize::new(0),
        }
    }
}

static SLOTS: [Slot; 64] = [const { Slot::new() }; 64];

/// The handler that records what it sees.
pub(crate) extern "C" fn record(
    signo: i32,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    let index = COUNT.fetch_add(1, Ordering::SeqCst);
    let Some(slot) = SLOTS.get(index) else { return };
    // SAFETY: the kernel passes a valid siginfo to a handler installed with SA_SIGINFO.
    let info = unsafe { &*info };
    slot.signo.store(signo, Ordering::SeqCst);
    slot.code.store(info.si_code, Ordering::SeqCst);
    // SAFETY: the accessors read the union, all members of which are plain integers.
    unsafe {
        slot.pid.store(info.si_pid(), Ordering::SeqCst);
        slot.uid.store(info.si_uid() as i32, Ordering::SeqCst);
        slot.value
            .store(info.si_value().sival_ptr as i64, Ordering::SeqCst);
        slot.addr.store(info.si_addr() as usize, Ordering::SeqCst);
    }
}

/// A handler that does nothing.
pub(crate) extern "C" fn ignore(
    _signo: i32,
    _info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
}

/// How many signals [`record`] has seen.
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::SeqCst)
}

/// What [`record`] has seen, in order.
pub(crate) fn seen() -> Vec<Seen> {
    SLOTS
        .iter()
        .take(count())
        .map(|slot| Seen {
            signo: slot.signo.load(Ordering::SeqCst),
            code: slot.code.load(Ordering::SeqCst),
            pid: slot.pid.load(Ordering::SeqCst),
            uid: slot.uid.load(Ordering::SeqCst) as u32,
            value: slot.value.load(Ordering::SeqCst),
            addr: slot.addr.load(Ordering::SeqCst),
        })
        .collect()
}

/// The signals that [`record`] has seen, in order.
pub(crate) fn seen_numbers() -> Vec<i32> {
    seen().iter().map(|seen| seen.signo).collect()
}

/// Installs a handler; returns the action it replaces.
pub(crate) fn handle(signo: i32, action: Action, flags: i32) -> Result<libc::sigaction, Failure> {
    handle_masked(signo, action, flags, &[])
}

/// Installs a handler that blocks these signals while it runs.
pub(crate) fn handle_masked(
    signo: i32,
    action: Action,
    flags: i32,
    blocked: &[i32],
) -> Result<libc::sigaction, Failure> {
    let mut new = sys::zeroed::<libc::sigaction>();
    new.sa_sigaction = action as usize;
    new.sa_flags = flags | libc::SA_SIGINFO;
    for signal in blocked {
        // SAFETY: adds a number to a set that is owned here.
        unsafe { libc::sigaddset(&raw mut new.sa_mask, *signal) };
    }
    install(signo, &new)
}

/// Sets the disposition to `SIG_DFL` or `SIG_IGN`.
pub(crate) fn set_disposition(signo: i32, disposition: usize) -> Result<libc::sigaction, Failure> {
    let mut new = sys::zeroed::<libc::sigaction>();
    new.sa_sigaction = disposition;
    install(signo, &new)
}

fn install(signo: i32, new: &libc::sigaction) -> Result<libc::sigaction, Failure> {
    let mut old = sys::zeroed::<libc::sigaction>();
    // SAFETY: both structures are valid; the handler is a function of this program.
    if unsafe { libc::sigaction(signo, std::ptr::from_ref(new), &raw mut old) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(old)
}

/// The bit of a signal in a mask.
pub(crate) fn bit(signo: i32) -> u64 {
    1 << (signo - 1)
}

/// Blocks the signals of this mask.
pub(crate) fn block(mask: u64) -> Result<(), SysError> {
    sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &mask, 0, SET_SIZE).map(|_| ())
}

/// Unblocks the signals of this mask.
pub(crate) fn unblock(mask: u64) -> Result<(), SysError> {
    sys!(SYS_rt_sigprocmask, libc::SIG_UNBLOCK, &mask, 0, SET_SIZE).map(|_| ())
}

/// The calling thread's mask.
pub(crate) fn mask() -> Result<u64, SysError> {
    let mut mask = 0_u64;
    sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &mut mask, SET_SIZE)?;
    Ok(mask)
}

/// The pending signals.
pub(crate) fn pending() -> Result<u64, SysError> {
    let mut set = 0_u64;
    sys!(SYS_rt_sigpending, &mut set, SET_SIZE)?;
    Ok(set)
}

/// Takes one pending signal of the set, waiting so many milliseconds; its information.
pub(crate) fn wait_for(set: u64, timeout_ms: i64) -> Result<libc::siginfo_t, SysError> {
    let mut info = sys::zeroed::<libc::siginfo_t>();
    let timeout = crate::support::time::timespec(timeout_ms * crate::support::time::MS);
    sys!(SYS_rt_sigtimedwait, &set, &mut info, &timeout, SET_SIZE)?;
    Ok(info)
}

/// Queues a signal with a value, as sigqueue(3) does.
pub(crate) fn queue(pid: i32, signo: i32, value: usize) -> SysResult {
    let mut info = sys::zeroed::<[u64; 16]>();
    info[0] = signo as u64;
    info[1] = u64::from(libc::SI_QUEUE as u32);
    let (own, uid) = (crate::support::process::getpid(), sys!(SYS_getuid)?);
    info[2] = own as u64 | (uid as u64) << 32;
    info[3] = value as u64;
    sys!(SYS_rt_sigqueueinfo, pid, signo, &mut info)
}

/// `si_pid`, `si_uid` and `si_status` of a child's signal, or sender and value of a queued one.
pub(crate) fn sender(info: &libc::siginfo_t) -> (i32, u32, i64) {
    // SAFETY: the members are plain integers whatever the kernel stored.
    unsafe {
        (
            info.si_pid(),
            info.si_uid(),
            info.si_value().sival_ptr as i64,
        )
    }
}

/// Sends a signal to the calling thread.
pub(crate) fn raise(signo: i32) -> Result<(), SysError> {
    let (pid, tid) = (
        crate::support::process::getpid(),
        crate::support::process::gettid(),
    );
    sys!(SYS_tgkill, pid, tid, signo).map(|_| ())
}
