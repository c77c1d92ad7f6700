//! Process groups, sessions and job control without a terminal.

use crate::case::Outcome;
use crate::support::fd;
use crate::support::process;
use crate::support::{signal, time};

cases!(
    new_session_leads_all,
    session_of_a_group_leader_is_eperm,
    setpgid_table,
    setpgid_after_exec_is_eacces,
    getpgid_and_getsid_errors,
    children_inherit,
    kill_of_a_group,
    kill_of_everything_spares_the_sender,
    kill_errors,
    orphaned_stopped_group_gets_hup_and_cont,
    stop_signals_of_an_orphaned_group_are_dropped,
    tty_without_terminal_is_enxio,
);

fn getpgid(pid: i32) -> crate::sys::SysResult {
    sys!(SYS_getpgid, pid)
}

fn getsid(pid: i32) -> crate::sys::SysResult {
    sys!(SYS_getsid, pid)
}

fn new_session_leads_all() -> Outcome {
    process::in_child(|| {
        let pid = i64::from(process::getpid());
        check_eq!(sys!(SYS_setsid)?, pid);
        check_eq!(
            (getsid(0)?, getpgid(0)?, sys!(SYS_getpgrp)?),
            (pid, pid, pid)
        );
        Ok(())
    })
}

fn session_of_a_group_leader_is_eperm() -> Outcome {
    process::in_child(|| {
        sys!(SYS_setpgid, 0, 0)?;
        errno_is!(sys!(SYS_setsid), EPERM);
        Ok(())
    })
}

fn setpgid_table() -> Outcome {
    errno_is!(sys!(SYS_setpgid, -1, 0), EINVAL);
    errno_is!(sys!(SYS_setpgid, 4_000_000, 0), ESRCH);
    errno_is!(sys!(SYS_setpgid, 0, -1), EINVAL);
    errno_is!(sys!(SYS_setpgid, 1, 0), ESRCH);
    let child = process::fork_sleeper()?;
    errno_is!(sys!(SYS_setpgid, child.pid, 99_999), EPERM);
    sys!(SYS_setpgid, child.pid, 0)?;
    check_eq!(getpgid(child.pid)?, i64::from(child.pid));
    sys!(SYS_setpgid, child.pid, sys!(SYS_getpgrp)?)?;
    check_eq!(getpgid(child.pid)?, sys!(SYS_getpgrp)?);
    process::in_child(|| {
        sys!(SYS_setsid)?;
        errno_is!(sys!(SYS_setpgid, 0, 0), EPERM);
        Ok(())
    })?;
    // A group of another session is out of reach.
    let (reader, writer) = fd::pipe(0)?;
    let other = process::fork(|| {
        let _ = sys!(SYS_setsid);
        let _ = writer.write(b"r");
        let _ = sys!(SYS_pause);
        0
    })?;
    reader.read(1)?;
    errno_is!(sys!(SYS_setpgid, child.pid, other.pid), EPERM);
    errno_is!(sys!(SYS_setpgid, other.pid, child.pid), EPERM);
    Ok(())
}

fn setpgid_after_exec_is_eacces() -> Outcome {
    let child = super::execve::spawn(&super::execve::program()?, &["helper", "sleep"])?;
    let line = format!("/proc/{}/cmdline", child.pid);
    check!(time::wait_until(
        || std::fs::read_to_string(&line).is_ok_and(|line| line.ends_with("helper\0sleep\0"))
    ));
    errno_is!(sys!(SYS_setpgid, child.pid, child.pid), EACCES);
    Ok(())
}

fn getpgid_and_getsid_errors() -> Outcome {
    errno_is!(getpgid(-1), ESRCH);
    errno_is!(getpgid(4_000_000), ESRCH);
    errno_is!(getsid(4_000_000), ESRCH);
    check_eq!(getpgid(0)?, getpgid(process::getpid())?);
    Ok(())
}

fn children_inherit() -> Outcome {
    let (group, session) = (getpgid(0)?, getsid(0)?);
    process::in_child(|| {
        check_eq!((getpgid(0)?, getsid(0)?), (group, session));
        Ok(())
    })
}

