//! Calls about memory.

use abi::raw::general as nr;

use super::Arg::{Before, Buffer, Flags, Hex, Int, OneOf, Out, Pointer, Size, Unsigned};
use super::{Ret, Row, returns, row};
use crate::strace::decode::{file, id};
use crate::strace::names::memory as names;
use crate::strace::printer::Printer;

pub(super) const ROWS: &[Row] = &[
    returns(
        nr::__NR_mmap,
        &[
            Pointer,
            Size,
            Flags(&names::PROT),
            Before(map_flags),
            Int,
            Before(hex_offset),
        ],
        Ret::Hex,
    ),
    row(nr::__NR_munmap, &[Pointer, Size]),
    row(nr::__NR_mprotect, &[Pointer, Size, Flags(&names::PROT)]),
    returns(
        nr::__NR_mremap,
        &[
            Pointer,
            Size,
            Size,
            Flags(&names::MREMAP),
            Before(new_address),
        ],
        Ret::Hex,
    ),
    returns(nr::__NR_brk, &[Pointer], Ret::Hex),
    row(nr::__NR_madvise, &[Pointer, Size, OneOf(&names::MADVISE)]),
    row(
        nr::__NR_process_madvise,
        &[
            Int,
            Before(file::ranges),
            Size,
            OneOf(&names::MADVISE),
            Unsigned,
        ],
    ),
    row(nr::__NR_msync, &[Pointer, Size, Flags(&names::MSYNC)]),
    row(nr::__NR_mincore, &[Pointer, Size, Pointer]),
    row(nr::__NR_mlock, &[Pointer, Size]),
    row(nr::__NR_mlock2, &[Pointer, Size, Flags(&names::MLOCK)]),
    row(nr::__NR_munlock, &[Pointer, Size]),
    row(nr::__NR_mlockall, &[Flags(&names::MLOCKALL)]),
    row(nr::__NR_munlockall, &[]),
    row(
        nr::__NR_mbind,
        &[
            Pointer,
            Size,
            OneOf(&names::POLICY),
            Pointer,
            Size,
            Flags(&names::POLICY_MOVE),
        ],
    ),
    row(
        nr::__NR_set_mempolicy,
        &[OneOf(&names::POLICY), Pointer, Size],
    ),
    row(
        nr::__NR_get_mempolicy,
        &[
            Out(id::int),
            Pointer,
            Size,
            Pointer,
            Flags(&names::POLICY_GET),
        ],
    ),
    row(
        nr::__NR_pkey_mprotect,
        &[Pointer, Size, Flags(&names::PROT), Int],
    ),
    row(nr::__NR_pkey_alloc, &[Hex, Flags(&names::PKEY_ACCESS)]),
    row(nr::__NR_pkey_free, &[Int]),
    row(
        nr::__NR_process_vm_readv,
        &[
            Int,
            Before(file::ranges),
            Size,
            Before(file::ranges),
            Size,
            Unsigned,
        ],
    ),
    row(
        nr::__NR_process_vm_writev,
        &[
            Int,
            Before(file::vector_in),
            Size,
            Before(file::ranges),
            Size,
            Unsigned,
        ],
    ),
    row(nr::__NR_remap_file_pages, &[Pointer, Size, Hex, Size, Hex]),
    row(nr::__NR_modify_ldt, &[Int, Buffer(2), Size]),
];

/// How a mapping is shared, and its other flags.
fn map_flags(p: &mut Printer<'_>, n: usize) {
    let flags = u64::from(p.arg32(n));
    p.one_of(&names::MAP_TYPE, flags & 3);
    if flags & !3 != 0 {
        p.text("|");
        p.flags(&names::MAP, flags & !3);
    }
}

fn hex_offset(p: &mut Printer<'_>, n: usize) {
    match p.arg(n) {
        0 => p.text("0"),
        offset => p.pointer(offset),
    }
}

/// The new address of `mremap(2)`: only if the flags before it ask for one.
fn new_address(p: &mut Printer<'_>, n: usize) {
    const MREMAP_FIXED: u32 = 2;
    const MREMAP_DONTUNMAP: u32 = 4;
    if p.arg32(n - 1) & (MREMAP_FIXED | MREMAP_DONTUNMAP) != 0 {
        p.pointer(p.arg(n));
    }
}
