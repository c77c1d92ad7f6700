//! Threads, processes, namespaces, and what belongs to them.

use crate::case::Failure;
use crate::growth::descriptors::each;
use crate::growth::{Kind, Step};
use crate::support::fd;
use crate::support::file::cstring;
use crate::support::process;
use crate::support::signal;

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("threads", threads),
    ("processes", || each_child(|| {})),
    ("zombies", zombies),
    ("program-arguments", program_arguments),
    ("user-namespaces", || {
        each_child(|| {
            let _ = sys!(SYS_unshare, libc::CLONE_NEWUSER);
        })
    }),
    ("other-namespaces", other_namespaces),
    ("timers", || {
        each(|_| {
            let mut id = 0_i32;
            sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut id)
        })
    }),
    ("pending-signals", pending_signals),
    ("pi-futexes", pi_futexes),
    ("aio-contexts", || {
        each(|_| {
            let mut context = 0_u64;
            sys!(SYS_io_setup, 128, &mut context)
        })
    }),
    ("seccomp-filters", seccomp_filters),
];

fn pause() -> ! {
    loop {
        let _ = sys!(SYS_pause);
    }
}

/// A step that makes a child, which does something and stays.
pub(super) fn each_child(body: fn()) -> Result<Step, Failure> {
    each(move |_| {
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            body();
            pause();
        }
        Ok(pid)
    })
}

fn threads() -> Result<Step, Failure> {
    let make = || {
        std::thread::Builder::new()
            .stack_size(16 << 10)
            .spawn(|| pause())
    };
    each(move |_| match make() {
        Ok(_) => Ok(1),
        // The C library's own allocation of the stack may be what failed.
        Err(error) => crate::sys::failed("clone", error.raw_os_error().unwrap_or(0)),
    })
}

fn zombies() -> Result<Step, Failure> {
    each(|_| {
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            process::exit_now(0);
        }
        Ok(pid)
    })
}

/// Children that each run a program with two mebibytes of arguments.
fn program_arguments() -> Result<Step, Failure> {
    let program = cstring("/proc/self/exe");
    let long = cstring(&"a".repeat(100_000));
    let (role, sleep) = (cstring("helper"), cstring("sleep"));
    each(move |_| {
        let mut args = vec![program.as_ptr(), role.as_ptr(), sleep.as_ptr()];
        args.extend(std::iter::repeat_n(long.as_ptr(), 18));
        args.push(std::ptr::null());
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            let none = [0_usize];
            let _ = sys!(SYS_execve, &program, args.as_ptr(), &none);
            process::exit_now(1);
        }
        Ok(pid)
    })
}

/// A user namespace in which the hog has its own id.
pub(super) fn own_user_namespace() -> Result<(), Failure> {
    let id = sys!(SYS_getuid)?;
    sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{id} {id} 1")),
        ("gid_map", format!("{id} {id} 1")),
    ] {
        let path = cstring(&format!("/proc/self/{file}"));
        fd::open(&path, libc::O_WRONLY, 0)?.write(text.as_bytes())?;
    }
    Ok(())
}

/// Namespaces of every other kind, each held by a descriptor.
fn other_namespaces() -> Result<Step, Failure> {
    own_user_namespace()?;
    Ok(Box::new(|| {
        let kinds = libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNS;
        sys!(SYS_unshare, kinds)?;
        for name in ["uts", "ipc", "mnt"] {
            let path = cstring(&format!("/proc/self/ns/{name}"));
            sys!(SYS_openat, libc::AT_FDCWD, &path, libc::O_RDONLY)?;
        }
        Ok(3)
    }))
}

fn pending_signals() -> Result<Step, Failure> {
    signal::block(u64::MAX)?;
    let pid = process::getpid();
    each(move |_| signal::queue(pid, 40, 7))
}

/// Locks with inheritance of priority, and more of them than are unlocked again.
fn pi_futexes() -> Result<Step, Failure> {
    const FUTEX_LOCK_PI: i32 = 6;
    each(|_| {
        let words = crate::support::map::Map::anonymous(4096)?.forget();
        for at in (0..4096).step_by(64) {
            sys!(SYS_futex, words + at, FUTEX_LOCK_PI, 0, 0, 0, 0)?;
        }
        Ok(64)
    })
}

/// Filters on top of filters, in process after process.
fn seccomp_filters() -> Result<Step, Failure> {
    each_child(|| {
        // Every instruction allows the call (BPF_RET of SECCOMP_RET_ALLOW).
        let allow = 0x7fff_0000_0000_0006_u64;
        let program = vec![allow; 4096];
        let filter = [4096_u64, program.as_ptr() as u64];
        let _ = sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        while sys!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &filter).is_ok() {}
    })
}
