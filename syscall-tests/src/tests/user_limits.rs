//! What Linux counts by user: pages of pipes (`man 7 pipe`, */proc files*), inotify instances (`man 7 inotify`).

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::process::in_child;
use crate::support::{creds, proc};
use crate::sys::SysResult;

cases!(
    pipes_are_small_beyond_the_users_pages,
    pages_of_pipes_come_back,
    inotify_instances_are_counted_by_user,
);

/// A user that nobody else is.
const USER: u32 = 54_321;
const PAGE: u64 = 4096;
const LARGE: u64 = 1 << 20;

fn sysctl(name: &str) -> Result<u64, Failure> {
    let text = proc::read(&format!("/proc/sys/fs/{name}"))?;
    match text.trim().parse() {
        Ok(value) => Ok(value),
        Err(_) => fail!("{name} is {text}"),
    }
}

fn set_size(pipe: &(Fd, Fd), size: u64) -> SysResult {
    sys!(SYS_fcntl, &pipe.0, libc::F_SETPIPE_SZ, size)
}

fn size(pipe: &(Fd, Fd)) -> SysResult {
    sys!(SYS_fcntl, &pipe.0, libc::F_GETPIPE_SZ)
}

/// Large pipes up to the user's limit.
fn fill_up() -> Result<Vec<(Fd, Fd)>, Failure> {
    let soft = sysctl("pipe-user-pages-soft")?;
    if soft == 0 || soft > 100_000 || sysctl("pipe-max-size")? < LARGE {
        skip!("this host has other limits: pipe-user-pages-soft {soft}");
    }
    let mut pipes = Vec::new();
    for _ in 0..soft * PAGE / LARGE {
        let pipe = fd::pipe(0)?;
        check_eq!(set_size(&pipe, LARGE)?, LARGE as i64);
        pipes.push(pipe);
    }
    Ok(pipes)
}

fn pipes_are_small_beyond_the_users_pages() -> Outcome {
    creds::become_user(USER, USER)?;
    let _pipes = fill_up()?;
    let small = fd::pipe(0)?;
    check_eq!(size(&small)?, 2 * PAGE as i64);
    errno_is!(set_size(&small, 4 * PAGE), EPERM);
    check_eq!(size(&small)?, 2 * PAGE as i64);
    check_eq!(set_size(&small, PAGE)?, PAGE as i64);
    Ok(())
}

fn pages_of_pipes_come_back() -> Outcome {
    in_child(|| {
        creds::become_user(USER + 1, USER)?;
        let mut pipes = fill_up()?;
        check_eq!(size(&fd::pipe(0)?)?, 2 * PAGE as i64);
        pipes.pop();
        check_eq!(size(&fd::pipe(0)?)?, 16 * PAGE as i64);
        Ok(())
    })?;
    // Another user has its own.
    creds::become_user(USER + 2, USER)?;
    check_eq!(size(&fd::pipe(0)?)?, 16 * PAGE as i64);
    Ok(())
}

fn inotify_instances_are_counted_by_user() -> Outcome {
    let most = sysctl("inotify/max_user_instances")?;
    if most > 500 {
        skip!("this host allows {most} instances");
    }
    creds::become_user(USER + 3, USER)?;
    let make = || sys!(SYS_inotify_init1, 0).map(Fd::own);
    let mut instances = Vec::new();
    for _ in 0..most {
        instances.push(make()?);
    }
    errno_is!(make(), EMFILE);
    in_child(|| {
        errno_is!(make(), EMFILE);
        Ok(())
    })?;
    instances.pop();
    make()?;
    Ok(())
}
