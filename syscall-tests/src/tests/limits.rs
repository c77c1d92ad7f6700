//! prlimit(2), sched(7), prctl(2), uname(2), and other small calls.

use crate::case::Outcome;
use crate::support::process::{self, in_child};
use crate::support::{creds, signal};
use crate::sys::{self, SysError};

cases!(
    limits_are_set_and_read,
    limits_are_inherited,
    hard_limit_needs_privilege,
    limit_errors,
    limits_of_another_process,
    affinity,
    affinity_errors,
    scheduling_policy,
    scheduling_errors,
    yield_succeeds,
    names_of_the_machine,
    setting_names_needs_privilege,
    thread_name,
    timer_slack,
    prctl_errors,
    subreaper_flag,
    tsc_and_fpu_settings,
    unknown_calls_are_enosys,
    ioprio,
    personality_is_kept,
    seccomp_strict_mode,
    seccomp_filter_returns_errno,
    seccomp_filter_kills,
    seccomp_needs_no_new_privs,
    processor_time_limit_sends_sigxcpu,
    namespaces_need_privilege,
    ptrace_traceme_stops_on_exec,
    ptrace_reads_and_writes_memory,
    kcmp_compares,
    times_of_day_and_zone,
);

fn limit(resource: u32) -> Result<(u64, u64), SysError> {
    let mut limit = sys::zeroed::<libc::rlimit>();
    sys!(SYS_prlimit64, 0, resource, 0, &mut limit)?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

fn set_limit(resource: u32, soft: u64, hard: u64) -> sys::SysResult {
    sys!(
        SYS_prlimit64,
        0,
        resource,
        &libc::rlimit {
            rlim_cur: soft,
            rlim_max: hard
        },
        0
    )
}

fn limits_are_set_and_read() -> Outcome {
    for resource in [
        libc::RLIMIT_NOFILE,
        libc::RLIMIT_CORE,
        libc::RLIMIT_STACK,
        libc::RLIMIT_NPROC,
        libc::RLIMIT_FSIZE,
    ] {
        set_limit(resource, 500, 700)?;
        check_eq!(limit(resource)?, (500, 700));
        let mut old = sys::zeroed::<libc::rlimit>();
        sys!(SYS_getrlimit, resource, &mut old)?;
        check_eq!((old.rlim_cur, old.rlim_max), (500, 700));
        sys!(
            SYS_setrlimit,
            resource,
            &libc::rlimit {
                rlim_cur: 400,
                rlim_max: 700
            }
        )?;
        check_eq!(limit(resource)?, (400, 700));
    }
    Ok(())
}

fn limits_are_inherited() -> Outcome {
    set_limit(libc::RLIMIT_NOFILE, 77, 1000)?;
    in_child(|| {
        check_eq!(limit(libc::RLIMIT_NOFILE)?, (77, 1000));
        Ok(())
    })
}

fn hard_limit_needs_privilege() -> Outcome {
    set_limit(libc::RLIMIT_CORE, 10, 100)?;
    in_child(|| {
        creds::become_user(1000, 1000)?;
        set_limit(libc::RLIMIT_CORE, 100, 100)?;
        set_limit(libc::RLIMIT_CORE, 5, 50)?;
        errno_is!(set_limit(libc::RLIMIT_CORE, 5, 51), EPERM);
        Ok(())
    })
}

fn limit_errors() -> Outcome {
    errno_is!(set_limit(libc::RLIMIT_CORE, 10, 5), EINVAL);
    errno_is!(limit(99), EINVAL);
    errno_is!(sys!(SYS_prlimit64, 0, libc::RLIMIT_CORE, 8, 0), EFAULT);
    errno_is!(
        sys!(SYS_prlimit64, 4_000_000, libc::RLIMIT_CORE, 0, 0),
        ESRCH
    );
    errno_is!(set_limit(libc::RLIMIT_NOFILE, 10, 1 << 40), EPERM);
    Ok(())
}

fn limits_of_another_process() -> Outcome {
    let child = process::fork_sleeper()?;
    let new = libc::rlimit {
        rlim_cur: 33,
        rlim_max: 44,
    };
    sys!(SYS_prlimit64, child.pid, libc::RLIMIT_NOFILE, &new, 0)?;
    let text = crate::support::proc::read(&format!("/proc/{}/limits", child.pid))?;
    check!(text.lines().any(|line| line.starts_with("Max open files")
        && line.contains(" 33 ")
        && line.contains(" 44 ")));
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(
            sys!(SYS_prlimit64, child.pid, libc::RLIMIT_NOFILE, 0, 0),
            EPERM
        );
        Ok(())
    })
}

