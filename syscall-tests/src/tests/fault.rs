//! Synchronous signals: the code and address of faults, exceptions of the processor, alternate stacks.

#![expect(
    unsafe_code,
    reason = "faults on purpose, and edits the context of a handler"
)]

use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::Outcome;
use crate::support::file::TempDir;
use crate::support::map::{self, Map, PAGE};
use crate::support::process;
use crate::support::signal::{self, Seen};
use crate::sys;

cases!(
    unmapped_address_is_maperr,
    read_only_page_is_accerr,
    inaccessible_page_is_accerr,
    non_executable_page_is_accerr,
    kernel_address_is_a_fault,
    non_canonical_address_has_no_address,
    null_call_faults_at_null,
    mapped_file_beyond_its_end_is_sigbus,
    truncated_file_is_sigbus,
    division_by_zero_is_sigfpe,
    invalid_opcode_is_sigill,
    breakpoint_is_sigtrap,
    privileged_instruction_is_sigsegv,
    single_step_trap,
    error_code_and_trap_number,
    handler_can_map_and_retry,
    handler_can_change_the_instruction_pointer,
    handler_sees_and_changes_registers,
    blocked_fault_kills,
    ignored_fault_kills,
    fault_without_stack_kills,
    stack_overflow_is_caught_on_the_alternate_stack,
    alternate_stack_is_used_only_when_asked,
    alternate_stack_errors,
    alternate_stack_is_reported_in_use,
    autodisarm_disables_while_in_use,
    floating_point_registers_survive,
    wide_vector_registers_survive,
    direction_flag_is_cleared_in_handlers,
    red_zone_survives,
    sigreturn_restores_the_mask_from_the_context,
    context_is_where_linux_puts_it,
    threads_fault_at_once,
    legacy_32_bit_call_does_not_confuse,
    vsyscall_page,
);

/// Where the skipping handler continues.
static RESUME: AtomicUsize = AtomicUsize::new(0);
static TRAP: AtomicUsize = AtomicUsize::new(0);
static ERROR_CODE: AtomicUsize = AtomicUsize::new(0);
static CR2: AtomicUsize = AtomicUsize::new(0);

/// The registers in a handler's context.
fn registers<'a>(context: *mut libc::c_void) -> &'a mut [libc::greg_t; 23] {
    // SAFETY: the kernel passes a ucontext to a handler with SA_SIGINFO, which lives until the handler returns.
    unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs }
}

/// Records, then continues at [`RESUME`].
extern "C" fn skip_to_resume(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    signal::record(signo, info, context);
    let registers = registers(context);
    TRAP.store(
        registers[libc::REG_TRAPNO as usize] as usize,
        Ordering::SeqCst,
    );
    ERROR_CODE.store(registers[libc::REG_ERR as usize] as usize, Ordering::SeqCst);
    CR2.store(registers[libc::REG_CR2 as usize] as usize, Ordering::SeqCst);
    registers[libc::REG_RIP as usize] = RESUME.load(Ordering::SeqCst) as i64;
}

/// Runs one instruction; a handler skips it if it faults. Returns what the handler saw.
macro_rules! faulting {
    ($signo:expr, $instruction:literal $(, $name:ident = $value:expr)*) => {{
        signal::handle($signo, skip_to_resume, 0)?;
        let before = signal::count();
        // SAFETY: the handler continues at the label; the instruction changes nothing but the registers named here.
        unsafe {
            asm!(
                "lea {tmp}, [rip + 2f]",
                "mov [{resume}], {tmp}",
                $instruction,
                "2:",
                tmp = out(reg) _,
                resume = in(reg) RESUME.as_ptr(),
                out("rax") _, out("rdx") _, out("rcx") _,
                $($name = in(reg) $value,)*
            );
        }
        check_eq!(signal::count(), before + 1);
        signal::seen()[before]
    }};
}

fn expect(seen: Seen, signo: i32, code: i32, addr: usize) -> Outcome {
    check_eq!((seen.signo, seen.code), (signo, code));
    check!(
        seen.addr == addr,
        "si_addr is {:#x}, expected {addr:#x}",
        seen.addr
    );
    Ok(())
}

