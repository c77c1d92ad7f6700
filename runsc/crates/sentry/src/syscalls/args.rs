//! The arguments of a system call, and typed ways to read them.

use platform::ThreadState;

use crate::mm::user_ptr::UserPtr;
use crate::vfs::file::OpenFlags;

/// The number and six argument registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyscallArgs {
    /// The call's number.
    pub number: u64,
    /// rdi, rsi, rdx, r10, r8, r9.
    pub raw: [u64; 6],
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "Linux takes an int argument from the low half of its register"
)]
impl SyscallArgs {
    /// The call that a stopped task's registers ask for.
    #[must_use]
    pub fn of(registers: &ThreadState) -> SyscallArgs {
        SyscallArgs {
            number: registers.orig_rax,
            raw: [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
        }
    }

    /// Argument `n` as the register holds it.
    #[must_use]
    pub fn u64(&self, n: usize) -> u64 {
        self.raw[n]
    }

    /// Argument `n` as `long` or `off_t`.
    #[must_use]
    pub fn i64(&self, n: usize) -> i64 {
        self.raw[n] as i64
    }

    /// Argument `n` as `int`.
    #[must_use]
    pub fn i32(&self, n: usize) -> i32 {
        self.raw[n] as i32
    }

    /// Argument `n` as `unsigned int`.
    #[must_use]
    pub fn u32(&self, n: usize) -> u32 {
        self.raw[n] as u32
    }

    /// Argument `n` as `size_t` or an address.
    #[must_use]
    pub fn usize(&self, n: usize) -> usize {
        self.raw[n] as usize
    }

    /// Argument `n` as a pointer.
    #[must_use]
    pub fn ptr<T>(&self, n: usize) -> UserPtr<T> {
        UserPtr::new(self.usize(n))
    }

    /// Argument `n` as flags of `open(2)`.
    #[must_use]
    pub fn open_flags(&self, n: usize) -> OpenFlags {
        OpenFlags::from_bits_retain(self.u32(n))
    }
}
