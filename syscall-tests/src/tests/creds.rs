//! credentials(7), capabilities(7), and what they allow.

use crate::case::Outcome;
use crate::support::creds::{self, Caps};
use crate::support::proc;
use crate::support::process::in_child;
use crate::sys::{SysError, SysResult};

cases!(
    setresuid_as_a_user,
    setresgid_as_a_user,
    setuid_as_root_sets_all,
    setuid_as_a_user,
    setreuid_saved_id,
    setfsuid_returns_the_old,
    invalid_ids,
    groups,
    groups_errors,
    capabilities_follow_the_effective_id,
    keepcaps_keeps_the_permitted_set,
    capset_cannot_add,
    capget_versions,
    bounding_set,
    ambient_set,
    securebits_lock,
    no_fixup_keeps_capabilities,
    no_new_privs_is_for_good,
    dumpable_follows_the_ids,
    ids_in_proc_status,
    threads_have_their_own,
    setpriority_and_nice,
    dmesg_restriction,
);

fn uids() -> Result<[u32; 3], SysError> {
    let [mut r, mut e, mut s] = [0_u32; 3];
    sys!(SYS_getresuid, &mut r, &mut e, &mut s)?;
    Ok([r, e, s])
}

fn gids() -> Result<[u32; 3], SysError> {
    let [mut r, mut e, mut s] = [0_u32; 3];
    sys!(SYS_getresgid, &mut r, &mut e, &mut s)?;
    Ok([r, e, s])
}

fn setresuid(r: i32, e: i32, s: i32) -> SysResult {
    sys!(SYS_setresuid, r, e, s)
}

/// A thread without privilege may set each id to any of the three.
fn setresuid_as_a_user() -> Outcome {
    in_child(|| {
        setresuid(10, 20, 30)?;
        check_eq!(uids()?, [10, 20, 30]);
        errno_is!(setresuid(40, -1, -1), EPERM);
        errno_is!(setresuid(-1, 0, -1), EPERM);
        errno_is!(setresuid(10, 20, 99), EPERM);
        setresuid(-1, -1, -1)?;
        setresuid(30, 10, 20)?;
        check_eq!(uids()?, [30, 10, 20]);
        setresuid(10, 10, 10)?;
        errno_is!(setresuid(20, -1, -1), EPERM);
        Ok(())
    })
}

fn setresgid_as_a_user() -> Outcome {
    in_child(|| {
        sys!(SYS_setresgid, 10, 20, 30)?;
        check_eq!(gids()?, [10, 20, 30]);
        // Still privileged by its user id.
        sys!(SYS_setresgid, 40, 50, 60)?;
        setresuid(1000, 1000, 1000)?;
        errno_is!(sys!(SYS_setresgid, 10, -1, -1), EPERM);
        sys!(SYS_setresgid, 60, 40, 50)?;
        check_eq!(gids()?, [60, 40, 50]);
        errno_is!(sys!(SYS_setgid, 99), EPERM);
        sys!(SYS_setgid, 50)?;
        check_eq!(gids()?, [60, 50, 50]);
        Ok(())
    })
}

fn setuid_as_root_sets_all() -> Outcome {
    in_child(|| {
        sys!(SYS_setgid, 77)?;
        check_eq!(gids()?, [77, 77, 77]);
        sys!(SYS_setuid, 77)?;
        check_eq!(uids()?, [77, 77, 77]);
        errno_is!(sys!(SYS_setuid, 0), EPERM);
        Ok(())
    })
}

fn setuid_as_a_user() -> Outcome {
    in_child(|| {
        setresuid(10, 20, 30)?;
        sys!(SYS_setuid, 30)?;
        check_eq!(uids()?, [10, 30, 30]);
        sys!(SYS_setuid, 10)?;
        check_eq!(uids()?, [10, 10, 30]);
        errno_is!(sys!(SYS_setuid, 20), EPERM);
        Ok(())
    })
}

/// setreuid(2): the saved id follows the effective one if the real id is set, or the effective id differs from it.
fn setreuid_saved_id() -> Outcome {
    in_child(|| {
        sys!(SYS_setreuid, -1, 5)?;
        check_eq!(uids()?, [0, 5, 5]);
        sys!(SYS_setreuid, 5, 0)?;
        check_eq!(uids()?, [5, 0, 0]);
        sys!(SYS_setreuid, -1, 5)?;
        check_eq!(uids()?, [5, 5, 0]);
        errno_is!(sys!(SYS_setreuid, 7, -1), EPERM);
        Ok(())
    })?;
    in_child(|| {
        sys!(SYS_setregid, 3, 4)?;
        check_eq!(gids()?, [3, 4, 4]);
        Ok(())
    })
}

