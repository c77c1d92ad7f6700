//! Waits that nothing ends.

use super::{Endless, for_ever, wait_for_the_end_of};
use crate::support::fd;
use crate::support::process;
use crate::support::signal;

pub(super) fn full_pipe(begun: &dyn Fn()) -> Endless {
    let (_reader, writer) = fd::pipe(0)?;
    for_ever(begun, || writer.write(&[0; 4096]).map(drop))
}

pub(super) fn poll(begun: &dyn Fn()) -> Endless {
    let (reader, _writer) = fd::pipe(0)?;
    let one = libc::pollfd {
        fd: reader.number(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut all = vec![one; 500];
    for_ever(begun, || {
        sys!(SYS_poll, all.as_mut_slice(), all.len(), -1).map(drop)
    })
}

/// Always something to report.
pub(super) fn epoll(begun: &dyn Fn()) -> Endless {
    let epoll = fd::Fd::own(sys!(SYS_epoll_create1, 0)?);
    let pipes = (0..100)
        .map(|_| fd::pipe(0))
        .collect::<Result<Vec<_>, _>>()?;
    for (_, writer) in &pipes {
        let event = libc::epoll_event {
            events: libc::EPOLLOUT as u32,
            u64: 0,
        };
        sys!(
            SYS_epoll_ctl,
            &epoll,
            libc::EPOLL_CTL_ADD,
            writer,
            &raw const event
        )?;
    }
    let mut events = [0_u8; 12 * 100];
    for_ever(begun, || {
        sys!(SYS_epoll_wait, &epoll, events.as_mut_slice(), 100, -1).map(drop)
    })
}

pub(super) fn futex(begun: &dyn Fn()) -> Endless {
    let word = [0_u32];
    for_ever(begun, || {
        sys!(SYS_futex, word.as_slice(), libc::FUTEX_WAIT, 0, 0, 0, 0).map(drop)
    })
}

pub(super) fn flock(begun: &dyn Fn()) -> Endless {
    let directory = crate::support::file::TempDir::new()?;
    let one = directory.open_file("lock", b"")?;
    let other = fd::open(&directory.join("lock"), libc::O_RDWR, 0)?;
    sys!(SYS_flock, &one, libc::LOCK_EX)?;
    for_ever(begun, || sys!(SYS_flock, &other, libc::LOCK_EX).map(drop))
}

/// Waits for 500 semaphores at once; the set goes with the process's namespace, or is removed here.
pub(super) fn semop(begun: &dyn Fn()) -> Endless {
    if sys!(SYS_unshare, libc::CLONE_NEWIPC).is_err() {
        skip!("a set of semaphores would be left behind without a namespace of its own");
    }
    let set = sys!(SYS_semget, libc::IPC_PRIVATE, 500, 0o600)?;
    let operations: Vec<[u16; 3]> = (0..500).map(|number| [number, u16::MAX, 0]).collect();
    let flat = operations.concat();
    for_ever(begun, || {
        sys!(SYS_semop, set, flat.as_slice(), 500).map(drop)
    })
}

/// The parent of a child that does not come to an end.
pub(super) fn vfork(begun: &dyn Fn()) -> Endless {
    let parent = process::getpid();
    for_ever(begun, || {
        let pid = sys!(SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            wait_for_the_end_of(parent);
        }
        Ok(())
    })
}

pub(super) fn stopped(begun: &dyn Fn()) -> Endless {
    for_ever(begun, || {
        sys!(SYS_kill, process::getpid(), libc::SIGSTOP).map(drop)
    })
}

pub(super) fn all_signals_blocked(begun: &dyn Fn()) -> Endless {
    let all = [u64::MAX];
    for_ever(begun, || {
        sys!(SYS_rt_sigsuspend, all.as_slice(), signal::SET_SIZE).map(drop)
    })
}
