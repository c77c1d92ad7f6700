//! Tracing another thread (`man 2 ptrace`): thin, typed wrappers around the requests that the
//! ptrace platform uses.
//!
//! All requests act on a *thread* id, and must come from the OS thread that attached. `ESRCH` means
//! that the thread is gone, dying, or not stopped.
#![expect(unsafe_code, reason = "ptrace has no safe wrapper")]

use crate::{Errno, Result};
use std::ffi::c_int;

/// The general registers, ordered as `struct user_regs_struct`.
pub type Registers = [u64; 27];

/// Index of `rax` in [`Registers`].
pub const RAX: usize = 10;

/// `PTRACE_O_TRACESYSGOOD`: a system call stop reports `SIGTRAP | 0x80`.
pub const OPTION_SYSGOOD: usize = 1;
/// `PTRACE_O_EXITKILL`: the tracee is killed when its tracer ends.
pub const OPTION_EXITKILL: usize = 1 << 20;

/// The architecture of a system call stop: `AUDIT_ARCH_X86_64`.
pub const ARCH_X86_64: u32 = 0xc000_003e;

const POKEDATA: u32 = 5;
const CONT: u32 = 7;
const SETREGS: u32 = 13;
const GETREGS: u32 = 12;
const DETACH: u32 = 17;
const SYSEMU: u32 = 31;
const GETSIGINFO: u32 = 0x4202;
const GETREGSET: u32 = 0x4204;
const SETREGSET: u32 = 0x4205;
const SEIZE: u32 = 0x4206;
const INTERRUPT: u32 = 0x4207;
const SETSIGMASK: u32 = 0x420b;
const GET_SYSCALL_INFO: u32 = 0x420e;
const GET_RSEQ_CONFIGURATION: u32 = 0x420f;

const NT_X86_XSTATE: usize = 0x202;

/// What `PTRACE_GETSIGINFO` tells of a signal that stopped a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// The signal's number.
    pub signal: i32,
    /// `si_code`: above 0 when the kernel raised it.
    pub code: i32,
    /// `si_addr`, or `si_call_addr` of a SIGSYS; of no meaning for other signals.
    pub address: u64,
}

/// A thread's registration for restartable sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RseqConfiguration {
    /// Address of its `struct rseq`, 0 if there is none.
    pub pointer: u64,
    /// Its length in bytes.
    pub len_bytes: u32,
    /// The signature that unregistering must repeat.
    pub signature: u32,
}

fn request(request: u32, tid: i32, address: usize, data: usize) -> Result<usize> {
    // SAFETY: callers pass, per request, either plain numbers or pointers derived from live
    // references of the size that the request reads or writes; the kernel touches nothing else of
    // this process. The raw call, unlike glibc's, has no variadic or PEEK conventions.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request, tid, address, data) };
    usize::try_from(result).map_err(|_| Errno::from(std::io::Error::last_os_error()))
}

/// Attaches without stopping.
///
/// # Errors
/// `EPERM` where the credentials don't allow it or another tracer is attached, `ESRCH`.
pub fn seize(tid: i32, options: usize) -> Result<()> {
    request(SEIZE, tid, 0, options).map(drop)
}

/// Makes an attached, running thread stop.
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn interrupt(tid: i32) -> Result<()> {
    request(INTERRUPT, tid, 0, 0).map(drop)
}

/// Lets a stopped thread run; its system calls are the host's.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn cont(tid: i32) -> Result<()> {
    request(CONT, tid, 0, 0).map(drop)
}

/// Lets a stopped thread run until its next system call, which the host does not perform.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn sysemu(tid: i32) -> Result<()> {
    request(SYSEMU, tid, 0, 0).map(drop)
}

/// Detaches from a stopped thread, which runs on; its pending stop's signal is dropped.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn detach(tid: i32) -> Result<()> {
    request(DETACH, tid, 0, 0).map(drop)
}

/// Writes a word into a stopped thread's memory, also where that may only be read.
///
/// # Errors
/// `EIO` when nothing is mapped there, `ESRCH` when it is gone or not stopped.
pub fn poke(tid: i32, address: usize, word: u64) -> Result<()> {
    let word = usize::try_from(word).map_err(|_| Errno::EINVAL)?;
    request(POKEDATA, tid, address, word).map(drop)
}

