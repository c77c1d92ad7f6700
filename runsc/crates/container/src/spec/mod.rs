//! From an OCI spec to what the kernel and the gofer need: resolved, validated, without OCI's terms.

mod bpf;
mod capability;
mod devices;
mod linux;
mod mount_options;
mod mounts;
mod process;
mod seccomp;
mod sysctl;

use std::collections::BTreeMap;

use control::{Container, CpuLimits, GoferTree, IdentityMap, Overlay, Process, Root};
use oci_spec::runtime::{LinuxCpu, LinuxIdMapping, Spec};

pub use capability::{
    all_capabilities, capability_bit, capability_names, parse_with_capabilities,
    warn_of_unknown_capabilities,
};
pub use mount_options::Options as MountOptions;
pub(crate) use process::inherit_limits;
pub use process::{check_process, convert_process};

use crate::bundle::Bundle;
use crate::{ContainerError, Result, Settings};

/// What a spec amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// For the kernel.
    pub container: Container,
    /// For the gofer; the first is the root.
    pub trees: Vec<GoferTree>,
}

/// Resolves the spec of container `id`.
///
/// # Errors
/// [`ContainerError::Spec`] names what is wrong or not supported.
pub fn resolve(id: &str, bundle: &Bundle, settings: &Settings) -> Result<Resolved> {
    let spec = bundle.spec();
    linux::check(spec)?;
    // Without a process a container can be created, but not started.
    let process = spec.process().as_ref().map(convert_process).transpose()?;
    let linux = spec.linux().as_ref();
    let read_only = spec
        .root()
        .as_ref()
        .and_then(|root| root.readonly())
        .unwrap_or(false);
    let overlay = overlay(settings.overlay_root);
    let mut trees = vec![GoferTree {
        path: bundle.rootfs().to_string_lossy().into_owned(),
        read_only: read_only || overlay == Overlay::Memory,
        recursive: true,
    }];
    let mounts = mounts::convert(bundle, settings, &mut trees)?;
    let (hostname, domainname) = names(bundle)?;
    let container = Container {
        id: id.to_owned(),
        hostname,
        domainname,
        process: process.unwrap_or_else(no_process),
        root: Root {
            tree: 0,
            read_only,
            overlay,
            propagation: linux.map_or(Ok(None), linux::propagation)?,
        },
        mounts,
        masked_paths: linux
            .and_then(|l| l.masked_paths().clone())
            .unwrap_or_default(),
        read_only_paths: linux
            .and_then(|l| l.readonly_paths().clone())
            .unwrap_or_default(),
        seccomp: linux
            .and_then(|l| l.seccomp().as_ref())
            .map(seccomp::compile)
            .transpose()?,
        sysctl: sysctl::convert(spec)?,
        devices: devices::convert(spec)?,
        memory_limit_bytes: memory_limit(spec),
        pids_limit: pids_limit(spec),
        cpu: cpu_limits(
            linux
                .and_then(|l| l.resources().as_ref())
                .and_then(|resources| resources.cpu().as_ref()),
        ),
        group_files: BTreeMap::new(),
        processor_description: host::cpu::description(),
        uid_map: id_map(linux.and_then(|l| l.uid_mappings().as_deref())),
        gid_map: id_map(linux.and_then(|l| l.gid_mappings().as_deref())),
    };
    Ok(Resolved { container, trees })
}

/// Host and domain name: the spec's, else those of the UTS namespace that it names or that a new one would copy.
fn names(bundle: &Bundle) -> Result<(String, String)> {
    let (host, domain) = bundle.uts_names()?;
    let given = |name: &Option<String>| name.clone().filter(|text| !text.is_empty());
    let spec = bundle.spec();
    Ok((
        given(spec.hostname()).unwrap_or(host),
        given(spec.domainname()).unwrap_or(domain),
    ))
}

fn no_process() -> Process {
    Process {
        cwd: "/".into(),
        ..Process::default()
    }
}

pub(crate) fn overlay(enabled: bool) -> Overlay {
    if enabled {
        Overlay::Memory
    } else {
        Overlay::None
    }
}

pub(crate) fn invalid(reason: impl Into<String>) -> ContainerError {
    ContainerError::Spec(reason.into())
}

fn id_map(mappings: Option<&[LinuxIdMapping]>) -> Vec<IdentityMap> {
    mappings
        .unwrap_or_default()
        .iter()
        .map(|m| IdentityMap {
            container: m.container_id(),
            host: m.host_id(),
            size: m.size(),
        })
        .collect()
}

pub(crate) fn cpu_limits(cpu: Option<&LinuxCpu>) -> CpuLimits {
    let Some(cpu) = cpu else {
        return CpuLimits::default();
    };
    CpuLimits {
        shares: cpu.shares().filter(|shares| *shares != 0),
        quota_us: cpu.quota().filter(|us| *us != 0),
        period_us: cpu.period().filter(|us| *us != 0),
        cpus: cpu.cpus().clone().unwrap_or_default(),
        mems: cpu.mems().clone().unwrap_or_default(),
    }
}

fn memory_limit(spec: &Spec) -> Option<u64> {
    let limit = spec
        .linux()
        .as_ref()?
        .resources()
        .as_ref()?
        .memory()
        .as_ref()?
        .limit()?;
    u64::try_from(limit).ok().filter(|bytes| *bytes > 0)
}

fn pids_limit(spec: &Spec) -> Option<u64> {
    let resources = spec.linux().as_ref()?.resources().as_ref()?;
    let limit = resources.pids().as_ref()?.limit();
    u64::try_from(limit).ok().filter(|most| *most > 0)
}