const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;

fn unmapped_address_is_maperr() -> Outcome {
    let memory = Map::anonymous(PAGE)?;
    let addr = memory.addr() + 123;
    drop(memory);
    let seen = faulting!(libc::SIGSEGV, "mov al, [{addr}]", addr = addr);
    expect(seen, libc::SIGSEGV, SEGV_MAPERR, addr)?;
    let seen = faulting!(libc::SIGSEGV, "mov [{addr}], al", addr = addr);
    expect(seen, libc::SIGSEGV, SEGV_MAPERR, addr)?;
    let seen = faulting!(libc::SIGSEGV, "mov al, [{addr}]", addr = 16_usize);
    expect(seen, libc::SIGSEGV, SEGV_MAPERR, 16)
}

fn read_only_page_is_accerr() -> Outcome {
    let memory = Map::new(PAGE, libc::PROT_READ, map::ANON, -1, 0)?;
    check_eq!(memory.get(5), 0);
    let seen = faulting!(libc::SIGSEGV, "mov [{addr}], al", addr = memory.addr() + 5);
    expect(seen, libc::SIGSEGV, SEGV_ACCERR, memory.addr() + 5)
}

fn inaccessible_page_is_accerr() -> Outcome {
    let memory = Map::new(PAGE, libc::PROT_NONE, map::ANON, -1, 0)?;
    let seen = faulting!(
        libc::SIGSEGV,
        "mov al, [{addr}]",
        addr = memory.addr() + 4095
    );
    expect(seen, libc::SIGSEGV, SEGV_ACCERR, memory.addr() + 4095)
}

fn non_executable_page_is_accerr() -> Outcome {
    let memory = Map::anonymous(PAGE)?;
    memory.set(0, 0xc3);
    let seen = faulting!(libc::SIGSEGV, "jmp {addr}", addr = memory.addr());
    expect(seen, libc::SIGSEGV, SEGV_ACCERR, memory.addr())
}

fn kernel_address_is_a_fault() -> Outcome {
    let addr = 0xffff_ffff_8100_0000_usize;
    let seen = faulting!(libc::SIGSEGV, "mov al, [{addr}]", addr = addr);
    expect(seen, libc::SIGSEGV, SEGV_MAPERR, addr)
}

fn non_canonical_address_has_no_address() -> Outcome {
    let seen = faulting!(
        libc::SIGSEGV,
        "mov al, [{addr}]",
        addr = 0x8000_0000_0000_0000_usize
    );
    expect(seen, libc::SIGSEGV, libc::SI_KERNEL, 0)
}

fn null_call_faults_at_null() -> Outcome {
    let seen = faulting!(libc::SIGSEGV, "jmp {addr}", addr = 0_usize);
    expect(seen, libc::SIGSEGV, SEGV_MAPERR, 0)
}

fn mapped_file_beyond_its_end_is_sigbus() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    for flags in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
        let memory = Map::new(3 * PAGE, map::RW, flags, &file, 0)?;
        // The rest of the last page is zero.
        check_eq!(
            (memory.get(4), memory.get(5), memory.get(PAGE - 1)),
            (b'o', 0, 0)
        );
        let addr = memory.addr() + PAGE + 7;
        let seen = faulting!(libc::SIGBUS, "mov al, [{addr}]", addr = addr);
        expect(seen, libc::SIGBUS, libc::BUS_ADRERR, addr)?;
        let seen = faulting!(libc::SIGBUS, "mov [{addr}], al", addr = addr);
        expect(seen, libc::SIGBUS, libc::BUS_ADRERR, addr)?;
    }
    Ok(())
}

fn truncated_file_is_sigbus() -> Outcome {
    let file = TempDir::new()?.open_file("f", &[7; 2 * PAGE])?;
    let memory = Map::new(2 * PAGE, map::RW, libc::MAP_SHARED, &file, 0)?;
    check_eq!(memory.get(PAGE), 7);
    file.truncate(10)?;
    let addr = memory.addr() + PAGE;
    let seen = faulting!(libc::SIGBUS, "mov al, [{addr}]", addr = addr);
    expect(seen, libc::SIGBUS, libc::BUS_ADRERR, addr)?;
    check_eq!((memory.get(9), memory.get(10)), (7, 0));
    file.truncate(2 * PAGE as i64)?;
    check_eq!(memory.get(PAGE), 0);
    Ok(())
}