fn affinity() -> Outcome {
    let mut all = [0_u64; 16];
    let len = sys!(SYS_sched_getaffinity, 0, 128, &mut all)? as usize;
    let first = all.iter().enumerate().find(|(_, word)| **word != 0);
    let Some((index, word)) = first else {
        fail!("no processor is allowed")
    };
    let mut one = [0_u64; 16];
    one[index] = 1 << word.trailing_zeros();
    sys!(SYS_sched_setaffinity, 0, len, &one)?;
    let mut now = [0_u64; 16];
    sys!(SYS_sched_getaffinity, 0, 128, &mut now)?;
    check_eq!(now, one);
    in_child(|| {
        let mut inherited = [0_u64; 16];
        sys!(SYS_sched_getaffinity, 0, 128, &mut inherited)?;
        check_eq!(inherited, one);
        let mut cpu = 0_u32;
        sys!(SYS_getcpu, &mut cpu, 0, 0)?;
        check_eq!(
            u64::from(cpu),
            index as u64 * 64 + u64::from(word.trailing_zeros())
        );
        Ok(())
    })?;
    sys!(SYS_sched_setaffinity, 0, len, &all)?;
    Ok(())
}

fn affinity_errors() -> Outcome {
    let mut mask = [0_u64; 16];
    errno_is!(sys!(SYS_sched_setaffinity, 0, 128, &mask), EINVAL);
    errno_is!(sys!(SYS_sched_getaffinity, 0, 7, &mut mask), EINVAL);
    errno_is!(
        sys!(SYS_sched_getaffinity, 4_000_000, 128, &mut mask),
        ESRCH
    );
    errno_is!(sys!(SYS_sched_getaffinity, 0, 128, 8), EFAULT);
    Ok(())
}

fn scheduling_policy() -> Outcome {
    let parameter = |priority| libc::sched_param {
        sched_priority: priority,
    };
    check_eq!(
        sys!(SYS_sched_getscheduler, 0)?,
        i64::from(libc::SCHED_OTHER)
    );
    sys!(SYS_sched_setscheduler, 0, libc::SCHED_BATCH, &parameter(0))?;
    check_eq!(
        sys!(SYS_sched_getscheduler, 0)?,
        i64::from(libc::SCHED_BATCH)
    );
    let mut now = parameter(9);
    sys!(SYS_sched_getparam, 0, &mut now)?;
    check_eq!(now.sched_priority, 0);
    sys!(SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &parameter(0))?;
    check_eq!(sys!(SYS_sched_get_priority_max, libc::SCHED_FIFO)?, 99);
    check_eq!(sys!(SYS_sched_get_priority_min, libc::SCHED_FIFO)?, 1);
    check_eq!(sys!(SYS_sched_get_priority_max, libc::SCHED_OTHER)?, 0);
    let mut interval = sys::zeroed::<libc::timespec>();
    sys!(SYS_sched_rr_get_interval, 0, &mut interval)?;
    // struct sched_attr: size, policy, flags, nice, priority, three durations.
    let mut attributes = [0_u32; 14];
    sys!(SYS_sched_getattr, 0, &mut attributes, 56, 0)?;
    check_eq!(attributes[1], libc::SCHED_OTHER as u32);
    Ok(())
}

fn scheduling_errors() -> Outcome {
    let parameter = |priority| libc::sched_param {
        sched_priority: priority,
    };
    errno_is!(
        sys!(SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &parameter(5)),
        EINVAL
    );
    errno_is!(
        sys!(SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &parameter(0)),
        EINVAL
    );
    errno_is!(sys!(SYS_sched_setscheduler, 0, 77, &parameter(0)), EINVAL);
    errno_is!(sys!(SYS_sched_setscheduler, -1, 0, &parameter(0)), EINVAL);
    errno_is!(sys!(SYS_sched_getscheduler, 4_000_000), ESRCH);
    errno_is!(sys!(SYS_sched_get_priority_max, 77), EINVAL);
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(
            sys!(SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &parameter(1)),
            EPERM
        );
        Ok(())
    })
}

