//! capget and capset (`man 2 capget`).

use std::sync::Arc;

use abi::Errno;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::{Capability, CapabilitySet, Credentials};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    125 capget(
        header: UserPtr<Header> as In(process::capability_header),
        data: UserPtr<Words> as Out(process::capability_data),
    )
        => full ["creds::capget_versions"];
    126 capset(
        header: UserPtr<Header> as In(process::capability_header),
        data: UserPtr<Words> as In(process::capability_data),
    )
        => full ["creds::capget_versions", "creds::capset_cannot_add"];
}

/// `_LINUX_CAPABILITY_VERSION_1`, `_2`, `_3`: how many 32-bit words each set has.
const VERSIONS: [(u32, usize); 3] = [(0x1998_0330, 1), (0x2007_1026, 2), (0x2008_0522, 2)];

/// `cap_user_header_t`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Header {
    version: u32,
    pid: i32,
}

/// `cap_user_data_t`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Reads the header and the number of words; with an unknown version, stores the preferred one: EINVAL.
fn read_header(task: &Task, at: UserPtr<Header>) -> Result<(Header, usize)> {
    let header = at.read(&task.mm())?;
    match VERSIONS
        .iter()
        .find(|(version, _)| *version == header.version)
    {
        Some((_, words)) => Ok((header, *words)),
        None => {
            task.mm().write_value(at.address(), &VERSIONS[2].0)?;
            Err(Errno::EINVAL)
        }
    }
}

fn credentials_of(task: &Task, pid: i32) -> Result<Arc<Credentials>> {
    match u32::try_from(pid).map_err(|_| Errno::EINVAL)? {
        0 => Ok(task.credentials()),
        pid => Ok(task
            .pid_namespace()
            .task(pid)
            .ok_or(Errno::ESRCH)?
            .credentials()),
    }
}

fn half(set: CapabilitySet, word: usize) -> u32 {
    let halves = [set.0 & 0xffff_ffff, set.0 >> 32];
    u32::try_from(halves[word]).unwrap_or(0)
}

fn capget(task: &Task, header: UserPtr<Header>, data: UserPtr<Words>) -> SyscallResult {
    let (header, words) = match read_header(task, header) {
        // Asking for the preferred version is no error without a place for the data.
        Err(Errno::EINVAL) if data.is_null() => return Ok(0),
        other => other?,
    };
    let credentials = credentials_of(task, header.pid)?;
    if data.is_null() {
        return Ok(0);
    }
    let mut sets = [Words::new_zeroed(); 2];
    for (n, word) in sets.iter_mut().enumerate() {
        word.effective = half(credentials.effective, n);
        word.permitted = half(credentials.permitted, n);
        word.inheritable = half(credentials.inheritable, n);
    }
    task.mm()
        .write_bytes(data.address(), sets[..words].as_bytes())?;
    Ok(0)
}

fn capset(task: &Task, header: UserPtr<Header>, data: UserPtr<Words>) -> SyscallResult {
    let (header, words) = read_header(task, header)?;
    let own = header.pid == 0 || u32::try_from(header.pid) == Ok(task.tid());
    if !own {
        return Err(Errno::EPERM.into());
    }
    let mut sets = [Words::new_zeroed(); 2];
    task.mm()
        .read_bytes(data.address(), sets[..words].as_mut_bytes())?;
    let join = |low: u32, high: u32| {
        CapabilitySet((u64::from(low) | u64::from(high) << 32) & CapabilitySet::FULL.0)
    };
    let effective = join(sets[0].effective, sets[1].effective);
    let permitted = join(sets[0].permitted, sets[1].permitted);
    let inheritable = join(sets[0].inheritable, sets[1].inheritable);

    let old = task.credentials();
    let may_add = CapabilitySet(old.inheritable.0 | old.permitted.0);
    let bounded = CapabilitySet(old.inheritable.0 | old.bounding.0);
    let inheritable_ok = inheritable.is_subset_of(bounded)
        && (old.has_own(Capability::Setpcap) || inheritable.is_subset_of(may_add));
    if !permitted.is_subset_of(old.permitted)
        || !effective.is_subset_of(permitted)
        || !inheritable_ok
    {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    new.effective = effective;
    new.permitted = permitted;
    new.inheritable = inheritable;
    new.ambient.0 &= permitted.0 & inheritable.0;
    task.set_credentials(new);
    Ok(0)
}
