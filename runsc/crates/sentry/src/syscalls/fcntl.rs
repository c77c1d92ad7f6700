//! `fcntl(2)` and `flock(2)`.

use std::sync::Arc;

use abi::Errno;
use abi::fs::{Flock, OwnerEx};
use abi::raw::general as nr;

use super::descriptor;
use crate::error::{Result, SysError, SyscallResult};
use crate::fs::pipe::PipeEnd;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::async_io;
use crate::vfs::attr::FileType;
use crate::vfs::command::CommandArg;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::locks::{
    self, Attempt, Holder, HostLock, LockKind, LockOwner, LockRange, RecordLock,
};
use crate::vfs::owner::{FileOwner, OwnerTarget};

calls! {
    72 fcntl(
        fd: Fd,
        command: u32 as OneOf(file::FCNTL),
        argument: CommandArg as After(fcntl::fcntl_argument),
    ) -> Print(fcntl::fcntl_result)
        => partial("leases, directory notifications and write hints are EINVAL") ["dup::fcntl_errors"];
    73 flock(fd: Fd, operation: u32 as Flags(file::FLOCK))
        => full ["lock::flock_errors", "eintr::flock_is_eintr_and_restarts"];
}

const FD_CLOEXEC: u32 = 1;

/// Commands that a descriptor of `O_PATH` takes (`man 2 open`, *`O_PATH`*).
const WITH_PATH: &[u32] = &[
    nr::F_DUPFD,
    nr::F_DUPFD_CLOEXEC,
    nr::F_DUPFD_QUERY,
    nr::F_GETFD,
    nr::F_SETFD,
    nr::F_GETFL,
];

