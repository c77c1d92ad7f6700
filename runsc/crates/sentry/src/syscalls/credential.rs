//! User and group ids (`man 7 credentials`).

use abi::Errno;
use abi::raw::general as nr;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::{Capability, Credentials};
use crate::kernel::task::Task;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_getuid, "getuid", getuid),
    Call::full(nr::__NR_geteuid, "geteuid", geteuid),
    Call::full(nr::__NR_getgid, "getgid", getgid),
    Call::full(nr::__NR_getegid, "getegid", getegid),
    Call::full(nr::__NR_getresuid, "getresuid", getresuid),
    Call::full(nr::__NR_getresgid, "getresgid", getresgid),
    Call::full(nr::__NR_setuid, "setuid", setuid),
    Call::full(nr::__NR_setgid, "setgid", setgid),
    Call::full(nr::__NR_setreuid, "setreuid", setreuid),
    Call::full(nr::__NR_setregid, "setregid", setregid),
    Call::full(nr::__NR_setresuid, "setresuid", setresuid),
    Call::full(nr::__NR_setresgid, "setresgid", setresgid),
    Call::full(nr::__NR_setfsuid, "setfsuid", setfsuid),
    Call::full(nr::__NR_setfsgid, "setfsgid", setfsgid),
    Call::full(nr::__NR_getgroups, "getgroups", getgroups),
    Call::full(nr::__NR_setgroups, "setgroups", setgroups),
];

/// The id that means "leave it" in setreuid and its like, and is no id at all elsewhere.
const NONE: u32 = u32::MAX;
/// `NGROUPS_MAX`
const MAX_GROUPS: u32 = 65536;

fn getuid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.user_inward(credentials.uid).into())
}

fn geteuid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.user_inward(credentials.euid).into())
}

fn getgid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.group_inward(credentials.gid).into())
}

fn getegid(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.group_inward(credentials.egid).into())
}

fn write_three(task: &Task, args: &SyscallArgs, ids: [u32; 3]) -> SyscallResult {
    let mm = task.mm();
    for (n, id) in ids.iter().enumerate() {
        args.ptr::<u32>(n).write(&mm, id)?;
    }
    Ok(0)
}

fn getresuid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let current = task.credentials();
    let ids = [current.uid, current.euid, current.suid];
    write_three(task, args, ids.map(|id| current.user_ns.user_inward(id)))
}

fn getresgid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let current = task.credentials();
    let ids = [current.gid, current.egid, current.sgid];
    write_three(task, args, ids.map(|id| current.user_ns.group_inward(id)))
}

/// A user of the caller's namespace as the kernel names it; EINVAL. "Leave it" stays that.
fn user(credentials: &Credentials, id: u32) -> Result<u32> {
    if id == NONE {
        return Ok(NONE);
    }
    credentials.user_ns.user_outward(id).ok_or(Errno::EINVAL)
}

/// As [`user`], for a group.
fn group(credentials: &Credentials, id: u32) -> Result<u32> {
    if id == NONE {
        return Ok(NONE);
    }
    credentials.user_ns.group_outward(id).ok_or(Errno::EINVAL)
}

fn setuid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let id = user(&old, args.u32(0))?;
    if id == NONE {
        return Err(Errno::EINVAL.into());
    }
    let mut new = (*old).clone();
    if old.has_own(Capability::Setuid) {
        (new.uid, new.suid) = (id, id);
    } else if id != old.uid && id != old.suid {
        return Err(Errno::EPERM.into());
    }
    (new.euid, new.fsuid) = (id, id);
    commit_uids(task, &old, new)
}

fn setgid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let id = group(&old, args.u32(0))?;
    if id == NONE {
        return Err(Errno::EINVAL.into());
    }
    let mut new = (*old).clone();
    if old.has_own(Capability::Setgid) {
        (new.gid, new.sgid) = (id, id);
    } else if id != old.gid && id != old.sgid {
        return Err(Errno::EPERM.into());
    }
    (new.egid, new.fsgid) = (id, id);
    task.set_credentials(new);
    Ok(0)
}

fn setreuid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let (real, effective) = (user(&old, args.u32(0))?, user(&old, args.u32(1))?);
    let privileged = old.has_own(Capability::Setuid);
    let real_ok = real == NONE || real == old.uid || real == old.euid;
    let effective_ok = effective == NONE || [old.uid, old.euid, old.suid].contains(&effective);
    if !(privileged || real_ok && effective_ok) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    set_if_given(&mut new.uid, real);
    set_if_given(&mut new.euid, effective);
    // The saved id follows if the real id was given or the effective one left the old real id.
    if real != NONE || (effective != NONE && effective != old.uid) {
        new.suid = new.euid;
    }
    new.fsuid = new.euid;
    commit_uids(task, &old, new)
}