/// Reads the general registers of a stopped thread.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn get_registers(tid: i32, registers: &mut Registers) -> Result<()> {
    request(GETREGS, tid, 0, registers.as_mut_ptr().expose_provenance()).map(drop)
}

/// Sets the general registers of a stopped thread.
///
/// # Errors
/// `EIO` for segment selectors or bases that user code can't have; `ESRCH`.
pub fn set_registers(tid: i32, registers: &Registers) -> Result<()> {
    request(SETREGS, tid, 0, registers.as_ptr().expose_provenance()).map(drop)
}

/// Reads the XSAVE image into `buffer`; the length that there is (at most the buffer's).
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped, `ENODEV` without XSAVE.
pub fn get_xstate(tid: i32, buffer: &mut [u8]) -> Result<usize> {
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let data = (&raw mut vector).expose_provenance();
    request(GETREGSET, tid, NT_X86_XSTATE, data)?;
    Ok(vector.iov_len)
}

/// Sets the XSAVE image, which must be whole.
///
/// # Errors
/// `EINVAL` for contents that the processor would refuse, `EFAULT` for the wrong length, `ESRCH`.
pub fn set_xstate(tid: i32, image: &[u8]) -> Result<()> {
    let vector = libc::iovec {
        iov_base: image.as_ptr().cast_mut().cast(),
        iov_len: image.len(),
    };
    let data = (&raw const vector).expose_provenance();
    request(SETREGSET, tid, NT_X86_XSTATE, data).map(drop)
}

/// What stopped a thread that is in a signal stop.
///
/// # Errors
/// `EINVAL` when the stop is not a signal's, `ESRCH`.
pub fn signal_info(tid: i32) -> Result<SignalInfo> {
    // `siginfo_t` is 128 bytes: signo, errno, code, a pad, then a union whose first word is the
    // address for faults and SIGSYS.
    let mut words = [0u64; 16];
    request(GETSIGINFO, tid, 0, words.as_mut_ptr().expose_provenance())?;
    let [first, second, address, ..] = words;
    Ok(SignalInfo {
        signal: low_i32(first),
        code: low_i32(second),
        address,
    })
}

fn low_i32(word: u64) -> i32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// The `AUDIT_ARCH_…` by which a thread in a system call stop entered the kernel.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn syscall_arch(tid: i32) -> Result<u32> {
    // op: u8, three pad bytes, arch: u32; asking for 8 bytes copies no more.
    let mut head = [0u8; 8];
    let data = head.as_mut_ptr().expose_provenance();
    request(GET_SYSCALL_INFO, tid, head.len(), data)?;
    let [_, _, _, _, a, b, c, d] = head;
    Ok(u32::from_le_bytes([a, b, c, d]))
}

/// Sets the blocked signals of a stopped thread to none.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn unblock_signals(tid: i32) -> Result<()> {
    let mask = 0u64;
    let data = (&raw const mask).expose_provenance();
    request(SETSIGMASK, tid, size_of::<u64>(), data).map(drop)
}

/// The thread's restartable-sequences area.
///
/// # Errors
/// `EIO` on kernels older than 5.13, `ESRCH`.
pub fn rseq_configuration(tid: i32) -> Result<RseqConfiguration> {
    let mut words = [0u64; 3];
    let data = words.as_mut_ptr().expose_provenance();
    request(GET_RSEQ_CONFIGURATION, tid, size_of_val(&words), data)?;
    let [pointer, sizes, _] = words;
    let [a, b, c, d, e, f, g, h] = sizes.to_le_bytes();
    Ok(RseqConfiguration {
        pointer,
        len_bytes: u32::from_le_bytes([a, b, c, d]),
        signature: u32::from_le_bytes([e, f, g, h]),
    })
}

/// Sends a signal to one thread of another process (`man 2 tgkill`).
///
/// # Errors
/// `ESRCH` when there is no such thread.
pub fn signal_thread(tgid: i32, tid: i32, signal: c_int) -> Result<()> {
    // SAFETY: plain numbers, no memory.
    match unsafe { libc::syscall(libc::SYS_tgkill, tgid, tid, signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Sends SIGKILL to a process.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn kill_process(pid: i32) -> Result<()> {
    if pid <= 1 {
        return Err(Errno::ESRCH); // never a group, never everyone
    }
    // SAFETY: plain numbers, no memory.
    match unsafe { libc::kill(pid, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}
