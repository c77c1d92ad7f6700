//! System calls without the C library, which would keep `errno` in memory that a clone may not have.

#![expect(unsafe_code, reason = "system calls")]

use std::arch::asm;

/// Makes the call with this number; the result as the kernel returns it.
///
/// The kernel checks every address. A call may change this process's own memory: a worker that damages itself so ends
/// by a signal, and another one follows it. That is why this function is not marked unsafe.
pub(crate) fn call(number: u64, args: [u64; 6]) -> i64 {
    let result: u64;
    // SAFETY: the kernel takes six integers and changes rax, rcx and r11; see above for what a call may do to memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            out("rcx") _,
            out("r11") _,
        );
    }
    result.cast_signed()
}

/// Makes a call with up to six arguments: `raw!(SYS_read, fd, address, 4)`.
macro_rules! raw {
    ($number:ident $(, $arg:expr)* $(,)?) => {
        crate::raw::call(libc::$number.cast_unsigned(), crate::raw::six(&[$($crate::raw::Arg::word($arg)),*]))
    };
}
pub(crate) use raw;

/// Up to six arguments, the rest 0.
pub(crate) fn six(args: &[u64]) -> [u64; 6] {
    std::array::from_fn(|n| args.get(n).copied().unwrap_or(0))
}

/// What can be an argument.
pub(crate) trait Arg {
    /// The register's value.
    fn word(self) -> u64;
}

impl Arg for u64 {
    fn word(self) -> u64 {
        self
    }
}

impl Arg for i64 {
    fn word(self) -> u64 {
        self.cast_unsigned()
    }
}

impl Arg for i32 {
    fn word(self) -> u64 {
        i64::from(self).cast_unsigned()
    }
}

impl Arg for u32 {
    fn word(self) -> u64 {
        u64::from(self)
    }
}

impl Arg for usize {
    fn word(self) -> u64 {
        self as u64
    }
}

impl Arg for &std::ffi::CStr {
    fn word(self) -> u64 {
        self.as_ptr().expose_provenance() as u64
    }
}

impl<T> Arg for &[T] {
    fn word(self) -> u64 {
        self.as_ptr().expose_provenance() as u64
    }
}

/// Starts a process or thread with `clone` or `clone3` (`number`, `args`), which runs `entry(argument)`; what the
/// parent gets from the call.
///
/// A child in the same memory that is not on a stack of its own must keep the parent asleep (`CLONE_VFORK`).
pub(crate) fn spawn(
    number: u64,
    args: [u64; 6],
    entry: extern "C" fn(u64) -> !,
    argument: u64,
) -> i64 {
    let result: u64;
    // SAFETY: the parent goes on behind the block with changed rax, rcx and r11 alone; the child never leaves it, since
    // `entry` does not return, and it runs on a stack of its own or beneath the frame of a parent that sleeps.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "and rsp, -16",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r12") argument,
            in("r13") entry,
            out("rcx") _,
            out("r11") _,
        );
    }
    result.cast_signed()
}

/// Copies bytes to an address.
///
/// It is one of the worker's scratch pages; if a call has taken them away, the worker ends by SIGSEGV.
pub(crate) fn poke(address: u64, bytes: &[u8]) {
    let to = std::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).unwrap_or(0));
    // SAFETY: the destination is memory that the worker keeps for this; no reference to it exists.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
}