fn setfsuid_returns_the_old() -> Outcome {
    in_child(|| {
        check_eq!(sys!(SYS_setfsuid, 1000)?, 0);
        check_eq!(sys!(SYS_setfsuid, -1)?, 1000);
        check_eq!(proc::field("/proc/self/status", "Uid")?, "0\t0\t0\t1000");
        // File access goes by it.
        let dir = crate::support::file::TempDir::new()?;
        let made = dir.open_file("f", b"")?;
        check_eq!(made.stat()?.st_uid, 1000);
        check_eq!(sys!(SYS_setfsgid, 1000)?, 0);
        check_eq!(sys!(SYS_setfsgid, -1)?, 1000);
        setresuid(-1, 0, -1)?;
        check_eq!(sys!(SYS_setfsuid, -1)?, 0);
        Ok(())
    })
}

fn invalid_ids() -> Outcome {
    errno_is!(sys!(SYS_setuid, -1), EINVAL);
    errno_is!(sys!(SYS_setgid, -1), EINVAL);
    setresuid(-1, -1, -1)?;
    errno_is!(sys!(SYS_getresuid, 8, 8, 8), EFAULT);
    Ok(())
}

fn groups() -> Outcome {
    let dir = crate::support::file::TempDir::new()?;
    in_child(|| {
        sys!(SYS_setgroups, 4, &[40_u32, 10, 30, 20])?;
        check_eq!(sys!(SYS_getgroups, 0, 0)?, 4);
        let mut list = [0_u32; 8];
        check_eq!(sys!(SYS_getgroups, 8, &mut list)?, 4);
        list[..4].sort_unstable();
        check_eq!(list[..4], [10, 20, 30, 40]);
        let path = dir.file("f", b"x")?;
        sys!(SYS_chown, &path, 5000, 30)?;
        sys!(SYS_chmod, &path, 0o040)?;
        setresuid(1000, 1000, 1000)?;
        crate::support::fd::open(&path, libc::O_RDONLY, 0)?;
        errno_is!(crate::support::fd::open(&path, libc::O_RDWR, 0), EACCES);
        Ok(())
    })
}

fn groups_errors() -> Outcome {
    in_child(|| {
        let mut list = [0_u32; 2];
        sys!(SYS_setgroups, 3, &[1_u32, 2, 3])?;
        errno_is!(sys!(SYS_getgroups, 2, &mut list), EINVAL);
        errno_is!(sys!(SYS_getgroups, -1, &mut list), EINVAL);
        errno_is!(sys!(SYS_getgroups, 3, 8), EFAULT);
        errno_is!(sys!(SYS_setgroups, 65537, &list), EINVAL);
        errno_is!(sys!(SYS_setgroups, 2, 8), EFAULT);
        setresuid(1000, 1000, 1000)?;
        errno_is!(sys!(SYS_setgroups, 0, 0), EPERM);
        Ok(())
    })
}

fn capabilities_follow_the_effective_id() -> Outcome {
    let full = creds::capget()?;
    check!(full.effective != 0 && full.permitted == full.effective);
    in_child(|| {
        setresuid(-1, 1000, -1)?;
        check_eq!(
            creds::capget()?,
            Caps {
                effective: 0,
                ..full
            }
        );
        setresuid(-1, 0, -1)?;
        check_eq!(creds::capget()?, full);
        setresuid(1000, 1000, 1000)?;
        check_eq!(
            (creds::capget()?.effective, creds::capget()?.permitted),
            (0, 0)
        );
        Ok(())
    })
}

fn keepcaps_keeps_the_permitted_set() -> Outcome {
    let full = creds::capget()?;
    in_child(|| {
        check_eq!(sys!(SYS_prctl, libc::PR_GET_KEEPCAPS, 0, 0, 0, 0)?, 0);
        sys!(SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0)?;
        setresuid(1000, 1000, 1000)?;
        check_eq!(
            creds::capget()?,
            Caps {
                effective: 0,
                ..full
            }
        );
        creds::capset(Caps {
            effective: full.permitted,
            ..full
        })?;
        check_eq!(creds::capget()?, full);
        errno_is!(sys!(SYS_prctl, libc::PR_SET_KEEPCAPS, 2, 0, 0, 0), EINVAL);
        Ok(())
    })
}

fn capset_cannot_add() -> Outcome {
    in_child(|| {
        let full = creds::capget()?;
        let less = Caps {
            effective: 0,
            permitted: full.permitted & !1,
            inheritable: 0,
        };
        creds::capset(less)?;
        errno_is!(creds::capset(full), EPERM);
        errno_is!(
            creds::capset(Caps {
                effective: 1,
                ..less
            }),
            EPERM
        );
        creds::capset(Caps {
            effective: less.permitted,
            ..less
        })?;
        check_eq!(creds::capget()?.effective, less.permitted);
        Ok(())
    })
}

