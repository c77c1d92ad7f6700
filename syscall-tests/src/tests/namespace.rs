//! Namespaces as objects, and user namespaces (`man 7 namespaces`, `man 7 user_namespaces`).

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::process::{self, in_child};
use crate::support::{creds, file, proc, time};

cases! {
    links_open_as_objects,
    setns_joins_uts_and_ipc,
    setns_errors,
    setns_takes_a_pidfd,
    ioctls_tell_of_namespaces,
    pid_namespace_is_for_children,
    init_ends_after_members_whose_parent_is_outside,
    new_user_namespace_has_capabilities_but_no_ids,
    own_id_can_be_mapped,
    maps_are_written_once,
    map_rules,
    group_map_needs_setgroups_denied,
    user_namespace_owns_what_is_made_with_it,
    capabilities_do_not_reach_the_parent,
    ids_outside_are_overflow,
    set_ids_inside,
    clone_into_a_user_namespace,
    mounts_are_locked,
}

const NS_GET_USERNS: u32 = 0xb701;
const NS_GET_PARENT: u32 = 0xb702;
const NS_GET_NSTYPE: u32 = 0xb703;
const NS_GET_OWNER_UID: u32 = 0xb704;

fn open_ns(pid: &str, name: &str) -> Result<Fd, Failure> {
    Ok(fd::open(
        &file::cstring(&format!("/proc/{pid}/ns/{name}")),
        libc::O_RDONLY,
        0,
    )?)
}

fn link(name: &str) -> Result<String, Failure> {
    Ok(std::fs::read_link(format!("/proc/self/ns/{name}"))?
        .to_string_lossy()
        .into_owned())
}

fn write(path: &str, text: &str) -> Result<usize, crate::sys::SysError> {
    fd::open(&file::cstring(path), libc::O_WRONLY, 0)?.write(text.as_bytes())
}

fn host_name() -> Result<Vec<u8>, Failure> {
    let mut name = crate::sys::zeroed::<libc::utsname>();
    sys!(SYS_uname, &mut name)?;
    Ok(name
        .nodename
        .iter()
        .map(|byte| *byte as u8)
        .take_while(|byte| *byte != 0)
        .collect())
}

fn links_open_as_objects() -> Outcome {
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let (one, two) = (
            open_ns("self", name)?.stat()?,
            open_ns("self", name)?.stat()?,
        );
        check_eq!((one.st_dev, one.st_ino), (two.st_dev, two.st_ino));
        check_eq!(link(name)?, format!("{name}:[{}]", one.st_ino));
        check_eq!(one.st_mode, libc::S_IFREG | 0o444);
    }
    Ok(())
}

fn setns_joins_uts_and_ipc() -> Outcome {
    in_child(|| {
        let (uts, ipc) = (open_ns("self", "uts")?, open_ns("self", "ipc")?);
        let (before, name) = ((link("uts")?, link("ipc")?), host_name()?);
        sys!(SYS_unshare, libc::CLONE_NEWUTS | libc::CLONE_NEWIPC)?;
        sys!(SYS_sethostname, b"other", 5)?;
        check!(link("uts")? != before.0 && link("ipc")? != before.1);
        sys!(SYS_setns, &uts, libc::CLONE_NEWUTS)?;
        sys!(SYS_setns, &ipc, 0)?;
        check_eq!((link("uts")?, link("ipc")?), before);
        check_eq!(host_name()?, name);
        Ok(())
    })
}

fn setns_errors() -> Outcome {
    let uts = open_ns("self", "uts")?;
    errno_is!(sys!(SYS_setns, &uts, libc::CLONE_NEWIPC), EINVAL);
    errno_is!(sys!(SYS_setns, -1, 0), EBADF);
    let other = fd::memfd(0)?;
    errno_is!(sys!(SYS_setns, &other, 0), EINVAL);
    errno_is!(sys!(SYS_setns, &open_ns("self", "user")?, 0), EINVAL);
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_setns, &uts, 0), EPERM);
        Ok(())
    })
}

