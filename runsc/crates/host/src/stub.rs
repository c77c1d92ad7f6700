//! Making the first stub process: a fork whose child does nothing but map one page of given code
//! and jump to it.
#![expect(unsafe_code, reason = "clone3, and a child that may not touch libc")]

use crate::{Errno, Result};
use std::arch::asm;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Where and what the child runs.
#[derive(Clone, Copy, Debug)]
pub struct StubImage<'a> {
    /// A file whose first page is the code.
    pub file: BorrowedFd<'a>,
    /// Where to map it, page-aligned; whatever was there in the child is replaced.
    pub address: usize,
    /// Bytes to map.
    pub len: usize,
    /// Where to jump to.
    pub entry: usize,
}

/// The arguments of clone3 that matter here (`man 2 clone`); the first version of the structure.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Forks a child that shares this process's descriptor table, has default signal dispositions, and
/// runs `image`. The calling OS thread is its parent.
///
/// # Errors
/// What clone3 reports. A child that can't map the image exits.
pub fn spawn(image: StubImage<'_>) -> Result<i32> {
    const FLAGS: i32 = libc::CLONE_FILES;
    const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    let args = CloneArgs {
        flags: u64::from(FLAGS.cast_unsigned()) | CLEAR_SIGHAND,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArgs::default()
    };
    let file = i64::from(image.file.as_raw_fd());
    let flags = i64::from(libc::MAP_SHARED | libc::MAP_FIXED);
    let pid: i64;
    // SAFETY: in the parent this is one system call, whose clobbers are declared. The child (rax
    // is 0) has a copy of this address space, touches no memory of it, and leaves the block only
    // by a jump into the page it maps at an address of its own, or by exit_group.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 9", // mmap(address, len, protection, flags, file, 0)
            "mov rdi, r12",
            "mov rsi, r13",
            "mov edx, 5", // PROT_READ | PROT_EXEC
            "mov r10, r15",
            "xor r9d, r9d",
            "syscall",
            "cmp rax, r12",
            "jne 3f",
            "jmp r14",
            "3:",
            "mov eax, 231", // exit_group(1)
            "mov edi, 1",
            "syscall",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => pid,
            in("rdi") &raw const args,
            in("rsi") size_of::<CloneArgs>(),
            in("r8") file,
            in("r12") image.address,
            in("r13") image.len,
            in("r14") image.entry,
            in("r15") flags,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match i32::try_from(pid) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(Errno::from_raw(
            i32::try_from(pid.saturating_neg()).unwrap_or_default(),
        )),
    }
}
