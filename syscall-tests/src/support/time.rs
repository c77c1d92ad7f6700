//! Clocks and sleeping.

use crate::sys::{self, SysResult};

/// One millisecond, in nanoseconds.
pub(crate) const MS: i64 = 1_000_000;

/// How late a host whose processors are all busy may let a program go on, in nanoseconds: no test asserts less.
pub(crate) const LATE: i64 = 5000 * MS;

/// A duration as the kernel takes it.
pub(crate) fn timespec(nanoseconds: i64) -> libc::timespec {
    libc::timespec {
        tv_sec: nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000,
    }
}

/// Nanoseconds in a timespec.
pub(crate) fn nanoseconds(time: &libc::timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// A clock's time in nanoseconds, by system call; 0 if the clock does not exist.
pub(crate) fn clock_ns(clock: i32) -> i64 {
    let mut now = sys::zeroed::<libc::timespec>();
    match sys!(SYS_clock_gettime, clock, &mut now) {
        Ok(_) => nanoseconds(&now),
        Err(_) => 0,
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub(crate) fn monotonic_ns() -> i64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Sleeps once; EINTR is reported.
pub(crate) fn nanosleep(nanoseconds: i64) -> SysResult {
    sys!(SYS_nanosleep, &timespec(nanoseconds), 0)
}

/// Sleeps so many milliseconds, through signals too.
pub(crate) fn sleep_ms(milliseconds: i64) {
    let end = monotonic_ns() + milliseconds * MS;
    loop {
        let left = end - monotonic_ns();
        if left <= 0 {
            return;
        }
        // An interrupted sleep goes on with what is left.
        let _ = nanosleep(left);
    }
}

/// Polls a condition every millisecond, five seconds at most; whether it came true.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let end = monotonic_ns() + 5000 * MS;
    while !condition() {
        if monotonic_ns() > end {
            return false;
        }
        sleep_ms(1);
    }
    true
}
