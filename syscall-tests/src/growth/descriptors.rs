//! What a process has open.

use crate::case::Failure;
use crate::growth::{Kind, Step};
use crate::support::fd;
use crate::support::file::cstring;
use crate::support::signal;
use crate::sys::{SysError, SysResult};

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("open-files", || each(|_| open("/dev/null"))),
    ("proc-files", || each(|_| open("/proc/self/maps"))),
    ("pipes", pipes),
    ("pipe-buffers", pipe_buffers),
    ("timerfds", || {
        each(|_| sys!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0))
    }),
    ("eventfds", || each(|_| sys!(SYS_eventfd2, 0, 0))),
    ("signalfds", || {
        each(|_| {
            let set = signal::bit(libc::SIGUSR1);
            sys!(SYS_signalfd4, -1, &set, signal::SET_SIZE, 0)
        })
    }),
    ("epoll-sets", || each(|_| sys!(SYS_epoll_create1, 0))),
    ("epoll-watches", epoll_watches),
    ("inotify-instances", || each(|_| sys!(SYS_inotify_init1, 0))),
    ("memfds", memfds),
    ("ptys", || each(|_| open("/dev/pts/ptmx"))),
    ("descriptor-tables", || {
        super::tasks::each_child(|| {
            let _ = sys!(SYS_dup2, 0, 1_000_000);
        })
    }),
];

/// A step that makes one object and lets it be.
pub(super) fn each(mut make: impl FnMut(u64) -> SysResult + 'static) -> Result<Step, Failure> {
    let mut serial = 0;
    Ok(Box::new(move || {
        serial += 1;
        make(serial).map(|_| 1)
    }))
}

fn open(path: &str) -> SysResult {
    sys!(SYS_openat, libc::AT_FDCWD, &cstring(path), libc::O_RDWR)
        .or_else(|_| sys!(SYS_openat, libc::AT_FDCWD, &cstring(path), libc::O_RDONLY))
}

fn pipe() -> Result<[i32; 2], SysError> {
    let mut ends = [0_i32; 2];
    sys!(SYS_pipe2, &mut ends, libc::O_NONBLOCK)?;
    Ok(ends)
}

fn pipes() -> Result<Step, Failure> {
    Ok(Box::new(|| pipe().map(|_| 1)))
}

/// Writes until that would block; how often it did.
pub(super) fn fill(fd: i32, bytes: &[u8]) -> u32 {
    let mut writes = 0;
    while sys!(SYS_write, fd, bytes, bytes.len()).is_ok() {
        writes += 1;
    }
    writes
}

/// A new pipe with as much in it as it takes.
pub(super) fn full_pipe(bytes: &[u8]) -> Result<[i32; 2], SysError> {
    let ends = pipe()?;
    // Refused when the user has too much already; the pipe is what it is then.
    let _ = sys!(SYS_fcntl, ends[1], libc::F_SETPIPE_SZ, 1 << 20);
    fill(ends[1], bytes);
    Ok(ends)
}

fn pipe_buffers() -> Result<Step, Failure> {
    let bytes = vec![1_u8; 1 << 20];
    Ok(Box::new(move || full_pipe(&bytes).map(|_| 1)))
}

/// Sets of epoll that all watch the same pipes.
fn epoll_watches() -> Result<Step, Failure> {
    const WATCHED: usize = 256;
    let mut watched = Vec::new();
    for _ in 0..WATCHED {
        watched.push(fd::pipe(0)?);
    }
    Ok(Box::new(move || {
        let set = sys!(SYS_epoll_create1, 0)?;
        for (reader, _) in &watched {
            let event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: 0,
            };
            sys!(SYS_epoll_ctl, set, libc::EPOLL_CTL_ADD, reader, &event)?;
        }
        Ok(WATCHED as u32)
    }))
}

fn memfds() -> Result<Step, Failure> {
    each(|_| {
        let fd = sys!(SYS_memfd_create, &cstring("growth"), 0)?;
        let page = [1_u8; 4096];
        sys!(SYS_write, fd, &page, page.len())
    })
}