fn setns_takes_a_pidfd() -> Outcome {
    in_child(|| {
        let before = link("uts")?;
        let child = process::fork(|| {
            let _ = sys!(SYS_unshare, libc::CLONE_NEWUTS);
            let _ = sys!(SYS_sethostname, b"child", 5);
            loop {
                let _ = sys!(SYS_pause);
            }
        })?;
        let pidfd = Fd::own(sys!(SYS_pidfd_open, child.pid, 0)?);
        let theirs = || std::fs::read_link(format!("/proc/{}/ns/uts", child.pid));
        check!(time::wait_until(|| {
            theirs().is_ok_and(|link| link.to_string_lossy() != before)
                && open_ns(&child.pid.to_string(), "uts").is_ok()
        }));
        errno_is!(sys!(SYS_setns, &pidfd, 0), EINVAL);
        sys!(SYS_setns, &pidfd, libc::CLONE_NEWUTS)?;
        check_eq!(link("uts")?, theirs()?.to_string_lossy());
        Ok(())
    })
}

fn ioctls_tell_of_namespaces() -> Outcome {
    let uts = open_ns("self", "uts")?;
    check_eq!(
        sys!(SYS_ioctl, &uts, NS_GET_NSTYPE, 0)?,
        i64::from(libc::CLONE_NEWUTS)
    );
    errno_is!(sys!(SYS_ioctl, &uts, NS_GET_PARENT, 0), EINVAL);
    errno_is!(sys!(SYS_ioctl, &uts, 0xb777, 0), ENOTTY);
    let mut uid = 77_u32;
    errno_is!(sys!(SYS_ioctl, &uts, NS_GET_OWNER_UID, &mut uid), EINVAL);
    in_child(|| {
        let parent = link("user")?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWUTS)?;
        let owner = Fd::own(sys!(SYS_ioctl, &open_ns("self", "uts")?, NS_GET_USERNS, 0)?);
        check_eq!(format!("user:[{}]", owner.stat()?.st_ino), link("user")?);
        check!(link("user")? != parent);
        // The parent is not the caller's to see any more.
        errno_is!(sys!(SYS_ioctl, &owner, NS_GET_PARENT, 0), EPERM);
        Ok(())
    })
}

fn pid_namespace_is_for_children() -> Outcome {
    in_child(|| {
        let before = process::getpid();
        sys!(SYS_unshare, libc::CLONE_NEWPID)?;
        check_eq!(process::getpid(), before);
        let status = process::status_of(|| i32::from(process::getpid() == 1))?;
        check_eq!(status.code(), Some(1));
        Ok(())
    })
}

/// What is left of a pid namespace when its init is killed need not be the init's to reap.
fn init_ends_after_members_whose_parent_is_outside() -> Outcome {
    in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWPID)?;
        let mut init = process::fork_sleeper()?;
        let mut member = process::fork_sleeper()?;
        init.kill(libc::SIGKILL)?;
        // Until then the init sleeps, since the member is there as a zombie.
        let ended = || proc::state(member.pid).is_ok_and(|state| state == 'Z');
        check!(time::wait_until(ended));
        time::sleep_ms(50);
        check_eq!(member.wait()?.signal(), Some(libc::SIGKILL));
        check_eq!(init.wait()?.signal(), Some(libc::SIGKILL));
        Ok(())
    })
}

fn new_user_namespace_has_capabilities_but_no_ids() -> Outcome {
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        check_eq!(sys!(SYS_getuid)?, 65534);
        check_eq!(sys!(SYS_getegid)?, 65534);
        check!(
            u64::from_str_radix(&proc::field("/proc/self/status", "CapEff")?, 16)
                .is_ok_and(|set| set & 0x1ff_ffff_ffff == 0x1ff_ffff_ffff)
        );
        check_eq!(proc::read("/proc/self/uid_map")?, "");
        Ok(())
    })
}

/// Becomes a user whose `/proc/self` is still its own.
pub(super) fn unprivileged() -> Outcome {
    creds::become_user(1000, 1000)?;
    sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)?;
    Ok(())
}

pub(super) fn map_own(outside: u32) -> Outcome {
    write("/proc/self/uid_map", &format!("0 {outside} 1\n"))?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/gid_map", &format!("0 {outside} 1"))?;
    Ok(())
}

fn own_id_can_be_mapped() -> Outcome {
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        map_own(1000)?;
        check_eq!((sys!(SYS_getuid)?, sys!(SYS_geteuid)?), (0, 0));
        check_eq!((sys!(SYS_getgid)?, sys!(SYS_getegid)?), (0, 0));
        let map = proc::read("/proc/self/uid_map")?;
        check_eq!(
            map.split_whitespace().collect::<Vec<_>>(),
            ["0", "1000", "1"]
        );
        check_eq!(proc::read("/proc/self/setgroups")?, "deny\n");
        let groups = [0_u32];
        errno_is!(sys!(SYS_setgroups, 1, &groups), EPERM);
        Ok(())
    })
}

