//! User ids and capabilities.

use crate::case::{Failure, Outcome};
use crate::support::process;
use crate::sys::SysError;

/// `CAP_CHOWN`.
pub(crate) const CAP_CHOWN: u32 = 0;
/// `CAP_DAC_OVERRIDE`.
pub(crate) const CAP_DAC_OVERRIDE: u32 = 1;
/// `CAP_FOWNER`.
pub(crate) const CAP_FOWNER: u32 = 3;
/// `CAP_FSETID`.
pub(crate) const CAP_FSETID: u32 = 4;
/// `CAP_KILL`.
pub(crate) const CAP_KILL: u32 = 5;
/// `CAP_SETUID`.
pub(crate) const CAP_SETUID: u32 = 7;
/// `CAP_SETPCAP`.
pub(crate) const CAP_SETPCAP: u32 = 8;
/// `CAP_SYS_CHROOT`.
pub(crate) const CAP_SYS_CHROOT: u32 = 18;
/// `CAP_SYS_PTRACE`.
pub(crate) const CAP_SYS_PTRACE: u32 = 19;
/// `CAP_SYS_NICE`.
pub(crate) const CAP_SYS_NICE: u32 = 23;
/// `CAP_MKNOD`.
pub(crate) const CAP_MKNOD: u32 = 27;

/// The third version of the capability header.
pub(crate) const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// The three sets that capget(2) gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caps {
    /// Effective.
    pub(crate) effective: u64,
    /// Permitted.
    pub(crate) permitted: u64,
    /// Inheritable.
    pub(crate) inheritable: u64,
}

/// The calling thread's sets.
pub(crate) fn capget() -> Result<Caps, SysError> {
    let mut header = [CAPABILITY_VERSION_3, 0];
    let mut data = [0_u32; 6];
    sys!(SYS_capget, &mut header, &mut data)?;
    let join = |low: usize| u64::from(data[low]) | u64::from(data[low + 3]) << 32;
    Ok(Caps {
        effective: join(0),
        permitted: join(1),
        inheritable: join(2),
    })
}

/// Sets the calling thread's sets.
pub(crate) fn capset(caps: Caps) -> Result<(), SysError> {
    let mut header = [CAPABILITY_VERSION_3, 0];
    let half = |set: u64, shift: u32| (set >> shift) as u32;
    let mut data = [0_u32; 6];
    for (index, shift) in [(0, 0), (3, 32)] {
        data[index] = half(caps.effective, shift);
        data[index + 1] = half(caps.permitted, shift);
        data[index + 2] = half(caps.inheritable, shift);
    }
    sys!(SYS_capset, &mut header, &mut data).map(|_| ())
}

/// Skips the test unless it runs as root with this capability.
pub(crate) fn require(capability: u32) -> Outcome {
    if sys!(SYS_geteuid)? != 0 {
        skip!("not root");
    }
    if capget()?.effective & (1 << capability) == 0 {
        skip!("capability {capability} is missing");
    }
    Ok(())
}

/// Becomes an ordinary user for good: all user and group ids change, supplementary groups and capabilities go.
pub(crate) fn become_user(uid: u32, gid: u32) -> Result<(), Failure> {
    require(CAP_SETUID)?;
    sys!(SYS_setgroups, 0, 0)?;
    sys!(SYS_setresgid, gid, gid, gid)?;
    sys!(SYS_setresuid, uid, uid, uid)?;
    Ok(())
}

/// Becomes a user that owns no other process, of another run of these tests neither: for what counts or hits all
/// processes of a user.
pub(crate) fn become_nobody_else() -> Result<(), Failure> {
    let uid = 1 << 30 | process::getpid().unsigned_abs();
    become_user(uid, uid)
}

/// Drops one capability from the effective set.
pub(crate) fn drop_effective(capability: u32) -> Result<(), SysError> {
    let mut caps = capget()?;
    caps.effective &= !(1 << capability);
    capset(caps)
}
