//! Raw system calls.
//!
//! `sys!(SYS_read, &fd, &mut buf, 4)` makes the call without the C library's wrapper in between and gives its result or
//! a [`SysError`] that says which call failed, how, and where.

#![expect(unsafe_code, reason = "system calls take addresses")]

use std::ffi::{CStr, CString, c_long};
use std::fmt;

/// A failed call: its error number, name and place in the test.
#[derive(Debug)]
pub(crate) struct SysError {
    /// The error number, positive.
    pub(crate) errno: i32,
    call: &'static str,
    file: &'static str,
    line: u32,
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = std::io::Error::from_raw_os_error(self.errno);
        write!(f, "{}: {error} ({}:{})", self.call, self.file, self.line)
    }
}

/// The result of a call.
pub(crate) type SysResult = Result<i64, SysError>;

/// Makes the call with this number.
///
/// The kernel checks every address; a test that passes the address of memory it does not mean to change harms only the
/// forked child that it runs in. That is why this function is not marked unsafe.
pub(crate) fn call(
    nr: c_long,
    name: &'static str,
    file: &'static str,
    line: u32,
    args: &[usize],
) -> SysResult {
    let arg = |index: usize| args.get(index).copied().unwrap_or(0);
    // SAFETY: `syscall` passes six integers to the kernel; see the function's documentation for those that are addresses.
    let result = unsafe { libc::syscall(nr, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if result == -1 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        return Err(SysError {
            errno,
            call: name,
            file,
            line,
        });
    }
    Ok(result)
}

/// The failure of a call that was made otherwise.
pub(crate) fn failed(call: &'static str, errno: i32) -> SysResult {
    Err(SysError {
        errno,
        call,
        file: file!(),
        line: line!(),
    })
}

/// Makes a system call: `sys!(SYS_name, arguments…)`, a [`SysResult`].
macro_rules! sys {
    ($nr:ident $(, $arg:expr)* $(,)?) => {
        crate::sys::call(libc::$nr, stringify!($nr), file!(), line!(), &[$(crate::sys::Arg::raw($arg)),*])
    };
}

/// What can be an argument of a system call.
pub(crate) trait Arg {
    /// The register's value.
    fn raw(self) -> usize;
}

macro_rules! integer_args {
    ($($ty:ty),+) => {
        $(impl Arg for $ty {
            fn raw(self) -> usize {
                self as usize
            }
        })+
    };
}
integer_args!(i16, u16, i32, u32, i64, u64, isize, usize);

impl<T> Arg for *const T {
    fn raw(self) -> usize {
        self as usize
    }
}

impl<T> Arg for *mut T {
    fn raw(self) -> usize {
        self as usize
    }
}

impl<T: Plain> Arg for &T {
    fn raw(self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

impl<T: Plain> Arg for &mut T {
    fn raw(self) -> usize {
        std::ptr::from_mut(self) as usize
    }
}

impl<T: Plain> Arg for &[T] {
    fn raw(self) -> usize {
        self.as_ptr() as usize
    }
}

impl<T: Plain> Arg for &mut [T] {
    fn raw(self) -> usize {
        self.as_mut_ptr() as usize
    }
}

impl Arg for &CString {
    fn raw(self) -> usize {
        self.as_ptr() as usize
    }
}

impl Arg for &CStr {
    fn raw(self) -> usize {
        self.as_ptr() as usize
    }
}

/// Types whose memory the kernel may read and write: any bit pattern is a value.
///
/// # Safety
/// The type has no padding that matters, no reference and no invalid bit pattern.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($ty:ty),+ $(,)?) => {
        $(
            // SAFETY: a C structure of integers and raw pointers, or an integer.
            unsafe impl Plain for $ty {}
        )+
    };
}
plain!(i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);
plain!(
    libc::clone_args,
    libc::epoll_event,
    libc::flock,
    libc::iovec,
    libc::itimerspec,
    libc::itimerval,
    libc::mmsghdr,
    libc::msghdr,
    libc::pollfd,
    libc::rlimit,
    libc::rusage,
    libc::sched_param,
    libc::sigaction,
    libc::sigevent,
    libc::siginfo_t,
    libc::signalfd_siginfo,
    libc::sockaddr_un,
    libc::stack_t,
    libc::stat,
    libc::statfs,
    libc::statx,
    libc::sysinfo,
    libc::timespec,
    libc::timeval,
    libc::tms,
    libc::ucred,
    libc::utsname,
    libc::winsize,
    libc::termios,
);

// SAFETY: an array of plain values has no padding of its own.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// A value of zero bytes.
pub(crate) fn zeroed<T: Plain>() -> T {
    // SAFETY: for a plain type zero bytes are a value.
    unsafe { std::mem::zeroed() }
}
