//! `open(2)`, `openat(2)`, `openat2(2)`, `creat(2)`.

use abi::Errno;
use abi::fs::OpenHow as UserHow;
use abi::raw::general as nr;

use super::at;
use crate::error::{Result, SyscallResult};
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::OpenFlags;
use crate::vfs::file_count;
use crate::vfs::open::{self, OpenHow};
use crate::vfs::walk::WalkFlags;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_open, "open", open_),
    Call::full(nr::__NR_openat, "openat", openat),
    Call::full(nr::__NR_openat2, "openat2", openat2),
    Call::full(nr::__NR_creat, "creat", creat),
];

fn open_(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let how = how(args.open_flags(1), args.u32(2));
    open_at(task, nr::AT_FDCWD, args.usize(0), &how)
}

fn creat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    open_at(task, nr::AT_FDCWD, args.usize(0), &how(flags, args.u32(1)))
}

fn openat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let how = how(args.open_flags(2), args.u32(3));
    open_at(task, args.i32(0), args.usize(1), &how)
}

fn openat2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let how = strict_how(&user_how(task, args.usize(2), args.usize(3))?)?;
    open_at(task, args.i32(0), args.usize(1), &how)
}

/// Unknown flags of the old calls are ignored (`man 2 open`).
fn how(flags: OpenFlags, mode: u32) -> OpenHow {
    OpenHow {
        // On 64-bit machines every file is opened as a large one.
        flags: OpenFlags::from_bits_truncate(flags.bits()) | OpenFlags::LARGEFILE,
        mode: mode & 0o7777,
        resolve: WalkFlags::empty(),
    }
}

/// `struct open_how` of any size that starts as ours does; E2BIG if more is set.
fn user_how(task: &Task, address: usize, size: usize) -> Result<UserHow> {
    const SIZE: usize = size_of::<UserHow>();
    if size < SIZE {
        return Err(Errno::EINVAL);
    }
    if size > abi::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mm = task.mm();
    let mut tail = vec![0; size - SIZE];
    let tail_at = address.checked_add(SIZE).ok_or(Errno::EFAULT)?;
    mm.read_bytes(tail_at, &mut tail)?;
    if tail.iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    mm.read_value(address)
}

fn strict_how(user: &UserHow) -> Result<OpenHow> {
    let flags = u32::try_from(user.flags)
        .ok()
        .and_then(OpenFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    let makes = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE_BIT);
    let mode = u32::try_from(user.mode).map_err(|_| Errno::EINVAL)?;
    if mode & !0o7777 != 0 || (mode != 0 && !makes) {
        return Err(Errno::EINVAL);
    }
    let with_path =
        OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    if flags.contains(OpenFlags::PATH) && !with_path.contains(flags) {
        return Err(Errno::EINVAL);
    }
    Ok(OpenHow {
        flags,
        mode,
        resolve: resolve_flags(user.resolve)?,
    })
}

fn resolve_flags(resolve: u64) -> Result<WalkFlags> {
    let table = [
        (nr::RESOLVE_NO_XDEV, WalkFlags::NO_XDEV),
        (nr::RESOLVE_NO_MAGICLINKS, WalkFlags::NO_MAGICLINKS),
        (
            nr::RESOLVE_NO_SYMLINKS,
            WalkFlags::NO_SYMLINKS.union(WalkFlags::NO_MAGICLINKS),
        ),
        (nr::RESOLVE_BENEATH, WalkFlags::BENEATH),
        (nr::RESOLVE_IN_ROOT, WalkFlags::IN_ROOT),
    ];
    let mut rest = resolve;
    let mut flags = WalkFlags::empty();
    for (bit, flag) in table {
        if resolve & u64::from(bit) != 0 {
            flags |= flag;
            rest &= !u64::from(bit);
        }
    }
    if rest & u64::from(nr::RESOLVE_CACHED) != 0 {
        // Nothing is promised to be cached: the caller tries again without it.
        return Err(Errno::EAGAIN);
    }
    if rest != 0 || flags.contains(WalkFlags::BENEATH | WalkFlags::IN_ROOT) {
        return Err(Errno::EINVAL);
    }
    Ok(flags)
}

fn open_at(task: &Task, dirfd: i32, address: usize, how: &OpenHow) -> SyscallResult {
    let text = at::path_text(task, address)?;
    let start = if how.resolve.contains(WalkFlags::IN_ROOT) {
        at::start(task, dirfd, b"")?
    } else {
        at::start(task, dirfd, &text)?
    };
    let limit = task.group().limits().get(Resource::OpenFiles).soft;
    let files = task.files();
    files.check_room(limit)?;
    file_count::check(task)?;
    let file = open::open(task, start.as_ref(), &text, how)?;
    file_count::count(task, &file)?;
    let descriptor = Descriptor {
        file,
        close_on_exec: how.flags.contains(OpenFlags::CLOEXEC),
    };
    let fd = files.insert(descriptor, 0, limit)?;
    Ok(u64::from(fd.unsigned_abs()))
}
