//! From an OCI spec to what the kernel and the gofer need: resolved, validated, without OCI's terms.

mod capability;
mod mounts;
mod process;

use control::{Container, Device, DeviceKind, GoferTree, IdentityMap, Overlay, Root};
use oci_spec::runtime::{LinuxDeviceType, LinuxIdMapping, Spec};

pub use capability::{all_capabilities, capability_bit, capability_names};
pub use mounts::Options as MountOptions;
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

/// Device numbers that the kernel emulates.
const EMULATED: [(u32, u32); 9] = [
    (1, 3),
    (1, 5),
    (1, 7),
    (1, 8),
    (1, 9),
    (5, 0),
    (5, 1),
    (5, 2),
    (1, 11),
];

/// Resolves the spec of container `id`.
///
/// # Errors
/// [`ContainerError::Spec`] names what is wrong or not supported.
pub fn resolve(id: &str, bundle: &Bundle, settings: &Settings) -> Result<Resolved> {
    let spec = bundle.spec();
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| invalid("process is missing"))?;
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
    let container = Container {
        id: id.to_owned(),
        hostname: spec.hostname().clone().unwrap_or_default(),
        domainname: spec.domainname().clone().unwrap_or_default(),
        process: convert_process(process)?,
        root: Root {
            tree: 0,
            read_only,
            overlay,
        },
        mounts,
        masked_paths: linux
            .and_then(|l| l.masked_paths().clone())
            .unwrap_or_default(),
        read_only_paths: linux
            .and_then(|l| l.readonly_paths().clone())
            .unwrap_or_default(),
        sysctl: linux
            .and_then(|l| l.sysctl().clone())
            .unwrap_or_default()
            .into_iter()
            .collect(),
        devices: devices(spec)?,
        memory_limit_bytes: memory_limit(spec),
        pids_limit: pids_limit(spec),
        processor_description: host::cpu::description(),
        uid_map: id_map(linux.and_then(|l| l.uid_mappings().as_deref())),
        gid_map: id_map(linux.and_then(|l| l.gid_mappings().as_deref())),
    };
    Ok(Resolved { container, trees })
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

fn devices(spec: &Spec) -> Result<Vec<Device>> {
    let devices = spec
        .linux()
        .as_ref()
        .and_then(|l| l.devices().as_deref())
        .unwrap_or_default();
    devices
        .iter()
        .map(|device| {
            let path = device.path().to_string_lossy().into_owned();
            let number = |n: i64| {
                u32::try_from(n).map_err(|_| invalid(format!("device {path} has number {n}")))
            };
            let (major, minor) = (number(device.major())?, number(device.minor())?);
            let kind = match device.typ() {
                LinuxDeviceType::B => DeviceKind::Block,
                LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
                LinuxDeviceType::P => DeviceKind::Fifo,
                LinuxDeviceType::A => return Err(invalid(format!("device {path} has type a"))),
            };
            let emulated = kind == DeviceKind::Fifo
                || (kind == DeviceKind::Character && EMULATED.contains(&(major, minor)));
            if !emulated {
                return Err(ContainerError::Unsupported(format!(
                    "device {path} ({major}:{minor}) is not emulated by this kernel"
                )));
            }
            Ok(Device {
                path,
                kind,
                major,
                minor,
                mode: device.file_mode().unwrap_or(0o666) & 0o7777,
                uid: device.uid().unwrap_or(0),
                gid: device.gid().unwrap_or(0),
            })
        })
        .collect()
}
