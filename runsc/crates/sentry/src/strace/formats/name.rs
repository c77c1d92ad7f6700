//! Calls that take paths.

use abi::raw::general as nr;

use super::Arg::{
    After, Before, Buffer, Directory, Filled, Flags, Hex, In, Int, Mode, Out, Path, Pointer, Size,
    Text, Unsigned,
};
use super::{Ret, Row, returns, row};
use crate::strace::decode::{file, time};
use crate::strace::names::file as names;
use crate::strace::printer::{Printer, size};

pub(super) const ROWS: &[Row] = &[
    row(
        nr::__NR_open,
        &[Path, Before(open_flags), Before(open_mode)],
    ),
    row(
        nr::__NR_openat,
        &[Directory, Path, Before(open_flags), Before(open_mode)],
    ),
    row(
        nr::__NR_openat2,
        &[Directory, Path, In(file::open_how), Size],
    ),
    row(nr::__NR_creat, &[Path, Mode]),
    row(nr::__NR_stat, &[Path, Out(file::stat)]),
    row(nr::__NR_lstat, &[Path, Out(file::stat)]),
    row(
        nr::__NR_newfstatat,
        &[Directory, Path, Out(file::stat), Flags(&names::AT)],
    ),
    row(
        nr::__NR_statx,
        &[
            Directory,
            Path,
            Flags(&names::AT_STATX),
            Flags(&names::STATX),
            Out(file::statx),
        ],
    ),
    row(nr::__NR_statfs, &[Path, Out(file::statfs)]),
    row(nr::__NR_access, &[Path, Flags(&names::ACCESS)]),
    row(
        nr::__NR_faccessat,
        &[Directory, Path, Flags(&names::ACCESS)],
    ),
    row(
        nr::__NR_faccessat2,
        &[
            Directory,
            Path,
            Flags(&names::ACCESS),
            Flags(&names::AT_ACCESS),
        ],
    ),
    row(nr::__NR_chmod, &[Path, Mode]),
    row(nr::__NR_fchmodat, &[Directory, Path, Mode]),
    row(
        nr::__NR_fchmodat2,
        &[Directory, Path, Mode, Flags(&names::AT)],
    ),
    row(nr::__NR_chown, &[Path, Int, Int]),
    row(nr::__NR_lchown, &[Path, Int, Int]),
    row(
        nr::__NR_fchownat,
        &[Directory, Path, Int, Int, Flags(&names::AT)],
    ),
    row(nr::__NR_utime, &[Path, In(time::utimbuf)]),
    row(nr::__NR_utimes, &[Path, In(time::two_timevals)]),
    row(
        nr::__NR_futimesat,
        &[Directory, Path, In(time::two_timevals)],
    ),
    row(
        nr::__NR_utimensat,
        &[Directory, Path, In(time::file_times), Flags(&names::AT)],
    ),
    row(nr::__NR_mkdir, &[Path, Mode]),
    row(nr::__NR_mkdirat, &[Directory, Path, Mode]),
    row(nr::__NR_rmdir, &[Path]),
    row(nr::__NR_chdir, &[Path]),
    row(nr::__NR_chroot, &[Path]),
    row(nr::__NR_getcwd, &[After(returned_string), Size]),
    row(nr::__NR_link, &[Path, Path]),
    row(
        nr::__NR_linkat,
        &[Directory, Path, Directory, Path, Flags(&names::AT)],
    ),
    row(nr::__NR_unlink, &[Path]),
    row(nr::__NR_unlinkat, &[Directory, Path, Flags(&names::AT)]),
    row(nr::__NR_symlink, &[Path, Path]),
    row(nr::__NR_symlinkat, &[Path, Directory, Path]),
    row(nr::__NR_readlink, &[Path, Filled, Size]),
    row(nr::__NR_readlinkat, &[Directory, Path, Filled, Size]),
    row(nr::__NR_rename, &[Path, Path]),
    row(nr::__NR_renameat, &[Directory, Path, Directory, Path]),
    row(
        nr::__NR_renameat2,
        &[Directory, Path, Directory, Path, Flags(&names::RENAME)],
    ),
    row(nr::__NR_mknod, &[Path, Before(node_mode), Before(device)]),
    row(
        nr::__NR_mknodat,
        &[Directory, Path, Before(node_mode), Before(device)],
    ),
    row(nr::__NR_truncate, &[Path, Size]),
    row(
        nr::__NR_inotify_add_watch,
        &[Int, Path, Flags(&names::INOTIFY)],
    ),
    row(nr::__NR_memfd_create, &[Text, Flags(&names::MEMFD)]),
    row(nr::__NR_getxattr, &[Path, Text, Filled, Size]),
    row(nr::__NR_lgetxattr, &[Path, Text, Filled, Size]),
    row(nr::__NR_fgetxattr, &[Int, Text, Filled, Size]),
    row(
        nr::__NR_setxattr,
        &[Path, Text, Buffer(3), Size, Flags(&names::XATTR)],
    ),
    row(
        nr::__NR_lsetxattr,
        &[Path, Text, Buffer(3), Size, Flags(&names::XATTR)],
    ),
    row(
        nr::__NR_fsetxattr,
        &[Int, Text, Buffer(3), Size, Flags(&names::XATTR)],
    ),
    row(nr::__NR_listxattr, &[Path, Filled, Size]),
    row(nr::__NR_llistxattr, &[Path, Filled, Size]),
    row(nr::__NR_flistxattr, &[Int, Filled, Size]),
    row(nr::__NR_removexattr, &[Path, Text]),
    row(nr::__NR_lremovexattr, &[Path, Text]),
    row(nr::__NR_fremovexattr, &[Int, Text]),
    row(nr::__NR_swapon, &[Path, Unsigned]),
    row(nr::__NR_swapoff, &[Path]),
    row(nr::__NR_umount2, &[Path, Unsigned]),
    row(nr::__NR_mount, &[Path, Path, Text, Hex, Pointer]),
    row(nr::__NR_pivot_root, &[Path, Path]),
    returns(nr::__NR_umask, &[Mode], Ret::Octal),
    row(nr::__NR_acct, &[Path]),
];

fn open_flags(p: &mut Printer<'_>, n: usize) {
    file::print_open_flags(p, u64::from(p.arg32(n)));
}

/// The mode of a new file: only if the flags before it make one.
fn open_mode(p: &mut Printer<'_>, n: usize) {
    const O_CREAT: u32 = 0o100;
    const O_TMPFILE: u32 = 0o20_200_000;
    let flags = p.arg32(n - 1);
    if flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE {
        p.mode(u64::from(p.arg32(n)));
    }
}

fn node_mode(p: &mut Printer<'_>, n: usize) {
    file::print_mode(p, p.arg32(n));
}

/// The device of a device file.
fn device(p: &mut Printer<'_>, n: usize) {
    let kind = p.arg32(n - 1) & 0o170_000;
    if kind == 0o20000 || kind == 0o60000 {
        file::print_device(p, p.arg(n));
    }
}

/// A string whose length with its NUL the call returns.
fn returned_string(p: &mut Printer<'_>, n: usize) {
    match p.result() {
        Some(len) => p.buffer(p.address(n), size(len.saturating_sub(1))),
        None => p.pointer(p.arg(n)),
    }
}
