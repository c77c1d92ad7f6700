//! The calls of `man 2 ioctl_tty` that a terminal's user makes, on structures as the kernel has them.

#![expect(unsafe_code, reason = "ioctl has no safe form for these structures")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::{Errno, Result};

/// `struct termios` of the kernel: four flag words, the line discipline, 19 control characters.
pub type Termios = [u8; 36];
/// `struct winsize`: rows, columns, and both in pixels.
pub type WindowSize = [u8; 8];

/// How terminal attributes are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// TCSETS: at once.
    Now,
    /// TCSETSW: when all output is written.
    Drained,
    /// TCSETSF: likewise, and unread input is discarded.
    Flushed,
}

/// TCGETS
///
/// # Errors
/// ENOTTY if it is no terminal.
pub fn attributes(fd: BorrowedFd<'_>) -> Result<Termios> {
    let mut termios = [0; 36];
    // SAFETY: TCGETS writes a `struct termios` of 36 bytes, which is what the buffer has.
    let outcome = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCGETS, termios.as_mut_ptr()) };
    check(outcome).map(|_| termios)
}

/// TCSETS, TCSETSW, TCSETSF
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it hung up.
pub fn set_attributes(fd: BorrowedFd<'_>, termios: &Termios, when: When) -> Result<()> {
    let request = match when {
        When::Now => libc::TCSETS,
        When::Drained => libc::TCSETSW,
        When::Flushed => libc::TCSETSF,
    };
    // SAFETY: the requests read a `struct termios` of 36 bytes, which is what the buffer has.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, termios.as_ptr()) }).map(drop)
}

/// TIOCGWINSZ
///
/// # Errors
/// ENOTTY if it is no terminal.
pub fn window_size(fd: BorrowedFd<'_>) -> Result<WindowSize> {
    let mut size = [0; 8];
    // SAFETY: TIOCGWINSZ writes a `struct winsize` of 8 bytes, which is what the buffer has.
    let outcome = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) };
    check(outcome).map(|_| size)
}

/// TIOCSWINSZ
///
/// # Errors
/// ENOTTY if it is no terminal.
pub fn set_window_size(fd: BorrowedFd<'_>, size: WindowSize) -> Result<()> {
    // SAFETY: TIOCSWINSZ reads a `struct winsize` of 8 bytes, which is what the buffer has.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, size.as_ptr()) }).map(drop)
}

/// FIONREAD: bytes that can be read now.
///
/// # Errors
/// ENOTTY if the file does not say.
pub fn readable_bytes(fd: BorrowedFd<'_>) -> Result<i32> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes an `int`, which is what the variable is.
    let outcome = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    check(outcome).map(|_| count)
}

fn check(outcome: libc::c_int) -> Result<libc::c_int> {
    if outcome < 0 {
        let code = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw(code.unwrap_or(5)));
    }
    Ok(outcome)
}
