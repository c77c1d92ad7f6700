//! What only Linux has: sysctls, id maps, seccomp, propagation.

use std::fs::{self, File};
use std::path::Path;

use rustix::mount::mount;
use rustix::mount::{MountFlags, UnmountFlags, mount_bind_recursive, unmount};
use serde_json::Value;

use crate::{Check, list, same, strings, text};

pub(crate) fn sysctl(config: &Value) -> Check {
    let given = config["linux"]["sysctl"].as_object();
    for (name, value) in given.into_iter().flatten() {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let found = text(&path)?;
        same(value.as_str().unwrap_or_default(), found.trim())
            .map_err(|reason| format!("{name}: {reason}"))?;
    }
    Ok(())
}

pub(crate) fn uid_mappings(config: &Value) -> Check {
    mappings(&config["linux"]["uidMappings"], "/proc/self/uid_map")
}

pub(crate) fn gid_mappings(config: &Value) -> Check {
    mappings(&config["linux"]["gidMappings"], "/proc/self/gid_map")
}

fn mappings(wanted: &Value, path: &str) -> Check {
    if list(wanted).is_empty() {
        return Ok(());
    }
    let row = |mapping: &Value| {
        let field = |name: &str| mapping[name].as_u64().unwrap_or(0).to_string();
        vec![field("containerID"), field("hostID"), field("size")]
    };
    let wanted: Vec<Vec<String>> = list(wanted).iter().map(row).collect();
    let found = text(path)?;
    let words = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect();
    same(wanted, found.lines().map(words).collect())
}

/// Asks of calls that can be made without harm.
pub(crate) fn seccomp(config: &Value) -> Check {
    let refused = |syscall: &Value| {
        syscall["action"] == "SCMP_ACT_ERRNO" && list(&syscall["args"]).is_empty()
    };
    for syscall in list(&config["linux"]["seccomp"]["syscalls"])
        .iter()
        .filter(|s| refused(s))
    {
        let wanted = i32::try_from(syscall["errnoRet"].as_u64().unwrap_or(1)).unwrap_or(1);
        for name in strings(&syscall["names"]) {
            let outcome = match name {
                "getcwd" => std::env::current_dir().map(drop),
                "mkdir" | "mkdirat" => fs::create_dir("/.probe-directory"),
                _ => continue,
            };
            let found = outcome.err().and_then(|e| e.raw_os_error());
            same(Some(wanted), found).map_err(|reason| format!("{name}: {reason}"))?;
        }
    }
    Ok(())
}

/// Whether a mount made at one place below the root shows in a copy of the root.
pub(crate) fn propagation(config: &Value) -> Check {
    let wanted = config["linux"]["rootfsPropagation"]
        .as_str()
        .unwrap_or_default();
    if wanted.is_empty() {
        return Ok(());
    }
    let (copy, place, source) = ("/.probe-copy", "/.probe-place", "/.probe-source");
    for path in [copy, place, source] {
        fs::create_dir_all(path).map_err(|e| format!("{path}: {e}"))?;
    }
    File::create(format!("{source}/file")).map_err(|e| e.to_string())?;
    let bound = mount_bind_recursive("/", copy);
    if wanted.trim_start_matches('r') == "unbindable" {
        return match bound {
            Err(rustix::io::Errno::INVAL) => Ok(()),
            other => Err(format!("binding the root: {other:?}")),
        };
    }
    bound.map_err(|e| format!("binding the root: {e}"))?;
    let second = mount(source, place, "", MountFlags::BIND | MountFlags::REC, None);
    let seen = Path::new(&format!("{copy}{place}/file")).exists();
    for path in [place, copy] {
        // It may not have been mounted.
        let _ = unmount(path, UnmountFlags::DETACH);
    }
    second.map_err(|e| format!("binding a directory: {e}"))?;
    same(wanted.trim_start_matches('r') == "shared", seen)
}