fn division_by_zero_is_sigfpe() -> Outcome {
    let seen = faulting!(
        libc::SIGFPE,
        "xor edx, edx\nmov eax, 1\ndiv {zero:e}",
        zero = 0_u64
    );
    check_eq!((seen.signo, seen.code), (libc::SIGFPE, 1));
    check!(seen.addr != 0 && seen.addr < RESUME.load(Ordering::SeqCst));
    Ok(())
}

fn invalid_opcode_is_sigill() -> Outcome {
    let seen = faulting!(libc::SIGILL, "ud2");
    // ILL_ILLOPN, at the instruction itself, which has two bytes.
    expect(seen, libc::SIGILL, 2, RESUME.load(Ordering::SeqCst) - 2)
}

fn breakpoint_is_sigtrap() -> Outcome {
    let seen = faulting!(libc::SIGTRAP, "int3");
    check_eq!(
        (seen.signo, seen.code, seen.addr),
        (libc::SIGTRAP, libc::SI_KERNEL, 0)
    );
    check_eq!(TRAP.load(Ordering::SeqCst), 3);
    Ok(())
}

fn privileged_instruction_is_sigsegv() -> Outcome {
    let seen = faulting!(libc::SIGSEGV, "hlt");
    expect(seen, libc::SIGSEGV, libc::SI_KERNEL, 0)?;
    check_eq!(TRAP.load(Ordering::SeqCst), 13);
    Ok(())
}

/// The trap flag in the saved flags makes one step, then `TRAP_TRACE`.
fn single_step_trap() -> Outcome {
    extern "C" fn clear_trap_flag(
        signo: i32,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        signal::record(signo, info, context);
        registers(context)[libc::REG_EFL as usize] &= !0x100;
    }
    signal::handle(libc::SIGTRAP, clear_trap_flag, 0)?;
    // SAFETY: sets the trap flag for the next instruction; the handler clears it.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop") };
    check_eq!(signal::count(), 1);
    check_eq!(
        (signal::seen()[0].signo, signal::seen()[0].code),
        (libc::SIGTRAP, 2)
    );
    Ok(())
}

fn error_code_and_trap_number() -> Outcome {
    let memory = Map::new(PAGE, libc::PROT_READ, map::ANON, -1, 0)?;
    check_eq!(memory.get(0), 0);
    let _ = faulting!(libc::SIGSEGV, "mov [{addr}], al", addr = memory.addr());
    // Page fault; user, write, present.
    check_eq!(TRAP.load(Ordering::SeqCst), 14);
    check_eq!(ERROR_CODE.load(Ordering::SeqCst) & 7, 7);
    check_eq!(CR2.load(Ordering::SeqCst), memory.addr());
    Ok(())
}

fn handler_can_map_and_retry() -> Outcome {
    extern "C" fn make_writable(
        signo: i32,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        signal::record(signo, info, context);
        let page = signal::seen().last().map_or(0, |seen| seen.addr) & !(PAGE - 1);
        let _ = sys!(SYS_mprotect, page, PAGE, map::RW);
    }
    signal::handle(libc::SIGSEGV, make_writable, 0)?;
    let memory = Map::new(20 * PAGE, libc::PROT_NONE, map::ANON, -1, 0)?;
    for page in 0..20 {
        memory.set(page * PAGE, page as u8);
    }
    check_eq!(signal::count(), 20);
    check!((0..20).all(|page| memory.get(page * PAGE) == page as u8));
    Ok(())
}

fn handler_can_change_the_instruction_pointer() -> Outcome {
    // All of the tests above skip; this one goes somewhere else.
    extern "C" fn elsewhere(_signo: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let registers = registers(context);
        registers[libc::REG_RIP as usize] = registers[libc::REG_RBX as usize];
    }
    signal::handle(libc::SIGSEGV, elsewhere, 0)?;
    let result: u64;
    // SAFETY: the handler continues at the address in rbx, the label 3.
    unsafe {
        asm!(
            "push rbx",
            "lea rbx, [rip + 3f]",
            "mov al, [8]",
            "mov {result}, 1",
            "jmp 4f",
            "3: mov {result}, 2",
            "4: pop rbx",
            result = out(reg) result,
            out("rax") _,
        );
    }
    check_eq!(result, 2);
    Ok(())
}

