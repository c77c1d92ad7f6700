//! `man 7 inotify`: `inotify_init`, `inotify_add_watch`, `inotify_rm_watch`.

use abi::Errno;

use super::install;
use crate::error::{Result, SyscallResult};
use crate::fs::anon::Anonymous;
use crate::fs::inotify::{ALL_EVENTS, Inotify, WatchFlags};
use crate::kernel::task::Task;
use crate::syscalls::args::{Fd, UserPath};
use crate::syscalls::declare::calls;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::notify;
use crate::vfs::permission;
use crate::vfs::walk::{self, WalkFlags};

const INSIDE_ONLY: &str = "only what the application does is seen; IN_DELETE_SELF comes with the last \
                           name, though the file may still be open";

calls! {
    253 inotify_init() => full ["forms::old_calls_make_descriptors"];
    294 inotify_init1(flags: OpenFlags as Flags(file::INOTIFY_INIT))
        => full ["eventfd::inotify_errors", "user_limits::inotify_instances_are_counted_by_user"];
    254 inotify_add_watch(fd: Fd, path: UserPath, bits: u32 as Flags(file::INOTIFY))
        => partial(INSIDE_ONLY) ["eventfd::inotify_errors", "eventfd::inotify_reports_changes"];
    255 inotify_rm_watch(fd: Fd, watch: i32)
        => full ["eventfd::inotify_errors", "eventfd::inotify_reports_changes"];
}

fn inotify_init(task: &Task) -> SyscallResult {
    open(task, OpenFlags::empty())
}

fn inotify_init1(task: &Task, flags: OpenFlags) -> SyscallResult {
    open(task, flags)
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

fn inotify_add_watch(task: &Task, fd: Fd, path: UserPath, bits: u32) -> SyscallResult {
    let flags = WatchFlags::from_bits_truncate(bits);
    if bits & ALL_EVENTS == 0 || flags.contains(WatchFlags::MASK_ADD | WatchFlags::MASK_CREATE) {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(fd)?;
    let inotify = of(&open)?;
    let path = path.read(task)?;
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

fn inotify_rm_watch(task: &Task, fd: Fd, watch: i32) -> SyscallResult {
    let open = task.files().get(fd)?;
    of(&open)?.remove(watch)?;
    Ok(0)
}
