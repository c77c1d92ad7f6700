//! The page of code that every stub has, and the numbers in it.
//!
//! No code here uses a stack or writes memory: stub threads have neither.
#![expect(unsafe_code, reason = "assembly, and reading its bytes")]

use super::{filter, title};
use abi::PAGE_SIZE;

/// Where the page is: the last 64 KiB of the addresses that a program can have on x86-64.
pub(super) const BASE: usize = 0x7fff_ffff_0000;
/// One behind the last address of user space.
pub(super) const USER_SPACE_END: usize = 0x7fff_ffff_f000;

/// Where a stub has its page of calls to perform, read-only.
pub(super) const COMMANDS: usize = BASE + PAGE_SIZE;

/// Where a stub has its page with the command line that the host's `ps` shows, read-only.
pub(super) const TITLE: usize = COMMANDS + PAGE_SIZE;

/// `clone` flags of a new stub process: a sibling of the master, so that the keeper is its parent.
pub(super) const CLONE_PROCESS: u64 =
    (libc::CLONE_PARENT | libc::CLONE_FILES | libc::SIGCHLD).cast_unsigned() as u64;
/// `clone` flags of a new stub thread.
pub(super) const CLONE_THREAD: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM)
    .cast_unsigned() as u64;

std::arch::global_asm!(
    ".pushsection .rodata.runsc_stub, \"a\"",
    ".hidden runsc_stub_call, runsc_stub_fork, runsc_stub_clone, runsc_stub_batch, runsc_stub_idle, runsc_stub_end",
    ".global runsc_stub_call, runsc_stub_fork, runsc_stub_clone, runsc_stub_batch, runsc_stub_idle, runsc_stub_end",
    ".balign 64",
    // A call for the tracer: registers are set, the trap gives them back.
    "runsc_stub_call:",
    "syscall",
    "int3",
    "ud2",
    // A clone for the tracer, of a process: the child asks to die with its parent, then sleeps.
    "runsc_stub_fork:",
    "syscall",
    "test eax, eax",
    "jnz 2f",
    "mov eax, 157", // prctl(PR_SET_PDEATHSIG, SIGKILL)
    "mov edi, 1",
    "mov esi, 9",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "syscall",
    "jmp runsc_stub_idle",
    "2: int3",
    "ud2",
    // A clone for the tracer, of a thread: the child sleeps.
    "runsc_stub_clone:",
    "syscall",
    "test eax, eax",
    "jz runsc_stub_idle",
    "int3",
    "ud2",
    // Calls for the tracer, 64 bytes each, from r12 up to r13: until one fails.
    "runsc_stub_batch:",
    "cmp r12, r13",
    "jae 3f",
    "mov rax, [r12]",
    "mov rdi, [r12 + 8]",
    "mov rsi, [r12 + 16]",
    "mov rdx, [r12 + 24]",
    "mov r10, [r12 + 32]",
    "mov r8, [r12 + 40]",
    "mov r9, [r12 + 48]",
    "syscall",
    "cmp rax, -4095",
    "jae 3f",
    "add r12, 64",
    "jmp runsc_stub_batch",
    "3: int3",
    "ud2",
    // Sleep: pause(), for ever.
    "runsc_stub_idle:",
    "mov eax, 34",
    "syscall",
    "jmp runsc_stub_idle",
    "runsc_stub_end:",
    ".popsection",
);

unsafe extern "C" {
    static runsc_stub_call: u8;
    static runsc_stub_fork: u8;
    static runsc_stub_clone: u8;
    static runsc_stub_batch: u8;
    static runsc_stub_idle: u8;
    static runsc_stub_end: u8;
}

/// Entry points of the page, as addresses in a stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `syscall; int3`.
    Call,
    /// The same for a clone of a process, whose child goes to sleep.
    Fork,
    /// The same for a clone of a thread.
    Clone,
    /// The calls in the page of commands.
    Batch,
    /// Sleeping.
    Idle,
}

impl Entry {
    /// The address in a stub.
    pub(super) fn address(self) -> usize {
        BASE + self.offset()
    }

    fn offset(self) -> usize {
        let symbol = match self {
            Entry::Call => &raw const runsc_stub_call,
            Entry::Fork => &raw const runsc_stub_fork,
            Entry::Clone => &raw const runsc_stub_clone,
            Entry::Batch => &raw const runsc_stub_batch,
            Entry::Idle => &raw const runsc_stub_idle,
        };
        symbol.addr() - (&raw const runsc_stub_call).addr()
    }
}

/// Whether an instruction address is in the sleeping loop: a clone's child has got there.
pub(super) fn is_idle(rip: u64) -> bool {
    let len = (&raw const runsc_stub_end).addr() - (&raw const runsc_stub_call).addr();
    usize::try_from(rip).is_ok_and(|rip| (Entry::Idle.address()..BASE + len).contains(&rip))
}

/// Data behind the code that calls made while a stub is set up point to.
pub(super) mod data {
    use super::BASE;

    /// `struct prctl_mm_map`.
    pub(in super::super) const MEMORY_MAP: usize = BASE + 0x700;
    /// `struct rlimit64`, all 0.
    pub(in super::super) const ZEROES: usize = BASE + 0x800;
    /// The name of stub processes, for `PR_SET_NAME`.
    pub(in super::super) const NAME: usize = BASE + 0x840;
    /// `struct __user_cap_header_struct`.
    pub(in super::super) const CAP_HEADER: usize = BASE + 0x880;
    /// `struct sock_fprog`.
    pub(in super::super) const FILTER_PROGRAM: usize = BASE + 0x8c0;
    /// The filter's instructions.
    pub(in super::super) const FILTER: usize = BASE + 0x900;
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// The page's bytes.
pub(super) fn page() -> Vec<u8> {
    let start = &raw const runsc_stub_call;
    let len = (&raw const runsc_stub_end).addr() - start.addr();
    // SAFETY: the symbols delimit one run of initialised, never written bytes of this binary.
    let code = unsafe { std::slice::from_raw_parts(start, len) };
    let filter = filter::program();
    let nr_instructions = u64::try_from(filter.len() / 8).unwrap_or_default();

    let mut page = vec![0; PAGE_SIZE];
    let mut put = |address: usize, bytes: &[u8]| {
        let at = address - BASE;
        page[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(BASE, code);
    put(data::MEMORY_MAP, &title::memory_map());
    put(data::NAME, b"runsc-stub\0");
    put(data::CAP_HEADER, &CAPABILITY_VERSION_3.to_ne_bytes());
    put(data::FILTER_PROGRAM, &nr_instructions.to_ne_bytes());
    put(data::FILTER_PROGRAM + 8, &data::FILTER.to_ne_bytes());
    put(data::FILTER, &filter);
    page
}