fn handler_sees_and_changes_registers() -> Outcome {
    extern "C" fn add_one(_signo: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let registers = registers(context);
        for register in [
            libc::REG_R8,
            libc::REG_R9,
            libc::REG_R10,
            libc::REG_R11,
            libc::REG_R12,
            libc::REG_RSI,
        ] {
            registers[register as usize] += 1;
        }
        registers[libc::REG_RIP as usize] += 2;
    }
    signal::handle(libc::SIGILL, add_one, 0)?;
    let (mut r8, mut r9, mut r10, mut r11, mut r12, mut rsi) =
        (1_u64, 2_u64, 3_u64, 4_u64, 5_u64, 6_u64);
    // SAFETY: the handler skips the two bytes of `ud2`, and changes only the registers named here.
    unsafe {
        asm!(
            "ud2",
            inout("r8") r8, inout("r9") r9, inout("r10") r10, inout("r11") r11, inout("r12") r12, inout("rsi") rsi,
        );
    }
    check_eq!([r8, r9, r10, r11, r12, rsi], [2, 3, 4, 5, 6, 7]);
    Ok(())
}

fn blocked_fault_kills() -> Outcome {
    let status = process::status_of(|| {
        let _ = signal::handle(libc::SIGSEGV, signal::record, 0);
        let _ = signal::block(signal::bit(libc::SIGSEGV));
        map::poke(8, 1);
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGSEGV));
    Ok(())
}

fn ignored_fault_kills() -> Outcome {
    let status = process::status_of(|| {
        let _ = signal::set_disposition(libc::SIGSEGV, libc::SIG_IGN);
        map::poke(8, 1);
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGSEGV));
    Ok(())
}

/// No room for the frame: SIGSEGV, whatever the handler.
fn fault_without_stack_kills() -> Outcome {
    let status = process::status_of(|| {
        let _ = signal::handle(libc::SIGSEGV, signal::record, 0);
        let _ = signal::handle(libc::SIGILL, signal::record, 0);
        // SAFETY: the process dies here.
        unsafe { asm!("mov rsp, 16", "ud2", options(noreturn)) }
    })?;
    check_eq!(status.signal(), Some(libc::SIGSEGV));
    Ok(())
}

fn set_alternate_stack(memory: &Map, len: usize, flags: i32) -> sys::SysResult {
    let stack = libc::stack_t {
        ss_sp: memory.addr() as *mut libc::c_void,
        ss_flags: flags,
        ss_size: len,
    };
    sys!(SYS_sigaltstack, &stack, 0)
}

/// The stack pointer inside the last handler that noted it.
static HANDLER_STACK: AtomicUsize = AtomicUsize::new(0);
/// The flags of the alternate stack as seen inside the handler.
static HANDLER_FLAGS: AtomicUsize = AtomicUsize::new(usize::MAX);

extern "C" fn note_stack(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let local = 0_u8;
    HANDLER_STACK.store(std::ptr::from_ref(&local) as usize, Ordering::SeqCst);
    let mut stack = sys::zeroed::<libc::stack_t>();
    if sys!(SYS_sigaltstack, 0, &mut stack).is_ok() {
        HANDLER_FLAGS.store(stack.ss_flags as u32 as usize, Ordering::SeqCst);
    }
    signal::record(signo, info, context);
}

fn on_stack(memory: &Map, len: usize) -> bool {
    (memory.addr()..memory.addr() + len).contains(&HANDLER_STACK.load(Ordering::SeqCst))
}

