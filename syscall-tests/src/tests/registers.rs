//! What a call, and being taken from the processor, leave in a thread's registers: everything but what Linux changes.

#![expect(unsafe_code, reason = "sets registers and flags, and reads them back")]

use std::arch::asm;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::case::Outcome;
use crate::support::{map, process, time};

cases!(
    call_changes_rax_rcx_and_r11,
    call_with_any_flags_returns_with_them,
    call_keeps_the_nested_task_flag,
    call_after_the_resume_flag,
    vectors_survive_preemption,
    float_control_words_survive_preemption,
    fs_base_of_the_program_survives,
    processor_number_is_of_a_processor,
    program_text_is_read_only,
    handlers_start_with_initial_vectors,
);

/// `getpid`'s number.
const GETPID: u64 = 39;

fn call_changes_rax_rcx_and_r11() -> Outcome {
    let mut kept = [0_u64; 11];
    let (rax, rcx, r11, next, flags): (u64, u64, u64, u64, u64);
    // SAFETY: stores 11 words into an array of that size; rbx and rbp, which the compiler keeps, are saved on the stack.
    unsafe {
        asm!(
            "push rbx", "push rbp", "push {kept}",
            "mov rbx, 101", "mov rbp, 102", "mov rdi, 103", "mov rsi, 104", "mov rdx, 105", "mov r8, 106",
            "mov r9, 107", "mov r10, 108", "mov r13, 109", "mov r14, 110", "mov r15, 111",
            "syscall",
            "2:",
            "xchg r12, [rsp]",
            "mov [r12], rbx", "mov [r12 + 8], rbp", "mov [r12 + 16], rdi", "mov [r12 + 24], rsi",
            "mov [r12 + 32], rdx", "mov [r12 + 40], r8", "mov [r12 + 48], r9", "mov [r12 + 56], r10",
            "mov [r12 + 64], r13", "mov [r12 + 72], r14", "mov [r12 + 80], r15",
            "pop r12", "pop rbp", "pop rbx",
            "lea rdx, [rip + 2b]", "pushfq", "pop rsi",
            kept = in(reg) kept.as_mut_ptr(),
            inlateout("rax") GETPID => rax, lateout("rcx") rcx, lateout("r11") r11,
            lateout("rdx") next, lateout("rsi") flags,
            out("rdi") _, out("r8") _, out("r9") _, out("r10") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    check_eq!(
        kept,
        std::array::from_fn::<u64, 11, _>(|index| 101 + index as u64)
    );
    check_eq!((rax, rcx), (process::getpid() as u64, next));
    // Of the flags, only the arithmetic ones may have changed since.
    check_eq!(r11 & !0x8d5, flags & !0x8d5);
    Ok(())
}

/// `getpid` with these flags set; the result, and which of them are set after it.
fn call_with(flags: u64) -> (u64, u64) {
    let (result, after): (u64, u64);
    // SAFETY: the flags are as they were at the end; nothing in between needs the direction or the alignment of others.
    unsafe {
        asm!(
            "pushfq", "pushfq", "or [rsp], {flags}", "popfq",
            "syscall",
            "pushfq", "pop {flags}", "popfq",
            flags = inout(reg) flags => after, inlateout("rax") GETPID => result, out("rcx") _, out("r11") _,
        );
    }
    (result, after)
}

fn returns_with(flags: u64) -> Outcome {
    let pid = process::getpid() as u64;
    let (result, after) = call_with(flags);
    check_eq!((result, after & flags), (pid, flags));
    check_eq!(call_with(0).0, pid);
    Ok(())
}

/// Direction, alignment check, the identification flag, and all arithmetic ones.
fn call_with_any_flags_returns_with_them() -> Outcome {
    [
        0x400,
        0x4_0000,
        0x20_0000,
        0x8d5,
        0x400 | 0x4_0000 | 0x20_0000 | 0x8d5,
    ]
    .into_iter()
    .try_for_each(returns_with)
}

fn call_keeps_the_nested_task_flag() -> Outcome {
    returns_with(0x4000)
}

extern "C" fn resume_over(_signo: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext to a handler with SA_SIGINFO, which lives until the handler returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    registers[libc::REG_RIP as usize] += 2;
    registers[libc::REG_EFL as usize] |= 0x1_0000;
}

/// Only a return from a handler sets the resume flag: the first instruction after it is a call.
fn call_after_the_resume_flag() -> Outcome {
    crate::support::signal::handle(libc::SIGILL, resume_over, 0)?;
    let (result, flags): (u64, u64);
    // SAFETY: the handler skips the two bytes of `ud2`.
    unsafe {
        asm!("ud2", "syscall", "pushfq", "pop {flags}", flags = out(reg) flags, inlateout("rax") GETPID => result,
            out("rcx") _, out("r11") _);
    }
    check_eq!((result, flags & 0x1_0000), (process::getpid() as u64, 0));
    Ok(())
}

/// More threads than processors, each of which runs `round` with its number until it finds something or time is up.
fn while_preempted(round: fn(u64) -> bool) -> Outcome {
    const THREADS: u64 = 8;
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (1..=THREADS)
        .map(|thread| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !round(thread) {
                        return false;
                    }
                }
                true
            })
        })
        .collect();
    time::sleep_ms(400);
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        check_eq!(thread.join().ok(), Some(true));
    }
    Ok(())
}

