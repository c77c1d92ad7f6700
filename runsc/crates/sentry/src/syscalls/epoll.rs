//! `man 7 epoll`: `epoll_create`, `epoll_ctl`, `epoll_wait` and their variants.

use std::sync::Arc;

use abi::Errno;
use abi::poll::EpollEvent;
use abi::raw::general as nr;
use abi::time::Timespec;

use super::{install, timeout};
use crate::error::{Result, SyscallResult};
use crate::fs::anon::Anonymous;
use crate::kernel::task::Task;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::time::Deadline;
use crate::vfs::epoll::{self, Epoll};
use crate::vfs::file::{OpenFile, OpenFlags};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_epoll_create, "epoll_create", epoll_create),
    Call::full(nr::__NR_epoll_create1, "epoll_create1", epoll_create1),
    Call::full(nr::__NR_epoll_ctl, "epoll_ctl", epoll_ctl),
    Call::full(nr::__NR_epoll_wait, "epoll_wait", epoll_wait),
    Call::full(nr::__NR_epoll_pwait, "epoll_pwait", epoll_pwait),
    Call::full(nr::__NR_epoll_pwait2, "epoll_pwait2", epoll_pwait2),
];

/// More events than this can't be asked for.
const MAX_EVENTS: usize = i32::MAX as usize / size_of::<EpollEvent>();

/// Watches of a user, as shown in `/proc/sys`.
const MAX_WATCHES: &str = "fs/epoll/max_user_watches";

fn epoll_create(task: &Task, args: &SyscallArgs) -> SyscallResult {
    if args.i32(0) <= 0 {
        return Err(Errno::EINVAL.into());
    }
    create(task, OpenFlags::empty())
}

fn epoll_create1(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.open_flags(0);
    if !OpenFlags::CLOEXEC.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    create(task, flags)
}

fn create(task: &Task, flags: OpenFlags) -> SyscallResult {
    let what = Anonymous::Inode("[eventpoll]");
    let user_watches = task.kernel().epoll_watches.of(task.credentials().uid);
    install::anonymous(
        task,
        what,
        Epoll::new(user_watches),
        flags | OpenFlags::RDWR,
    )
}

fn epoll_ctl(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (operation, fd) = (args.i32(1), args.i32(2));
    let event: UserPtr<EpollEvent> = args.ptr(3);
    let deletes = operation == nr::EPOLL_CTL_DEL.cast_signed();
    let event = if deletes {
        None
    } else {
        Some(event.read(&task.mm())?)
    };
    let files = task.files();
    let open = files.get(args.i32(0))?;
    let target = files.get(fd)?;
    if target.file().wait_queue().is_none() {
        return Err(Errno::EPERM.into());
    }
    let epoll = of(&open)?;
    if Arc::ptr_eq(&open, &target) {
        return Err(Errno::EINVAL.into());
    }
    let graph = &task.kernel().vfs.epolls;
    match (operation.cast_unsigned(), event) {
        (nr::EPOLL_CTL_ADD, Some(event)) => {
            let most = task.kernel().sysctl.number(MAX_WATCHES);
            epoll.add(graph, most, &target, fd, event.events, event.data)?;
        }
        (nr::EPOLL_CTL_MOD, Some(event)) => epoll.modify(&target, fd, event.events, event.data)?,
        (nr::EPOLL_CTL_DEL, _) => epoll.remove(&target, fd)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

fn of(open: &OpenFile) -> Result<&Epoll> {
    epoll::of(open).ok_or(Errno::EINVAL)
}

fn epoll_wait(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let deadline = timeout::after_millis(task, args.i32(3));
    wait(task, args, deadline)
}

fn epoll_pwait(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let mask = timeout::read_mask(task, args.usize(4), args.usize(5))?;
    let deadline = timeout::after_millis(task, args.i32(3));
    task.with_signal_mask(mask, || wait(task, args, deadline))
}

fn epoll_pwait2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let time: UserPtr<Timespec> = args.ptr(3);
    let deadline = timeout::read(task, time)?;
    let mask = timeout::read_mask(task, args.usize(4), args.usize(5))?;
    task.with_signal_mask(mask, || wait(task, args, deadline))
}

fn wait(task: &Task, args: &SyscallArgs, deadline: Option<Deadline>) -> SyscallResult {
    let address = args.usize(1);
    let max = usize::try_from(args.i32(2)).map_err(|_| Errno::EINVAL)?;
    if max == 0 || max > MAX_EVENTS {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(args.i32(0))?;
    let ready = of(&open)?.wait(task, max, deadline)?;
    let events: Vec<EpollEvent> = ready
        .iter()
        .map(|ready| EpollEvent {
            events: ready.events.bits(),
            data: ready.data,
        })
        .collect();
    if !events.is_empty() {
        task.mm()
            .write_bytes(address, zerocopy::IntoBytes::as_bytes(events.as_slice()))?;
    }
    Ok(events.len() as u64)
}
