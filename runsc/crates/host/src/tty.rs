//! A terminal's settings in the form that the guest's own `ioctl` passes them (`man 2 ioctl_tty`).

#![expect(
    unsafe_code,
    reason = "TCGETS and TCSETS with the kernel's struct termios have no safe form"
)]

use std::os::fd::{AsFd, AsRawFd};

use crate::{Errno, Result};

/// Bytes of the kernel's `struct termios` (`asm-generic/termbits.h`).
pub const TERMIOS_BYTES: usize = 36;

/// When new settings take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `TCSETS`
    Now,
    /// `TCSETSW`
    Drained,
    /// `TCSETSF`
    Flushed,
}

/// Reads the settings.
///
/// # Errors
/// `ENOTTY`.
pub fn termios(terminal: impl AsFd) -> Result<[u8; TERMIOS_BYTES]> {
    let mut settings = [0u8; TERMIOS_BYTES];
    // SAFETY: TCGETS writes one struct termios, of which `settings` has the size; it is bytes.
    let result = unsafe {
        libc::ioctl(
            terminal.as_fd().as_raw_fd(),
            libc::TCGETS,
            settings.as_mut_ptr(),
        )
    };
    check(result).map(|()| settings)
}

/// Changes the settings.
///
/// # Errors
/// `ENOTTY`; `EIO` from a background process.
pub fn set_termios(terminal: impl AsFd, when: When, settings: &[u8; TERMIOS_BYTES]) -> Result<()> {
    let command = match when {
        When::Now => libc::TCSETS,
        When::Drained => libc::TCSETSW,
        When::Flushed => libc::TCSETSF,
    };
    // SAFETY: these read one struct termios, of which `settings` has the size.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), command, settings.as_ptr()) })
}

fn check(result: i32) -> Result<()> {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)));
    }
    Ok(())
}
