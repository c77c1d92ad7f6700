//! Calls that take descriptors of files.

use abi::raw::general as nr;

use super::Arg::{
    After, Before, Buffer, Directory, Filled, Flags, In, Int, Long, Mode, OneOf, Out, Pointer,
    Size, Unsigned,
};
use super::{Ret, Row, returns, row};
use crate::strace::decode::{directory, file, id, signal, terminal};
use crate::strace::names::file as names;
use crate::strace::names::terminal as terminal_names;
use crate::strace::printer::{Printer, put};

pub(super) const ROWS: &[Row] = &[
    row(nr::__NR_read, &[Int, Filled, Size]),
    row(nr::__NR_write, &[Int, Buffer(2), Size]),
    row(nr::__NR_pread64, &[Int, Filled, Size, Long]),
    row(nr::__NR_pwrite64, &[Int, Buffer(2), Size, Long]),
    row(nr::__NR_readv, &[Int, After(file::vector_out), Size]),
    row(nr::__NR_writev, &[Int, Before(file::vector_in), Size]),
    row(nr::__NR_preadv, &[Int, After(file::vector_out), Size, Long]),
    row(
        nr::__NR_pwritev,
        &[Int, Before(file::vector_in), Size, Long],
    ),
    row(
        nr::__NR_preadv2,
        &[
            Int,
            After(file::vector_out),
            Size,
            Long,
            Before(nothing),
            Flags(&names::RWF),
        ],
    ),
    row(
        nr::__NR_pwritev2,
        &[
            Int,
            Before(file::vector_in),
            Size,
            Long,
            Before(nothing),
            Flags(&names::RWF),
        ],
    ),
    row(nr::__NR_lseek, &[Int, Long, OneOf(&names::WHENCE)]),
    row(nr::__NR_close, &[Int]),
    row(
        nr::__NR_close_range,
        &[Unsigned, Unsigned, Flags(&names::CLOSE_RANGE)],
    ),
    row(nr::__NR_dup, &[Int]),
    row(nr::__NR_dup2, &[Int, Int]),
    row(nr::__NR_dup3, &[Int, Int, Flags(&names::OPEN)]),
    row(nr::__NR_fstat, &[Int, Out(file::stat)]),
    row(nr::__NR_fstatfs, &[Int, Out(file::statfs)]),
    row(nr::__NR_fchmod, &[Int, Mode]),
    row(nr::__NR_fchown, &[Int, Int, Int]),
    row(nr::__NR_fchdir, &[Int]),
    row(nr::__NR_getdents, &[Int, Pointer, Size]),
    row(nr::__NR_getdents64, &[Int, After(directory::entries), Size]),
    row(nr::__NR_ftruncate, &[Int, Long]),
    row(
        nr::__NR_fallocate,
        &[Int, Flags(&names::FALLOCATE), Long, Long],
    ),
    row(nr::__NR_fsync, &[Int]),
    row(nr::__NR_fdatasync, &[Int]),
    row(nr::__NR_syncfs, &[Int]),
    row(nr::__NR_sync, &[]),
    row(
        nr::__NR_sync_file_range,
        &[Int, Long, Long, Flags(&names::SYNC_RANGE)],
    ),
    row(
        nr::__NR_fadvise64,
        &[Int, Long, Size, OneOf(&names::FADVISE)],
    ),
    row(nr::__NR_readahead, &[Int, Long, Size]),
    row(nr::__NR_flock, &[Int, Flags(&names::FLOCK)]),
    returns(
        nr::__NR_fcntl,
        &[Int, OneOf(&names::FCNTL), After(fcntl_argument)],
        Ret::Print(fcntl_result),
    ),
    row(
        nr::__NR_ioctl,
        &[
            Int,
            OneOf(&terminal_names::IOCTL),
            After(terminal::argument),
        ],
    ),
    row(nr::__NR_pipe, &[Out(id::pair)]),
    row(nr::__NR_pipe2, &[Out(id::pair), Flags(&names::OPEN)]),
    row(nr::__NR_sendfile, &[Int, Int, In(id::long), Size]),
    row(
        nr::__NR_copy_file_range,
        &[Int, In(id::long), Int, In(id::long), Size, Unsigned],
    ),
    row(
        nr::__NR_splice,
        &[Int, In(id::long), Int, In(id::long), Size, Unsigned],
    ),
    row(nr::__NR_tee, &[Int, Int, Size, Unsigned]),
    row(nr::__NR_vmsplice, &[Int, Pointer, Size, Unsigned]),
    row(nr::__NR_open_by_handle_at, &[Int, Pointer, Unsigned]),
    row(
        nr::__NR_name_to_handle_at,
        &[Directory, super::Arg::Path, Pointer, Pointer, Unsigned],
    ),
];

/// The high half of an offset, which is nothing where registers have 64 bits.
fn nothing(_p: &mut Printer<'_>, _n: usize) {}

const F_SETSIG: u32 = 10;

/// The third argument of `fcntl(2)`, by command.
fn fcntl_argument(p: &mut Printer<'_>, n: usize) {
    match p.arg32(1) {
        // F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETLEASE, F_GETPIPE_SZ, F_GET_SEALS
        1 | 3 | 9 | 11 | 1025 | 1032 | 1034 => {}
        // F_SETFD
        2 => p.flags(&names::FD_FLAGS, p.arg(n)),
        // F_SETFL
        4 => file::print_open_flags(p, p.arg(n)),
        // F_GETLK, F_SETLK, F_SETLKW and those of open file descriptions
        5..=7 | 36..=38 => file::flock(p, p.address(n)),
        F_SETSIG => signal::print(p, p.arg(n)),
        // F_SETOWN_EX, F_GETOWN_EX
        15 | 16 => file::owner(p, p.address(n)),
        // F_SETLEASE
        1024 => p.one_of(&names::LEASE, p.arg(n)),
        // F_ADD_SEALS
        1033 => p.flags(&names::SEALS, p.arg(n)),
        // F_DUPFD, F_SETOWN, F_DUPFD_QUERY, F_DUPFD_CLOEXEC, F_SETPIPE_SZ
        0 | 8 | 1027 | 1030 | 1031 => p.int(p.arg32(n)),
        _ => p.pointer(p.arg(n)),
    }
}

/// What `fcntl(2)` returns, by command.
fn fcntl_result(p: &mut Printer<'_>, value: u64) {
    match p.arg32(1) {
        1 if value != 0 => {
            put!(p, "{value:#x} (flags ");
            p.flags(&names::FD_FLAGS, value);
            p.text(")");
        }
        3 => {
            put!(p, "{value:#x} (flags ");
            file::print_open_flags(p, value);
            p.text(")");
        }
        1034 if value != 0 => {
            put!(p, "{value:#x} (seals ");
            p.flags(&names::SEALS, value);
            p.text(")");
        }
        _ => put!(p, "{}", value.cast_signed()),
    }
}
