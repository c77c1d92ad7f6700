//! What keeps processes apart: who may look into whom, and when a program gets what its file gives it.

use std::ffi::{CStr, CString};

use super::execve::{capture, exec, helper, program};
use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::process::{self, in_child};
use crate::support::{creds, proc, time};
use crate::sys::SysResult;

cases! {
    memory_files_show_the_program_of_the_open,
    set_id_needs_a_root_of_its_own,
    set_id_after_the_sharer_has_exited,
    set_id_needs_a_trusted_tracer,
    no_new_privs_keeps_capabilities_of_the_caller,
    other_user_namespace_is_not_looked_into,
    changes_drop_file_capabilities,
    changes_drop_set_id_bits,
}

const SLEEPER: [&str; 2] = ["helper", "sleep"];

/// Opens what is in the child's directory of `/proc`.
fn open_of(pid: i32, name: &str) -> Result<Fd, Failure> {
    Ok(fd::open(
        &file::cstring(&format!("/proc/{pid}/{name}")),
        libc::O_RDONLY,
        0,
    )?)
}

/// An address in the text of this program, which every copy of it has at the same place if it is not moved.
fn some_address(pid: i32) -> Result<i64, Failure> {
    let text = proc::read(&format!("/proc/{pid}/maps"))?;
    match text
        .split('-')
        .next()
        .map(|start| i64::from_str_radix(start, 16))
    {
        Some(Ok(start)) => Ok(start),
        _ => fail!("no address in {text}"),
    }
}

fn memory_files_show_the_program_of_the_open() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_CLOEXEC)?;
    let program = program()?;
    let child = process::fork(|| {
        let _ = reader.read(1);
        let _ = exec(&program, &SLEEPER);
        200
    })?;
    let names = ["mem", "environ", "maps", "smaps", "pagemap"];
    let auxv = open_of(child.pid, "auxv")?;
    let random = |auxv: &[u8]| {
        auxv.chunks_exact(8)
            .skip_while(|word| *word != [25, 0, 0, 0, 0, 0, 0, 0])
            .nth(1)
            .map(<[u8]>::to_vec)
    };
    let before = open_of(child.pid, "auxv")?.read_all()?;
    let files: Vec<Fd> = names
        .iter()
        .map(|name| open_of(child.pid, name))
        .collect::<Result<_, _>>()?;
    let old = some_address(child.pid)?;
    check_eq!(files[0].pread(8, old)?.len(), 8);
    let line = || proc::read(&format!("/proc/{}/cmdline", child.pid));
    let old_line = line()?;
    writer.write(b"x")?;
    check!(time::wait_until(
        || line().is_ok_and(|line| !line.is_empty() && line != old_line)
    ));
    let new = some_address(child.pid)?;
    check_eq!(open_of(child.pid, "mem")?.pread(8, new)?.len(), 8);
    // AT_RANDOM points to the stack, which is elsewhere now.
    check!(random(&before).is_some());
    check_eq!(random(&auxv.read_all()?), random(&before));
    check!(random(&open_of(child.pid, "auxv")?.read_all()?) != random(&before));
    for (name, file) in names.iter().zip(&files) {
        let offset = if *name == "mem" { new } else { 0 };
        check!(
            file.pread(8, offset)?.is_empty(),
            "{name} shows the new program"
        );
    }
    Ok(())
}

/// A copy of this program that belongs to another user, with both set-ID bits.
fn set_id_copy(dir: &TempDir) -> Result<CString, Failure> {
    creds::require(creds::CAP_CHOWN)?;
    let path = dir.join("suid");
    super::execve::copy_program(&path)?;
    sys!(SYS_chown, &path, 1234, 5678)?;
    sys!(SYS_chmod, &path, 0o6755)?;
    Ok(path)
}

const PLAIN: &str = "[1000, 1000, 1000] [1000, 1000, 1000]";
const ELEVATED: &str = "[1000, 1234, 1234] [1000, 5678, 5678]";

/// Becomes a user; a failure ends the process.
fn user() {
    if creds::become_user(1000, 1000).is_err() {
        process::exit_now(1);
    }
}

/// A child with these flags that executes the path with `helper ids`; waits for it and exits.
fn exec_in_clone(flags: i32, path: &CStr) -> SysResult {
    let pid = sys!(SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0)?;
    if pid == 0 {
        return exec(path, &["helper", "ids"]);
    }
    let mut status = 0;
    sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    process::exit_now(i32::from(status != 0));
}

fn set_id_needs_a_root_of_its_own() -> Outcome {
    let dir = TempDir::new()?;
    let path = set_id_copy(&dir)?;
    let run = |flags| {
        capture(|| {
            user();
            exec_in_clone(flags, &path)
        })
    };
    check_eq!(run(0)?, ELEVATED);
    check_eq!(run(libc::CLONE_FILES)?, ELEVATED);
    check_eq!(run(libc::CLONE_FS)?, PLAIN);
    // Who may set ids anyway gets them.
    check_eq!(
        capture(|| exec_in_clone(libc::CLONE_FS, &path))?,
        "[0, 1234, 1234] [0, 5678, 5678]"
    );
    Ok(())
}

