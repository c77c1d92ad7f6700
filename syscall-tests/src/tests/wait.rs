//! wait4(2), waitid(2), exit(2) and what becomes of children.

use crate::case::Outcome;
use crate::support::process::{self, Child, Status};
use crate::support::{signal, time};
use crate::sys;

cases!(
    exit_code_is_eight_bits,
    signal_death_is_reported,
    no_children_is_echild,
    unknown_child_is_echild,
    nohang_returns_zero,
    any_child_in_the_group,
    only_a_group,
    options_are_checked,
    stopped_child_with_untraced,
    continued_child,
    stop_is_reported_once,
    waitid_exited,
    waitid_killed_and_stopped,
    waitid_nowait_leaves_the_child,
    waitid_errors,
    waitid_pidfd,
    waitid_nohang_without_event_clears_pid,
    rusage_is_filled,
    ignored_sigchld_reaps,
    ignored_sigchld_leaves_no_zombie_for_a_moment,
    no_child_wait_flag_reaps,
    sigchld_carries_the_child,
    zombie_still_exists,
    any_thread_may_wait,
    nothread_waits_for_own_children_only,
    orphan_goes_to_init_or_the_subreaper,
    orphans_have_moved_when_their_parent_is_reaped,
    parent_death_signal,
    exit_group_ends_all_threads,
    exit_of_the_leader_leaves_threads,
    clone_child_needs_wclone,
    bad_status_address_is_efault,
);

/// A child that stops itself, then exits with 3.
fn stopper() -> Result<Child, crate::case::Failure> {
    process::fork(|| {
        let _ = signal::raise(libc::SIGSTOP);
        3
    })
}

fn wait4(pid: i32, options: i32) -> Result<(i64, Status), sys::SysError> {
    let mut status = 0_i32;
    let pid = sys!(SYS_wait4, pid, &mut status, options, 0)?;
    Ok((pid, Status(status)))
}

fn exit_code_is_eight_bits() -> Outcome {
    for (given, expected) in [(0, 0), (7, 7), (255, 255), (256, 0), (-1, 255)] {
        check_eq!(process::status_of(|| given)?.code(), Some(expected));
    }
    Ok(())
}

fn signal_death_is_reported() -> Outcome {
    for signo in [
        libc::SIGKILL,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGUSR1,
        34,
        64,
    ] {
        let mut child = process::fork_sleeper()?;
        child.kill(signo)?;
        check_eq!(child.wait()?, Status(signo));
    }
    Ok(())
}

fn no_children_is_echild() -> Outcome {
    errno_is!(wait4(-1, 0), ECHILD);
    errno_is!(wait4(-1, libc::WNOHANG), ECHILD);
    errno_is!(wait4(0, 0), ECHILD);
    Ok(())
}

fn unknown_child_is_echild() -> Outcome {
    let _child = process::fork_sleeper()?;
    errno_is!(wait4(1, 0), ECHILD);
    errno_is!(wait4(process::getpid(), 0), ECHILD);
    errno_is!(wait4(-99_999, 0), ECHILD);
    errno_is!(wait4(i32::MIN, 0), ESRCH);
    Ok(())
}

fn nohang_returns_zero() -> Outcome {
    let child = process::fork_sleeper()?;
    check_eq!(wait4(child.pid, libc::WNOHANG)?.0, 0);
    Ok(())
}

fn any_child_in_the_group() -> Outcome {
    let first = process::fork(|| 1)?;
    let (pid, status) = wait4(0, 0)?;
    check_eq!((pid, status.code()), (i64::from(first.pid), Some(1)));
    first.forget();
    let other = process::fork(|| {
        process::new_group();
        let _ = sys!(SYS_pause);
        0
    })?;
    sys!(SYS_setpgid, other.pid, other.pid)?;
    errno_is!(wait4(0, libc::WNOHANG), ECHILD);
    check_eq!(wait4(-1, libc::WNOHANG)?.0, 0);
    Ok(())
}

