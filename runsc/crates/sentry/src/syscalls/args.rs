//! The arguments of a system call: registers, and the types that handlers are given in their place.

use abi::raw::general as nr;
use mm::user_ptr::UserPtr;
use platform::ThreadState;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::strace::decode::file::open_flags;
use crate::strace::show::Show;
use crate::vfs::command::CommandArg;
use crate::vfs::file::OpenFlags;
use crate::vfs::walk::PATH_MAX;

/// The number and six argument registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyscallArgs {
    /// The call's number.
    pub number: u64,
    /// rdi, rsi, rdx, r10, r8, r9.
    pub raw: [u64; 6],
}

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

    /// The registers, from the first on.
    pub(super) fn registers(&self) -> Registers {
        Registers(self.raw.into_iter())
    }
}

/// Argument registers that are yet to be taken.
pub(super) struct Registers(std::array::IntoIter<u64, 6>);

impl Registers {
    /// The next one as what it is declared to hold.
    #[inline]
    pub(super) fn next<T: Argument>(&mut self) -> T {
        T::of(self.0.next().unwrap_or(0))
    }
}

/// What a register holds.
pub(crate) trait Argument {
    /// How strace prints it, unless the call's declaration says otherwise.
    const SHOW: Show;

    /// The value of a register.
    fn of(register: u64) -> Self;
}

/// Declares arguments: the type, how it is printed, and how it is read from a register.
macro_rules! arguments {
    ($($type:ty: $show:expr, $register:ident => $value:expr;)*) => {$(
        #[expect(clippy::allow_attributes, reason = "not every type is narrower than a register")]
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            reason = "Linux takes an int argument from the low half of its register"
        )]
        impl Argument for $type {
            const SHOW: Show = $show;

            #[inline]
            fn of($register: u64) -> $type {
                $value
            }
        }
    )*};
}

arguments! {
    i32: Show::Int, register => register as i32;
    u32: Show::Unsigned, register => register as u32;
    i64: Show::Long, register => register as i64;
    u64: Show::Hex, register => register;
    usize: Show::Size, register => register as usize;
    Fd: Show::Int, register => Fd(register as i32);
    DirFd: Show::Directory, register => DirFd(register as i32);
    Mode: Show::Mode, register => Mode(register as u32);
    OpenFlags: Show::Before(open_flags), register => OpenFlags::from_bits_retain(register as u32);
    CommandArg: Show::Pointer, register => CommandArg(register);
    UserPath: Show::Path, register => UserPath(UserPtr::of(register));
    UserText: Show::Text, register => UserText(UserPtr::of(register));
}

impl<T> Argument for UserPtr<T> {
    const SHOW: Show = Show::Pointer;

    #[inline]
    fn of(register: u64) -> UserPtr<T> {
        UserPtr::new(usize::of(register))
    }
}

/// `struct iovec`: the address of a piece and its length.
pub type Iovec = [usize; 2];

/// What the application claims to be a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub i32);

impl From<Fd> for i32 {
    fn from(fd: Fd) -> i32 {
        fd.0
    }
}

/// What the application claims to be the descriptor of a directory, or `AT_FDCWD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirFd(pub i32);

impl DirFd {
    /// The working directory.
    pub const CWD: DirFd = DirFd(nr::AT_FDCWD);
}

impl From<DirFd> for i32 {
    fn from(dirfd: DirFd) -> i32 {
        dirfd.0
    }
}

/// Permissions of a file, and its type for `mknod(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

/// Where the application claims to have a path.
#[derive(Clone, Copy, Debug)]
pub struct UserPath(pub UserPtr<u8>);

impl UserPath {
    /// Reads the path; ENAMETOOLONG, EFAULT.
    pub fn read(self, task: &Task) -> Result<Vec<u8>> {
        task.mm().read_string(self.0.address(), PATH_MAX)
    }

    /// Tells whether it is NULL.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }
}

/// Where the application claims to have a string.
#[derive(Clone, Copy, Debug)]
pub struct UserText(pub UserPtr<u8>);

impl UserText {
    /// Reads the string; ENAMETOOLONG if it is longer than `most` with its NUL, EFAULT.
    pub fn read(self, task: &Task, most: usize) -> Result<Vec<u8>> {
        task.mm().read_string(self.0.address(), most)
    }
}
