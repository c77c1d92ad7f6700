//! Long operations on queues and sets of the kernel that a process can make long.

use super::{Endless, for_ever};
use crate::support::fd::{self, Fd};
use crate::support::file::{TempDir, cstring};
use crate::support::process;

/// Waits for a message in a queue that stays empty.
pub(super) fn mqueue(begun: &dyn Fn()) -> Endless {
    let name = cstring(&format!("long-{}", process::getpid()));
    let attributes = [0_i64, 10, 64, 0, 0, 0, 0, 0];
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    let queue = Fd::own(sys!(SYS_mq_open, &name, flags, 0o600, &attributes)?);
    sys!(SYS_mq_unlink, &name)?;
    let mut buffer = [0_u8; 64];
    for_ever(begun, || {
        sys!(SYS_mq_timedreceive, &queue, buffer.as_mut_slice(), 64, 0, 0).map(drop)
    })
}

/// Looks for a type that none of thousands of messages has; the queue goes with the process's namespace.
pub(super) fn msgrcv(begun: &dyn Fn()) -> Endless {
    if sys!(SYS_unshare, libc::CLONE_NEWIPC).is_err() {
        skip!("a queue would be left behind without a namespace of its own");
    }
    let queue = sys!(SYS_msgget, libc::IPC_PRIVATE, 0o600)?;
    let message = [1_i64];
    while sys!(SYS_msgsnd, queue, message.as_slice(), 0, libc::IPC_NOWAIT).is_ok() {}
    let mut room = [0_i64];
    for_ever(begun, || {
        match sys!(
            SYS_msgrcv,
            queue,
            room.as_mut_slice(),
            0,
            7,
            libc::IPC_NOWAIT
        ) {
            Err(error) if error.errno == libc::ENOMSG => Ok(()),
            other => other.map(drop),
        }
    })
}

/// Sets in sets, as deep as they may be, each with many others beside.
pub(super) fn nested_epoll(begun: &dyn Fn()) -> Endless {
    let make = || sys!(SYS_epoll_create1, 0).map(Fd::own);
    let event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    let control = |set: &Fd, operation: i32, watched: &Fd| {
        sys!(SYS_epoll_ctl, set, operation, watched, &raw const event)
    };
    let mut sets = vec![make()?];
    while sets.len() < 4 {
        let outer = make()?;
        control(&outer, libc::EPOLL_CTL_ADD, &sets[sets.len() - 1])?;
        sets.push(outer);
    }
    let pipes: Vec<_> = (0..400).map(|_| fd::pipe(0)).collect::<Result<_, _>>()?;
    for_ever(begun, || {
        for operation in [libc::EPOLL_CTL_ADD, libc::EPOLL_CTL_DEL] {
            for (reader, _) in &pipes {
                control(&sets[0], operation, reader)?;
            }
            let mut events = [0_u8; 12];
            let outermost = &sets[sets.len() - 1];
            sys!(SYS_epoll_wait, outermost, events.as_mut_slice(), 1, 0)?;
        }
        Ok(())
    })
}

/// Watches on many files, all removed at once.
pub(super) fn inotify(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    let names = (0..1_000)
        .map(|index| directory.file(&format!("f{index}"), b""))
        .collect::<Result<Vec<_>, _>>()?;
    for_ever(begun, || {
        let set = Fd::own(sys!(SYS_inotify_init1, libc::IN_NONBLOCK)?);
        for name in &names {
            sys!(SYS_inotify_add_watch, &set, name, libc::IN_ALL_EVENTS)?;
        }
        for name in &names {
            drop(fd::open(name, libc::O_RDWR, 0)?);
        }
        set.read(1 << 20).map(drop)
    })
}

/// Thousands of record locks on one file, which one call takes away.
pub(super) fn record_locks(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    let file = directory.open_file("locked", b"")?;
    let lock = |kind: i32, start: i64, len: i64| {
        let mut lock = crate::sys::zeroed::<libc::flock>();
        lock.l_type = kind as i16;
        (lock.l_start, lock.l_len) = (start, len);
        sys!(SYS_fcntl, &file, libc::F_SETLK, &lock).map(drop)
    };
    for_ever(begun, || {
        for index in 0..2_000 {
            lock(libc::F_WRLCK, 2 * index, 1)?;
        }
        lock(libc::F_UNLCK, 0, 0)
    })
}

/// Waits for requests that nobody has made.
pub(super) fn aio(begun: &dyn Fn()) -> Endless {
    let mut context = 0_u64;
    sys!(SYS_io_setup, 8, &mut context)?;
    let mut events = [0_u64; 4];
    for_ever(begun, || {
        sys!(SYS_io_getevents, context, 1, 1, events.as_mut_slice(), 0).map(drop)
    })
}

/// Waits for somebody to write to a FIFO.
pub(super) fn fifo(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    let name = directory.join("fifo");
    sys!(SYS_mknodat, libc::AT_FDCWD, &name, libc::S_IFIFO | 0o600, 0)?;
    for_ever(begun, || fd::open(&name, libc::O_RDONLY, 0).map(drop))
}