fn fcntl(task: &Task, fd: Fd, command: u32, argument: CommandArg) -> SyscallResult {
    let descriptor = task.files().descriptor(fd)?;
    let open = &descriptor.file;
    if open.flags().contains(OpenFlags::PATH) && !WITH_PATH.contains(&command) {
        return Err(Errno::EBADF.into());
    }
    match command {
        nr::F_DUPFD => duplicate(task, fd, argument, false),
        nr::F_DUPFD_CLOEXEC => duplicate(task, fd, argument, true),
        nr::F_DUPFD_QUERY => {
            let other = task.files().get(argument.int())?;
            Ok(u64::from(Arc::ptr_eq(&other, open)))
        }
        nr::F_GETFD => Ok(u64::from(descriptor.close_on_exec)),
        nr::F_SETFD => {
            let close_on_exec = argument.unsigned() & FD_CLOEXEC != 0;
            task.files().set_close_on_exec(fd, close_on_exec)?;
            Ok(0)
        }
        nr::F_GETFL => Ok(u64::from(open.flags().bits())),
        nr::F_SETFL => {
            let flags = OpenFlags::from_bits_retain(argument.unsigned());
            set_flags(task, open, fd, flags)
        }
        nr::F_GETLK | nr::F_OFD_GETLK => get_lock(task, open, command, argument),
        nr::F_SETLK | nr::F_SETLKW | nr::F_OFD_SETLK | nr::F_OFD_SETLKW => {
            change_lock(task, open, fd, (command, argument))
        }
        nr::F_GETOWN
        | nr::F_SETOWN
        | nr::F_GETOWN_EX
        | nr::F_SETOWN_EX
        | nr::F_GETSIG
        | nr::F_SETSIG => owner(task, open, command, argument),
        nr::F_GETPIPE_SZ | nr::F_SETPIPE_SZ => pipe_size(task, open, command, argument),
        nr::F_ADD_SEALS | nr::F_GET_SEALS => seals(open, command, argument),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn duplicate(task: &Task, fd: Fd, lowest: CommandArg, close_on_exec: bool) -> SyscallResult {
    let lowest = usize::try_from(lowest.int()).map_err(|_| Errno::EINVAL)?;
    if lowest as u64 >= descriptor::limit(task) {
        return Err(Errno::EINVAL.into());
    }
    Ok(descriptor::duplicate(task, fd, lowest, close_on_exec)?)
}

fn set_flags(task: &Task, open: &Arc<OpenFile>, fd: Fd, flags: OpenFlags) -> SyscallResult {
    let gains_no_atime =
        flags.contains(OpenFlags::NOATIME) && !open.flags().contains(OpenFlags::NOATIME);
    if gains_no_atime {
        let attr = open.inode().attr()?;
        if !crate::vfs::permission::owns(&task.credentials(), &attr) {
            return Err(Errno::EPERM.into());
        }
    }
    open.set_flags(flags);
    async_io::update(task, open, fd.0);
    Ok(0)
}

/// The bytes that a `struct flock` names; EINVAL, EOVERFLOW.
fn lock_range(open: &OpenFile, lock: &Flock) -> Result<LockRange> {
    let base = match u32::try_from(lock.whence) {
        Ok(nr::SEEK_SET) => 0,
        Ok(nr::SEEK_CUR) => open.offset().last().cast_signed(),
        Ok(nr::SEEK_END) => open.inode().attr()?.size.cast_signed(),
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.start).ok_or(Errno::EOVERFLOW)?;
    let (first, end) = match lock.len {
        0 => (start, None),
        len if len > 0 => (start, Some(start.checked_add(len).ok_or(Errno::EOVERFLOW)?)),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, Some(start)),
    };
    let start = u64::try_from(first).map_err(|_| Errno::EINVAL)?;
    let end = match end {
        None => u64::MAX,
        Some(i64::MAX) => u64::MAX,
        Some(end) => u64::try_from(end).map_err(|_| Errno::EINVAL)?,
    };
    Ok(LockRange { start, end })
}

/// The kind of a `struct flock`, none for unlocking.
fn lock_kind(lock: &Flock) -> Result<Option<LockKind>> {
    match u32::try_from(lock.kind) {
        Ok(nr::F_RDLCK) => Ok(Some(LockKind::Read)),
        Ok(nr::F_WRLCK) => Ok(Some(LockKind::Write)),
        Ok(nr::F_UNLCK) => Ok(None),
        _ => Err(Errno::EINVAL),
    }
}

/// Whose lock it is to be: the process's, or the open file description's.
fn lock_owner(task: &Task, open: &OpenFile, command: u32) -> LockOwner {
    match command {
        nr::F_OFD_GETLK | nr::F_OFD_SETLK | nr::F_OFD_SETLKW => open.lock_owner(),
        _ => task.files().lock_owner(),
    }
}

fn read_lock(
    task: &Task,
    open: &OpenFile,
    (command, argument): (u32, CommandArg),
) -> Result<(Flock, LockOwner)> {
    let lock: Flock = task.mm().read_value(argument.address())?;
    let owner = lock_owner(task, open, command);
    if matches!(owner, LockOwner::OpenFile(_)) && lock.pid != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((lock, owner))
}

fn get_lock(
    task: &Task,
    open: &Arc<OpenFile>,
    command: u32,
    argument: CommandArg,
) -> SyscallResult {
    let (mut lock, owner) = read_lock(task, open, (command, argument))?;
    let kind = lock_kind(&lock)?.ok_or(Errno::EINVAL)?;
    let wanted = RecordLock {
        kind,
        range: lock_range(open, &lock)?,
        owner,
        by: Arc::downgrade(task.group()),
    };
    let inside = open.inode().shared().locks.conflict(&wanted);
    let held = match inside {
        Some(held) => Some((held.kind, held.range, holder_pid(task, &held))),
        None => outside(open, &wanted)?,
    };
    match held {
        None => lock.kind = raw(nr::F_UNLCK),
        Some((kind, range, pid)) => {
            lock.kind = raw(match kind {
                LockKind::Read => nr::F_RDLCK,
                LockKind::Write => nr::F_WRLCK,
            });
            lock.whence = raw(nr::SEEK_SET);
            lock.start = range.start.cast_signed();
            lock.len = if range.end == u64::MAX {
                0
            } else {
                (range.end - range.start).cast_signed()
            };
            lock.pid = pid;
        }
    }
    task.mm().write_value(argument.address(), &lock)?;
    Ok(0)
}

/// Who holds a lock, as the caller's pid namespace numbers processes.
fn holder_pid(task: &Task, held: &RecordLock) -> i32 {
    match held.owner {
        LockOwner::OpenFile(_) => -1,
        LockOwner::Table(_) => held
            .by
            .upgrade()
            .map_or(0, |group| group.pid_in(&task.pid_namespace()).cast_signed()),
    }
}

/// What somebody outside holds; processes there have no number here.
fn outside(open: &OpenFile, wanted: &RecordLock) -> Result<Option<(LockKind, LockRange, i32)>> {
    let Some(host) = open.inode().host_lock(open.flags().writable())? else {
        return Ok(None);
    };
    let held = host.conflict(wanted.kind, wanted.range)?;
    Ok(held.map(|held| {
        let pid = if held.by_open_file { -1 } else { 0 };
        (held.kind, held.range, pid)
    }))
}

/// The small constants of `struct flock`.
fn raw(value: u32) -> i16 {
    i16::try_from(value).unwrap_or(0)
}

fn change_lock(
    task: &Task,
    open: &Arc<OpenFile>,
    fd: Fd,
    (command, argument): (u32, CommandArg),
) -> SyscallResult {
    let (lock, owner) = read_lock(task, open, (command, argument))?;
    let range = lock_range(open, &lock)?;
    let Some(kind) = lock_kind(&lock)? else {
        open.inode().shared().locks.clear(owner, range);
        return Ok(0);
    };
    let allowed = match kind {
        LockKind::Read => open.flags().readable(),
        LockKind::Write => open.flags().writable(),
    };
    if !allowed {
        return Err(Errno::EBADF.into());
    }
    let wanted = RecordLock {
        kind,
        range,
        owner,
        by: Arc::downgrade(task.group()),
    };
    set_lock(task, open, command, &wanted)?;
    drop_if_closed(task, open, fd, owner)?;
    Ok(0)
}

/// Drops what another thread's `close` was too early to: a process has no record lock through a descriptor that it
/// has no more, and nothing would ever take it away. EBADF, as on Linux.
fn drop_if_closed(task: &Task, open: &Arc<OpenFile>, fd: Fd, owner: LockOwner) -> Result<()> {
    let is_same = |now: &Arc<OpenFile>| Arc::ptr_eq(now, open);
    let is_open = task.files().get(fd).is_ok_and(|now| is_same(&now));
    if is_open || matches!(owner, LockOwner::OpenFile(_)) {
        return Ok(());
    }
    open.inode().shared().locks.clear(owner, LockRange::ALL);
    Err(Errno::EBADF)
}

fn set_lock(task: &Task, open: &OpenFile, command: u32, wanted: &RecordLock) -> SyscallResult {
    let locks = &open.inode().shared().locks;
    task.kernel().vfs.locked_inodes.note(open.inode());
    let host = open.inode().host_lock(open.flags().writable())?;
    let Some(holder) = locks.set(wanted.clone(), host.as_ref())? else {
        return Ok(0);
    };
    if matches!(command, nr::F_SETLK | nr::F_OFD_SETLK) {
        return Err(Errno::EAGAIN.into());
    }
    wait_for_lock(task, open, wanted, holder, host.as_ref())
}

fn wait_for_lock(
    task: &Task,
    open: &OpenFile,
    wanted: &RecordLock,
    first_holder: Holder,
    host: Option<&HostLock>,
) -> SyscallResult {
    let file_locks = &open.inode().shared().locks;
    let waits = &task.kernel().vfs.lock_waits;
    // Whom those outside wait for is not known: no circle through them is found.
    let begin = |holder: &Holder| match holder {
        Holder::Inside(lock) => waits.begin(wanted.owner, lock.owner),
        Holder::Outside => Ok(()),
    };
    begin(&first_holder)?;
    let outcome = locks::wait(task, file_locks, || {
        let holder = match file_locks.set(wanted.clone(), host) {
            Ok(None) => return Attempt::Done(Ok(0)),
            Ok(Some(holder)) => holder,
            Err(errno) => return Attempt::Done(Err(errno)),
        };
        waits.end(wanted.owner);
        match begin(&holder) {
            Ok(()) => Attempt::Refused(holder.side()),
            Err(errno) => Attempt::Done(Err(errno)),
        }
    });
    waits.end(wanted.owner);
    Ok(outcome??)
}

fn flock(task: &Task, fd: Fd, operation: u32) -> SyscallResult {
    let open = task.files().get(fd)?;
    if open.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF.into());
    }
    let file_locks = &open.inode().shared().locks;
    let owner = open.lock_owner();
    let kind = match operation & !nr::LOCK_NB {
        nr::LOCK_SH => LockKind::Read,
        nr::LOCK_EX => LockKind::Write,
        nr::LOCK_UN => {
            file_locks.unlock_whole(owner);
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    task.kernel().vfs.locked_inodes.note(open.inode());
    let host = open.inode().host_lock(open.flags().writable())?;
    let by = Arc::downgrade(task.group());
    let attempt = || match file_locks.lock_whole(owner, kind, by.clone(), host.as_ref()) {
        Ok(None) => Attempt::Done(Ok(0)),
        Ok(Some(side)) => Attempt::Refused(side),
        Err(errno) => Attempt::Done(Err(errno)),
    };
    if let Attempt::Done(outcome) = attempt() {
        return Ok(outcome?);
    }
    if operation & nr::LOCK_NB != 0 {
        return Err(Errno::EAGAIN.into());
    }
    Ok(locks::wait(task, file_locks, attempt)??)
}

/// `F_OWNER_TID`, `F_OWNER_PID`, `F_OWNER_PGRP`
const OWNER_TASK: i32 = 0;
const OWNER_PROCESS: i32 = 1;
const OWNER_GROUP: i32 = 2;

fn owner(task: &Task, open: &Arc<OpenFile>, command: u32, argument: CommandArg) -> SyscallResult {
    let namespace = task.pid_namespace();
    match command {
        nr::F_GETOWN => {
            let id = open.owner.lock().target.id_in(&namespace);
            Ok(i64::from(id).cast_unsigned())
        }
        nr::F_SETOWN => {
            let id = argument.int();
            if id == i32::MIN {
                return Err(Errno::EINVAL.into());
            }
            let kind = if id < 0 { OWNER_GROUP } else { OWNER_PROCESS };
            set_owner(task, open, kind, id.unsigned_abs())
        }
        nr::F_GETOWN_EX => {
            let target = open.owner.lock().target.clone();
            let kind = match target {
                OwnerTarget::Task(_) => OWNER_TASK,
                OwnerTarget::None | OwnerTarget::Process(_) => OWNER_PROCESS,
                OwnerTarget::Group(_) => OWNER_GROUP,
            };
            let pid = target.id_in(&namespace).abs();
            task.mm()
                .write_value(argument.address(), &OwnerEx { kind, pid })?;
            Ok(0)
        }
        nr::F_SETOWN_EX => {
            let wanted: OwnerEx = task.mm().read_value(argument.address())?;
            let id = u32::try_from(wanted.pid).map_err(|_| Errno::ESRCH)?;
            set_owner(task, open, wanted.kind, id)
        }
        nr::F_GETSIG => Ok(u64::from(open.owner.lock().signal)),
        _ => {
            let signal = argument.0;
            if signal != 0 && Signal::new(signal).is_none() {
                return Err(Errno::EINVAL.into());
            }
            open.owner.lock().signal = u8::try_from(signal).map_err(|_| Errno::EINVAL)?;
            Ok(0)
        }
    }
}

fn set_owner(task: &Task, open: &OpenFile, kind: i32, id: u32) -> SyscallResult {
    let namespace = task.pid_namespace();
    let target = if id == 0 {
        OwnerTarget::None
    } else {
        match kind {
            OWNER_TASK => {
                let found = namespace.task(id).ok_or(Errno::ESRCH)?;
                OwnerTarget::Task(Arc::downgrade(&found))
            }
            OWNER_PROCESS => {
                let found = namespace.group(id).ok_or(Errno::ESRCH)?;
                OwnerTarget::Process(Arc::downgrade(&found))
            }
            OWNER_GROUP => {
                let found = namespace.process_group(id).ok_or(Errno::ESRCH)?;
                OwnerTarget::Group(Arc::downgrade(&found))
            }
            _ => return Err(Errno::EINVAL.into()),
        }
    };
    let credentials = task.credentials();
    let mut owner = open.owner.lock();
    *owner = FileOwner {
        target,
        signal: owner.signal,
        fd: owner.fd,
        uid: credentials.uid,
        euid: credentials.euid,
    };
    Ok(0)
}

fn pipe_size(
    task: &Task,
    open: &Arc<OpenFile>,
    command: u32,
    argument: CommandArg,
) -> SyscallResult {
    let end = open.file_as::<PipeEnd>().ok_or(Errno::EBADF)?;
    if command == nr::F_GETPIPE_SZ {
        return Ok(end.pipe().capacity() as u64);
    }
    let size = usize::try_from(argument.unsigned()).map_err(|_| Errno::EINVAL)?;
    Ok(end.pipe().set_capacity_of(task, size)? as u64)
}

fn seals(open: &Arc<OpenFile>, command: u32, argument: CommandArg) -> SyscallResult {
    if open.inode().kind()? != FileType::Regular {
        return Err(Errno::EINVAL.into());
    }
    let seals = open.inode().seals().ok_or(Errno::EINVAL)?;
    if command == nr::F_GET_SEALS {
        return Ok(u64::from(seals.get().bits()));
    }
    let new = crate::vfs::seals::SealFlags::from_bits(argument.unsigned()).ok_or(Errno::EINVAL)?;
    if !open.flags().writable() {
        return Err(SysError::Errno(Errno::EPERM));
    }
    seals.add(new, &open.inode().shared().mappings)?;
    Ok(0)
}
