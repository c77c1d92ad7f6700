//! The functions, as machine code between two symbols. It is never run here: it is copied into the image.
//!
//! They follow the C calling convention and touch only registers that a call may change. The parameter page
//! is reached relative to the instruction pointer: the code is the second page of the image.

#![expect(
    unsafe_code,
    reason = "reads the bytes that the assembler put between two symbols"
)]

use crate::parameters::{
    BOOTTIME_AT, CPU_MODE_AT, MODE_AT, MODE_TSC, MONOTONIC_AT, MULTIPLIER_AT, REALTIME_AT,
    SEQUENCE_AT, TSC_BASE_AT,
};

core::arch::global_asm!(
    r#"
    .pushsection .rodata.runsc_vdso, "a", @progbits
    .balign 64
    .globl runsc_vdso_start, runsc_vdso_end
    .globl runsc_vdso_clock_gettime, runsc_vdso_gettimeofday, runsc_vdso_time
    .globl runsc_vdso_getcpu, runsc_vdso_clock_getres
runsc_vdso_start:
.Lcode:

    # Which base a clock counts from, by its number; 0: make the call.
.Lbases:
    .byte {REALTIME}, {MONOTONIC}, 0, 0, 0, {REALTIME}, {MONOTONIC}, {BOOTTIME}, 0, 0, 0, {REALTIME}

    # The nanoseconds of the base at offset r10 in rax. Carry set: make the call.
    # Changes rcx, rdx, r8, r9.
    .balign 16
.Lread:
    lea r8, [rip + .Lcode - 0x2000]
2:  mov r9d, dword ptr [r8 + {SEQUENCE}]
    test r9d, 1
    jnz 3f
    cmp dword ptr [r8 + {MODE}], {MODE_TSC}
    jne 4f
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    xor ecx, ecx
    sub rax, qword ptr [r8 + {TSC_BASE}]
    cmovb rax, rcx
    mul qword ptr [r8 + {MULTIPLIER}]
    shrd rax, rdx, 32
    add rax, qword ptr [r8 + r10]
    cmp r9d, dword ptr [r8 + {SEQUENCE}]
    jne 2b
    clc
    ret
3:  pause
    jmp 2b
4:  stc
    ret

    # int clock_gettime(clockid_t edi, struct timespec *rsi)
    .balign 16
runsc_vdso_clock_gettime:
    cmp edi, 11
    ja 5f
    mov eax, edi
    lea r10, [rip + .Lbases]
    movzx r10d, byte ptr [r10 + rax]
    test r10d, r10d
    jz 5f
    call .Lread
    jc 5f
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    mov qword ptr [rsi], rax
    mov qword ptr [rsi + 8], rdx
    xor eax, eax
    ret
5:  mov eax, 228
    syscall
    ret

    # int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    .balign 16
runsc_vdso_gettimeofday:
    mov r10d, {REALTIME}
    call .Lread
    jc 7f
    test rdi, rdi
    jz 6f
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    mov qword ptr [rdi], rax
    mov eax, edx
    xor edx, edx
    mov ecx, 1000
    div ecx
    mov qword ptr [rdi + 8], rax
6:  xor eax, eax
    test rsi, rsi
    jz 8f
    mov qword ptr [rsi], rax
8:  ret
7:  mov eax, 96
    syscall
    ret

    # time_t time(time_t *rdi)
    .balign 16
runsc_vdso_time:
    mov r10d, {REALTIME}
    call .Lread
    jc 9f
    xor edx, edx
    mov ecx, 1000000000
    div rcx
    test rdi, rdi
    jz 10f
    mov qword ptr [rdi], rax
10: ret
9:  mov eax, 201
    syscall
    ret

    # int clock_getres(clockid_t edi, struct timespec *rsi)
    .balign 16
runsc_vdso_clock_getres:
    cmp edi, 11
    ja 12f
    mov eax, 1
    mov ecx, edi
    shl eax, cl
    test eax, 0x883
    jnz 13f
    test eax, 0x60
    jz 12f
    mov ecx, 4000000
    jmp 14f
13: mov ecx, 1
14: test rsi, rsi
    jz 15f
    mov qword ptr [rsi], 0
    mov qword ptr [rsi + 8], rcx
15: xor eax, eax
    ret
12: mov eax, 229
    syscall
    ret

    # int getcpu(unsigned *rdi, unsigned *rsi, void *unused)
    .balign 16
runsc_vdso_getcpu:
    lea r8, [rip + .Lcode - 0x2000]
    cmp dword ptr [r8 + {CPU_MODE}], 1
    jne 18f
    rdtscp
    mov eax, ecx
    and eax, 0xfff
    shr ecx, 12
    test rdi, rdi
    jz 16f
    mov dword ptr [rdi], eax
16: test rsi, rsi
    jz 17f
    mov dword ptr [rsi], ecx
17: xor eax, eax
    ret
18: mov eax, 309
    syscall
    ret
runsc_vdso_end:
    .popsection
    "#,
    REALTIME = const REALTIME_AT,
    MONOTONIC = const MONOTONIC_AT,
    BOOTTIME = const BOOTTIME_AT,
    SEQUENCE = const SEQUENCE_AT,
    MODE = const MODE_AT,
    MODE_TSC = const MODE_TSC,
    TSC_BASE = const TSC_BASE_AT,
    MULTIPLIER = const MULTIPLIER_AT,
    CPU_MODE = const CPU_MODE_AT,
);

unsafe extern "C" {
    static runsc_vdso_start: u8;
    static runsc_vdso_end: u8;
    static runsc_vdso_clock_gettime: u8;
    static runsc_vdso_gettimeofday: u8;
    static runsc_vdso_time: u8;
    static runsc_vdso_getcpu: u8;
    static runsc_vdso_clock_getres: u8;
}

/// A function: its name without prefix, and where it is in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// As in C.
    pub name: &'static str,
    /// Bytes from the start of the code.
    pub offset: usize,
}

/// The code of all functions.
#[must_use]
pub fn bytes() -> &'static [u8] {
    let (start, end) = (&raw const runsc_vdso_start, &raw const runsc_vdso_end);
    let len = end.addr() - start.addr();
    // SAFETY: both symbols are defined above, in one read-only section that nothing ever writes, the end
    // behind the start; the bytes between them were all emitted by the assembler.
    unsafe { core::slice::from_raw_parts(start, len) }
}

/// The functions that programs look for.
#[must_use]
pub fn functions() -> [Function; 5] {
    let start = (&raw const runsc_vdso_start).addr();
    let at = |name, symbol: *const u8| Function {
        name,
        offset: symbol.addr() - start,
    };
    [
        at("clock_gettime", &raw const runsc_vdso_clock_gettime),
        at("gettimeofday", &raw const runsc_vdso_gettimeofday),
        at("time", &raw const runsc_vdso_time),
        at("getcpu", &raw const runsc_vdso_getcpu),
        at("clock_getres", &raw const runsc_vdso_clock_getres),
    ]
}
