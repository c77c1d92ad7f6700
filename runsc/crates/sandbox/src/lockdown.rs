//! What the sandbox gives up, in order: its files, its user, its capabilities; and, once the
//! platform's master stub exists, every host call that is not on its list.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use control::BootConfig;
use host::oom_victim::OomVictim;
use host::{empty_root, errno, privilege};
use platform::{HostCall, Platform};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, ioctl_tiocsctty, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, set_name, set_no_new_privs};
use seccomp::Filter;

use crate::error::SandboxError;
use crate::inputs::Inputs;

/// What the host's OOM killer takes first, before sandbox and gofer.
const OOM_SCORE_OF_STUBS: &str = "500";
/// The same where there is a victim, which is to come before them, however large they are.
const OOM_SCORE_AFTER_VICTIM: &str = "30";
/// That of a victim.
const OOM_SCORE_OF_VICTIM: &str = "1000";
/// The most that a victim takes.
const VICTIM_BYTES: usize = 1 << 40;

/// How likely this process and its children are to be the OOM killer's choice: kept open from before the process has
/// an empty root.
#[derive(Debug)]
pub(crate) struct OomScore(Option<File>);

impl OomScore {
    pub(crate) fn open() -> OomScore {
        let file = OpenOptions::new()
            .write(true)
            .open("/proc/self/oom_score_adj");
        OomScore(file.ok())
    }

    fn set(&self, score: &str) {
        if let Some(mut file) = self.0.as_ref() {
            // It is only a preference.
            let _ = file.write_all(score.as_bytes());
        }
    }

    /// Stubs inherit it; the parent lowers the sandbox's own once they are there.
    pub(crate) fn of_stubs(&self, has_victim: bool) {
        self.set(if has_victim {
            OOM_SCORE_AFTER_VICTIM
        } else {
            OOM_SCORE_OF_STUBS
        });
    }
}

/// In a control group with a limit of memory, makes the process that is killed in the guest's stead
/// when the guest runs out: so that those who watch the group learn of it. To be called while there is
/// one thread.
pub(crate) fn prepare_oom_victim(inputs: &Inputs, score: &OomScore) -> Option<OomVictim> {
    inputs.host_memory.group.as_ref()?;
    // It inherits the number.
    score.set(OOM_SCORE_OF_VICTIM);
    let confine = || {
        let filter = Filter::new(seccomp::oom_victim::ENTRIES, &[]);
        filter.and_then(Filter::install).is_ok()
    };
    OomVictim::prepare(VICTIM_BYTES, confine)
        .inspect_err(|error| tracing::warn!("running out of memory will not be told: {error}"))
        .ok()
}

/// Leaves the process with an empty root, a user without a name, and no capability. To be called
/// while there is one thread.
pub(crate) fn give_up_privilege(config: &BootConfig, inputs: &Inputs) -> Result<(), SandboxError> {
    let step = SandboxError::host;
    // Before Linux 6.4 rustix reads it from /proc, when first asked.
    let _ = rustix::param::page_size();
    let _ = set_name(c"runsc-sandbox");
    if let Some(terminal) = inputs
        .stdio
        .first()
        .filter(|_| config.container.process.terminal)
    {
        // The caller's own terminal has a session already: then its command passes SIGWINCH on.
        let _ = ioctl_tiocsctty(terminal);
    }
    raise_descriptor_limit();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(|e| step("forbid core dumps")(errno(e)))?;
    empty_root::enter().map_err(step("enter an empty root"))?;
    privilege::become_user(config.user, config.user).map_err(step("become the sandbox's user"))?;
    privilege::limit_capabilities(CapabilitySet::empty()).map_err(step("give up capabilities"))?;
    set_no_new_privs(true).map_err(|e| step("set no_new_privs")(errno(e)))?;
    // Changing the user has made it undumpable, and then it could not trace its own stubs.
    set_dumpable_behavior(DumpableBehavior::Dumpable)
        .map_err(|e| step("stay traceable by itself")(errno(e)))
}

fn raise_descriptor_limit() {
    use rustix::process::getrlimit;
    let limit = getrlimit(Resource::Nofile);
    // A lower limit means fewer open files in the guest, nothing worse.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Makes the platform that the configuration names, with the device that it needs.
pub(crate) fn make_platform(
    config: &BootConfig,
    device: Option<OwnedFd>,
) -> Result<Arc<Platform>, SandboxError> {
    Ok(Platform::named(&config.platform, device)?)
}

/// Puts the sandbox's list in force, with what the platform needs. Logging changes nothing in it.
pub(crate) fn install_filter(
    host_calls: &'static [HostCall],
    denied: host::denied_call::Report,
) -> Result<(), SandboxError> {
    let mut filter = Filter::new(seccomp::sandbox::ENTRIES, seccomp::sandbox::REFUSALS)?;
    for call in host_calls {
        if call.values.is_empty() {
            filter.allow(call.number);
        } else {
            filter.allow_values(call.number, call.argument, call.values)?;
        }
    }
    host::denied_call::install_handler(denied).map_err(SandboxError::host("handle SIGSYS"))?;
    filter.install()?;
    Ok(())
}
