//! What crosses between the Sentry and a platform: registers, exits, faults.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// What application code may do with a mapped page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Access: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

/// The general registers of one application thread, named and ordered as `struct user_regs_struct`
/// (`PTRACE_GETREGS`, `man 2 ptrace`), so that the ptrace platform reads and writes it in one call.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[expect(missing_docs, reason = "the fields are the registers of their names")]
pub struct ThreadState {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system call's number as it was in `rax` on entry; `u64::MAX` outside a call.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub eflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

impl ThreadState {
    /// The code segment selector of 64-bit user code.
    pub const USER_CS: u64 = 0x33;
    /// The stack segment selector of user code.
    pub const USER_SS: u64 = 0x2b;
    /// `eflags` at the start of a program: interrupts on, and the bit that is always set.
    pub const INITIAL_EFLAGS: u64 = 0x202;

    /// The state in which Linux starts a program: all registers 0 but these.
    #[must_use]
    pub fn initial(rip: u64, rsp: u64) -> ThreadState {
        ThreadState {
            rip,
            rsp,
            cs: ThreadState::USER_CS,
            ss: ThreadState::USER_SS,
            eflags: ThreadState::INITIAL_EFLAGS,
            orig_rax: u64::MAX,
            ..ThreadState::default()
        }
    }
}

/// Why application code stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A 64-bit `syscall` instruction: the number is in `orig_rax`, `rip` is behind the instruction.
    Syscall,
    /// An access that the mapped pages do not allow.
    Fault(Fault),
    /// Any other processor exception.
    Exception(Exception),
    /// The context's interrupter was used.
    Interrupted,
    /// A mapping call that was put off has failed (the host has no room for another mapping, or does
    /// not map the file as asked), so what is mapped is not what was asked for. Nothing has run. The
    /// caller unmaps all of the user range, and runs again: pages that are touched then fault, and
    /// mapping them tells what is wrong. Until then every run ends like this.
    MappingFailed,
    /// The host process or virtual machine behind the space is gone: its thread groups are to be
    /// killed, as by SIGKILL.
    SpaceLost,
}

/// A page fault of application code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that was accessed.
    pub address: usize,
    /// What the access was.
    pub access: FaultAccess,
    /// Something was mapped there that did not allow the access (`si_code` is `SEGV_ACCERR`), rather than
    /// nothing (`SEGV_MAPERR`). It tells a store to a read-only page from a fault that another thread
    /// has just resolved.
    pub mapped: bool,
    /// The host delivered SIGBUS (a page beyond the end of a mapped host file), not SIGSEGV.
    pub bus: bool,
}

/// What is known of the access that faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAccess {
    /// The platform can't tell; the Sentry finds out from what it had mapped there.
    Unknown,
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// A processor exception other than a page fault, as Linux turns it into a signal
/// (`Documentation/arch/x86/entry_64`, `man 2 sigaction` for the codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The signal that Linux raises: SIGSEGV (general protection), SIGILL, SIGFPE, SIGTRAP, SIGBUS.
    pub signal: u8,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
    /// The exception's vector (`trapno` in a signal frame).
    pub vector: u8,
    /// The processor's error code, 0 where there is none.
    pub error_code: u64,
}