fn yield_succeeds() -> Outcome {
    for _ in 0..10 {
        check_eq!(sys!(SYS_sched_yield)?, 0);
    }
    Ok(())
}

fn names_of_the_machine() -> Outcome {
    let mut name = sys::zeroed::<libc::utsname>();
    sys!(SYS_uname, &mut name)?;
    let release: String = name
        .release
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| *byte as u8 as char)
        .collect();
    let numbers: Vec<u32> = release
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect();
    check!(numbers.len() >= 2 && numbers[0] >= 5, "release {release}");
    errno_is!(sys!(SYS_uname, 8), EFAULT);
    Ok(())
}

fn setting_names_needs_privilege() -> Outcome {
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_sethostname, b"x", 1), EPERM);
        errno_is!(sys!(SYS_setdomainname, b"x", 1), EPERM);
        errno_is!(sys!(SYS_mount, c"none", c"/tmp", c"tmpfs", 0, 0), EPERM);
        errno_is!(sys!(SYS_umount2, c"/tmp", 0), EPERM);
        errno_is!(sys!(SYS_reboot, 0xfee1_dead_u64, 672_274_793, 0, 0), EPERM);
        errno_is!(sys!(SYS_swapoff, c"/none"), EPERM);
        errno_is!(sys!(SYS_acct, 0), EPERM);
        Ok(())
    })
}

fn thread_name() -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NAME, c"0123456789abcdefgh", 0, 0, 0)?;
    let mut name = [0_u8; 16];
    sys!(SYS_prctl, libc::PR_GET_NAME, &mut name, 0, 0, 0)?;
    check_eq!(&name, b"0123456789abcde\0");
    errno_is!(sys!(SYS_prctl, libc::PR_SET_NAME, 8, 0, 0, 0), EFAULT);
    in_child(|| {
        sys!(SYS_prctl, libc::PR_GET_NAME, &mut name, 0, 0, 0)?;
        check_eq!(&name, b"0123456789abcde\0");
        Ok(())
    })
}

fn timer_slack() -> Outcome {
    let slack = || sys!(SYS_prctl, libc::PR_GET_TIMERSLACK, 0, 0, 0, 0);
    let before = slack()?;
    check!(before > 0);
    sys!(SYS_prctl, libc::PR_SET_TIMERSLACK, 12_345, 0, 0, 0)?;
    check_eq!(slack()?, 12_345);
    sys!(SYS_prctl, libc::PR_SET_TIMERSLACK, 0, 0, 0, 0)?;
    check_eq!(slack()?, before);
    Ok(())
}

fn prctl_errors() -> Outcome {
    errno_is!(sys!(SYS_prctl, 99_999, 0, 0, 0, 0), EINVAL);
    errno_is!(sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, 65, 0, 0, 0), EINVAL);
    let mut signo = 0_i32;
    sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGHUP, 0, 0, 0)?;
    sys!(SYS_prctl, libc::PR_GET_PDEATHSIG, &mut signo, 0, 0, 0)?;
    check_eq!(signo, libc::SIGHUP);
    in_child(|| {
        let mut signo = 9_i32;
        sys!(SYS_prctl, libc::PR_GET_PDEATHSIG, &mut signo, 0, 0, 0)?;
        check_eq!(signo, 0);
        Ok(())
    })
}

fn subreaper_flag() -> Outcome {
    let mut flag = 7_i32;
    sys!(SYS_prctl, libc::PR_GET_CHILD_SUBREAPER, &mut flag, 0, 0, 0)?;
    check_eq!(flag, 0);
    sys!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)?;
    sys!(SYS_prctl, libc::PR_GET_CHILD_SUBREAPER, &mut flag, 0, 0, 0)?;
    check_eq!(flag, 1);
    Ok(())
}

