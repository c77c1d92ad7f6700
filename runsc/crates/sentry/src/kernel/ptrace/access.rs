//! Who may look into whom (`man 2 ptrace`, *Ptrace access mode checking*): one answer for `ptrace(2)`, `/proc`,
//! `process_vm_readv(2)`, `pidfd_getfd(2)` and their like.

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::{Capability, CapabilitySet, Credentials};
use crate::kernel::task::Task;

/// Which ids and capabilities of the one who looks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `PTRACE_MODE_REALCREDS`: real ids and permitted capabilities, for calls that name a process.
    Real,
    /// `PTRACE_MODE_FSCREDS`: file system ids and effective capabilities, for files of `/proc`.
    FileSystem,
}

impl Mode {
    fn caller(self, mine: &Credentials) -> (u32, u32, CapabilitySet) {
        match self {
            Mode::Real => (mine.uid, mine.gid, mine.permitted),
            Mode::FileSystem => (mine.fsuid, mine.fsgid, mine.effective),
        }
    }
}

/// Whether `viewer` may look into, or trace, `target`; EPERM.
pub fn check(viewer: &Task, target: &Task, mode: Mode) -> Result<()> {
    if Arc::ptr_eq(viewer.group(), target.group()) {
        return Ok(());
    }
    let (mine, theirs) = (viewer.credentials(), target.credentials());
    let (uid, gid, capabilities) = mode.caller(&mine);
    let privileged = mine.has_in(&theirs.user_ns, Capability::SysPtrace);
    let same_ids = [theirs.uid, theirs.euid, theirs.suid] == [uid; 3]
        && [theirs.gid, theirs.egid, theirs.sgid] == [gid; 3];
    // Capabilities of another user namespace are others, whatever they are called.
    let covered =
        Arc::ptr_eq(&mine.user_ns, &theirs.user_ns) && theirs.permitted.is_subset_of(capabilities);
    if privileged || same_ids && covered {
        check_dumpable(&mine, target)
    } else {
        Err(Errno::EPERM)
    }
}

/// What does not let itself be dumped is for those who are privileged where its program was executed.
fn check_dumpable(mine: &Credentials, target: &Task) -> Result<()> {
    let hidden = target.running().filter(|running| !running.mm.dumpable());
    let Some(running) = hidden else {
        return Ok(());
    };
    if mine.has_in(&running.program.user_ns, Capability::SysPtrace) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}