fn set_id_after_the_sharer_has_exited() -> Outcome {
    let dir = TempDir::new()?;
    let path = set_id_copy(&dir)?;
    let output = capture(|| {
        user();
        let pid = sys!(SYS_clone, libc::CLONE_FS | libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            process::exit_now(0);
        }
        let mut info = crate::sys::zeroed::<libc::siginfo_t>();
        sys!(
            SYS_waitid,
            libc::P_PID,
            pid,
            &mut info,
            libc::WEXITED | libc::WNOWAIT,
            0
        )?;
        exec(&path, &["helper", "ids"])
    })?;
    check_eq!(output, ELEVATED);
    Ok(())
}

/// Executes the path with `helper ids`, traced by the parent, which lets it run on.
fn exec_traced(path: &CStr) -> SysResult {
    let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
    if pid == 0 {
        sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0)?;
        return exec(path, &["helper", "ids"]);
    }
    let_run_on(pid)
}

/// Waits for a tracee, which goes on from each stop, and exits.
fn let_run_on(pid: i64) -> SysResult {
    let mut status = 0;
    sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    while libc::WIFSTOPPED(status) {
        sys!(SYS_ptrace, libc::PTRACE_CONT, pid, 0, 0)?;
        sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    }
    process::exit_now(i32::from(status != 0));
}

fn set_id_needs_a_trusted_tracer() -> Outcome {
    creds::require(creds::CAP_SYS_PTRACE)?;
    let dir = TempDir::new()?;
    let path = set_id_copy(&dir)?;
    let output = capture(|| {
        user();
        exec_traced(&path)
    })?;
    check_eq!(output, PLAIN);
    let output = capture(|| {
        let mut ends = [0_i32; 2];
        sys!(SYS_pipe2, &mut ends, libc::O_CLOEXEC)?;
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            user();
            sys!(SYS_read, ends[0], &mut [0_u8; 1], 1)?;
            return exec(&path, &["helper", "ids"]);
        }
        sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0)?;
        sys!(SYS_write, ends[1], b"x", 1)?;
        let_run_on(pid)
    })?;
    check_eq!(output, ELEVATED);
    Ok(())
}

/// The value of `security.capability` that permits these, effective at once.
fn file_capabilities(permitted: u32) -> [u32; 5] {
    [0x0200_0001, permitted, 0, 0, 0]
}

fn set_capabilities(path: &CStr, permitted: u32) -> SysResult {
    let value = file_capabilities(permitted);
    sys!(SYS_setxattr, path, c"security.capability", &value, 20, 0)
}

fn has_capabilities(path: &CStr) -> bool {
    sys!(SYS_getxattr, path, c"security.capability", 0, 0).is_ok()
}

fn no_new_privs_keeps_capabilities_of_the_caller() -> Outcome {
    const KILL: u32 = 1 << creds::CAP_KILL;
    let dir = TempDir::new()?;
    let path = set_id_copy(&dir)?;
    sys!(SYS_chmod, &path, 0o755)?;
    if set_capabilities(&path, KILL | 1 << creds::CAP_CHOWN).is_err() {
        skip!("file capabilities can't be set");
    }
    let run = |no_new_privs: i32| {
        capture(|| {
            sys!(SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0)?;
            sys!(SYS_setresuid, 1000, 1000, 1000)?;
            let kept = u64::from(KILL);
            creds::capset(creds::Caps {
                effective: 0,
                permitted: kept,
                inheritable: 0,
            })?;
            sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, no_new_privs, 0, 0, 0).ok();
            exec(&path, &["helper", "caps"])
        })
    };
    let (all, kept) = (run(0)?, run(1)?);
    check!(all != kept, "{all}, {kept}");
    check!(kept.contains("20"), "{kept}");
    check!(helper(&["caps"], || Ok(()))? != kept);
    Ok(())
}