fn stack_overflow_is_caught_on_the_alternate_stack() -> Outcome {
    extern "C" fn leave(_signo: i32, _info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
        process::exit_now(77);
    }
    let status = process::status_of(|| {
        let limit = libc::rlimit {
            rlim_cur: 1 << 20,
            rlim_max: libc::RLIM_INFINITY,
        };
        let prepared = sys!(SYS_prlimit64, 0, libc::RLIMIT_STACK, &limit, 0).is_ok()
            && Map::anonymous(65536).is_ok_and(|memory| {
                set_alternate_stack(&memory, 65536, 0).is_ok_and(|_| memory.forget() != 0)
            })
            && signal::handle(libc::SIGSEGV, leave, libc::SA_ONSTACK).is_ok();
        if !prepared {
            return 1;
        }
        // SAFETY: pushes until the stack's limit; the handler leaves.
        unsafe { asm!("2: push 0", "jmp 2b", options(noreturn)) }
    })?;
    check_eq!(status.code(), Some(77));
    Ok(())
}

fn alternate_stack_is_used_only_when_asked() -> Outcome {
    let memory = Map::anonymous(65536)?;
    set_alternate_stack(&memory, 65536, 0)?;
    signal::handle(libc::SIGUSR1, note_stack, 0)?;
    signal::raise(libc::SIGUSR1)?;
    check!(!on_stack(&memory, 65536));
    signal::handle(libc::SIGUSR1, note_stack, libc::SA_ONSTACK)?;
    signal::raise(libc::SIGUSR1)?;
    check!(on_stack(&memory, 65536));
    Ok(())
}

fn alternate_stack_errors() -> Outcome {
    let memory = Map::anonymous(65536)?;
    errno_is!(set_alternate_stack(&memory, 1000, 0), ENOMEM);
    errno_is!(set_alternate_stack(&memory, 65536, 4), EINVAL);
    errno_is!(sys!(SYS_sigaltstack, 8, 0), EFAULT);
    set_alternate_stack(&memory, 65536, 0)?;
    set_alternate_stack(&memory, 0, libc::SS_DISABLE)?;
    let mut old = sys::zeroed::<libc::stack_t>();
    sys!(SYS_sigaltstack, 0, &mut old)?;
    check_eq!((old.ss_flags, old.ss_size), (libc::SS_DISABLE, 0));
    // The size that the kernel asks for is in the auxiliary vector.
    check!(crate::support::auxv(51).is_some_and(|size| (1000..65536).contains(&size)));
    Ok(())
}

fn alternate_stack_is_reported_in_use() -> Outcome {
    extern "C" fn try_to_change(
        signo: i32,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        note_stack(signo, info, context);
        let stack = libc::stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        let errno = sys!(SYS_sigaltstack, &stack, 0)
            .err()
            .map_or(0, |error| error.errno);
        ERROR_CODE.store(errno as usize, Ordering::SeqCst);
    }
    let memory = Map::anonymous(65536)?;
    set_alternate_stack(&memory, 65536, 0)?;
    signal::handle(libc::SIGUSR1, try_to_change, libc::SA_ONSTACK)?;
    signal::raise(libc::SIGUSR1)?;
    check_eq!(
        HANDLER_FLAGS.load(Ordering::SeqCst),
        libc::SS_ONSTACK as usize
    );
    check_eq!(ERROR_CODE.load(Ordering::SeqCst), libc::EPERM as usize);
    Ok(())
}

fn autodisarm_disables_while_in_use() -> Outcome {
    const SS_AUTODISARM: i32 = i32::MIN;
    let memory = Map::anonymous(65536)?;
    set_alternate_stack(&memory, 65536, SS_AUTODISARM)?;
    signal::handle(libc::SIGUSR1, note_stack, libc::SA_ONSTACK)?;
    signal::raise(libc::SIGUSR1)?;
    check!(on_stack(&memory, 65536));
    check_eq!(
        HANDLER_FLAGS.load(Ordering::SeqCst),
        libc::SS_DISABLE as usize
    );
    let mut after = sys::zeroed::<libc::stack_t>();
    sys!(SYS_sigaltstack, 0, &mut after)?;
    check_eq!(
        (after.ss_flags, after.ss_size, after.ss_sp as usize),
        (SS_AUTODISARM, 65536, memory.addr())
    );
    Ok(())
}

