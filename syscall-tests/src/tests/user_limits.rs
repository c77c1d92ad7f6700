//! What Linux counts by user: pages of pipes (`man 7 pipe`, */proc files*), inotify instances (`man 7 inotify`), locked
//! memory (`man 2 getrlimit`); and terminals (`man 4 pts`).

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::process::{self, in_child};
use crate::support::{creds, proc};
use crate::sys::SysResult;

cases!(
    pipes_are_small_beyond_the_users_pages,
    pages_of_pipes_come_back,
    inotify_instances_are_counted_by_user,
    heap_is_locked_within_the_limit,
    locked_shared_memory_is_counted_by_user,
    terminals_of_an_instance_end_in_enospc,
    tasks_are_counted_by_real_user,
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

/// Makes an ordinary user of the process, who may lock `bytes`.
fn become_user_who_locks(uid: u32, bytes: u64) -> Outcome {
    let limit = [bytes, bytes];
    sys!(SYS_prlimit64, 0, libc::RLIMIT_MEMLOCK, &limit, 0)?;
    creds::become_user(uid, uid)?;
    Ok(())
}

fn heap_is_locked_within_the_limit() -> Outcome {
    become_user_who_locks(USER + 4, 16 * PAGE)?;
    let end = sys!(SYS_brk, 0)?;
    sys!(SYS_mlockall, libc::MCL_FUTURE)?;
    check_eq!(sys!(SYS_brk, end + 64 * PAGE as i64)?, end);
    check_eq!(sys!(SYS_brk, end + 8 * PAGE as i64)?, end + 8 * PAGE as i64);
    Ok(())
}

fn locked_shared_memory_is_counted_by_user() -> Outcome {
    become_user_who_locks(USER + 5, 16 * PAGE)?;
    let make = || sys!(SYS_shmget, libc::IPC_PRIVATE, 10 * PAGE, 0o600);
    let (one, two) = (make()?, make()?);
    let control = |id: i64, command: i32| sys!(SYS_shmctl, id, command, 0);
    let outcome = (|| {
        control(one, libc::SHM_LOCK)?;
        control(one, libc::SHM_LOCK)?;
        errno_is!(control(two, libc::SHM_LOCK), ENOMEM);
        in_child(|| {
            errno_is!(control(two, libc::SHM_LOCK), ENOMEM);
            Ok(())
        })?;
        control(one, libc::SHM_UNLOCK)?;
        control(two, libc::SHM_LOCK)?;
        Ok(())
    })();
    control(one, libc::IPC_RMID)?;
    control(two, libc::IPC_RMID)?;
    outcome
}

fn terminals_of_an_instance_end_in_enospc() -> Outcome {
    sys!(SYS_unshare, libc::CLONE_NEWNS)?;
    sys!(SYS_mount, 0, c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0)?;
    let options = c"newinstance,ptmxmode=0666,max=2";
    sys!(SYS_mount, c"devpts", c"/tmp", c"devpts", 0, options)?;
    let mounts = proc::read("/proc/self/mounts")?;
    check!(mounts.contains("mode=600,ptmxmode=666,max=2 "));
    let open = || fd::open(c"/tmp/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0);
    let first = open()?;
    let _second = open()?;
    errno_is!(open(), ENOSPC);
    drop(first);
    open()?;
    Ok(())
}

/// A process that changes its real user each time a byte comes, and then says so.
struct Changer {
    child: process::Child,
    go: Fd,
    done: Fd,
}

impl Changer {
    fn start(users: &'static [u32]) -> Result<Changer, Failure> {
        let (wait, go) = fd::pipe(libc::O_CLOEXEC)?;
        let (done, say) = fd::pipe(libc::O_CLOEXEC)?;
        let child = process::fork(move || {
            for uid in users {
                let changed = wait.read(1).is_ok() && sys!(SYS_setresuid, *uid, -1, -1).is_ok();
                if !changed || say.write(b"x").is_err() {
                    return 1;
                }
            }
            let _ = wait.read(1);
            0
        })?;
        Ok(Changer { child, go, done })
    }

    fn next(&self) -> Outcome {
        self.go.write(b"x")?;
        check_eq!(self.done.read(1)?, b"x");
        Ok(())
    }
}

/// Whether another process can be made; it is reaped.
fn can_fork() -> Result<bool, Failure> {
    let pid = match sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
        Ok(0) => process::exit_now(0),
        Ok(pid) => pid,
        Err(error) => {
            check_eq!(error.errno, libc::EAGAIN);
            return Ok(false);
        }
    };
    process::Child::adopt(pid).wait()?;
    Ok(true)
}

/// `RLIMIT_NPROC` (`man 2 getrlimit`): a task counts for the real user that it has now, and until it is reaped.
fn tasks_are_counted_by_real_user() -> Outcome {
    const SELF: u32 = USER + 10;
    const OTHER: u32 = USER + 11;
    let mut moving = Changer::start(&[SELF, OTHER, SELF])?;
    // Real root may make as many as it likes: the caller is SELF in a child alone.
    let (wait, go) = fd::pipe(libc::O_CLOEXEC)?;
    let (answers, answer) = fd::pipe(libc::O_CLOEXEC)?;
    let mut forker = process::fork(move || {
        let limit = [2_u64, 2];
        let prepared = sys!(SYS_prlimit64, 0, libc::RLIMIT_NPROC, &limit, 0).is_ok()
            && creds::become_user(SELF, SELF).is_ok();
        while prepared && wait.read(1).is_ok_and(|bytes| !bytes.is_empty()) {
            let letter: &[u8] = match can_fork() {
                Ok(true) => b"y",
                Ok(false) => b"n",
                Err(_) => b"?",
            };
            let _ = answer.write(letter);
        }
        0
    })?;
    let ask = || -> Result<Vec<u8>, Failure> {
        go.write(b"x")?;
        Ok(answers.read(1)?)
    };
    check_eq!(ask()?, b"y");
    moving.next()?;
    check_eq!(ask()?, b"n");
    moving.next()?;
    check_eq!(ask()?, b"y");
    moving.next()?;
    check_eq!(ask()?, b"n");
    // Dead, and not waited for.
    moving.child.kill(libc::SIGKILL)?;
    let mut info = crate::sys::zeroed::<libc::siginfo_t>();
    let flags = libc::WEXITED | libc::WNOWAIT;
    sys!(
        SYS_waitid,
        libc::P_PID,
        moving.child.pid,
        &mut info,
        flags,
        0
    )?;
    check_eq!(ask()?, b"n");
    moving.child.wait()?;
    check_eq!(ask()?, b"y");
    forker.kill(libc::SIGKILL)?;
    forker.wait()?;
    Ok(())
}
