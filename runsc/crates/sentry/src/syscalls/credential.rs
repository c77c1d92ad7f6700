//! User and group ids (`man 7 credentials`).

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::{Capability, Credentials};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    102 getuid()
        => full ["signal::handler_gets_the_siginfo_of_kill", "namespace::clone_into_a_user_namespace"];
    107 geteuid() => full ["stat::fields_of_a_regular_file", "namespace::own_id_can_be_mapped"];
    104 getgid() => full ["unix_control::passcred_adds_credentials", "unix_control::credentials_are_passed"];
    108 getegid()
        => full ["stat::fields_of_a_regular_file", "namespace::new_user_namespace_has_capabilities_but_no_ids"];
    118 getresuid(
        real: UserPtr<u32> as Out(id::unsigned),
        effective: UserPtr<u32> as Out(id::unsigned),
        saved: UserPtr<u32> as Out(id::unsigned),
    )
        => full ["creds::invalid_ids"];
    120 getresgid(
        real: UserPtr<u32> as Out(id::unsigned),
        effective: UserPtr<u32> as Out(id::unsigned),
        saved: UserPtr<u32> as Out(id::unsigned),
    )
        => full ["creds::setuid_as_root_sets_all", "creds::setreuid_saved_id"];
    105 setuid(uid: u32 as Int) => full ["creds::setuid_as_a_user", "creds::setuid_as_root_sets_all"];
    106 setgid(gid: u32 as Int) => full ["creds::invalid_ids", "creds::setuid_as_root_sets_all"];
    113 setreuid(real: u32 as Int, effective: u32 as Int) => full ["creds::setreuid_saved_id"];
    114 setregid(real: u32 as Int, effective: u32 as Int) => full ["creds::setreuid_saved_id"];
    117 setresuid(real: u32 as Int, effective: u32 as Int, saved: u32 as Int)
        => full ["signal::permission_by_user_id", "unix_control::peer_credentials"];
    119 setresgid(real: u32 as Int, effective: u32 as Int, saved: u32 as Int)
        => full ["creds::setresgid_as_a_user"];
    122 setfsuid(uid: u32 as Int) => full ["creds::setfsuid_returns_the_old"];
    123 setfsgid(gid: u32 as Int) => full ["creds::setfsuid_returns_the_old"];
    115 getgroups(count: i32, groups: UserPtr<u8> as After(id::groups_out))
        => full ["creds::groups_errors", "creds::groups"];
    116 setgroups(count: u32 as Int, groups: UserPtr<u32> as Before(id::groups_in))
        => full ["creds::groups_errors", "creds::ids_in_proc_status"];
}

/// The id that means "leave it" in setreuid and its like, and is no id at all elsewhere.
const NONE: u32 = u32::MAX;
/// `NGROUPS_MAX`
const MAX_GROUPS: u32 = 65536;

fn getuid(task: &Task) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.user_inward(credentials.uid).into())
}

fn geteuid(task: &Task) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.user_inward(credentials.euid).into())
}

fn getgid(task: &Task) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.group_inward(credentials.gid).into())
}

fn getegid(task: &Task) -> SyscallResult {
    let credentials = task.credentials();
    Ok(credentials.user_ns.group_inward(credentials.egid).into())
}

fn write_three(task: &Task, to: [UserPtr<u32>; 3], ids: [u32; 3]) -> SyscallResult {
    let mm = task.mm();
    for (to, id) in to.iter().zip(&ids) {
        to.write(&mm, id)?;
    }
    Ok(0)
}

fn getresuid(
    task: &Task,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> SyscallResult {
    let current = task.credentials();
    let ids = [current.uid, current.euid, current.suid];
    write_three(
        task,
        [real, effective, saved],
        ids.map(|id| current.user_ns.user_inward(id)),
    )
}

fn getresgid(
    task: &Task,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> SyscallResult {
    let current = task.credentials();
    let ids = [current.gid, current.egid, current.sgid];
    write_three(
        task,
        [real, effective, saved],
        ids.map(|id| current.user_ns.group_inward(id)),
    )
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

fn setuid(task: &Task, uid: u32) -> SyscallResult {
    let old = task.credentials();
    let id = user(&old, uid)?;
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

fn setgid(task: &Task, gid: u32) -> SyscallResult {
    let old = task.credentials();
    let id = group(&old, gid)?;
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

fn setreuid(task: &Task, real: u32, effective: u32) -> SyscallResult {
    let old = task.credentials();
    let (real, effective) = (user(&old, real)?, user(&old, effective)?);
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

fn setregid(task: &Task, real: u32, effective: u32) -> SyscallResult {
    let old = task.credentials();
    let (real, effective) = (group(&old, real)?, group(&old, effective)?);
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

fn setresuid(task: &Task, real: u32, effective: u32, saved: u32) -> SyscallResult {
    let old = task.credentials();
    let wanted = [
        user(&old, real)?,
        user(&old, effective)?,
        user(&old, saved)?,
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

fn setresgid(task: &Task, real: u32, effective: u32, saved: u32) -> SyscallResult {
    let old = task.credentials();
    let wanted = [
        group(&old, real)?,
        group(&old, effective)?,
        group(&old, saved)?,
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

fn setfsuid(task: &Task, uid: u32) -> SyscallResult {
    let old = task.credentials();
    // Never fails: an id that is not one changes nothing.
    let id = user(&old, uid).unwrap_or(NONE);
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

fn setfsgid(task: &Task, gid: u32) -> SyscallResult {
    let old = task.credentials();
    let id = group(&old, gid).unwrap_or(NONE);
    let allowed =
        [old.gid, old.egid, old.sgid, old.fsgid].contains(&id) || old.has_own(Capability::Setgid);
    if id != NONE && allowed {
        let mut new = (*old).clone();
        new.fsgid = id;
        task.set_credentials(new);
    }
    Ok(old.user_ns.group_inward(old.fsgid).into())
}

fn getgroups(task: &Task, count: i32, groups: UserPtr<u8>) -> SyscallResult {
    let credentials = task.credentials();
    let room = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let members = credentials.groups.len();
    if room == 0 {
        return Ok(members as u64);
    }
    if room < members {
        return Err(Errno::EINVAL.into());
    }
    let bytes: Vec<u8> = credentials
        .groups
        .iter()
        .flat_map(|id| credentials.user_ns.group_inward(*id).to_le_bytes())
        .collect();
    task.mm().write_bytes(groups.address(), &bytes)?;
    Ok(members as u64)
}

fn setgroups(task: &Task, count: u32, groups: UserPtr<u32>) -> SyscallResult {
    let old = task.credentials();
    if !old.has_own(Capability::Setgid) || !old.user_ns.allows_setgroups() {
        return Err(Errno::EPERM.into());
    }
    if count > MAX_GROUPS {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    let mut ids = Vec::new();
    for n in 0..usize::try_from(count).unwrap_or(usize::MAX) {
        let id = groups.offset(n).read(&mm)?;
        ids.push(old.user_ns.group_outward(id).ok_or(Errno::EINVAL)?);
    }
    ids.sort_unstable();
    let mut new = (*old).clone();
    new.groups = ids;
    task.set_credentials(new);
    Ok(0)
}