/// How long a thread computes between a write and a check: some are taken from the processor in between.
const TURNS: u64 = 2_000_000;

fn vectors_survive_preemption() -> Outcome {
    let wide = std::arch::is_x86_feature_detected!("avx");
    while_preempted(if wide {
        keeps_wide_vectors
    } else {
        keeps_vectors
    })
}

fn keeps_vectors(thread: u64) -> bool {
    let (low, high): (u64, u64);
    // SAFETY: moves between registers, all named.
    unsafe {
        asm!(
            "movq xmm0, {given}", "movq xmm15, {given}", "2: dec {left}", "jnz 2b", "movq {low}, xmm0", "movq {high}, xmm15",
            given = in(reg) thread, left = inout(reg) TURNS => _, low = out(reg) low, high = out(reg) high,
            out("xmm0") _, out("xmm15") _,
        );
    }
    (low, high) == (thread, thread)
}

fn keeps_wide_vectors(thread: u64) -> bool {
    let given: [u64; 4] = std::array::from_fn(|index| thread << 8 | index as u64);
    let (mut low, mut high) = ([0_u64; 4], [0_u64; 4]);
    // SAFETY: loads and stores 32 bytes each of arrays of that size.
    unsafe {
        asm!(
            "vmovdqu ymm0, [{given}]", "vmovdqu ymm15, [{given}]", "2: dec {left}", "jnz 2b",
            "vmovdqu [{low}], ymm0", "vmovdqu [{high}], ymm15",
            given = in(reg) given.as_ptr(), low = in(reg) low.as_mut_ptr(), high = in(reg) high.as_mut_ptr(),
            left = inout(reg) TURNS => _, out("ymm0") _, out("ymm15") _,
        );
    }
    low == given && high == given
}

fn float_control_words_survive_preemption() -> Outcome {
    while_preempted(keeps_control_words)
}

/// The rounding modes of SSE and x87, and a value on the x87 stack.
fn keeps_control_words(thread: u64) -> bool {
    let mode = (thread & 3) as u32;
    let (mxcsr, control, value) = (
        0x1f80 | mode << 13,
        0x37f | (mode as u16) << 10,
        thread as f64,
    );
    let (mut mxcsr_after, mut control_after, mut value_after) = (0_u32, 0_u16, 0_f64);
    // SAFETY: loads and stores words of their size; the control words are the usual ones again at the end, and no
    // arithmetic of others comes before that.
    unsafe {
        asm!(
            "ldmxcsr [{0}]", "fldcw [{1}]", "fld qword ptr [{2}]", "2: dec {left}", "jnz 2b",
            "stmxcsr [{3}]", "fnstcw [{4}]", "fstp qword ptr [{5}]",
            "fninit", "ldmxcsr [{usual}]",
            in(reg) &raw const mxcsr, in(reg) &raw const control, in(reg) &raw const value,
            in(reg) &raw mut mxcsr_after, in(reg) &raw mut control_after, in(reg) &raw mut value_after,
            usual = in(reg) &raw const USUAL_MXCSR, left = inout(reg) TURNS => _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _, out("st(4)") _, out("st(5)") _,
            out("st(6)") _, out("st(7)") _,
        );
    }
    (mxcsr_after & !0x3f, control_after) == (mxcsr, control)
        && value_after.to_bits() == value.to_bits()
}

static USUAL_MXCSR: u32 = 0x1f80;

/// Whether the kernel says that programs may use the instructions on the bases of FS and GS.
fn has_base_instructions() -> bool {
    crate::support::auxv(libc::AT_HWCAP2).is_some_and(|bits| bits & 2 != 0)
}

fn fs_base_of_the_program_survives() -> Outcome {
    if !has_base_instructions() {
        skip!("no fsgsbase");
    }
    while_preempted(keeps_fs_base)
}