fn setregid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let (real, effective) = (group(&old, args.u32(0))?, group(&old, args.u32(1))?);
    let privileged = old.has_own(Capability::Setgid);
    let real_ok = real == NONE || real == old.gid || real == old.egid;
    let effective_ok = effective == NONE || [old.gid, old.egid, old.sgid].contains(&effective);
    if !(privileged || real_ok && effective_ok) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    set_if_given(&mut new.gid, real);
    set_if_given(&mut new.egid, effective);
    if real != NONE || (effective != NONE && effective != old.gid) {
        new.sgid = new.egid;
    }
    new.fsgid = new.egid;
    task.set_credentials(new);
    Ok(0)
}

fn set_if_given(field: &mut u32, id: u32) {
    if id != NONE {
        *field = id;
    }
}

/// Whether unprivileged `setresuid` may set every id: each is left, or one of the present three.
fn are_present(wanted: [u32; 3], present: [u32; 3]) -> bool {
    wanted.iter().all(|id| *id == NONE || present.contains(id))
}

fn setresuid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let wanted = [
        user(&old, args.u32(0))?,
        user(&old, args.u32(1))?,
        user(&old, args.u32(2))?,
    ];
    if !old.has_own(Capability::Setuid) && !are_present(wanted, [old.uid, old.euid, old.suid]) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    set_if_given(&mut new.uid, wanted[0]);
    set_if_given(&mut new.euid, wanted[1]);
    set_if_given(&mut new.suid, wanted[2]);
    new.fsuid = new.euid;
    commit_uids(task, &old, new)
}

fn setresgid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let wanted = [
        group(&old, args.u32(0))?,
        group(&old, args.u32(1))?,
        group(&old, args.u32(2))?,
    ];
    if !old.has_own(Capability::Setgid) && !are_present(wanted, [old.gid, old.egid, old.sgid]) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    set_if_given(&mut new.gid, wanted[0]);
    set_if_given(&mut new.egid, wanted[1]);
    set_if_given(&mut new.sgid, wanted[2]);
    new.fsgid = new.egid;
    task.set_credentials(new);
    Ok(0)
}

/// Capabilities follow the user ids (`man 7 capabilities`, *Effect of user ID changes on capabilities*).
fn commit_uids(task: &Task, old: &Credentials, mut new: Credentials) -> SyscallResult {
    new.follow_uids(old);
    task.set_credentials(new);
    Ok(0)
}

fn setfsuid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    // Never fails: an id that is not one changes nothing.
    let id = user(&old, args.u32(0)).unwrap_or(NONE);
    let allowed =
        [old.uid, old.euid, old.suid, old.fsuid].contains(&id) || old.has_own(Capability::Setuid);
    if id != NONE && allowed {
        let mut new = (*old).clone();
        new.fsuid = id;
        new.follow_fsuid(&old);
        task.set_credentials(new);
    }
    Ok(old.user_ns.user_inward(old.fsuid).into())
}

fn setfsgid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    let id = group(&old, args.u32(0)).unwrap_or(NONE);
    let allowed =
        [old.gid, old.egid, old.sgid, old.fsgid].contains(&id) || old.has_own(Capability::Setgid);
    if id != NONE && allowed {
        let mut new = (*old).clone();
        new.fsgid = id;
        task.set_credentials(new);
    }
    Ok(old.user_ns.group_inward(old.fsgid).into())
}

fn getgroups(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let credentials = task.credentials();
    let count = credentials.groups.len();
    let room = usize::try_from(args.i32(0)).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Ok(count as u64);
    }
    if room < count {
        return Err(Errno::EINVAL.into());
    }
    let bytes: Vec<u8> = credentials
        .groups
        .iter()
        .flat_map(|id| credentials.user_ns.group_inward(*id).to_le_bytes())
        .collect();
    task.mm().write_bytes(args.usize(1), &bytes)?;
    Ok(count as u64)
}

fn setgroups(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let old = task.credentials();
    if !old.has_own(Capability::Setgid) || !old.user_ns.allows_setgroups() {
        return Err(Errno::EPERM.into());
    }
    if args.u32(0) > MAX_GROUPS {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    let mut groups = Vec::new();
    for n in 0..args.usize(0) {
        let at = args.usize(1).checked_add(n * 4).ok_or(Errno::EFAULT)?;
        let id = UserPtr::<u32>::new(at).read(&mm)?;
        groups.push(old.user_ns.group_outward(id).ok_or(Errno::EINVAL)?);
    }
    groups.sort_unstable();
    let mut new = (*old).clone();
    new.groups = groups;
    task.set_credentials(new);
    Ok(0)
}