fn tsc_and_fpu_settings() -> Outcome {
    let mut value = 0_i32;
    sys!(SYS_prctl, libc::PR_GET_TSC, &mut value, 0, 0, 0)?;
    check_eq!(value, libc::PR_TSC_ENABLE);
    check_eq!(sys!(SYS_prctl, libc::PR_GET_TIMING, 0, 0, 0, 0)?, 0);
    errno_is!(
        sys!(SYS_prctl, libc::PR_GET_UNALIGN, &mut value, 0, 0, 0),
        EINVAL
    );
    Ok(())
}

fn unknown_calls_are_enosys() -> Outcome {
    for nr in [2000, 400, 500, 0x4000_0000] {
        let result = sys::call(nr, "an unknown call", file!(), line!(), &[]);
        errno_is!(result, ENOSYS);
    }
    Ok(())
}

fn ioprio() -> Outcome {
    check_eq!(sys!(SYS_ioprio_get, 1, 0)? & !7, 0);
    // Best effort, level 3.
    sys!(SYS_ioprio_set, 1, 0, 2 << 13 | 3)?;
    check_eq!(sys!(SYS_ioprio_get, 1, 0)?, 2 << 13 | 3);
    errno_is!(sys!(SYS_ioprio_get, 9, 0), EINVAL);
    errno_is!(sys!(SYS_ioprio_set, 1, 0, 7 << 13), EINVAL);
    Ok(())
}

fn personality_is_kept() -> Outcome {
    const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;
    check_eq!(sys!(SYS_personality, ADDR_NO_RANDOMIZE)?, 0);
    check_eq!(
        sys!(SYS_personality, 0xffff_ffff_u64)?,
        ADDR_NO_RANDOMIZE as i64
    );
    in_child(|| {
        check_eq!(
            sys!(SYS_personality, 0xffff_ffff_u64)?,
            ADDR_NO_RANDOMIZE as i64
        );
        Ok(())
    })
}

fn seccomp_strict_mode() -> Outcome {
    let status = process::status_of(|| {
        let _ = sys!(SYS_prctl, libc::PR_SET_SECCOMP, 1, 0, 0, 0);
        let _ = sys!(SYS_write, 1, b"", 0);
        let _ = sys!(SYS_getpid);
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGKILL));
    Ok(())
}

/// A filter program that returns `action` for one call and allows the rest.
fn install_filter(nr: i64, action: u32) -> sys::SysResult {
    // Load the number; if it is `nr` return `action`; else allow.
    let words = |code: u64, jt: u64, jf: u64, k: u64| code | jt << 16 | jf << 24 | k << 32;
    let program = [
        words(0x20, 0, 0, 0),
        words(0x15, 0, 1, nr as u64),
        words(0x06, 0, 0, u64::from(action)),
        words(0x06, 0, 0, 0x7fff_0000),
    ];
    let header = [4_u64, program.as_ptr() as u64];
    sys!(SYS_seccomp, 1, 0, &header)
}

fn seccomp_filter_returns_errno() -> Outcome {
    in_child(|| {
        sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
        install_filter(libc::SYS_getppid, 0x0005_0000 | libc::EXDEV as u32)?;
        errno_is!(sys!(SYS_getppid), EXDEV);
        check!(sys!(SYS_getpid).is_ok());
        check_eq!(
            crate::support::proc::field("/proc/self/status", "Seccomp")?,
            "2"
        );
        in_child(|| {
            errno_is!(sys!(SYS_getppid), EXDEV);
            Ok(())
        })
    })
}

fn seccomp_filter_kills() -> Outcome {
    let run = |action: u32| {
        process::status_of(|| {
            let _ = signal::set_disposition(libc::SIGSYS, libc::SIG_DFL);
            let _ = sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let _ = install_filter(libc::SYS_getppid, action);
            let _ = sys!(SYS_getppid);
            0
        })
    };
    check_eq!(run(0x8000_0000)?.signal(), Some(libc::SIGSYS));
    check_eq!(run(0x0003_0000)?.signal(), Some(libc::SIGSYS));
    Ok(())
}