fn kill_of_a_group() -> Outcome {
    let (mut one, mut two) = (process::fork_sleeper()?, process::fork_sleeper()?);
    sys!(SYS_setpgid, one.pid, one.pid)?;
    sys!(SYS_setpgid, two.pid, one.pid)?;
    sys!(SYS_kill, -one.pid, libc::SIGTERM)?;
    check_eq!(one.wait()?.signal(), Some(libc::SIGTERM));
    check_eq!(two.wait()?.signal(), Some(libc::SIGTERM));
    errno_is!(sys!(SYS_kill, -one.pid, 0), ESRCH);
    // Pid 0: the sender's own group, the sender too.
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    sys!(SYS_kill, 0, libc::SIGUSR1)?;
    check_eq!(signal::count(), 1);
    Ok(())
}

fn kill_of_everything_spares_the_sender() -> Outcome {
    process::in_child(|| {
        crate::support::creds::become_nobody_else()?;
        let mut child = process::fork_sleeper()?;
        signal::handle(libc::SIGUSR1, signal::record, 0)?;
        sys!(SYS_kill, -1, libc::SIGUSR1)?;
        check_eq!(child.wait()?.signal(), Some(libc::SIGUSR1));
        check_eq!(signal::count(), 0);
        Ok(())
    })
}

fn kill_errors() -> Outcome {
    errno_is!(sys!(SYS_kill, process::getpid(), 65), EINVAL);
    errno_is!(sys!(SYS_kill, process::getpid(), -1), EINVAL);
    errno_is!(sys!(SYS_kill, 4_000_000, 0), ESRCH);
    errno_is!(sys!(SYS_kill, i32::MIN, 0), ESRCH);
    check_eq!(sys!(SYS_kill, process::getpid(), 0)?, 0);
    errno_is!(sys!(SYS_tgkill, process::getpid(), 4_000_000, 0), ESRCH);
    errno_is!(sys!(SYS_tgkill, 1, process::gettid(), 0), ESRCH);
    errno_is!(sys!(SYS_tgkill, -1, process::gettid(), 0), EINVAL);
    errno_is!(sys!(SYS_tkill, 0, 0), EINVAL);
    let parent = sys!(SYS_getppid)?;
    process::in_child(|| {
        crate::support::creds::become_user(54_321, 54_321)?;
        errno_is!(sys!(SYS_kill, parent, 0), EPERM);
        Ok(())
    })
}

/// A group that becomes orphaned with a stopped member gets SIGHUP, then SIGCONT.
fn orphaned_stopped_group_gets_hup_and_cont() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    process::in_child(|| {
        sys!(SYS_setsid)?;
        let mut leader = process::fork(|| {
            process::new_group();
            let member = process::fork(|| {
                let _ = signal::handle(libc::SIGHUP, signal::record, 0);
                let _ = signal::handle(libc::SIGCONT, signal::record, 0);
                let _ = signal::raise(libc::SIGSTOP);
                time::wait_until(|| signal::count() >= 2);
                let seen: Vec<u8> = signal::seen_numbers()
                    .iter()
                    .map(|signo| *signo as u8)
                    .collect();
                let _ = writer.write(&seen);
                0
            });
            if let Ok(member) = member {
                let _ = sys!(SYS_wait4, member.pid, 0, libc::WUNTRACED, 0);
                member.forget();
            }
            0
        })?;
        leader.wait()?;
        let mut seen = reader.read(10)?;
        seen.sort_unstable();
        check_eq!(seen, [libc::SIGHUP as u8, libc::SIGCONT as u8]);
        Ok(())
    })
}

fn stop_signals_of_an_orphaned_group_are_dropped() -> Outcome {
    process::in_child(|| {
        sys!(SYS_setsid)?;
        for signo in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            signal::raise(signo)?;
        }
        Ok(())
    })
}

fn tty_without_terminal_is_enxio() -> Outcome {
    process::in_child(|| {
        sys!(SYS_setsid)?;
        errno_is!(fd::open(c"/dev/tty", libc::O_RDWR, 0), ENXIO);
        Ok(())
    })
}