extern "C" fn clobber_vectors(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    signal::record(signo, info, context);
    // SAFETY: clears vector registers, all declared as clobbered by the calling convention of a handler.
    unsafe {
        asm!("pxor xmm0, xmm0", "pxor xmm7, xmm7", "pxor xmm15, xmm15", out("xmm0") _, out("xmm7") _, out("xmm15") _);
        if std::arch::is_x86_feature_detected!("avx") {
            asm!("vzeroall", out("xmm0") _, out("xmm7") _, out("xmm15") _);
        }
    }
    registers(context)[libc::REG_RIP as usize] += 2;
}

fn floating_point_registers_survive() -> Outcome {
    signal::handle(libc::SIGILL, clobber_vectors, 0)?;
    let (mut a, mut b, mut c) = (1.5_f64, -2.25_f64, 1e300_f64);
    // SAFETY: the handler skips the two bytes of `ud2`.
    unsafe { asm!("ud2", inout("xmm0") a, inout("xmm7") b, inout("xmm15") c) };
    check_eq!(
        [a.to_bits(), b.to_bits(), c.to_bits()],
        [1.5_f64, -2.25, 1e300].map(f64::to_bits)
    );
    Ok(())
}

fn wide_vector_registers_survive() -> Outcome {
    if !std::arch::is_x86_feature_detected!("avx") {
        skip!("no AVX");
    }
    signal::handle(libc::SIGILL, clobber_vectors, 0)?;
    let given: [u64; 4] = [1, 2, 3, 4];
    let mut back = [0_u64; 4];
    // SAFETY: loads and stores 32 bytes each of arrays of that size; the handler skips `ud2`.
    unsafe {
        asm!(
            "vmovdqu ymm7, [{given}]",
            "ud2",
            "vmovdqu [{back}], ymm7",
            given = in(reg) given.as_ptr(),
            back = in(reg) back.as_mut_ptr(),
            out("ymm7") _,
        );
    }
    check_eq!(back, given);
    Ok(())
}

fn direction_flag_is_cleared_in_handlers() -> Outcome {
    extern "C" fn note_flags(_signo: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let flags: usize;
        // SAFETY: reads the flags.
        unsafe { asm!("pushfq", "pop {flags}", flags = out(reg) flags) };
        TRAP.store(flags, Ordering::SeqCst);
        registers(context)[libc::REG_RIP as usize] += 2;
    }
    signal::handle(libc::SIGILL, note_flags, 0)?;
    let after: usize;
    // SAFETY: the direction flag is cleared again before any other code runs.
    unsafe { asm!("std", "ud2", "pushfq", "pop {after}", "cld", after = out(reg) after) };
    check_eq!(TRAP.load(Ordering::SeqCst) & 0x400, 0);
    check_eq!(after & 0x400, 0x400);
    Ok(())
}

/// The 128 bytes below the stack pointer belong to the interrupted function.
fn red_zone_survives() -> Outcome {
    signal::handle(libc::SIGILL, clobber_vectors, 0)?;
    let after: u64;
    // SAFETY: writes and reads the red zone of a leaf; the stack pointer is moved so that the compiler's is not hit.
    unsafe {
        asm!(
            "sub rsp, 256",
            "mov qword ptr [rsp - 8], 111",
            "mov qword ptr [rsp - 128], 222",
            "ud2",
            "mov {after}, [rsp - 8]",
            "add {after}, [rsp - 128]",
            "add rsp, 256",
            after = out(reg) after,
            out("xmm0") _, out("xmm7") _, out("xmm15") _,
        );
    }
    check_eq!(after, 333);
    Ok(())
}

fn sigreturn_restores_the_mask_from_the_context() -> Outcome {
    extern "C" fn block_usr2(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        signal::record(signo, info, context);
        // SAFETY: the context is valid until the handler returns; the set's first word is the kernel's mask.
        unsafe {
            libc::sigaddset(
                &raw mut (*context.cast::<libc::ucontext_t>()).uc_sigmask,
                libc::SIGUSR2,
            )
        };
    }
    signal::handle(libc::SIGUSR1, block_usr2, 0)?;
    signal::raise(libc::SIGUSR1)?;
    check_eq!(signal::mask()?, signal::bit(libc::SIGUSR2));
    Ok(())
}

