//! Instructions that a processor refuses, jumps to where no program may go, and calls into the vsyscall page: the signal
//! and the context that Linux gives for each.
//!
//! Each row is a piece of machine code that is put at an address of its own and jumped to with `rax`, `rcx` and `rdx`
//! zero and the row's own address in `rbx`, in a child of its own. Past its end there is `ud2`, which tells code that
//! ran to its end.

#![expect(
    unsafe_code,
    reason = "runs code made for the purpose, and edits the context of a handler"
)]

use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::Outcome;
use crate::support::map::{self, Map, PAGE};
use crate::support::{proc, process, signal};

cases!(
    privileged_instructions,
    software_interrupts,
    every_other_vector_is_refused,
    vectors_of_a_nested_hypervisor_are_refused,
    calls_of_other_modes_end_the_process,
    calls_of_a_hypervisor_do_no_harm,
    invalid_instructions,
    jumps_to_nowhere,
    jumps_to_where_a_platform_may_have_its_own,
    non_canonical_data,
    arithmetic,
    single_steps,
    segments_and_control_words,
    alignment_check_kills,
    instructions_that_are_allowed,
    vsyscall_entries,
    vsyscall_elsewhere,
    bases_of_fs_and_gs_survive,
);

/// `si_addr`.
#[derive(Clone, Copy)]
enum Address {
    /// Null.
    Null,
    /// So far into the code.
    Code(usize),
    /// This address.
    Is(usize),
    /// It depends on the processor.
    Any,
}

/// What a handler sees.
#[derive(Clone, Copy)]
struct Expected {
    signo: i32,
    code: i32,
    address: Address,
    /// The saved instruction pointer, as far into the code; `None` where processors differ.
    rip: Option<usize>,
    /// The number of the exception; `None` where the platforms can't tell.
    trap: Option<i64>,
}

struct Row(&'static str, &'static [u8], Expected);

static RESUME: AtomicUsize = AtomicUsize::new(0);
static STACK: AtomicUsize = AtomicUsize::new(0);
static RIP: AtomicUsize = AtomicUsize::new(0);
static TRAP: AtomicUsize = AtomicUsize::new(0);

/// Records, and continues at [`RESUME`] with the stack and flags of there.
extern "C" fn leave(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    signal::record(signo, info, context);
    // SAFETY: the kernel passes a ucontext to a handler with SA_SIGINFO, which lives until the handler returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    RIP.store(registers[libc::REG_RIP as usize] as usize, Ordering::SeqCst);
    TRAP.store(
        registers[libc::REG_TRAPNO as usize] as usize,
        Ordering::SeqCst,
    );
    registers[libc::REG_RIP as usize] = RESUME.load(Ordering::SeqCst) as i64;
    registers[libc::REG_RSP as usize] = STACK.load(Ordering::SeqCst) as i64;
    registers[libc::REG_EFL as usize] = 0x202;
}

/// Puts the code of a row into memory, with `ud2` behind it.
fn place(bytes: &[u8]) -> Result<Map, crate::case::Failure> {
    let memory = Map::new(
        PAGE,
        libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        map::ANON,
        -1,
        0,
    )?;
    memory.fill(0, bytes);
    memory.fill(bytes.len(), &[0x0f, 0x0b]);
    Ok(memory)
}

