//! Long operations on many processes, threads and timers.

use std::sync::atomic::AtomicU32;

use super::{Endless, for_ever, wait_for_the_end_of};
use crate::case::Failure;
use crate::support::fd;
use crate::support::file::{TempDir, cstring};
use crate::support::process;
use crate::support::signal;

/// How many there are.
const MANY: usize = 300;

/// Children that wait in a process group of their own and end with the caller; the first one's id.
fn process_group() -> Result<i32, Failure> {
    let parent = process::getpid();
    let mut first = 0;
    for _ in 0..MANY {
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)? as i32;
        if pid == 0 {
            wait_for_the_end_of(parent);
        }
        first = if first == 0 { pid } else { first };
        sys!(SYS_setpgid, pid, first)?;
    }
    Ok(first)
}

pub(super) fn kill_group(begun: &dyn Fn()) -> Endless {
    let group = process_group()?;
    for_ever(begun, || sys!(SYS_kill, -group, libc::SIGCONT).map(drop))
}

/// Asks whether everybody can be signalled; the test runs on the host too, where others must not notice.
pub(super) fn kill_everyone(begun: &dyn Fn()) -> Endless {
    process_group()?;
    for_ever(begun, || sys!(SYS_kill, -1, 0).map(drop))
}

pub(super) fn priorities(begun: &dyn Fn()) -> Endless {
    const IOPRIO_WHO_PGRP: i32 = 2;
    let group = process_group()?;
    for_ever(begun, || {
        sys!(SYS_setpriority, libc::PRIO_PGRP, group, 10)?;
        sys!(SYS_getpriority, libc::PRIO_PGRP, group)?;
        sys!(SYS_ioprio_set, IOPRIO_WHO_PGRP, group, 0x4007).map(drop)
    })
}

pub(super) fn wait_children(begun: &dyn Fn()) -> Endless {
    let group = process_group()?;
    for_ever(begun, || {
        let options = libc::WNOHANG | libc::__WALL;
        sys!(SYS_wait4, -group, 0, options, 0).map(drop)
    })
}

/// Looks at everybody's files in /proc.
pub(super) fn proc_of_all(begun: &dyn Fn()) -> Endless {
    let first = process_group()?;
    let directory = cstring("/proc");
    let mut buffer = vec![0_u8; 1 << 16];
    for_ever(begun, || {
        let open = fd::open(&directory, libc::O_RDONLY, 0)?;
        while sys!(SYS_getdents64, &open, buffer.as_mut_slice(), buffer.len())? > 0 {}
        for name in ["stat", "status", "maps", "cgroup"] {
            let file = cstring(&format!("/proc/{first}/{name}"));
            fd::open(&file, libc::O_RDONLY, 0)?.read_all()?;
        }
        Ok(())
    })
}

/// All threads wait for one futex or the other, and are moved to and fro.
pub(super) fn futex_requeue(begun: &dyn Fn()) -> Endless {
    static WORDS: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
    let addresses = WORDS.each_ref().map(AtomicU32::as_ptr);
    for _ in 0..MANY {
        let wait = || {
            loop {
                let _ = sys!(SYS_futex, WORDS[0].as_ptr(), libc::FUTEX_WAIT, 0, 0, 0, 0);
            }
        };
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        if let Err(error) = thread.spawn(wait) {
            fail!("no thread: {error}");
        }
    }
    for_ever(begun, || {
        for (from, to) in [(0, 1), (1, 0)] {
            let most = i32::MAX;
            let (from, to) = (addresses[from], addresses[to]);
            sys!(SYS_futex, from, libc::FUTEX_REQUEUE, 0, most, to, 0)?;
        }
        sys!(SYS_futex, addresses[0], libc::FUTEX_WAKE, most_woken()).map(drop)
    })
}

/// Some, who come back.
fn most_woken() -> i32 {
    MANY as i32 / 10
}

/// Timers that expire as often as they may, with a signal that stays pending.
pub(super) fn posix_timers(begun: &dyn Fn()) -> Endless {
    signal::block(signal::bit(libc::SIGALRM))?;
    for _ in 0..2_000 {
        let mut timer = 0_i32;
        sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut timer)?;
        let often = [0_i64, 100_000, 0, 100_000];
        sys!(SYS_timer_settime, timer, 0, often.as_slice(), 0)?;
    }
    for_ever(begun, || sys!(SYS_getpid).map(drop))
}

/// A script whose interpreter is a script, and so on, as deep as may be, and not there in the end.
pub(super) fn script_chain(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    let mut interpreter = directory.join("nothing");
    for index in 0..4 {
        let text = format!("#!{} argument\n", interpreter.to_string_lossy());
        interpreter = directory.file(&format!("script-{index}"), text.as_bytes())?;
        sys!(SYS_chmod, &interpreter, 0o755)?;
    }
    let none = [0_usize];
    for_ever(begun, || {
        match sys!(SYS_execve, &interpreter, none.as_slice(), none.as_slice()) {
            Err(error) if error.errno == libc::ENOENT => Ok(()),
            other => other.map(drop),
        }
    })
}

/// As many arguments as may be passed on, and many more, to nobody.
pub(super) fn exec_arguments(begun: &dyn Fn()) -> Endless {
    let program = cstring("/proc/self/no-program");
    let long = cstring(&"x".repeat(100_000));
    let lists = [15, 500_000].map(|len| {
        let mut list = vec![long.as_ptr(); len];
        list.push(std::ptr::null());
        list
    });
    let none = [0_usize];
    for_ever(begun, || {
        for list in &lists {
            match sys!(SYS_execve, &program, list.as_ptr(), none.as_slice()) {
                Err(error) if [libc::ENOENT, libc::E2BIG].contains(&error.errno) => {}
                other => drop(other?),
            }
        }
        Ok(())
    })
}

/// Every call is looked at by as long a chain of filters as may be.
pub(super) fn seccomp_chain(begun: &dyn Fn()) -> Endless {
    const LOAD_IMMEDIATE: u64 = 0;
    const RETURN_ALLOW: u64 = 0x7fff_0000_0000_0006;
    let mut program = vec![LOAD_IMMEDIATE; 4096];
    program[4095] = RETURN_ALLOW;
    let filter = [4096_u64, program.as_ptr() as u64];
    sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
    while sys!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &filter).is_ok() {}
    for_ever(begun, || sys!(SYS_getpid).map(drop))
}
