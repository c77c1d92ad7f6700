//! `man 7 inotify`: `inotify_init`, `inotify_add_watch`, `inotify_rm_watch`.

use abi::Errno;
use abi::raw::general as nr;

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::anon::Anonymous;
use crate::fs::inotify::{ALL_EVENTS, Inotify, WatchFlags};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::notify;
use crate::vfs::permission;
use crate::vfs::walk::{self, WalkFlags};

const INSIDE_ONLY: &str = "only what the application does is seen; IN_DELETE_SELF comes with the last \
                           name, though the file may still be open";

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_inotify_init, "inotify_init", inotify_init),
    Call::full(nr::__NR_inotify_init1, "inotify_init1", inotify_init1),
    Call::partial(
        nr::__NR_inotify_add_watch,
        "inotify_add_watch",
        inotify_add_watch,
        INSIDE_ONLY,
    ),
    Call::full(
        nr::__NR_inotify_rm_watch,
        "inotify_rm_watch",
        inotify_rm_watch,
    ),
];

fn inotify_init(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    open(task, OpenFlags::empty())
}

fn inotify_init1(task: &Task, args: &SyscallArgs) -> SyscallResult {
    open(task, args.open_flags(0))
}

fn open(task: &Task, flags: OpenFlags) -> SyscallResult {
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    install::anonymous(
        task,
        Anonymous::Inode("inotify"),
        Inotify::new(task)?,
        flags,
    )
}

fn of(open: &OpenFile) -> Result<&Inotify> {
    open.file_as::<Inotify>().ok_or(Errno::EINVAL)
}

fn inotify_add_watch(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let bits = args.u32(2);
    let flags = WatchFlags::from_bits_truncate(bits);
    if bits & ALL_EVENTS == 0 || flags.contains(WatchFlags::MASK_ADD | WatchFlags::MASK_CREATE) {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(args.i32(0))?;
    let inotify = of(&open)?;
    let path = task.mm().read_string(args.usize(1), walk::PATH_MAX)?;
    let mut how = WalkFlags::empty();
    how.set(WalkFlags::FOLLOW, !flags.contains(WatchFlags::DONT_FOLLOW));
    let place = walk::resolve(task, None, &path, how)?;
    let inode = place.inode();
    if flags.contains(WatchFlags::ONLYDIR) {
        notify::check_directory(inode)?;
    }
    permission::check(&task.credentials(), &inode.attr()?, permission::READ)?;
    let number = inotify.add(task, inode, bits, flags)?;
    Ok(u64::from(number.unsigned_abs()))
}

fn inotify_rm_watch(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let open = task.files().get(args.i32(0))?;
    of(&open)?.remove(args.i32(1))?;
    Ok(0)
}
