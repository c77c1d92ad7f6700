//! The cost of entering the kernel, and of a clock that should not need to.

#![expect(unsafe_code, reason = "system calls")]

use std::io;

use crate::rows::Place;

/// `getppid` as a raw system call, which no library can remember.
pub(crate) fn empty(place: &Place) -> io::Result<Vec<f64>> {
    place.timer.measure(getppid)
}

/// The call itself.
pub(crate) fn getppid() -> io::Result<()> {
    // SAFETY: the call takes no argument.
    let result = unsafe { libc::syscall(libc::SYS_getppid) };
    check(result).map(drop)
}

/// `clock_gettime(CLOCK_MONOTONIC)` as the C library makes it, through the vDSO if there is one.
pub(crate) fn clock_gettime(place: &Place) -> io::Result<Vec<f64>> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    place.timer.measure(|| {
        // SAFETY: the structure is ours to write.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        check(result.into()).map(drop)
    })
}

/// The result of a call, with `errno` if it is negative.
pub(crate) fn check(result: i64) -> io::Result<i64> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