/// Over a call and a computation; a thread's own base is there again before anyone uses it.
fn keeps_fs_base(thread: u64) -> bool {
    let base = 0x1234_5670_0000 + (thread << 12);
    let (after_call, after_turns): (u64, u64);
    // SAFETY: nothing here uses the base of FS until it is as it was.
    unsafe {
        asm!(
            "rdfsbase {own}", "wrfsbase {base}", "syscall", "rdfsbase {call}",
            "2: dec {left}", "jnz 2b", "rdfsbase {turns}", "wrfsbase {own}",
            own = out(reg) _, base = in(reg) base, call = out(reg) after_call, turns = out(reg) after_turns,
            left = inout(reg) TURNS => _, inlateout("rax") GETPID => _, out("rcx") _, out("r11") _,
        );
    }
    (after_call, after_turns) == (base, base)
}

/// `rdtscp` and `rdpid` give what the kernel keeps for them: a processor that there is.
fn processor_number_is_of_a_processor() -> Outcome {
    let possible = crate::support::proc::read("/proc/cpuinfo")?;
    let most = possible
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let by_tsc: u32;
    // SAFETY: reads the counter.
    unsafe { asm!("rdtscp", out("eax") _, out("edx") _, out("ecx") by_tsc) };
    check!((by_tsc & 0xfff) < most as u32, "rdtscp: {by_tsc}");
    let has_rdpid = std::arch::x86_64::__cpuid_count(7, 0).ecx & 1 << 22 != 0;
    if has_rdpid {
        let by_pid: u64;
        // SAFETY: reads a register.
        unsafe { asm!("rdpid {}", out(reg) by_pid) };
        check!((by_pid & 0xfff) < most as u64, "rdpid: {by_pid}");
    }
    Ok(())
}

fn program_text_is_read_only() -> Outcome {
    let text = program_text_is_read_only as fn() -> Outcome as usize;
    let status = process::status_of(|| {
        map::poke(text, 0xcc);
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGSEGV));
    Ok(())
}

/// What a handler found: MXCSR, the x87 control and tag words, the first vector register.
static FOUND: [std::sync::atomic::AtomicU32; 4] =
    [const { std::sync::atomic::AtomicU32::new(!0) }; 4];

extern "C" fn look_at_vectors(
    _signo: i32,
    _info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    let (mut mxcsr, mut image, mut vector) = (0_u32, [0_u16; 14], 0_u32);
    // SAFETY: stores what the registers hold into variables of their sizes, and changes some of them: the return from the
    // handler brings the interrupted ones back.
    unsafe {
        asm!(
            "movd {vector:e}, xmm6", "stmxcsr [{mxcsr}]", "fnstenv [{image}]", "fldenv [{image}]",
            "pcmpeqd xmm6, xmm6", "pcmpeqd xmm15, xmm15",
            mxcsr = in(reg) &raw mut mxcsr, image = in(reg) image.as_mut_ptr(), vector = out(reg) vector,
            out("xmm6") _, out("xmm15") _,
        );
    }
    for (slot, value) in FOUND
        .iter()
        .zip([mxcsr, image[0].into(), image[4].into(), vector])
    {
        slot.store(value, Ordering::SeqCst);
    }
}

/// Handlers compute as a new program does, whatever the interrupted code had set, which gets its own back.
fn handlers_start_with_initial_vectors() -> Outcome {
    crate::support::signal::handle(libc::SIGUSR1, look_at_vectors, 0)?;
    let pid = process::getpid();
    let (mut mxcsr, mut control) = (0_u32, 0_u16);
    let (vector, result): (u64, u64);
    // SAFETY: sets rounding modes and a vector register around a call that sends a signal, and restores the modes.
    unsafe {
        asm!(
            "sub rsp, 16",
            "mov dword ptr [rsp], 0x7f80", "ldmxcsr [rsp]", "mov word ptr [rsp + 4], 0xf7f", "fldcw [rsp + 4]", "fld1",
            "mov rdx, 0x123456789", "movq xmm6, rdx",
            "syscall",
            "movq rdx, xmm6", "stmxcsr [{mxcsr}]", "fnstcw [{control}]", "fstp st(0)",
            "mov dword ptr [rsp], 0x1f80", "ldmxcsr [rsp]", "fninit", "add rsp, 16",
            mxcsr = in(reg) &raw mut mxcsr, control = in(reg) &raw mut control,
            inlateout("rax") libc::SYS_kill => result, in("rdi") pid, in("rsi") libc::SIGUSR1, out("rdx") vector,
            out("rcx") _, out("r11") _, out("xmm6") _,
        );
    }
    check_eq!(
        (result, vector, mxcsr, control),
        (0, 0x1_2345_6789, 0x7f80, 0xf7f)
    );
    let found: Vec<u32> = FOUND
        .iter()
        .map(|slot| slot.load(Ordering::SeqCst))
        .collect();
    check_eq!(found, [0x1f80, 0x37f, 0xffff, 0]);
    Ok(())
}
