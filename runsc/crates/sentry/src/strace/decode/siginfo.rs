//! `siginfo_t` (`man 2 sigaction`).

use abi::signal::SIGINFO_LEN;

use crate::kernel::signal::{Signal, SignalInfo};
use crate::strace::decode::signal;
use crate::strace::memory;
use crate::strace::names::Names;
use crate::strace::names::signal as names;
use crate::strace::printer::{Printer, put};

/// Where the part that depends on the source begins.
const DETAIL_AT: usize = 16;

/// The text of a signal's information.
pub(crate) fn text(info: &SignalInfo) -> String {
    let mut printer = Printer::new(memory::of(None), [0; 6], 0);
    print(&mut printer, &info.to_bytes());
    printer.take()
}

/// The structure in user memory.
pub(crate) fn siginfo(p: &mut Printer<'_>, address: usize) {
    if let Some(bytes) = p.value::<[u8; SIGINFO_LEN]>(address) {
        print(p, &bytes);
    }
}

fn print(p: &mut Printer<'_>, bytes: &[u8; SIGINFO_LEN]) {
    let (number, errno, code) = (word(bytes, 0), word(bytes, 4), word(bytes, 8));
    if number == 0 {
        return p.text("{}");
    }
    p.text("{si_signo=");
    signal::print(p, u64::from(number));
    p.text(", si_code=");
    p.one_of(names_of(number, code), u64::from(code));
    if errno != 0 {
        put!(p, ", si_errno={errno}");
    }
    detail(p, bytes, number, code);
    p.text("}");
}

fn names_of(number: u32, code: u32) -> &'static Names {
    let generic = code == 0 || code >= 0x80;
    match Signal::new(u64::from(number)) {
        Some(Signal::SIGCHLD) if !generic => &names::CHILD_CODE,
        Some(Signal::SIGSEGV) if !generic => &names::SEGV_CODE,
        Some(Signal::SIGBUS) if !generic => &names::BUS_CODE,
        Some(Signal::SIGFPE) if !generic => &names::FPE_CODE,
        Some(Signal::SIGILL) if !generic => &names::ILL_CODE,
        Some(Signal::SIGTRAP) if !generic => &names::TRAP_CODE,
        Some(Signal::SIGIO) if !generic => &names::POLL_CODE,
        _ => &names::CODE,
    }
}

fn detail(p: &mut Printer<'_>, bytes: &[u8; SIGINFO_LEN], number: u32, code: u32) {
    const SI_KERNEL: u32 = 0x80;
    const SI_TIMER: i32 = -2;
    const SI_USER: i32 = 0;
    const SI_TKILL: i32 = -6;
    let first = word(bytes, DETAIL_AT);
    let second = word(bytes, DETAIL_AT + 4);
    let value = long(bytes, DETAIL_AT + 8);
    match (Signal::new(u64::from(number)), code.cast_signed()) {
        (_, SI_USER | SI_TKILL) => put!(p, ", si_pid={}, si_uid={second}", first.cast_signed()),
        (_, SI_TIMER) => put!(
            p,
            ", si_timerid={first:#x}, si_overrun={second}, si_value={{int={}, ptr={value:#x}}}",
            word(bytes, DETAIL_AT + 8).cast_signed()
        ),
        (_, negative) if negative < 0 => put!(
            p,
            ", si_pid={}, si_uid={second}, si_value={{int={}, ptr={value:#x}}}",
            first.cast_signed(),
            word(bytes, DETAIL_AT + 8).cast_signed()
        ),
        (Some(Signal::SIGCHLD), 1..) if code != SI_KERNEL => child(p, bytes, code),
        (
            Some(
                Signal::SIGSEGV
                | Signal::SIGBUS
                | Signal::SIGFPE
                | Signal::SIGILL
                | Signal::SIGTRAP,
            ),
            _,
        ) => {
            p.text(", si_addr=");
            p.pointer(long(bytes, DETAIL_AT));
        }
        (Some(Signal::SIGIO), 1..) if code != SI_KERNEL => {
            put!(
                p,
                ", si_band={}, si_fd={}",
                long(bytes, DETAIL_AT),
                word(bytes, DETAIL_AT + 8)
            );
        }
        _ => {}
    }
}

fn child(p: &mut Printer<'_>, bytes: &[u8; SIGINFO_LEN], code: u32) {
    const CLD_EXITED: u32 = 1;
    put!(
        p,
        ", si_pid={}, si_uid={}, si_status=",
        word(bytes, DETAIL_AT),
        word(bytes, DETAIL_AT + 4)
    );
    let status = word(bytes, DETAIL_AT + 8);
    if code == CLD_EXITED {
        put!(p, "{status}");
    } else {
        signal::print(p, u64::from(status));
    }
    put!(
        p,
        ", si_utime={}, si_stime={}",
        long(bytes, DETAIL_AT + 16),
        long(bytes, DETAIL_AT + 24)
    );
}

fn word(bytes: &[u8; SIGINFO_LEN], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn long(bytes: &[u8; SIGINFO_LEN], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}