/// Jumps to the code, and comes back from the handler.
fn jump(code: usize) {
    // SAFETY: the code does nothing but what the row says, and raises a signal, whose handler continues at the label with
    // this stack; what the code may change is saved here or named as clobbered.
    unsafe {
        asm!(
            "push rbp", "push rbx",
            "mov [{stack}], rsp",
            "lea rax, [rip + 2f]",
            "mov [{resume}], rax",
            "mov rbx, rsi",
            "xor eax, eax", "xor ecx, ecx", "xor edx, edx",
            "jmp rsi",
            "2:",
            "pop rbx", "pop rbp",
            stack = in(reg) STACK.as_ptr(),
            resume = in(reg) RESUME.as_ptr(),
            inout("rsi") code => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
}

fn check_row(row: &Row) -> Outcome {
    check_together(std::slice::from_ref(row))
}

/// Checks rows in one child: many in a short time, if none spoils what the next one needs.
fn check_together(rows: &[Row]) -> Outcome {
    process::in_child(|| {
        let stack = Map::anonymous(16 * PAGE)?;
        let alternate = libc::stack_t {
            ss_sp: stack.addr() as *mut libc::c_void,
            ss_flags: 0,
            ss_size: 16 * PAGE,
        };
        sys!(SYS_sigaltstack, &alternate, 0)?;
        for signo in [
            libc::SIGSEGV,
            libc::SIGILL,
            libc::SIGBUS,
            libc::SIGTRAP,
            libc::SIGFPE,
        ] {
            signal::handle(signo, leave, libc::SA_ONSTACK)?;
        }
        rows.iter().try_for_each(check_here)
    })
}

fn check_here(Row(name, bytes, expected): &Row) -> Outcome {
    let before = signal::count();
    let code = place(bytes)?;
    jump(code.addr());
    check!(
        signal::count() == before + 1,
        "{name}: {} signals",
        signal::count() - before
    );
    let seen = signal::seen()[before];
    check!(
        (seen.signo, seen.code) == (expected.signo, expected.code),
        "{name}: signal {} with code {}, expected {} with {}",
        seen.signo,
        seen.code,
        expected.signo,
        expected.code
    );
    let address = match expected.address {
        Address::Null => 0,
        Address::Code(offset) => code.addr() + offset,
        Address::Is(address) => address,
        Address::Any => seen.addr,
    };
    check!(
        seen.addr == address,
        "{name}: si_addr is {:#x}, expected {address:#x}",
        seen.addr
    );
    let rip = RIP.load(Ordering::SeqCst);
    if let Some(offset) = expected.rip {
        check!(
            rip == code.addr().wrapping_add(offset),
            "{name}: rip is {rip:#x}, code at {:#x}",
            code.addr()
        );
    }
    let trap = TRAP.load(Ordering::SeqCst) as i64;
    check!(
        expected.trap.is_none_or(|number| number == trap),
        "{name}: trap number {trap}"
    );
    Ok(())
}

/// Tells of every row that is not as expected: on an emulated processor, some are not.
fn check_all(rows: &[Row]) -> Outcome {
    let failed = rows.iter().filter_map(|row| check_row(row).err());
    let failed: Vec<String> = failed.map(|failure| failure.to_string()).collect();
    check!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// General protection, `at` into the code.
const fn refused(at: usize) -> Expected {
    Expected {
        signo: libc::SIGSEGV,
        code: libc::SI_KERNEL,
        address: Address::Null,
        rip: Some(at),
        trap: Some(13),
    }
}

/// An instruction that there is not, `at` into the code.
const fn invalid(at: usize) -> Expected {
    Expected {
        signo: libc::SIGILL,
        code: 2,
        address: Address::Code(at),
        rip: Some(at),
        trap: Some(6),
    }
}

/// A page fault at an address that no program has, `at` into the code.
const fn unmapped(address: usize, at: usize) -> Expected {
    Expected {
        signo: libc::SIGSEGV,
        code: 1,
        address: Address::Is(address),
        rip: Some(at),
        trap: Some(14),
    }
}

fn privileged_instructions() -> Outcome {
    check_all(&[
        Row("hlt", &[0xf4], refused(0)),
        Row("cli", &[0xfa], refused(0)),
        Row("sti", &[0xfb], refused(0)),
        Row("in al, dx", &[0xec], refused(0)),
        Row("in al, 0x80", &[0xe4, 0x80], refused(0)),
        Row("out dx, al", &[0xee], refused(0)),
        Row("insb", &[0x6c], refused(0)),
        Row("outsb", &[0x6e], refused(0)),
        Row("sysretq", &[0x48, 0x0f, 0x07], refused(0)),
        Row("sysexit", &[0x0f, 0x35], refused(0)),
        Row("wrmsr", &[0x0f, 0x30], refused(0)),
        Row("rdmsr", &[0x0f, 0x32], refused(0)),
        Row("lgdt [rbx]", &[0x0f, 0x01, 0x13], refused(0)),
        Row("lidt [rbx]", &[0x0f, 0x01, 0x1b], refused(0)),
        Row("lldt ax", &[0x0f, 0x00, 0xd0], refused(0)),
        Row("ltr ax", &[0x0f, 0x00, 0xd8], refused(0)),
        Row("lmsw ax", &[0x0f, 0x01, 0xf0], refused(0)),
        Row("mov rax, cr0", &[0x0f, 0x20, 0xc0], refused(0)),
        Row("mov cr3, rax", &[0x0f, 0x22, 0xd8], refused(0)),
        Row("mov rax, cr8", &[0x44, 0x0f, 0x20, 0xc0], refused(0)),
        Row("mov rax, dr0", &[0x0f, 0x21, 0xc0], refused(0)),
        Row("mov dr7, rax", &[0x0f, 0x23, 0xf8], refused(0)),
        Row("clts", &[0x0f, 0x06], refused(0)),
        Row("invd", &[0x0f, 0x08], refused(0)),
        Row("wbinvd", &[0x0f, 0x09], refused(0)),
        Row("invlpg [rbx]", &[0x0f, 0x01, 0x3b], refused(0)),
        Row("swapgs", &[0x0f, 0x01, 0xf8], refused(0)),
        Row("rdpmc", &[0x0f, 0x33], refused(0)),
        Row("xsetbv", &[0x0f, 0x01, 0xd1], refused(0)),
        // An empty frame: the code segment of it is none.
        Row(
            "iretq",
            &[0x6a, 0, 0x6a, 0, 0x6a, 0, 0x6a, 0, 0x53, 0x48, 0xcf],
            refused(9),
        ),
    ])
}

/// `int 0x80` is [`super::fault`]'s.
fn software_interrupts() -> Outcome {
    let trap = |at| Expected {
        signo: libc::SIGTRAP,
        code: libc::SI_KERNEL,
        address: Address::Null,
        rip: Some(at),
        trap: Some(3),
    };
    check_all(&[
        Row("int3", &[0xcc], trap(1)),
        Row("int 3", &[0xcd, 3], trap(2)),
        Row(
            "int 4",
            &[0xcd, 4],
            Expected {
                trap: None,
                ..refused(2)
            },
        ),
        Row("int 0", &[0xcd, 0], refused(0)),
        Row("int 1", &[0xcd, 1], refused(0)),
        Row("int 2", &[0xcd, 2], refused(0)),
        Row("int 8", &[0xcd, 8], refused(0)),
        Row("int 14", &[0xcd, 14], refused(0)),
        Row("int 0x20", &[0xcd, 0x20], refused(0)),
        Row("int 0x81", &[0xcd, 0x81], refused(0)),
        Row("int 0xff", &[0xcd, 0xff], refused(0)),
        // Virtual machines without hardware's help leave the instruction pointer before it.
        Row(
            "int1",
            &[0xf1],
            Expected {
                signo: libc::SIGTRAP,
                code: 1,
                address: Address::Any,
                rip: None,
                trap: Some(1),
            },
        ),
    ])
}

/// How many signals the record of a process holds.
const MOST_SIGNALS: usize = 60;

/// What a nested hypervisor (`kvm_pvm`) takes for exits of its own.
const OF_HYPERVISORS: [u8; 3] = [23, 25, 26];

fn refused_vectors(vectors: impl Iterator<Item = u8>) -> Outcome {
    let rows: Vec<Row> = vectors
        .map(|vector| Row("int", Vec::leak(vec![0xcd, vector]), refused(0)))
        .collect();
    rows.chunks(MOST_SIGNALS).try_for_each(check_together)
}

fn every_other_vector_is_refused() -> Outcome {
    const OF_PROGRAMS: [u8; 3] = [3, 4, 0x80];
    refused_vectors(
        (0..=u8::MAX)
            .filter(|vector| !OF_PROGRAMS.contains(vector) && !OF_HYPERVISORS.contains(vector)),
    )
}

fn vectors_of_a_nested_hypervisor_are_refused() -> Outcome {
    refused_vectors(OF_HYPERVISORS.into_iter())
}

/// Checks that code ends its program with SIGILL or SIGSEGV: which of them depends on the host's processor and monitor.
fn ends_without_a_call(bytes: &[u8]) -> Outcome {
    let code = place(bytes)?;
    let status = process::status_of(|| {
        jump(code.addr());
        0
    })?;
    check!(
        [Some(libc::SIGSEGV), Some(libc::SIGILL)].contains(&status.signal()),
        "{bytes:x?}: {status}"
    );
    Ok(())
}

/// `sysenter` enters a 32-bit table, or is none; it is never a 64-bit call.
fn calls_of_other_modes_end_the_process() -> Outcome {
    // mov eax, 231 (exit_group; in the 32-bit table, fgetxattr); sysenter
    ends_without_a_call(&[0xb8, 231, 0, 0, 0, 0x0f, 0x34])
}

/// A virtual machine's monitor answers, with an error, and the `ud2` behind the call ends the program; or there is no
/// monitor, and the instruction is invalid; or the monitor has it refused, as some do for calls from user mode.
fn calls_of_a_hypervisor_do_no_harm() -> Outcome {
    for call in [[0x0f, 0x01, 0xc1], [0x0f, 0x01, 0xd9]] {
        ends_without_a_call(&call)?;
    }
    Ok(())
}

fn invalid_instructions() -> Outcome {
    check_all(&[
        Row("ud2", &[0x0f, 0x0b], invalid(0)),
        Row("ud1", &[0x0f, 0xb9, 0xc0], invalid(0)),
        Row("ud0", &[0x0f, 0xff, 0xc0], invalid(0)),
        Row("into", &[0xce], invalid(0)),
        Row("push cs", &[0x0e], invalid(0)),
        Row("aaa", &[0x37], invalid(0)),
        Row("mov cs, ax", &[0x8e, 0xc8], invalid(0)),
        Row("monitor", &[0x0f, 0x01, 0xc8], invalid(0)),
        Row("mwait", &[0x0f, 0x01, 0xc9], invalid(0)),
        Row("lock nop", &[0xf0, 0x90], invalid(0)),
        Row("vmlaunch", &[0x0f, 0x01, 0xc2], invalid(0)),
        Row("stac", &[0x0f, 0x01, 0xcb], invalid(0)),
        Row(
            "sixteen bytes",
            &[
                0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                0x66, 0x90,
            ],
            refused(0),
        ),
    ])
}

/// `mov rax, ADDRESS; jmp rax`.
fn jump_to(address: usize) -> Vec<u8> {
    let mut code = load(address);
    code.extend([0xff, 0xe0]);
    code
}

/// `mov rax, ADDRESS`.
fn load(address: usize) -> Vec<u8> {
    let mut code = vec![0x48, 0xb8];
    code.extend(address.to_le_bytes());
    code
}

fn jumps_to_nowhere() -> Outcome {
    // The branch itself is what is refused.
    let branches = [0x8000_0000_0000_0000, 0x8000_0000_0000];
    let branches = branches.map(|address| {
        Row(
            "jmp to a non-canonical address",
            Vec::leak(jump_to(address)),
            refused(10),
        )
    });
    let returning = [load(1 << 63), vec![0x50, 0xc3]].concat();
    let returns = Row(
        "ret to a non-canonical address",
        Vec::leak(returning),
        refused(11),
    );
    let upper = [
        0xffff_ffff_8100_0000,
        0xffff_8000_0000_0000,
        0x7fff_ffff_f000,
        0xffff_ffff_ffff_f000,
    ];
    let upper = upper.map(|address| {
        let expected = Expected {
            rip: None,
            ..unmapped(address, 0)
        };
        Row(
            "jmp to the kernel's half",
            Vec::leak(jump_to(address)),
            expected,
        )
    });
    let rows: Vec<Row> = branches.into_iter().chain([returns]).chain(upper).collect();
    check_all(&rows)
}

/// Each place of two pages that a platform could use for its own entries: nothing of it runs.
fn jumps_to_where_a_platform_may_have_its_own() -> Outcome {
    const PLACES: std::ops::Range<usize> = 0xffff_ffff_8000_0000..0xffff_ffff_8000_2000;
    // On a host whose nested hypervisor enters there without leaving ring 3, one place is a call to nowhere (`rcx`).
    let expected = Expected {
        signo: libc::SIGSEGV,
        code: 1,
        address: Address::Any,
        rip: None,
        trap: Some(14),
    };
    let row = |address| {
        Row(
            "jmp to the upper half",
            Vec::leak(jump_to(address)),
            expected,
        )
    };
    let rows: Vec<Row> = PLACES.step_by(16).map(row).collect();
    rows.chunks(MOST_SIGNALS).try_for_each(check_together)
}

fn non_canonical_data() -> Outcome {
    let stack = |at| Expected {
        signo: libc::SIGBUS,
        trap: Some(12),
        ..refused(at)
    };
    check_all(&[
        Row(
            "load",
            &[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8a, 0],
            refused(10),
        ),
        Row(
            "store",
            &[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x88, 0],
            refused(10),
        ),
        Row(
            "push",
            &[0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x50],
            stack(10),
        ),
        Row(
            "load by the frame",
            &[0x48, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8a, 0x45, 0],
            stack(10),
        ),
        Row("far jmp [rax]", &[0xff, 0x28], unmapped(0, 0)),
    ])
}

fn arithmetic() -> Outcome {
    let float = |code, at, trap| Expected {
        signo: libc::SIGFPE,
        code,
        address: Address::Code(at),
        rip: Some(at),
        trap,
    };
    check_all(&[
        Row("division by zero", &[0xf7, 0xf1], float(1, 0, Some(0))),
        Row(
            "quotient too large",
            &[
                0xb8, 0, 0, 0, 0x80, 0x99, 0xb9, 0xff, 0xff, 0xff, 0xff, 0xf7, 0xf9,
            ],
            float(1, 11, Some(0)),
        ),
        // fninit; push 0; a control word without the mask of zero divide; 1 / 0; fwait
        Row(
            "x87, division by zero",
            &[
                0xdb, 0xe3, 0x6a, 0, 0x66, 0xc7, 4, 0x24, 0x7b, 3, 0xd9, 0x2c, 0x24, 0xd9, 0xe8,
                0xd9, 0xee, 0xde, 0xf9, 0x9b,
            ],
            float(3, 19, Some(16)),
        ),
        // push 0; MXCSR without that mask; ldmxcsr; divss xmm0, 0
        Row(
            "SSE, division by zero",
            &[
                0xb8, 0, 0, 0x80, 0x3f, 0x66, 0x0f, 0x6e, 0xc0, 0x6a, 0, 0xc7, 4, 0x24, 0x80, 0x1d,
                0, 0, 0x0f, 0xae, 0x14, 0x24, 0x0f, 0x57, 0xc9, 0xf3, 0x0f, 0x5e, 0xc1,
            ],
            float(3, 25, None),
        ),
        Row("misaligned movaps", &[0x0f, 0x28, 0x43, 0x01], refused(0)),
        Row(
            "misaligned cmpxchg16b",
            &[0x48, 0x0f, 0xc7, 0x4b, 0x01],
            refused(0),
        ),
    ])
}

fn single_steps() -> Outcome {
    let step = |at| Expected {
        signo: libc::SIGTRAP,
        code: 2,
        address: Address::Code(at),
        rip: Some(at),
        trap: Some(1),
    };
    // pushfq; or dword ptr [rsp], 0x100; popfq
    let with_trap_flag = |before: &[u8], after: &[u8]| -> &'static [u8] {
        Vec::leak([before, &[0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d], after].concat())
    };
    check_all(&[
        Row("nop", with_trap_flag(&[], &[0x90, 0x90]), step(10)),
        Row("cpuid", with_trap_flag(&[], &[0x0f, 0xa2, 0x90]), step(11)),
        // After a call, the instruction that follows is stepped, too.
        Row(
            "getpid",
            with_trap_flag(&[0xb8, 39, 0, 0, 0], &[0x0f, 0x05, 0x90, 0x90]),
            step(17),
        ),
    ])
}

fn segments_and_control_words() -> Outcome {
    check_all(&[
        Row(
            "mov ds, none",
            &[0xb8, 0x53, 0, 0, 0, 0x8e, 0xd8],
            refused(5),
        ),
        Row(
            "mov ds, the kernel's",
            &[0xb8, 0x10, 0, 0, 0, 0x8e, 0xd8],
            refused(5),
        ),
        Row("mov ss, null", &[0x8e, 0xd0], refused(0)),
        Row("mov ds, null", &[0x8e, 0xd8], invalid(2)),
        Row(
            "ldmxcsr, reserved bits",
            &[0x68, 0xff, 0xff, 0xff, 0x7f, 0x0f, 0xae, 0x14, 0x24],
            refused(5),
        ),
        Row(
            "wrfsbase, non-canonical",
            &[
                0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xf3, 0x48, 0x0f, 0xae, 0xd0,
            ],
            refused(10),
        ),
    ])
}

/// Without a handler, which would have to be free of misaligned accesses itself.
fn alignment_check_kills() -> Outcome {
    // pushfq; or dword ptr [rsp], 0x40000; popfq; mov eax, [rsp + 1]
    let code = place(&[
        0x9c, 0x81, 0x0c, 0x24, 0, 0, 4, 0, 0x9d, 0x8b, 0x44, 0x24, 1,
    ])?;
    let status = process::status_of(|| {
        jump(code.addr());
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGBUS));
    Ok(())
}

fn instructions_that_are_allowed() -> Outcome {
    check_all(&[
        Row("rdtsc", &[0x0f, 0x31], invalid(2)),
        Row("rdtscp", &[0x0f, 0x01, 0xf9], invalid(3)),
        Row("cpuid", &[0x0f, 0xa2], invalid(2)),
        Row("popfq, interrupts off", &[0x6a, 0, 0x9d], invalid(3)),
        Row(
            "popfq, port access",
            &[0x9c, 0x81, 0x0c, 0x24, 0, 0x30, 0, 0, 0x9d],
            invalid(9),
        ),
        Row("lar", &[0xb8, 0x33, 0, 0, 0, 0x0f, 0x02, 0xc8], invalid(8)),
        Row("verr", &[0x0f, 0x00, 0xe0], invalid(3)),
    ])
}

const VSYSCALL: usize = 0xffff_ffff_ff60_0000;

/// Skips where the host has no vsyscall page.
fn need_vsyscall() -> Outcome {
    if proc::maps()?.iter().any(|area| area.start == VSYSCALL) {
        return Ok(());
    }
    skip!("no vsyscall page")
}

/// `xor edi, edi; xor esi, esi; mov rax, ADDRESS; call rax`.
fn call_of(address: usize) -> &'static [u8] {
    Vec::leak(
        [
            vec![0x31, 0xff, 0x31, 0xf6],
            load(address),
            vec![0xff, 0xd0],
        ]
        .concat(),
    )
}

fn vsyscall_entries() -> Outcome {
    need_vsyscall()?;
    for entry in [0, 0x400, 0x800] {
        check_row(&Row(
            "a call of an entry",
            call_of(VSYSCALL + entry),
            invalid(16),
        ))?;
    }
    Ok(())
}

fn vsyscall_elsewhere() -> Outcome {
    need_vsyscall()?;
    let nowhere = Expected {
        rip: None,
        trap: None,
        ..refused(0)
    };
    for offset in [1, 0x401, 0x7ff, 0xc00, 0xfff] {
        check_row(&Row(
            "a call into the middle",
            call_of(VSYSCALL + offset),
            nowhere,
        ))?;
    }
    // time(1): a pointer that can't be written.
    let time = [
        vec![0xbf, 1, 0, 0, 0],
        load(VSYSCALL + 0x400),
        vec![0xff, 0xd0],
    ]
    .concat();
    check_row(&Row("a bad pointer", Vec::leak(time), nowhere))?;
    let read = [load(VSYSCALL), vec![0x8a, 0]].concat();
    check_row(&Row("a load", Vec::leak(read), unmapped(VSYSCALL, 10)))
}

/// The instructions on the bases, where the kernel says that programs may use them (`AT_HWCAP2`), and `arch_prctl`.
fn bases_of_fs_and_gs_survive() -> Outcome {
    const ARCH_SET_GS: i32 = 0x1001;
    const ARCH_GET_GS: i32 = 0x1004;
    const BASE: u64 = 0x7654_3210_f000;
    let gs = || {
        let mut base = 0_u64;
        sys!(SYS_arch_prctl, ARCH_GET_GS, &mut base).map(|_| base)
    };
    sys!(SYS_arch_prctl, ARCH_SET_GS, BASE)?;
    sys!(SYS_sched_yield)?;
    check_eq!(gs()?, BASE);
    if crate::support::auxv(libc::AT_HWCAP2).is_none_or(|bits| bits & 2 == 0) {
        return Ok(());
    }
    let threads: Vec<_> = (1..=4_u64)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..100).all(|round| {
                    let written = BASE + (thread << 20) + (round << 12);
                    let read: u64;
                    // SAFETY: nothing here uses the base of GS.
                    unsafe { asm!("wrgsbase {}", in(reg) written) };
                    let _ = sys!(SYS_sched_yield);
                    // SAFETY: reads a register.
                    unsafe { asm!("rdgsbase {}", out(reg) read) };
                    read == written
                })
            })
        })
        .collect();
    for thread in threads {
        check_eq!(thread.join().ok(), Some(true));
    }
    check_eq!(gs()?, BASE);
    Ok(())
}
