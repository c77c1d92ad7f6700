//! The device nodes of a spec. This kernel has drivers for a few of them; for one that it has not, the node alone would
//! promise what it can't do.

use std::path::Path;

use control::{Device, DeviceKind};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, LinuxResources, Spec};

use crate::spec::invalid;
use crate::{ContainerError, Result};

/// Numbers of the character devices that the kernel has drivers for.
const EMULATED: [(u32, u32); 8] = [
    (1, 3),
    (1, 5),
    (1, 7),
    (1, 8),
    (1, 9),
    (5, 0),
    (5, 1),
    (5, 2),
];

/// Converts the devices. One without a driver here:
///
/// - is made all the same if the host has no driver either, since opening it gives ENXIO there as well as here;
/// - is left out, with a warning, if the container may use every device (docker's `--privileged`, which lists all that
///   the host has);
/// - is an error by name otherwise.
pub(super) fn convert(spec: &Spec) -> Result<Vec<Device>> {
    let Some(linux) = spec.linux() else {
        return Ok(Vec::new());
    };
    let all = linux.resources().as_ref().is_some_and(allows_all);
    let mut devices = Vec::new();
    for device in linux.devices().as_deref().unwrap_or_default() {
        let converted = convert_one(device)?;
        if is_emulated(&converted) || !host_has(&converted) {
            devices.push(converted);
        } else if all {
            tracing::warn!(
                path = converted.path,
                "device has no driver in this kernel: left out"
            );
        } else {
            return Err(ContainerError::Unsupported(format!(
                "device {} ({}:{}) is not emulated by this kernel",
                converted.path, converted.major, converted.minor
            )));
        }
    }
    Ok(devices)
}

fn allows_all(resources: &LinuxResources) -> bool {
    let rules = resources.devices().as_deref().unwrap_or_default();
    rules.last().is_some_and(|rule| {
        let any = |number: Option<i64>| number.is_none_or(|n| n == -1);
        rule.allow()
            && rule.typ().is_none_or(|typ| typ == LinuxDeviceType::A)
            && any(rule.major())
            && any(rule.minor())
    })
}

fn is_emulated(device: &Device) -> bool {
    match device.kind {
        DeviceKind::Fifo => true,
        DeviceKind::Character => EMULATED.contains(&(device.major, device.minor)),
        DeviceKind::Block => false,
    }
}

fn host_has(device: &Device) -> bool {
    let class = match device.kind {
        DeviceKind::Block => "block",
        _ => "char",
    };
    Path::new(&format!(
        "/sys/dev/{class}/{}:{}",
        device.major, device.minor
    ))
    .exists()
}

fn convert_one(device: &LinuxDevice) -> Result<Device> {
    let path = device.path().to_string_lossy().into_owned();
    if !path.starts_with('/') || path.contains('\0') {
        return Err(invalid(format!("device path {path:?} must be absolute")));
    }
    let number =
        |n: i64| u32::try_from(n).map_err(|_| invalid(format!("device {path} has number {n}")));
    let kind = match device.typ() {
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
        LinuxDeviceType::P => DeviceKind::Fifo,
        LinuxDeviceType::A => return Err(invalid(format!("device {path} has type a"))),
    };
    // The numbers of a FIFO mean nothing.
    let (major, minor) = match kind {
        DeviceKind::Fifo => (0, 0),
        _ => (number(device.major())?, number(device.minor())?),
    };
    Ok(Device {
        path,
        kind,
        major,
        minor,
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}