/// The layout that unwinders and debuggers rely on.
fn context_is_where_linux_puts_it() -> Outcome {
    static RECORD: [AtomicUsize; 6] = [const { AtomicUsize::new(0) }; 6];
    extern "C" fn inspect(_signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the context is valid until the handler returns; 512 bytes of legacy area hold the magic numbers.
        unsafe {
            let context = context.cast::<libc::ucontext_t>();
            let fp = (*context).uc_mcontext.fpregs as usize;
            RECORD[0].store(info as usize, Ordering::SeqCst);
            RECORD[1].store(context as usize, Ordering::SeqCst);
            RECORD[2].store(fp, Ordering::SeqCst);
            RECORD[3].store((*context).uc_flags as usize, Ordering::SeqCst);
            let magic = ((fp + 464) as *const u32).read();
            let size = ((fp + 468) as *const u32).read() as usize;
            RECORD[4].store(magic as usize, Ordering::SeqCst);
            RECORD[5].store(
                ((fp + size - 4) as *const u32).read_unaligned() as usize,
                Ordering::SeqCst,
            );
        }
    }
    signal::handle(libc::SIGUSR1, inspect, 0)?;
    signal::raise(libc::SIGUSR1)?;
    let [info, context, fp, flags, magic1, magic2] =
        [0, 1, 2, 3, 4, 5].map(|i: usize| RECORD[i].load(Ordering::SeqCst));
    // pretcode, ucontext (304 bytes), siginfo; the register image 64-byte aligned above them.
    check_eq!(info - context, 304);
    check_eq!((context - 8) % 16, 8);
    check!(fp > info && fp.is_multiple_of(64), "fpstate at {fp:#x}");
    check_eq!(flags & 7, 7);
    check_eq!(magic1, 0x4650_5853);
    check_eq!(magic2, 0x4650_5845);
    Ok(())
}

fn threads_fault_at_once() -> Outcome {
    let memory = Map::anonymous(512 * PAGE)?;
    let base = memory.addr();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                for page in 0..512 {
                    map::poke(base + page * PAGE + thread, thread as u8 + 1);
                }
                (0..512).all(|page| map::peek(base + page * PAGE + thread) == thread as u8 + 1)
            })
        })
        .collect();
    for thread in threads {
        check_eq!(thread.join().ok(), Some(true));
    }
    check!((0..512).all(|page| memory.bytes(page * PAGE, 8) == [1, 2, 3, 4, 5, 6, 7, 8]));
    Ok(())
}

/// `int 0x80` is either a 32-bit call or SIGSEGV, never a 64-bit call.
fn legacy_32_bit_call_does_not_confuse() -> Outcome {
    let status = process::status_of(|| {
        let result: i64;
        // SAFETY: call 20 is getpid in the 32-bit table, writev in the 64-bit one.
        unsafe {
            asm!("int 0x80", inlateout("rax") 20_i64 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        i32::from(result != i64::from(process::getpid()))
    })?;
    check!(
        status.code() == Some(0) || status.signal() == Some(libc::SIGSEGV),
        "{status}"
    );
    Ok(())
}

/// The three entries of the vsyscall page work, or fault: they never reach another kernel's clock.
fn vsyscall_page() -> Outcome {
    let listed = crate::support::proc::maps()?
        .iter()
        .any(|area| area.start == 0xffff_ffff_ff60_0000);
    let status = process::status_of(|| {
        let now: i64;
        // SAFETY: `time` in the vsyscall page takes a null pointer and clobbers what a call clobbers.
        unsafe {
            asm!("call {entry}", entry = in(reg) 0xffff_ffff_ff60_0400_usize, in("rdi") 0, lateout("rax") now,
                out("rcx") _, out("rdx") _, out("rsi") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        let expected = crate::support::time::clock_ns(libc::CLOCK_REALTIME) / 1_000_000_000;
        i32::from((expected - now).abs() > 1)
    })?;
    if listed {
        check_eq!(status.code(), Some(0));
    } else {
        check_eq!(status.signal(), Some(libc::SIGSEGV));
    }
    Ok(())
}
