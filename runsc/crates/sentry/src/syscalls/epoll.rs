//! `man 7 epoll`: `epoll_create`, `epoll_ctl`, `epoll_wait` and their variants.

use std::sync::Arc;

use abi::Errno;
use abi::poll::EpollEvent;
use abi::raw::general as nr;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;

use super::{install, timeout};
use crate::error::{Result, SyscallResult};
use crate::fs::anon::Anonymous;
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::vfs::epoll::{self, Epoll};
use crate::vfs::file::{OpenFile, OpenFlags};

calls! {
    213 epoll_create(size: i32) => full ["poll::epoll_control_errors"];
    291 epoll_create1(flags: OpenFlags as Flags(file::EPOLL_CREATE))
        => full ["poll::epoll_control_errors", "eintr::epoll_wait_continues_not_after_stop"];
    233 epoll_ctl(
        epfd: Fd,
        operation: i32 as OneOf(file::EPOLL_CTL),
        fd: Fd,
        event: UserPtr<EpollEvent> as In(event::epoll_event),
    )
        => full ["poll::epoll_control_errors"];
    232 epoll_wait(epfd: Fd, events: UserPtr<EpollEvent> as After(event::epoll_events), max: i32, timeout_ms: i32)
        => full ["poll::epoll_wait_errors", "eintr::epoll_wait_continues_not_after_stop"];
    281 epoll_pwait(
        epfd: Fd,
        events: UserPtr<EpollEvent> as After(event::epoll_events),
        max: i32,
        timeout_ms: i32,
        mask: UserPtr<u64> as In(signal::set),
        mask_size: usize,
    )
        => full ["poll::epoll_pwait_swaps_the_mask"];
    441 epoll_pwait2(
        epfd: Fd,
        events: UserPtr<EpollEvent> as After(event::epoll_events),
        max: i32,
        time: UserPtr<Timespec> as In(time::timespec),
        mask: UserPtr<u64> as In(signal::set),
        mask_size: usize,
    )
        => full ["poll::epoll_pwait2_has_nanoseconds"];
}

/// More events than this can't be asked for.
const MAX_EVENTS: usize = i32::MAX as usize / size_of::<EpollEvent>();

/// Watches of a user, as shown in `/proc/sys`.
const MAX_WATCHES: &str = "fs/epoll/max_user_watches";

fn epoll_create(task: &Task, size: i32) -> SyscallResult {
    if size <= 0 {
        return Err(Errno::EINVAL.into());
    }
    create(task, OpenFlags::empty())
}

fn epoll_create1(task: &Task, flags: OpenFlags) -> SyscallResult {
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

fn epoll_ctl(
    task: &Task,
    epfd: Fd,
    operation: i32,
    fd: Fd,
    event: UserPtr<EpollEvent>,
) -> SyscallResult {
    let deletes = operation == nr::EPOLL_CTL_DEL.cast_signed();
    let event = if deletes {
        None
    } else {
        Some(event.read(&task.mm())?)
    };
    let files = task.files();
    let open = files.get(epfd)?;
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
            epoll.add(graph, most, &target, fd.0, event.events, event.data)?;
        }
        (nr::EPOLL_CTL_MOD, Some(event)) => {
            epoll.modify(&target, fd.0, event.events, event.data)?;
        }
        (nr::EPOLL_CTL_DEL, _) => epoll.remove(&target, fd.0)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

fn of(open: &OpenFile) -> Result<&Epoll> {
    epoll::of(open).ok_or(Errno::EINVAL)
}

fn epoll_wait(
    task: &Task,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout_ms: i32,
) -> SyscallResult {
    let deadline = timeout::after_millis(task, timeout_ms);
    wait(task, epfd, (events, max), deadline)
}

fn epoll_pwait(
    task: &Task,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout_ms: i32,
    mask: UserPtr<u64>,
    mask_size: usize,
) -> SyscallResult {
    let mask = timeout::read_mask(task, mask.address(), mask_size)?;
    let deadline = timeout::after_millis(task, timeout_ms);
    task.with_signal_mask(mask, || wait(task, epfd, (events, max), deadline))
}

fn epoll_pwait2(
    task: &Task,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    time: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    mask_size: usize,
) -> SyscallResult {
    let deadline = timeout::read(task, time)?;
    let mask = timeout::read_mask(task, mask.address(), mask_size)?;
    task.with_signal_mask(mask, || wait(task, epfd, (events, max), deadline))
}

fn wait(
    task: &Task,
    epfd: Fd,
    (to, max): (UserPtr<EpollEvent>, i32),
    deadline: Option<Deadline>,
) -> SyscallResult {
    let max = usize::try_from(max).map_err(|_| Errno::EINVAL)?;
    if max == 0 || max > MAX_EVENTS {
        return Err(Errno::EINVAL.into());
    }
    let open = task.files().get(epfd)?;
    let ready = of(&open)?.wait(task, max, deadline)?;
    let events: Vec<EpollEvent> = ready
        .iter()
        .map(|ready| EpollEvent {
            events: ready.events.bits(),
            data: ready.data,
        })
        .collect();
    if !events.is_empty() {
        to.write_array(&task.mm(), &events)?;
    }
    Ok(events.len() as u64)
}
