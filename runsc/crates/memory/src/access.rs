//! The routines that touch memory which may be gone: assembly whose faulting instructions are known.
//!
//! Each routine has one instruction that can fault. The signal handler ([`crate::fault`]) finds the
//! instruction in `fixups` and continues at the routine's recovery address, from where it returns
//! and says that it failed. No routine moves the stack pointer or uses a preserved register, so the
//! recovery needs no more than the instruction pointer.

#![expect(unsafe_code, reason = "calls assembly routines on raw addresses")]

use std::arch::global_asm;

// `rep movsb` and its kin leave in rcx how many bytes are still to be done, after a fault too.
global_asm!(
    ".text",
    ".balign 16",
    ".globl runsc_memory_copy",
    "runsc_memory_copy:",
    "mov rcx, rdx",
    ".globl runsc_memory_copy_at",
    "runsc_memory_copy_at:",
    "rep movsb",
    ".globl runsc_memory_copy_end",
    "runsc_memory_copy_end:",
    "mov rax, rcx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_zero",
    "runsc_memory_zero:",
    "mov rcx, rsi",
    "xor eax, eax",
    ".globl runsc_memory_zero_at",
    "runsc_memory_zero_at:",
    "rep stosb",
    ".globl runsc_memory_zero_end",
    "runsc_memory_zero_end:",
    "mov rax, rcx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_find_nul",
    "runsc_memory_find_nul:",
    "mov rcx, rsi",
    "xor eax, eax",
    "mov edx, 1",
    "test rcx, rcx",
    "jz 3f",
    ".globl runsc_memory_find_nul_at",
    "runsc_memory_find_nul_at:",
    "repne scasb",
    "jne 3f",
    "xor edx, edx",
    "3:",
    "mov rax, rcx",
    "ret",
    ".globl runsc_memory_find_nul_fault",
    "runsc_memory_find_nul_fault:",
    "mov edx, 2",
    "mov rax, rcx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_load32",
    "runsc_memory_load32:",
    "mov eax, dword ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_load64",
    "runsc_memory_load64:",
    "mov rax, qword ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_store32",
    "runsc_memory_store32:",
    "mov dword ptr [rdi], esi",
    "xor edx, edx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_store64",
    "runsc_memory_store64:",
    "mov qword ptr [rdi], rsi",
    "xor edx, edx",
    "ret",
    ".balign 16",
    ".globl runsc_memory_cmpxchg32",
    "runsc_memory_cmpxchg32:",
    "mov eax, esi",
    ".globl runsc_memory_cmpxchg32_at",
    "runsc_memory_cmpxchg32_at:",
    "lock cmpxchg dword ptr [rdi], edx",
    "mov edx, 0",
    "ret",
    ".balign 16",
    ".globl runsc_memory_cmpxchg64",
    "runsc_memory_cmpxchg64:",
    "mov rax, rsi",
    ".globl runsc_memory_cmpxchg64_at",
    "runsc_memory_cmpxchg64_at:",
    "lock cmpxchg qword ptr [rdi], rdx",
    "mov edx, 0",
    "ret",
    ".globl runsc_memory_fault",
    "runsc_memory_fault:",
    "mov edx, 1",
    "ret",
);

/// What a routine that can fail returns: a value in `rax` and a status in `rdx`, 0 for success.
#[repr(C)]
struct Answer {
    value: u64,
    status: u64,
}

unsafe extern "C" {
    fn runsc_memory_copy(to: usize, from: usize, len: usize) -> usize;
    fn runsc_memory_zero(to: usize, len: usize) -> usize;
    fn runsc_memory_find_nul(from: usize, len: usize) -> Answer;
    fn runsc_memory_load32(from: usize) -> Answer;
    fn runsc_memory_load64(from: usize) -> Answer;
    fn runsc_memory_store32(to: usize, value: u32) -> Answer;
    fn runsc_memory_store64(to: usize, value: u64) -> Answer;
    fn runsc_memory_cmpxchg32(at: usize, old: u32, new: u32) -> Answer;
    fn runsc_memory_cmpxchg64(at: usize, old: u64, new: u64) -> Answer;
    static runsc_memory_copy_at: u8;
    static runsc_memory_copy_end: u8;
    static runsc_memory_zero_at: u8;
    static runsc_memory_zero_end: u8;
    static runsc_memory_find_nul_at: u8;
    static runsc_memory_find_nul_fault: u8;
    static runsc_memory_cmpxchg32_at: u8;
    static runsc_memory_cmpxchg64_at: u8;
    static runsc_memory_fault: u8;
}

