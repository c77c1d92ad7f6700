//! Structures and flags of signals, as x86-64 lays them out (`man 2 sigaction`, `man 2 sigaltstack`,
//! `asm/ucontext.h`, `asm/sigcontext.h`).

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `SIG_DFL`
pub const SIG_DFL: u64 = 0;
/// `SIG_IGN`
pub const SIG_IGN: u64 = 1;

/// Bytes of a `siginfo_t`.
pub const SIGINFO_LEN: usize = 128;
/// Bytes of a `sigset_t`, the only size that the calls accept.
pub const SIGSET_LEN: usize = 8;
/// The smallest alternate stack (`MINSIGSTKSZ`).
pub const MIN_STACK_LEN: u64 = 2048;

bitflags! {
    /// `sa_flags` of `sigaction(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SaFlags: u64 {
        /// `SA_NOCLDSTOP`
        const NOCLDSTOP = 1;
        /// `SA_NOCLDWAIT`
        const NOCLDWAIT = 2;
        /// `SA_SIGINFO`
        const SIGINFO = 4;
        /// `SA_UNSUPPORTED`: always cleared, so that programs can probe for flags
        const UNSUPPORTED = 0x400;
        /// `SA_EXPOSE_TAGBITS`
        const EXPOSE_TAGBITS = 0x800;
        /// `SA_RESTORER`
        const RESTORER = 0x0400_0000;
        /// `SA_ONSTACK`
        const ONSTACK = 0x0800_0000;
        /// `SA_RESTART`
        const RESTART = 0x1000_0000;
        /// `SA_NODEFER`
        const NODEFER = 0x4000_0000;
        /// `SA_RESETHAND`
        const RESETHAND = 0x8000_0000;
        /// The flags that Linux keeps; others are dropped.
        const KNOWN = 1 | 2 | 4 | 0x800 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x4000_0000 | 0x8000_0000;
    }
}

/// `SS_ONSTACK`
pub const SS_ONSTACK: i32 = 1;
/// `SS_DISABLE`
pub const SS_DISABLE: i32 = 2;
/// `SS_AUTODISARM`
pub const SS_AUTODISARM: i32 = i32::MIN;

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct KernelSigaction {
    /// Address, [`SIG_DFL`] or [`SIG_IGN`].
    pub handler: u64,
    /// [`SaFlags`]
    pub flags: u64,
    /// Where a handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: u64,
}

/// `stack_t`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct StackT {
    /// Lowest address.
    pub sp: u64,
    /// `SS_*`
    pub flags: i32,
    /// Nothing.
    pub pad: i32,
    /// Bytes.
    pub size: u64,
}

/// `struct sigcontext_64`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[expect(missing_docs, reason = "the fields are the registers of their names")]
pub struct SigContext {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    pub cs: u16,
    pub gs: u16,
    pub fs: u16,
    pub ss: u16,
    /// The processor's error code of the last fault.
    pub err: u64,
    /// The vector of the last fault.
    pub trapno: u64,
    /// The signal mask again.
    pub oldmask: u64,
    /// The address of the last page fault.
    pub cr2: u64,
    /// Where the extended state is, 0 for none.
    pub fpstate: u64,
    pub reserved: [u64; 8],
}

/// `struct ucontext`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct UContext {
    /// `UC_*`
    pub flags: u64,
    /// Always 0.
    pub link: u64,
    /// The alternate stack.
    pub stack: StackT,
    /// The registers.
    pub mcontext: SigContext,
    /// The mask to go back to.
    pub sigmask: u64,
}

/// `UC_FP_XSTATE`: the extended state is an XSAVE image.
pub const UC_FP_XSTATE: u64 = 1;
/// `UC_SIGCONTEXT_SS`: `ss` is valid.
pub const UC_SIGCONTEXT_SS: u64 = 2;
/// `UC_STRICT_RESTORE_SS`: `ss` is restored as it is.
pub const UC_STRICT_RESTORE_SS: u64 = 4;

/// `struct rt_sigframe`: what a handler finds at its stack pointer.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RtSigFrame {
    /// The handler's return address: the restorer.
    pub pretcode: u64,
    /// Third argument of the handler.
    pub uc: UContext,
    /// Second argument of the handler: a `siginfo_t`.
    pub info: [u8; SIGINFO_LEN],
}

/// Bytes of the part of an XSAVE image that FXSAVE knows.
pub const FXSAVE_LEN: usize = 512;
/// Where in it the bytes reserved for software ([`FpxSwBytes`]) are.
pub const FPX_SW_BYTES_AT: usize = 464;
/// In [`FpxSwBytes::magic1`]: an XSAVE image follows.
pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// Behind the image.
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;

/// `struct _fpx_sw_bytes`: tells that there is more than FXSAVE's part, and how much.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct FpxSwBytes {
    /// [`FP_XSTATE_MAGIC1`]
    pub magic1: u32,
    /// Image and second magic.
    pub extended_size: u32,
    /// Components in the image.
    pub xfeatures: u64,
    /// Image.
    pub xstate_size: u32,
    /// Nothing.
    pub padding: [u32; 7],
}

const _: () = assert!(size_of::<SigContext>() == 256);
const _: () = assert!(size_of::<UContext>() == 304);
const _: () = assert!(size_of::<RtSigFrame>() == 440);
const _: () = assert!(size_of::<FpxSwBytes>() == 48);