fn only_a_group() -> Outcome {
    let (one, two) = (process::fork_sleeper()?, process::fork(|| 9)?);
    sys!(SYS_setpgid, one.pid, one.pid)?;
    check_eq!(wait4(-one.pid, libc::WNOHANG)?.0, 0);
    one.kill(libc::SIGKILL)?;
    check_eq!(wait4(-one.pid, 0)?.0, i64::from(one.pid));
    errno_is!(wait4(-one.pid, 0), ECHILD);
    one.forget();
    drop(two);
    Ok(())
}

fn options_are_checked() -> Outcome {
    errno_is!(wait4(-1, 0x10), EINVAL);
    errno_is!(wait4(-1, libc::WEXITED), EINVAL);
    errno_is!(wait4(-1, libc::WNOWAIT), EINVAL);
    Ok(())
}

fn stopped_child_with_untraced() -> Outcome {
    let mut child = stopper()?;
    let (pid, status) = wait4(child.pid, libc::WUNTRACED)?;
    check_eq!(
        (pid, status.stop()),
        (i64::from(child.pid), Some(libc::SIGSTOP))
    );
    check_eq!(status.0, 0x137f);
    child.kill(libc::SIGCONT)?;
    check_eq!(child.wait()?.code(), Some(3));
    Ok(())
}

fn continued_child() -> Outcome {
    let mut child = process::fork_sleeper()?;
    child.kill(libc::SIGSTOP)?;
    wait4(child.pid, libc::WUNTRACED)?;
    child.kill(libc::SIGCONT)?;
    let (pid, status) = wait4(child.pid, libc::WCONTINUED)?;
    check_eq!((pid, status.0), (i64::from(child.pid), 0xffff));
    check_eq!(wait4(child.pid, libc::WCONTINUED | libc::WNOHANG)?.0, 0);
    child.kill(libc::SIGTERM)?;
    check_eq!(child.wait()?.signal(), Some(libc::SIGTERM));
    Ok(())
}

fn stop_is_reported_once() -> Outcome {
    let child = stopper()?;
    wait4(child.pid, libc::WUNTRACED)?;
    check_eq!(wait4(child.pid, libc::WUNTRACED | libc::WNOHANG)?.0, 0);
    // A killed child that is stopped ends all the same.
    child.kill(libc::SIGKILL)?;
    check_eq!(wait4(child.pid, 0)?.1.signal(), Some(libc::SIGKILL));
    child.forget();
    Ok(())
}

/// What waitid(2) reports: the fields of siginfo that it sets.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    signo: i32,
    code: i32,
    pid: i32,
    status: i32,
}

fn waitid(kind: u32, id: i32, options: i32) -> Result<Event, sys::SysError> {
    let mut info = [0_i32; 32];
    sys!(SYS_waitid, kind, id, &mut info, options, 0)?;
    // si_signo, si_errno, si_code, padding, si_pid, si_uid, si_status.
    Ok(Event {
        signo: info[0],
        code: info[2],
        pid: info[4],
        status: info[6],
    })
}

fn waitid_exited() -> Outcome {
    let child = process::fork(|| 42)?;
    let event = waitid(libc::P_PID, child.pid, libc::WEXITED)?;
    check_eq!(
        event,
        Event {
            signo: libc::SIGCHLD,
            code: libc::CLD_EXITED,
            pid: child.pid,
            status: 42
        }
    );
    errno_is!(waitid(libc::P_PID, child.pid, libc::WEXITED), ECHILD);
    child.forget();
    Ok(())
}

fn waitid_killed_and_stopped() -> Outcome {
    let child = process::fork_sleeper()?;
    let event = |code, status| Event {
        signo: libc::SIGCHLD,
        code,
        pid: child.pid,
        status,
    };
    child.kill(libc::SIGTSTP)?;
    // The group may be orphaned, in which case SIGTSTP does nothing: SIGSTOP always stops.
    child.kill(libc::SIGSTOP)?;
    let stopped = waitid(libc::P_ALL, 0, libc::WSTOPPED)?;
    check!(
        stopped == event(libc::CLD_STOPPED, libc::SIGSTOP)
            || stopped == event(libc::CLD_STOPPED, libc::SIGTSTP)
    );
    child.kill(libc::SIGCONT)?;
    check_eq!(
        waitid(libc::P_PID, child.pid, libc::WCONTINUED)?,
        event(libc::CLD_CONTINUED, libc::SIGCONT)
    );
    child.kill(libc::SIGKILL)?;
    check_eq!(
        waitid(libc::P_PID, child.pid, libc::WEXITED)?,
        event(libc::CLD_KILLED, libc::SIGKILL)
    );
    child.forget();
    Ok(())
}