/// Where to continue after a fault at `instruction`, if it is one of ours. Called by the signal
/// handler: neither allocates nor locks.
pub(crate) fn recovery(instruction: usize) -> Option<usize> {
    let copy_end = (&raw const runsc_memory_copy_end).addr();
    let zero_end = (&raw const runsc_memory_zero_end).addr();
    let find = (&raw const runsc_memory_find_nul_fault).addr();
    let plain = (&raw const runsc_memory_fault).addr();
    let fixups = [
        ((&raw const runsc_memory_copy_at).addr(), copy_end),
        ((&raw const runsc_memory_zero_at).addr(), zero_end),
        ((&raw const runsc_memory_find_nul_at).addr(), find),
        (runsc_memory_load32 as *const () as usize, plain),
        (runsc_memory_load64 as *const () as usize, plain),
        (runsc_memory_store32 as *const () as usize, plain),
        (runsc_memory_store64 as *const () as usize, plain),
        ((&raw const runsc_memory_cmpxchg32_at).addr(), plain),
        ((&raw const runsc_memory_cmpxchg64_at).addr(), plain),
    ];
    fixups
        .iter()
        .find(|(at, _)| *at == instruction)
        .map(|(_, to)| *to)
}

/// Copies `len` bytes, returns how many were not copied.
///
/// # Safety
/// Each of the two ranges is, for the whole call, either memory that this call may read or write
/// like the caller's own, or in a mapping that is only ever touched through this module; the fault
/// handler is installed if one of them can fault.
pub(crate) unsafe fn copy(to: usize, from: usize, len: usize) -> usize {
    // SAFETY: the routine touches the two ranges only, which is what the caller vouches for.
    unsafe { runsc_memory_copy(to, from, len) }
}

/// Zeroes `len` bytes, returns how many were not zeroed.
///
/// # Safety
/// As for [`copy`].
pub(crate) unsafe fn zero(to: usize, len: usize) -> usize {
    // SAFETY: the routine touches that range only, which is what the caller vouches for.
    unsafe { runsc_memory_zero(to, len) }
}

/// What a search for a NUL byte found.
pub(crate) enum Search {
    /// The NUL is this many bytes from the start.
    Found(usize),
    /// There is none.
    Absent,
    /// So many bytes are not NUL, the next one can't be read.
    Fault(usize),
}

/// Looks for a NUL byte in `len` bytes.
///
/// # Safety
/// As for [`copy`].
pub(crate) unsafe fn find_nul(from: usize, len: usize) -> Search {
    // SAFETY: the routine reads that range only, which is what the caller vouches for.
    let answer = unsafe { runsc_memory_find_nul(from, len) };
    let left = usize::try_from(answer.value).unwrap_or(len).min(len);
    match answer.status {
        0 => Search::Found((len - left).saturating_sub(1)),
        1 => Search::Absent,
        _ => Search::Fault(len - left),
    }
}

fn answered(answer: &Answer) -> Option<u64> {
    (answer.status == 0).then_some(answer.value)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the routine answers in 32 bits"
)]
fn answered32(answer: &Answer) -> Option<u32> {
    answered(answer).map(|value| value as u32)
}

/// Loads a word; nothing if it can't be read.
///
/// # Safety
/// As for [`copy`]; the address is aligned.
pub(crate) unsafe fn load32(from: usize) -> Option<u32> {
    // SAFETY: the routine reads those four bytes only.
    answered32(&unsafe { runsc_memory_load32(from) })
}

/// Loads a double word; nothing if it can't be read.
///
/// # Safety
/// As for [`copy`]; the address is aligned.
pub(crate) unsafe fn load64(from: usize) -> Option<u64> {
    // SAFETY: the routine reads those eight bytes only.
    answered(&unsafe { runsc_memory_load64(from) })
}

/// Stores a word; nothing if it can't be written.
///
/// # Safety
/// As for [`copy`]; the address is aligned.
pub(crate) unsafe fn store32(to: usize, value: u32) -> Option<()> {
    // SAFETY: the routine writes those four bytes only.
    answered(&unsafe { runsc_memory_store32(to, value) }).map(drop)
}

/// Stores a double word; nothing if it can't be written.
///
/// # Safety
/// As for [`copy`]; the address is aligned.
pub(crate) unsafe fn store64(to: usize, value: u64) -> Option<()> {
    // SAFETY: the routine writes those eight bytes only.
    answered(&unsafe { runsc_memory_store64(to, value) }).map(drop)
}

/// Replaces `old` by `new` atomically; returns what was there, or nothing if it can't be written.
///
/// # Safety
/// As for [`copy`]; the address is aligned.
pub(crate) unsafe fn compare_exchange32(at: usize, old: u32, new: u32) -> Option<u32> {
    // SAFETY: the routine touches those four bytes only.
    answered32(&unsafe { runsc_memory_cmpxchg32(at, old, new) })
}

/// Replaces `old` by `new` atomically; returns what was there, or nothing if it can't be written.
///
/// # Safety
/// As for [`copy`]; the address is aligned.
pub(crate) unsafe fn compare_exchange64(at: usize, old: u64, new: u64) -> Option<u64> {
    // SAFETY: the routine touches those eight bytes only.
    answered(&unsafe { runsc_memory_cmpxchg64(at, old, new) })
}