fn capget_versions() -> Outcome {
    let mut data = [0_u32; 6];
    // The two older versions are accepted, another one is replaced by the newest.
    for version in [0x1998_0330, 0x2007_1026, 0x2008_0522] {
        sys!(SYS_capget, &mut [version, 0_u32], &mut data)?;
    }
    let mut unknown = [0x1234_u32, 0];
    errno_is!(sys!(SYS_capget, &mut unknown, &mut data), EINVAL);
    check_eq!(unknown[0], creds::CAPABILITY_VERSION_3);
    errno_is!(
        sys!(
            SYS_capget,
            &mut [creds::CAPABILITY_VERSION_3, 4_000_000],
            &mut data
        ),
        ESRCH
    );
    errno_is!(
        sys!(
            SYS_capget,
            &mut [creds::CAPABILITY_VERSION_3, u32::MAX],
            &mut data
        ),
        EINVAL
    );
    errno_is!(
        sys!(SYS_capset, &mut [creds::CAPABILITY_VERSION_3, 1], &data),
        EPERM
    );
    errno_is!(sys!(SYS_capget, 8, &mut data), EFAULT);
    Ok(())
}

fn prctl(option: i32, a: u64, b: u64) -> SysResult {
    sys!(SYS_prctl, option, a, b, 0, 0)
}

fn bounding_set() -> Outcome {
    creds::require(creds::CAP_SETPCAP)?;
    in_child(|| {
        check_eq!(
            prctl(libc::PR_CAPBSET_READ, u64::from(creds::CAP_CHOWN), 0)?,
            1
        );
        prctl(libc::PR_CAPBSET_DROP, u64::from(creds::CAP_CHOWN), 0)?;
        check_eq!(
            prctl(libc::PR_CAPBSET_READ, u64::from(creds::CAP_CHOWN), 0)?,
            0
        );
        errno_is!(prctl(libc::PR_CAPBSET_READ, 64, 0), EINVAL);
        errno_is!(prctl(libc::PR_CAPBSET_DROP, 64, 0), EINVAL);
        // What execve gives to root is limited by it.
        let program = super::execve::program()?;
        let output = super::execve::capture(|| super::execve::exec(&program, &["helper", "caps"]))?;
        let effective =
            u64::from_str_radix(output.split(' ').next().unwrap_or(""), 16).unwrap_or(1);
        check!(effective != 0 && effective & 1 == 0, "{output}");
        creds::drop_effective(creds::CAP_SETPCAP)?;
        errno_is!(
            prctl(libc::PR_CAPBSET_DROP, u64::from(creds::CAP_KILL), 0),
            EPERM
        );
        Ok(())
    })
}

fn ambient_set() -> Outcome {
    const AMBIENT: i32 = 47;
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const CLEAR_ALL: u64 = 4;
    let kill = u64::from(creds::CAP_KILL);
    let dir = crate::support::file::TempDir::new()?;
    in_child(|| {
        check_eq!(prctl(AMBIENT, IS_SET, kill)?, 0);
        // It must be permitted and inheritable first.
        errno_is!(prctl(AMBIENT, RAISE, kill), EPERM);
        let full = creds::capget()?;
        creds::capset(Caps {
            inheritable: 1 << kill,
            ..full
        })?;
        prctl(AMBIENT, RAISE, kill)?;
        check_eq!(prctl(AMBIENT, IS_SET, kill)?, 1);
        prctl(libc::PR_SET_KEEPCAPS, 1, 0)?;
        setresuid(1000, 1000, 1000)?;
        // Leaving root clears the ambient set, unless it is raised again.
        check_eq!(prctl(AMBIENT, IS_SET, kill)?, 0);
        prctl(AMBIENT, RAISE, kill)?;
        let program = dir.join("p");
        super::execve::copy_program(&program)?;
        let output = super::execve::capture(|| super::execve::exec(&program, &["helper", "caps"]))?;
        check_eq!(output, "20 20 20");
        prctl(AMBIENT, CLEAR_ALL, 0)?;
        check_eq!(prctl(AMBIENT, IS_SET, kill)?, 0);
        Ok(())
    })
}

