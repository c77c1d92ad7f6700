//! `update`: other limits for a container that has not ended.

use control::{Limits, Request};
use oci_spec::runtime::LinuxResources;

use super::client::{ask, connect};
use super::existing::Existing;
use crate::cgroups::Cgroup;
use crate::{Result, Settings, spec};

/// Changes the limits of a container that has not ended.
///
/// # Errors
/// [`ContainerError::Cgroup`](crate::ContainerError::Cgroup) and the kernel's own reason.
pub fn update(settings: &Settings, id: &str, resources: &LinuxResources) -> Result<()> {
    let mut container = Existing::open(settings, id)?;
    // Whoever has ended has no limits to change.
    let connection = connect(&container.directory, &container.state)?;
    let sandbox = container.state.sandbox.pid;
    match &mut container.state.cgroup {
        Some(cgroup) => {
            let updated = cgroup.update(resources, sandbox);
            container.save()?;
            updated?;
        }
        None => tracing::warn!("without control groups, only limits of the kernel's own change"),
    }
    let request = Request::Update {
        id: id.to_owned(),
        limits: limits(resources, container.state.cgroup.as_ref()),
    };
    ask(&connection, &request, id).map(drop)
}

/// What the kernel itself enforces or shows.
fn limits(resources: &LinuxResources, cgroup: Option<&Cgroup>) -> Limits {
    let limit = |value: Option<i64>| {
        let value = value.filter(|value| *value != 0);
        value.map(|value| u64::try_from(value).unwrap_or(u64::MAX))
    };
    let memory = resources.memory().as_ref();
    Limits {
        memory_bytes: limit(memory.and_then(|memory| memory.limit())),
        pids: limit(resources.pids().as_ref().map(|pids| pids.limit())),
        cpu: spec::cpu_limits(resources.cpu().as_ref()),
        group_files: cgroup.map(Cgroup::shown).unwrap_or_default(),
    }
}