fn waitid_nowait_leaves_the_child() -> Outcome {
    let mut child = process::fork(|| 5)?;
    for _ in 0..3 {
        check_eq!(
            waitid(libc::P_PID, child.pid, libc::WEXITED | libc::WNOWAIT)?.status,
            5
        );
    }
    check_eq!(child.wait()?.code(), Some(5));
    Ok(())
}

fn waitid_errors() -> Outcome {
    let child = process::fork_sleeper()?;
    errno_is!(waitid(libc::P_PID, child.pid, 0), EINVAL);
    errno_is!(waitid(libc::P_PID, child.pid, libc::WNOHANG), EINVAL);
    errno_is!(waitid(77, child.pid, libc::WEXITED), EINVAL);
    errno_is!(waitid(libc::P_PID, 0, libc::WEXITED), EINVAL);
    errno_is!(waitid(libc::P_PID, -1, libc::WEXITED), EINVAL);
    errno_is!(waitid(libc::P_PGID, -1, libc::WEXITED), EINVAL);
    errno_is!(waitid(libc::P_PID, 1, libc::WEXITED), ECHILD);
    errno_is!(waitid(libc::P_PIDFD, 800, libc::WEXITED), EBADF);
    Ok(())
}

fn waitid_pidfd() -> Outcome {
    let child = process::fork(|| 6)?;
    let pidfd = crate::support::fd::Fd::own(sys!(SYS_pidfd_open, child.pid, 0)?);
    check!(crate::support::fd::wait_readable(&pidfd, 5000)?);
    check_eq!(
        waitid(libc::P_PIDFD, pidfd.number(), libc::WEXITED)?.status,
        6
    );
    errno_is!(sys!(SYS_pidfd_send_signal, &pidfd, 0, 0, 0), ESRCH);
    child.forget();
    Ok(())
}

fn waitid_nohang_without_event_clears_pid() -> Outcome {
    let child = process::fork_sleeper()?;
    let mut info = [-1_i32; 32];
    check_eq!(
        sys!(
            SYS_waitid,
            libc::P_PID,
            child.pid,
            &mut info,
            libc::WEXITED | libc::WNOHANG,
            0
        )?,
        0
    );
    check_eq!((info[0], info[4]), (0, 0));
    Ok(())
}

fn rusage_is_filled() -> Outcome {
    let child = process::fork(|| {
        while time::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) < 40 * time::MS {}
        0
    })?;
    let (mut status, mut usage) = (0_i32, sys::zeroed::<libc::rusage>());
    sys!(SYS_wait4, child.pid, &mut status, 0, &mut usage)?;
    child.forget();
    let spent = usage.ru_utime.tv_sec * 1_000_000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    check!(spent >= 10_000, "only {spent} us of processor time");
    check!(usage.ru_maxrss > 0);
    let mut children = sys::zeroed::<libc::rusage>();
    sys!(SYS_getrusage, libc::RUSAGE_CHILDREN, &mut children)?;
    check!(children.ru_utime.tv_usec + children.ru_stime.tv_usec >= 10_000);
    Ok(())
}

fn ignored_sigchld_reaps() -> Outcome {
    signal::set_disposition(libc::SIGCHLD, libc::SIG_IGN)?;
    let child = process::fork(|| 1)?;
    errno_is!(wait4(child.pid, 0), ECHILD);
    errno_is!(sys!(SYS_kill, child.pid, 0), ESRCH);
    child.forget();
    Ok(())
}