/// A sleeping child in a user namespace of its own, whose ids are as the test's.
fn other_user_namespace_is_not_looked_into() -> Outcome {
    in_child(|| {
        creds::become_user(1000, 1000)?;
        sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)?;
        let word = 0x1234_u64;
        let (reader, writer) = fd::pipe(0)?;
        let target = process::fork_sleeper()?;
        // The namespace is one's own, and none of the caller's: its capabilities don't reach the parent.
        let pidfd = Fd::own(sys!(SYS_pidfd_open, target.pid, 0)?);
        drop(Fd::own(sys!(SYS_pidfd_getfd, &pidfd, reader.number(), 0)?));
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        errno_is!(sys!(SYS_pidfd_getfd, &pidfd, reader.number(), 0), EPERM);
        let mut into = 0_u64;
        let local = [std::ptr::from_mut(&mut into).addr() as u64, 8];
        let remote = [std::ptr::from_ref(&word).addr() as u64, 8];
        errno_is!(
            sys!(SYS_process_vm_readv, target.pid, &local, 1, &remote, 1, 0),
            EPERM
        );
        errno_is!(
            sys!(SYS_kcmp, target.pid, process::getpid(), 1, 0, 0),
            EPERM
        );
        errno_is!(
            sys!(SYS_ptrace, libc::PTRACE_SEIZE, target.pid, 0, 0),
            EPERM
        );
        errno_is!(
            fd::open(
                &file::cstring(&format!("/proc/{}/environ", target.pid)),
                libc::O_RDONLY,
                0
            ),
            EACCES
        );
        drop(writer);
        Ok(())
    })
}

/// A way to change a file, named.
type Change = (&'static str, fn(&CStr) -> SysResult);

fn changes() -> [Change; 12] {
    fn writable(path: &CStr) -> Result<Fd, crate::sys::SysError> {
        fd::open(path, libc::O_RDWR, 0)
    }
    fn from_pipe(path: &CStr) -> SysResult {
        let (reader, writer) = fd::pipe(0)?;
        writer.write(b"x")?;
        sys!(SYS_splice, &reader, 0, &writable(path)?, 0, 1, 0)
    }
    [
        ("write", |path| writable(path)?.write(b"x").map(|_| 0)),
        ("pwrite", |path| writable(path)?.pwrite(b"x", 2).map(|_| 0)),
        ("writev", |path| {
            let vector = [b"x".as_ptr().addr() as u64, 1];
            sys!(SYS_writev, &writable(path)?, &vector, 1)
        }),
        ("append", |path| {
            fd::open(path, libc::O_WRONLY | libc::O_APPEND, 0)?
                .write(b"x")
                .map(|_| 0)
        }),
        ("ftruncate", |path| writable(path)?.truncate(1).map(|()| 0)),
        ("truncate", |path| sys!(SYS_truncate, path, 1)),
        ("O_TRUNC", |path| {
            fd::open(path, libc::O_WRONLY | libc::O_TRUNC, 0).map(|_| 0)
        }),
        ("fallocate", |path| {
            sys!(SYS_fallocate, &writable(path)?, 0, 0, 10_000)
        }),
        ("sendfile", |path| {
            let source = fd::open(c"/proc/self/exe", libc::O_RDONLY, 0)?;
            sys!(SYS_sendfile, &writable(path)?, &source, 0, 4)
        }),
        ("copy_file_range", |path| {
            let file = writable(path)?;
            let mut from = 0_i64;
            let mut to = 4_i64;
            sys!(SYS_copy_file_range, &file, &mut from, &file, &mut to, 2, 0)
        }),
        ("splice", from_pipe),
        ("chown", |path| sys!(SYS_chown, path, 1000, 1000)),
    ]
}

fn directories() -> Vec<&'static str> {
    ["/tmp", "/dev/shm"]
        .into_iter()
        .filter(|path| file::stat(&file::cstring(path)).is_ok())
        .collect()
}

fn make(path: &CStr) -> Result<usize, crate::sys::SysError> {
    fd::open(path, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o755)?.write(b"12345678")
}

fn changes_drop_file_capabilities() -> Outcome {
    creds::require(creds::CAP_CHOWN)?;
    for directory in directories() {
        let path = file::cstring(&format!("{directory}/st-caps-{}", process::getpid()));
        for (name, change) in changes() {
            make(&path)?;
            if set_capabilities(&path, 1).is_err() {
                sys!(SYS_unlink, &path)?;
                skip!("file capabilities can't be set");
            }
            let (changed, kept) = (change(&path), has_capabilities(&path));
            sys!(SYS_unlink, &path)?;
            changed?;
            check_eq!((directory, name, kept), (directory, name, false));
        }
    }
    Ok(())
}

/// Set-ID bits go when another than root changes a file.
fn changes_drop_set_id_bits() -> Outcome {
    creds::require(creds::CAP_CHOWN)?;
    for directory in directories() {
        in_child(|| {
            creds::become_user(1000, 1000)?;
            let path = file::cstring(&format!("{directory}/st-bits-{}", process::getpid()));
            for (name, change) in changes() {
                make(&path)?;
                sys!(SYS_chmod, &path, 0o6755)?;
                let (changed, mode) = (change(&path), file::stat(&path)?.st_mode & 0o7777);
                sys!(SYS_unlink, &path)?;
                changed?;
                check_eq!((directory, name, mode), (directory, name, 0o755));
            }
            Ok(())
        })?;
    }
    Ok(())
}