fn seccomp_needs_no_new_privs() -> Outcome {
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(install_filter(libc::SYS_getppid, 0), EACCES);
        errno_is!(sys!(SYS_seccomp, 99, 0, 0), EINVAL);
        Ok(())
    })
}

fn processor_time_limit_sends_sigxcpu() -> Outcome {
    let status = process::status_of(|| {
        let limit = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 5,
        };
        let _ = sys!(SYS_prlimit64, 0, libc::RLIMIT_CPU, &limit, 0);
        loop {
            std::hint::spin_loop();
        }
    })?;
    check_eq!(status.signal(), Some(libc::SIGXCPU));
    Ok(())
}

fn namespaces_need_privilege() -> Outcome {
    in_child(|| {
        creds::become_user(1000, 1000)?;
        for flag in [
            libc::CLONE_NEWNS,
            libc::CLONE_NEWUTS,
            libc::CLONE_NEWIPC,
            libc::CLONE_NEWNET,
            libc::CLONE_NEWPID,
        ] {
            errno_is!(sys!(SYS_unshare, flag), EPERM);
            errno_is!(sys!(SYS_clone, flag | libc::SIGCHLD, 0, 0, 0, 0), EPERM);
        }
        Ok(())
    })
}

fn ptrace_traceme_stops_on_exec() -> Outcome {
    let program = super::execve::program()?;
    let mut child = process::fork(|| {
        let _ = sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0);
        let _ = super::execve::exec(&program, &["helper", "exit", "9"]);
        200
    })?;
    let mut status = 0_i32;
    sys!(SYS_wait4, child.pid, &mut status, 0, 0)?;
    check_eq!(process::Status(status).stop(), Some(libc::SIGTRAP));
    sys!(SYS_ptrace, libc::PTRACE_CONT, child.pid, 0, 0)?;
    check_eq!(child.wait()?.code(), Some(9));
    Ok(())
}

fn ptrace_reads_and_writes_memory() -> Outcome {
    let memory = crate::support::map::Map::anonymous(4096)?;
    memory.fill(0, &0x1122_3344_5566_7788_u64.to_ne_bytes());
    let mut child = process::fork(|| {
        let _ = sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0);
        let _ = signal::raise(libc::SIGSTOP);
        i32::from(memory.get(0))
    })?;
    sys!(SYS_wait4, child.pid, 0, 0, 0)?;
    let mut word = 0_u64;
    sys!(
        SYS_ptrace,
        libc::PTRACE_PEEKDATA,
        child.pid,
        &memory,
        &mut word
    )?;
    check_eq!(word, 0x1122_3344_5566_7788);
    sys!(SYS_ptrace, libc::PTRACE_POKEDATA, child.pid, &memory, 42)?;
    sys!(SYS_ptrace, libc::PTRACE_DETACH, child.pid, 0, 0)?;
    check_eq!(child.wait()?.code(), Some(42));
    errno_is!(
        sys!(SYS_ptrace, libc::PTRACE_CONT, process::getpid(), 0, 0),
        ESRCH
    );
    Ok(())
}

fn kcmp_compares() -> Outcome {
    const KCMP_FILE: i32 = 0;
    const KCMP_VM: i32 = 1;
    let file = crate::support::file::TempDir::new()?.open_file("f", b"")?;
    let copy = crate::support::fd::Fd::own(sys!(SYS_dup, &file)?);
    let pid = process::getpid();
    let compare = sys!(SYS_kcmp, pid, pid, KCMP_FILE, &file, &copy);
    if compare
        .as_ref()
        .is_err_and(|error| error.errno == libc::ENOSYS)
    {
        skip!("the kernel has no kcmp");
    }
    check_eq!(compare?, 0);
    let child = process::fork_sleeper()?;
    check!(sys!(SYS_kcmp, pid, child.pid, KCMP_VM, 0, 0)? != 0);
    Ok(())
}

fn times_of_day_and_zone() -> Outcome {
    let mut zone = [7_i32; 2];
    sys!(SYS_gettimeofday, 0, &mut zone)?;
    check_eq!(zone[1], 0);
    errno_is!(sys!(SYS_gettimeofday, 8, 0), EFAULT);
    Ok(())
}