fn maps_are_written_once() -> Outcome {
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        map_own(1000)?;
        errno_is!(write("/proc/self/uid_map", "0 1000 1"), EPERM);
        errno_is!(write("/proc/self/setgroups", "allow"), EPERM);
        Ok(())
    })
}

fn map_rules() -> Outcome {
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        errno_is!(write("/proc/self/uid_map", "0 0 1"), EPERM);
        errno_is!(write("/proc/self/uid_map", "0 1000 2"), EPERM);
        errno_is!(write("/proc/self/uid_map", "0 1000"), EINVAL);
        errno_is!(write("/proc/self/uid_map", "0 1000 0"), EINVAL);
        errno_is!(write("/proc/self/uid_map", "x"), EINVAL);
        errno_is!(write("/proc/self/setgroups", "x"), EINVAL);
        Ok(())
    })
}

fn group_map_needs_setgroups_denied() -> Outcome {
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        errno_is!(write("/proc/self/gid_map", "0 1000 1"), EPERM);
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/gid_map", "0 1000 1")?;
        check_eq!(sys!(SYS_getgid)?, 0);
        Ok(())
    })
}

fn user_namespace_owns_what_is_made_with_it() -> Outcome {
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_sethostname, b"x", 1), EPERM);
        sys!(
            SYS_unshare,
            libc::CLONE_NEWUSER | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET
        )?;
        sys!(SYS_sethostname, b"mine", 4)?;
        check_eq!(host_name()?, b"mine");
        Ok(())
    })
}

fn capabilities_do_not_reach_the_parent() -> Outcome {
    let uts = open_ns("self", "uts")?;
    let dir = file::TempDir::new()?;
    let secret = dir.file("secret", b"x")?;
    sys!(SYS_chmod, &secret, 0o600)?;
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        map_own(1000)?;
        errno_is!(sys!(SYS_sethostname, b"x", 1), EPERM);
        errno_is!(sys!(SYS_setns, &uts, 0), EPERM);
        check!(fd::open(&secret, libc::O_RDONLY, 0).is_err());
        errno_is!(sys!(SYS_mount, c"none", c"/tmp", c"tmpfs", 0, 0), EPERM);
        errno_is!(sys!(SYS_kill, 1, 0), EPERM);
        Ok(())
    })
}

fn ids_outside_are_overflow() -> Outcome {
    let dir = file::TempDir::new()?;
    let path = dir.file("f", b"")?;
    sys!(SYS_chmod, &file::cstring(dir.path()), 0o755)?;
    sys!(SYS_chown, &path, 1000, 1001)?;
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        map_own(1000)?;
        let stat = file::stat(&path)?;
        check_eq!((stat.st_uid, stat.st_gid), (0, 65534));
        errno_is!(sys!(SYS_chown, &path, 5, -1), EINVAL);
        Ok(())
    })
}

fn set_ids_inside() -> Outcome {
    in_child(|| {
        unprivileged()?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER)?;
        map_own(1000)?;
        errno_is!(sys!(SYS_setuid, 1), EINVAL);
        sys!(SYS_setuid, 0)?;
        sys!(SYS_setresgid, 0, 0, 0)?;
        Ok(())
    })
}

fn clone_into_a_user_namespace() -> Outcome {
    let parent = link("user")?;
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::SIGCHLD;
    let pid = sys!(SYS_clone, flags, 0, 0, 0, 0)?;
    if pid == 0 {
        let uid = sys!(SYS_getuid).unwrap_or(-1);
        let fresh = link("user").is_ok_and(|own| own != parent);
        process::exit_now(i32::from(uid == 65534 && fresh && process::getpid() == 1));
    }
    check_eq!(process::Child::adopt(pid).wait()?.code(), Some(1));
    Ok(())
}

fn mounts_are_locked() -> Outcome {
    let dir = file::TempDir::new()?;
    let (below, other) = (dir.dir("below")?, dir.dir("other")?);
    in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWNS)?;
        sys!(SYS_mount, 0, c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0)?;
        sys!(SYS_mount, c"none", &below, c"tmpfs", libc::MS_RDONLY, 0)?;
        sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
        errno_is!(sys!(SYS_umount2, &below, 0), EINVAL);
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        errno_is!(sys!(SYS_mount, 0, &below, 0, flags, 0), EPERM);
        // A mount of one's own can go again.
        sys!(SYS_mount, c"none", &other, c"tmpfs", 0, 0)?;
        sys!(SYS_umount2, &other, 0)?;
        Ok(())
    })
}
