//! What the parent donated.

use std::os::fd::OwnedFd;

use control::BootConfig;
use host::spawn::{keep_donated, take_donated};
use memory::{GroupFiles, HostMemory, HugePages};

use crate::error::SandboxError;

/// The sandbox's whole world, besides memory and time.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) gofer: OwnedFd,
    pub(crate) gofer_lifeline: OwnedFd,
    pub(crate) lifeline: OwnedFd,
    pub(crate) control: OwnedFd,
    pub(crate) stdio: Vec<OwnedFd>,
    pub(crate) preserved: Vec<OwnedFd>,
    /// The service manager.
    pub(crate) notify: Option<OwnedFd>,
    /// When the host runs out of memory, so does the guest.
    pub(crate) host_memory: HostMemory,
    pub(crate) platform_device: Option<OwnedFd>,
}

impl Inputs {
    pub(crate) fn take(config: &BootConfig) -> Result<Inputs, SandboxError> {
        let take = |number: i32| {
            take_donated(number).map_err(SandboxError::host("take a donated descriptor"))
        };
        let fds = &config.fds;
        let _ = fds.host_user.and_then(keep_donated);
        Ok(Inputs {
            gofer: take(fds.gofer.first().copied().unwrap_or(-1))?,
            gofer_lifeline: take(fds.gofer_lifeline)?,
            lifeline: take(fds.lifeline)?,
            control: take(fds.control)?,
            stdio: fds
                .stdio
                .iter()
                .copied()
                .map(take)
                .collect::<Result<_, _>>()?,
            preserved: fds
                .preserved
                .iter()
                .copied()
                .map(take)
                .collect::<Result<_, _>>()?,
            notify: fds.notify.map(take).transpose()?,
            host_memory: HostMemory {
                huge_pages: HugePages::of_host(),
                meminfo: std::fs::File::open("/proc/meminfo").ok().map(OwnedFd::from),
                group: match fds.memory_group.as_slice() {
                    &[usage, limit, stat] => Some(GroupFiles {
                        usage: take(usage)?,
                        limit: take(limit)?,
                        stat: take(stat)?,
                    }),
                    _ => None,
                },
            },
            platform_device: fds.platform_device.map(take).transpose()?,
        })
    }
}