/// Whoever looks all the time sees it alive, and then no child.
fn ignored_sigchld_leaves_no_zombie_for_a_moment() -> Outcome {
    signal::set_disposition(libc::SIGCHLD, libc::SIG_IGN)?;
    for _ in 0..200 {
        let child = process::fork(|| 1)?;
        let end = loop {
            match wait4(child.pid, libc::WNOHANG) {
                Ok((0, _)) => {}
                end => break end,
            }
        };
        errno_is!(end, ECHILD);
        child.forget();
    }
    Ok(())
}

fn no_child_wait_flag_reaps() -> Outcome {
    signal::handle(
        libc::SIGCHLD,
        signal::record,
        libc::SA_NOCLDWAIT | libc::SA_RESTART,
    )?;
    let child = process::fork(|| 1)?;
    errno_is!(wait4(child.pid, 0), ECHILD);
    check_eq!(signal::count(), 1);
    child.forget();
    Ok(())
}

fn sigchld_carries_the_child() -> Outcome {
    signal::block(signal::bit(libc::SIGCHLD))?;
    let mut child = process::fork(|| 9)?;
    let info = signal::wait_for(signal::bit(libc::SIGCHLD), 5000)?;
    let (pid, uid, status) = signal::sender(&info);
    check_eq!(
        (info.si_code, pid, i64::from(uid)),
        (libc::CLD_EXITED, child.pid, sys!(SYS_getuid)?)
    );
    check_eq!(status as i32, 9);
    child.wait()?;
    let mut child = process::fork_sleeper()?;
    child.kill(libc::SIGSTOP)?;
    check_eq!(
        signal::wait_for(signal::bit(libc::SIGCHLD), 5000)?.si_code,
        libc::CLD_STOPPED
    );
    child.kill(libc::SIGCONT)?;
    check_eq!(
        signal::wait_for(signal::bit(libc::SIGCHLD), 5000)?.si_code,
        libc::CLD_CONTINUED
    );
    child.kill(libc::SIGKILL)?;
    check_eq!(
        signal::wait_for(signal::bit(libc::SIGCHLD), 5000)?.si_code,
        libc::CLD_KILLED
    );
    child.wait()?;
    // SA_NOCLDSTOP: none for stops.
    signal::handle(libc::SIGCHLD, signal::record, libc::SA_NOCLDSTOP)?;
    let child = process::fork_sleeper()?;
    child.kill(libc::SIGSTOP)?;
    wait4(child.pid, libc::WUNTRACED)?;
    check_eq!(signal::pending()?, 0);
    Ok(())
}

fn zombie_still_exists() -> Outcome {
    let mut child = process::fork(|| 0)?;
    waitid(libc::P_PID, child.pid, libc::WEXITED | libc::WNOWAIT)?;
    sys!(SYS_kill, child.pid, libc::SIGTERM)?;
    check_eq!(crate::support::proc::state(child.pid)?, 'Z');
    child.wait()?;
    errno_is!(sys!(SYS_kill, child.pid, 0), ESRCH);
    Ok(())
}

fn any_thread_may_wait() -> Outcome {
    let child = process::fork(|| 4)?;
    let pid = child.pid;
    let code =
        std::thread::spawn(move || wait4(pid, 0).ok().and_then(|(_, status)| status.code())).join();
    check_eq!(code.ok().flatten(), Some(4));
    child.forget();
    Ok(())
}

fn nothread_waits_for_own_children_only() -> Outcome {
    const WNOTHREAD: i32 = 0x2000_0000;
    let child = process::fork(|| 4)?;
    let pid = child.pid;
    let errno =
        std::thread::spawn(move || wait4(pid, WNOTHREAD).err().map(|error| error.errno)).join();
    check_eq!(errno.ok().flatten(), Some(libc::ECHILD));
    check_eq!(wait4(pid, WNOTHREAD)?.1.code(), Some(4));
    child.forget();
    Ok(())
}

/// Whoever reaps a child at the first moment that it can finds the child's children already its own.
fn orphans_have_moved_when_their_parent_is_reaped() -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)?;
    for _ in 0..150 {
        let child = process::fork(|| {
            let orphan = process::fork(|| 33);
            i32::from(orphan.map(Child::forget).is_err())
        })?;
        while wait4(child.pid, libc::WNOHANG)?.0 == 0 {}
        child.forget();
        check_eq!(wait4(-1, 0)?.1.code(), Some(33));
    }
    Ok(())
}