fn securebits_lock() -> Outcome {
    const NOROOT: u64 = 1;
    const NOROOT_LOCKED: u64 = 2;
    creds::require(creds::CAP_SETPCAP)?;
    in_child(|| {
        check_eq!(prctl(libc::PR_GET_SECUREBITS, 0, 0)?, 0);
        prctl(libc::PR_SET_SECUREBITS, NOROOT | NOROOT_LOCKED, 0)?;
        check_eq!(prctl(libc::PR_GET_SECUREBITS, 0, 0)?, 3);
        errno_is!(prctl(libc::PR_SET_SECUREBITS, 0, 0), EPERM);
        let program = super::execve::program()?;
        let output = super::execve::capture(|| super::execve::exec(&program, &["helper", "caps"]))?;
        check_eq!(output, "0 0 0");
        Ok(())
    })
}

fn no_fixup_keeps_capabilities() -> Outcome {
    const NO_SETUID_FIXUP: u64 = 4;
    creds::require(creds::CAP_SETPCAP)?;
    in_child(|| {
        let full = creds::capget()?;
        prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0)?;
        setresuid(1000, 1000, 1000)?;
        check_eq!(creds::capget()?, full);
        Ok(())
    })
}

fn no_new_privs_is_for_good() -> Outcome {
    in_child(|| {
        check_eq!(prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0)?, 0);
        errno_is!(prctl(libc::PR_SET_NO_NEW_PRIVS, 0, 0), EINVAL);
        errno_is!(prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 1), EINVAL);
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        check_eq!(prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0)?, 1);
        check_eq!(proc::field("/proc/self/status", "NoNewPrivs")?, "1");
        in_child(|| {
            check_eq!(prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0)?, 1);
            Ok(())
        })
    })
}

fn dumpable_follows_the_ids() -> Outcome {
    in_child(|| {
        check_eq!(prctl(libc::PR_GET_DUMPABLE, 0, 0)?, 1);
        prctl(libc::PR_SET_DUMPABLE, 0, 0)?;
        check_eq!(prctl(libc::PR_GET_DUMPABLE, 0, 0)?, 0);
        errno_is!(prctl(libc::PR_SET_DUMPABLE, 2, 0), EINVAL);
        prctl(libc::PR_SET_DUMPABLE, 1, 0)?;
        setresuid(-1, 1000, -1)?;
        check_eq!(prctl(libc::PR_GET_DUMPABLE, 0, 0)? & !2, 0);
        Ok(())
    })
}

fn ids_in_proc_status() -> Outcome {
    in_child(|| {
        sys!(SYS_setgroups, 2, &[5_u32, 6])?;
        sys!(SYS_setresgid, 7, 8, 9)?;
        setresuid(1, 2, 3)?;
        let field = |name| proc::field("/proc/thread-self/status", name);
        check_eq!(field("Uid")?, "1\t2\t3\t2");
        check_eq!(field("Gid")?, "7\t8\t9\t8");
        check_eq!(field("Groups")?, "5 6");
        check_eq!(field("CapEff")?, "0000000000000000");
        Ok(())
    })
}

/// Credentials belong to threads; the C library's wrappers hide that.
fn threads_have_their_own() -> Outcome {
    let other = std::thread::spawn(|| setresuid(1000, 1000, 1000).and_then(|_| uids()).ok()).join();
    check_eq!(other.ok().flatten(), Some([1000, 1000, 1000]));
    check_eq!(uids()?, [0, 0, 0]);
    Ok(())
}

fn setpriority_and_nice() -> Outcome {
    in_child(|| {
        creds::become_user(1000, 1000)?;
        // The call returns 20 minus the nice value.
        check_eq!(sys!(SYS_getpriority, libc::PRIO_PROCESS, 0)?, 20);
        sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, 5)?;
        check_eq!(sys!(SYS_getpriority, libc::PRIO_PROCESS, 0)?, 15);
        sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, 100)?;
        check_eq!(sys!(SYS_getpriority, libc::PRIO_PROCESS, 0)?, 1);
        errno_is!(sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, 0), EACCES);
        errno_is!(
            sys!(SYS_setpriority, libc::PRIO_PROCESS, 4_000_000, 0),
            ESRCH
        );
        errno_is!(sys!(SYS_getpriority, 7, 0), EINVAL);
        Ok(())
    })
}

/// Where `dmesg_restrict` is set, the kernel's log is for who has `CAP_SYSLOG` only.
fn dmesg_restriction() -> Outcome {
    const SYSLOG_ACTION_SIZE_BUFFER: i32 = 10;
    let restricted = proc::read("/proc/sys/kernel/dmesg_restrict")?.trim() == "1";
    in_child(|| {
        creds::become_user(1000, 1000)?;
        match sys!(SYS_syslog, SYSLOG_ACTION_SIZE_BUFFER, 0, 0) {
            Ok(size) => check!(!restricted && size > 0, "{size}"),
            Err(error) => check!(restricted && error.errno == libc::EPERM, "{error:?}"),
        }
        Ok(())
    })
}
