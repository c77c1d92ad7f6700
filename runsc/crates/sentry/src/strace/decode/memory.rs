//! Mappings: `mmap(2)`, `mremap(2)`.

use crate::strace::names;
use crate::strace::printer::Printer;

/// How a mapping is shared, and its other flags.
pub(crate) fn map_flags(p: &mut Printer<'_>, n: usize) {
    let flags = u64::from(p.arg32(n));
    p.one_of(&names::memory::MAP_TYPE, flags & 3);
    if flags & !3 != 0 {
        p.text("|");
        p.flags(&names::memory::MAP, flags & !3);
    }
}

pub(crate) fn hex_offset(p: &mut Printer<'_>, n: usize) {
    match p.arg(n) {
        0 => p.text("0"),
        offset => p.pointer(offset),
    }
}

/// The new address of `mremap(2)`: only if the flags before it ask for one.
pub(crate) fn new_address(p: &mut Printer<'_>, n: usize) {
    const MREMAP_FIXED: u32 = 2;
    const MREMAP_DONTUNMAP: u32 = 4;
    if p.arg32(n - 1) & (MREMAP_FIXED | MREMAP_DONTUNMAP) != 0 {
        p.pointer(p.arg(n));
    }
}