fn orphan_goes_to_init_or_the_subreaper() -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)?;
    let (reader, writer) = crate::support::fd::pipe(0)?;
    let mut child = process::fork(|| {
        let parent = process::getpid();
        let orphan = process::fork(|| {
            time::wait_until(|| sys!(SYS_getppid).is_ok_and(|ppid| ppid != i64::from(parent)));
            let ppid = sys!(SYS_getppid).unwrap_or(0) as i32;
            let _ = writer.write(&ppid.to_ne_bytes());
            33
        });
        if let Ok(orphan) = orphan {
            orphan.forget();
        }
        0
    })?;
    child.wait()?;
    check_eq!(reader.read(4)?, process::getpid().to_ne_bytes());
    check_eq!(wait4(-1, 0)?.1.code(), Some(33));
    Ok(())
}

fn parent_death_signal() -> Outcome {
    let (reader, writer) = crate::support::fd::pipe(0)?;
    let mut middle = process::fork(|| {
        let Ok((ready, tell)) = crate::support::fd::pipe(0) else {
            return 1;
        };
        let orphan = process::fork(|| {
            let _ = signal::block(signal::bit(libc::SIGUSR2));
            let _ = sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGUSR2, 0, 0, 0);
            let _ = tell.write(b"r");
            let got = signal::wait_for(signal::bit(libc::SIGUSR2), 5000).is_ok();
            let _ = writer.write(if got { b"y" } else { b"n" });
            0
        });
        let _ = ready.read(1);
        if let Ok(orphan) = orphan {
            orphan.forget();
        }
        0
    })?;
    middle.wait()?;
    check_eq!(reader.read(1)?, b"y");
    Ok(())
}

fn exit_group_ends_all_threads() -> Outcome {
    let mut child = process::fork(|| {
        for _ in 0..4 {
            std::thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
        let _ = std::thread::spawn(|| {
            let _ = sys!(SYS_exit_group, 21);
        })
        .join();
        0
    })?;
    check_eq!(child.wait()?.code(), Some(21));
    Ok(())
}

/// exit(2) of the leader alone: the process goes on, and ends with the last thread.
fn exit_of_the_leader_leaves_threads() -> Outcome {
    let (reader, writer) = crate::support::fd::pipe(0)?;
    let mut child = process::fork(|| {
        std::thread::spawn(move || {
            time::sleep_ms(100);
            let _ = writer.write(b"x");
            let _ = sys!(SYS_exit, 17);
        });
        let _ = sys!(SYS_exit, 5);
        0
    })?;
    check_eq!(reader.read(1)?, b"x");
    // Since Linux 5.19 the last thread to leave decides.
    check_eq!(child.wait()?.code(), Some(17));
    Ok(())
}

fn clone_child_needs_wclone() -> Outcome {
    // No signal at the end: a "clone" child.
    let pid = sys!(SYS_clone, 0, 0, 0, 0, 0)?;
    if pid == 0 {
        process::exit_now(8);
    }
    errno_is!(wait4(pid as i32, 0), ECHILD);
    check_eq!(wait4(pid as i32, libc::__WCLONE)?.1.code(), Some(8));
    signal::handle(libc::SIGUSR1, signal::record, libc::SA_RESTART)?;
    let pid = sys!(SYS_clone, libc::SIGUSR1, 0, 0, 0, 0)?;
    if pid == 0 {
        process::exit_now(9);
    }
    check_eq!(wait4(pid as i32, libc::__WALL)?.1.code(), Some(9));
    check_eq!(signal::seen_numbers(), [libc::SIGUSR1]);
    Ok(())
}

fn bad_status_address_is_efault() -> Outcome {
    let child = process::fork(|| 1)?;
    errno_is!(sys!(SYS_wait4, child.pid, 8, 0, 0), EFAULT);
    // The child has been reaped all the same.
    errno_is!(wait4(child.pid, 0), ECHILD);
    child.forget();
    Ok(())
}
