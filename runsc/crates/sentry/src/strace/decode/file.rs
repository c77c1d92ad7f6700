//! Files: `struct stat` and the like, buffers, directory entries.

use abi::fs::{Flock, OpenHow, OwnerEx, Stat, StatFs, Statx};

use crate::strace::names;
use crate::strace::printer::{Printer, put, size};

/// Type and permissions: `S_IFREG|0644`.
pub(crate) fn print_mode(p: &mut Printer<'_>, mode: u32) {
    let kind = u64::from(mode & 0o170_000);
    if kind != 0 {
        p.one_of(&names::file::FILE_TYPE, kind);
        p.text("|");
    }
    let (bits, _) = names::file::MODE_BITS.split(u64::from(mode));
    for bit in bits {
        p.text(bit);
        p.text("|");
    }
    p.mode(u64::from(mode & 0o777));
}

/// Flags of `open(2)`.
pub(crate) fn print_open_flags(p: &mut Printer<'_>, flags: u64) {
    p.one_of(&names::file::ACCESS_MODE, flags & 3);
    if flags & !3 != 0 {
        p.text("|");
        p.flags(&names::file::OPEN, flags & !3);
    }
}

/// A device number: `makedev(0xfe, 0)`.
pub(crate) fn print_device(p: &mut Printer<'_>, device: u64) {
    let major = (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    p.text("makedev(");
    p.hex(major);
    p.text(", ");
    p.hex(minor);
    p.text(")");
}

/// All of `struct stat` but the times that change without a change of the file.
pub(crate) fn stat(p: &mut Printer<'_>, address: usize) {
    let Some(stat) = p.value::<Stat>(address) else {
        return;
    };
    p.text("{st_dev=");
    print_device(p, stat.dev);
    put!(p, ", st_ino={}, st_mode=", stat.ino);
    print_mode(p, stat.mode);
    put!(
        p,
        ", st_nlink={}, st_uid={}, st_gid={}, st_blksize={}, st_blocks={}",
        stat.nlink,
        stat.uid,
        stat.gid,
        stat.blksize,
        stat.blocks
    );
    if is_device(stat.mode) {
        p.text(", st_rdev=");
        print_device(p, stat.rdev);
    } else {
        put!(p, ", st_size={}", stat.size);
    }
    put!(
        p,
        ", st_mtime={}, st_mtime_nsec={}, ...}}",
        stat.mtime,
        stat.mtime_nsec
    );
}

/// Whether a mode is that of a device file.
fn is_device(mode: u32) -> bool {
    matches!(mode & 0o170_000, 0o20000 | 0o60000)
}

/// All of `struct statx` but the times that change without a change of the file.
pub(crate) fn statx(p: &mut Printer<'_>, address: usize) {
    let Some(stat) = p.value::<Statx>(address) else {
        return;
    };
    p.text("{stx_mask=");
    p.flags(&names::file::STATX, u64::from(stat.mask));
    put!(p, ", stx_blksize={}, stx_attributes=", stat.blksize);
    p.flags(&names::file::STATX_ATTR, stat.attributes);
    put!(
        p,
        ", stx_nlink={}, stx_uid={}, stx_gid={}, stx_mode=",
        stat.nlink,
        stat.uid,
        stat.gid
    );
    print_mode(p, u32::from(stat.mode));
    put!(
        p,
        ", stx_ino={}, stx_size={}, stx_blocks={}, stx_mtime={{tv_sec={}, tv_nsec={}}}, \
         stx_rdev_major={}, stx_rdev_minor={}, stx_dev_major={}, stx_dev_minor={}, ...}}",
        stat.ino,
        stat.size,
        stat.blocks,
        stat.mtime.sec,
        stat.mtime.nsec,
        stat.rdev_major,
        stat.rdev_minor,
        stat.dev_major,
        stat.dev_minor
    );
}

pub(crate) fn statfs(p: &mut Printer<'_>, address: usize) {
    if let Some(fs) = p.value::<StatFs>(address) {
        p.text("{f_type=");
        p.one_of(&names::file::FILE_SYSTEM, fs.magic);
        put!(
            p,
            ", f_bsize={}, f_blocks={}, f_bfree={}, f_bavail={}, f_files={}, f_ffree={}, \
             f_fsid={{val=[{:#x}, {:#x}]}}, f_namelen={}, f_frsize={}, f_flags=",
            fs.bsize,
            fs.blocks,
            fs.bfree,
            fs.bavail,
            fs.files,
            fs.ffree,
            fs.fsid & 0xffff_ffff,
            fs.fsid >> 32,
            fs.namelen,
            fs.frsize
        );
        p.flags(&names::file::STATFS, fs.flags);
        p.text("}");
    }
}

pub(crate) fn flock(p: &mut Printer<'_>, address: usize) {
    if let Some(lock) = p.value::<Flock>(address) {
        p.text("{l_type=");
        let short = |value: i16| u64::from(value.cast_unsigned());
        p.one_of(&names::file::LOCK_TYPE, short(lock.kind));
        p.text(", l_whence=");
        p.one_of(&names::file::WHENCE, short(lock.whence));
        put!(p, ", l_start={}, l_len={}", lock.start, lock.len);
        if p.result().is_some() {
            put!(p, ", l_pid={}", lock.pid);
        }
        p.text("}");
    }
}

pub(crate) fn owner(p: &mut Printer<'_>, address: usize) {
    if let Some(owner) = p.value::<OwnerEx>(address) {
        p.text("{type=");
        let kind = u64::from(owner.kind.cast_unsigned());
        p.one_of(&names::file::OWNER, kind);
        put!(p, ", pid={}}}", owner.pid);
    }
}

pub(crate) fn open_how(p: &mut Printer<'_>, address: usize) {
    if let Some(how) = p.value::<OpenHow>(address) {
        p.text("{flags=");
        print_open_flags(p, how.flags);
        if how.mode != 0 {
            put!(p, ", mode=0{:03o}", how.mode);
        }
        p.text(", resolve=");
        p.flags(&names::file::RESOLVE, how.resolve);
        p.text("}");
    }
}

/// The pieces of an iovec, of which `filled` bytes count.
pub(crate) fn print_vector(
    p: &mut Printer<'_>,
    address: usize,
    count: usize,
    filled: Option<usize>,
) {
    let mut left = filled.unwrap_or(usize::MAX);
    p.array(address, count.min(1024), |p, [base, len]: [u64; 2]| {
        let shown = size(len).min(left);
        left = left.saturating_sub(shown);
        p.text("{iov_base=");
        p.buffer(size(base), shown);
        put!(p, ", iov_len={len}}}");
    });
}

/// The pieces of `readv(2)`: arguments n and n + 1.
pub(crate) fn vector_out(p: &mut Printer<'_>, n: usize) {
    match p.result() {
        Some(filled) => print_vector(p, p.address(n), p.address(n + 1), Some(size(filled))),
        None => p.pointer(p.arg(n)),
    }
}

/// The pieces of `writev(2)`: arguments n and n + 1.
pub(crate) fn vector_in(p: &mut Printer<'_>, n: usize) {
    print_vector(p, p.address(n), p.address(n + 1), None);
}

/// Pieces by address and length alone: arguments n and n + 1.
pub(crate) fn ranges(p: &mut Printer<'_>, n: usize) {
    let count = p.address(n + 1).min(1024);
    p.array(p.address(n), count, |p, [base, len]: [u64; 2]| {
        put!(p, "{{iov_base={base:#x}, iov_len={len}}}");
    });
}

pub(crate) fn open_flags(p: &mut Printer<'_>, n: usize) {
    print_open_flags(p, u64::from(p.arg32(n)));
}

/// The mode of a new file: only if the flags before it make one.
pub(crate) fn open_mode(p: &mut Printer<'_>, n: usize) {
    const O_CREAT: u32 = 0o100;
    const O_TMPFILE: u32 = 0o20_200_000;
    let flags = p.arg32(n - 1);
    if flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE {
        p.mode(u64::from(p.arg32(n)));
    }
}

pub(crate) fn node_mode(p: &mut Printer<'_>, n: usize) {
    print_mode(p, p.arg32(n));
}

/// The device of a device file.
pub(crate) fn device(p: &mut Printer<'_>, n: usize) {
    let kind = p.arg32(n - 1) & 0o170_000;
    if kind == 0o20000 || kind == 0o60000 {
        print_device(p, p.arg(n));
    }
}

/// A string whose length with its NUL the call returns.
pub(crate) fn returned_string(p: &mut Printer<'_>, n: usize) {
    match p.result() {
        Some(len) => p.buffer(p.address(n), size(len.saturating_sub(1))),
        None => p.pointer(p.arg(n)),
    }
}
