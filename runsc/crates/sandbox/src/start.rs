//! A process of the control protocol in the kernel's terms.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use control::{Process, SeccompProfile};
use host::Errno;
use sentry::kernel::credentials::{CapabilitySet, Credentials};
use sentry::kernel::kernel::Kernel;
use sentry::kernel::limits::{Limit, Limits};
use sentry::kernel::process::ProcessSpec;
use sentry::kernel::seccomp::install::{FilterFlags, InitialFilter};
use sentry::vfs::mount::MountNamespace;

use crate::terminal::{self, Terminal};

/// Linux's default.
const UMASK: u32 = 0o022;

/// Where a process without HOME finds its user's.
const ACCOUNTS: &[u8] = b"/etc/passwd";

pub(crate) fn process_spec(
    kernel: &Arc<Kernel>,
    mounts: Arc<MountNamespace>,
    process: &Process,
    files: Vec<OwnedFd>,
) -> Result<(ProcessSpec, Option<Terminal>), Errno> {
    let credentials = credentials(kernel, process);
    let owner = (credentials.uid, credentials.gid);
    let (files, terminal) = terminal::open_files(kernel, &mounts, owner, process.terminal, files)?;
    let bytes = |texts: &[String]| texts.iter().map(|text| text.clone().into_bytes()).collect();
    let spec = ProcessSpec {
        program: None,
        argv: bytes(&process.args),
        envp: bytes(&process.env),
        accounts: Some(ACCOUNTS.to_vec()),
        mounts,
        cwd: process.cwd.clone().into_bytes(),
        umask: process.user.umask.unwrap_or(UMASK),
        credentials,
        limits: limits(process),
        files,
        oom_score_adj: process.oom_score_adj.unwrap_or(0),
        terminal: terminal.as_ref().map(Terminal::tty),
        filters: Vec::new(),
    };
    Ok((spec, terminal))
}

/// The container's profile as the kernel takes it.
pub(crate) fn filter(profile: &SeccompProfile) -> InitialFilter {
    InitialFilter {
        instructions: profile.program.clone(),
        flags: FilterFlags::from_bits_retain(profile.flags),
    }
}

fn credentials(kernel: &Kernel, process: &Process) -> Credentials {
    let (uid, gid) = (process.user.uid, process.user.gid);
    let set = |bits: u64| CapabilitySet(bits & CapabilitySet::FULL.0);
    let mut groups = process.user.additional_gids.clone();
    groups.sort_unstable();
    groups.dedup();
    let capabilities = process.capabilities;
    let permitted = set(capabilities.permitted);
    Credentials {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid,
        egid: gid,
        sgid: gid,
        fsgid: gid,
        groups,
        permitted,
        effective: CapabilitySet(set(capabilities.effective).0 & permitted.0),
        inheritable: set(capabilities.inheritable),
        bounding: set(capabilities.bounding),
        // PR_CAP_AMBIENT_RAISE: only what is both permitted and inheritable.
        ambient: CapabilitySet(
            set(capabilities.ambient).0 & permitted.0 & set(capabilities.inheritable).0,
        ),
        no_new_privs: process.no_new_privileges,
        ..Credentials::root(kernel.user_ns().clone())
    }
}

fn limits(process: &Process) -> Limits {
    let mut limits = Limits::default();
    for rlimit in &process.rlimits {
        let index = usize::try_from(rlimit.resource).unwrap_or(usize::MAX);
        if let Some(limit) = limits.0.get_mut(index) {
            *limit = Limit {
                soft: rlimit.soft,
                hard: rlimit.hard,
            };
        }
    }
    limits
}
