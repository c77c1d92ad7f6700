//! `fcntl(2)`: its argument and its result.

use crate::strace::decode::{file, signal};
use crate::strace::names;
use crate::strace::printer::{Printer, put};

/// The high half of an offset, which is nothing where registers have 64 bits.
pub(crate) fn high_half(_p: &mut Printer<'_>, _n: usize) {}

const F_SETSIG: u32 = 10;

/// The third argument of `fcntl(2)`, by command.
pub(crate) fn fcntl_argument(p: &mut Printer<'_>, n: usize) {
    match p.arg32(1) {
        // F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETLEASE, F_GETPIPE_SZ, F_GET_SEALS
        1 | 3 | 9 | 11 | 1025 | 1032 | 1034 => {}
        // F_SETFD
        2 => p.flags(&names::file::FD_FLAGS, p.arg(n)),
        // F_SETFL
        4 => file::print_open_flags(p, p.arg(n)),
        // F_GETLK, F_SETLK, F_SETLKW and those of open file descriptions
        5..=7 | 36..=38 => file::flock(p, p.address(n)),
        F_SETSIG => signal::print(p, p.arg(n)),
        // F_SETOWN_EX, F_GETOWN_EX
        15 | 16 => file::owner(p, p.address(n)),
        // F_SETLEASE
        1024 => p.one_of(&names::file::LEASE, p.arg(n)),
        // F_ADD_SEALS
        1033 => p.flags(&names::file::SEALS, p.arg(n)),
        // F_DUPFD, F_SETOWN, F_DUPFD_QUERY, F_DUPFD_CLOEXEC, F_SETPIPE_SZ
        0 | 8 | 1027 | 1030 | 1031 => p.int(p.arg32(n)),
        _ => p.pointer(p.arg(n)),
    }
}

/// What `fcntl(2)` returns, by command.
pub(crate) fn fcntl_result(p: &mut Printer<'_>, value: u64) {
    match p.arg32(1) {
        1 if value != 0 => {
            put!(p, "{value:#x} (flags ");
            p.flags(&names::file::FD_FLAGS, value);
            p.text(")");
        }
        3 => {
            put!(p, "{value:#x} (flags ");
            file::print_open_flags(p, value);
            p.text(")");
        }
        1034 if value != 0 => {
            put!(p, "{value:#x} (seals ");
            p.flags(&names::file::SEALS, value);
            p.text(")");
        }
        _ => put!(p, "{}", value.cast_signed()),
    }
}
