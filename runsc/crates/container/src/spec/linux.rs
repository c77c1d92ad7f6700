//! What `linux` and `process` may ask for that is no part of the container's description: checked, and refused by name
//! where a sandbox has no such thing (runtime-spec, *Linux-specific container configuration*).

use std::collections::HashSet;
use std::path::Path;

use control::{Propagation, PropagationKind};
use oci_spec::runtime::{
    Hook, Hooks, Linux, LinuxNamespace, LinuxNamespaceType, LinuxPersonalityDomain, Process, Spec,
};

use crate::spec::invalid;
use crate::{ContainerError, Result};

/// Checks the spec before anything is made.
pub(super) fn check(spec: &Spec) -> Result<()> {
    if let Some(linux) = spec.linux() {
        check_linux(linux)?;
    }
    if let Some(process) = spec.process() {
        check_labels(process)?;
    }
    if let Some(hooks) = spec.hooks() {
        check_hooks(hooks)?;
    }
    let names = [
        ("hostname", spec.hostname()),
        ("domainname", spec.domainname()),
    ];
    for (field, name) in names {
        let name = name.as_deref().unwrap_or_default();
        // HOST_NAME_MAX, and what sethostname(2) takes.
        if name.len() > 64 || name.contains('\0') {
            return Err(invalid(format!(
                "{field} must have at most 64 bytes, none of them NUL"
            )));
        }
    }
    Ok(())
}

fn check_linux(linux: &Linux) -> Result<()> {
    check_namespaces(linux.namespaces().as_deref().unwrap_or_default())?;
    check_id_maps(linux)?;
    let absolute = |field: &str, paths: &Option<Vec<String>>| -> Result<()> {
        let bad = paths
            .iter()
            .flatten()
            .find(|path| !path.starts_with('/') || path.contains('\0'));
        bad.map_or(Ok(()), |path| {
            Err(invalid(format!(
                "{field} entry {path:?} must be an absolute path"
            )))
        })
    };
    absolute("linux.maskedPaths", linux.masked_paths())?;
    absolute("linux.readonlyPaths", linux.readonly_paths())?;
    if linux.intel_rdt().is_some() {
        return unsupported("linux.intelRdt: caches are not shared out by this kernel");
    }
    if linux.time_offsets().as_ref().is_some_and(|o| !o.is_empty()) {
        return unsupported("linux.timeOffsets: this kernel has one time namespace");
    }
    if linux.memory_policy().is_some() {
        return unsupported("linux.memoryPolicy: this kernel has one memory node");
    }
    if linux.net_devices().as_ref().is_some_and(|d| !d.is_empty()) {
        return unsupported("linux.netDevices: devices are not moved into the container");
    }
    if let Some(personality) = linux.personality()
        && personality.domain() != LinuxPersonalityDomain::PerLinux
    {
        return unsupported("linux.personality: only the domain LINUX is supported");
    }
    propagation(linux).map(drop)
}

fn unsupported<T>(reason: &str) -> Result<T> {
    Err(ContainerError::Unsupported(reason.to_owned()))
}

/// What can be joined by path: a network namespace really; the sandbox's own processes are put in no other of the
/// caller's namespaces, since the application would not be in them.
fn check_namespaces(namespaces: &[LinuxNamespace]) -> Result<()> {
    let mut seen = HashSet::new();
    for namespace in namespaces {
        let kind = namespace.typ();
        if !seen.insert(kind.to_string()) {
            return Err(invalid(format!("linux.namespaces has two of type {kind}")));
        }
        let path = namespace
            .path()
            .as_deref()
            .filter(|p| !p.as_os_str().is_empty());
        let Some(path) = path else { continue };
        if !path.is_absolute() {
            return Err(invalid(format!(
                "linux.namespaces: path {} of type {kind} must be absolute",
                path.display()
            )));
        }
        check_joined(kind, path)?;
    }
    Ok(())
}

fn check_joined(kind: LinuxNamespaceType, path: &Path) -> Result<()> {
    match kind {
        LinuxNamespaceType::Network
        | LinuxNamespaceType::Ipc
        | LinuxNamespaceType::Uts
        | LinuxNamespaceType::Cgroup => Ok(()),
        _ => unsupported(&format!(
            "linux.namespaces: a sandbox can't join the {kind} namespace {}: it has its own kernel",
            path.display()
        )),
    }
}

fn check_id_maps(linux: &Linux) -> Result<()> {
    let has = |kind| {
        let namespaces = linux.namespaces().as_deref().unwrap_or_default();
        namespaces.iter().any(|n| n.typ() == kind)
    };
    let user = has(LinuxNamespaceType::User);
    for (field, mappings) in [
        ("linux.uidMappings", linux.uid_mappings()),
        ("linux.gidMappings", linux.gid_mappings()),
    ] {
        let mappings = mappings.as_deref().unwrap_or_default();
        if !mappings.is_empty() && !user {
            return Err(invalid(format!(
                "{field} is given without a user namespace"
            )));
        }
        let wrong = mappings.iter().find(|m| {
            m.size() == 0
                || m.container_id().checked_add(m.size() - 1).is_none()
                || m.host_id().checked_add(m.size() - 1).is_none()
        });
        if wrong.is_some() {
            return Err(invalid(format!(
                "{field} has an empty range, or one that wraps"
            )));
        }
    }
    if user && (linux.uid_mappings().is_none() != linux.gid_mappings().is_none()) {
        return Err(invalid(
            "linux.uidMappings and linux.gidMappings must be given together",
        ));
    }
    Ok(())
}

/// `linux.rootfsPropagation` in the kernel's terms.
pub(super) fn propagation(linux: &Linux) -> Result<Option<Propagation>> {
    let name = linux.rootfs_propagation().as_deref().unwrap_or_default();
    let (kind, recursive) = match name {
        "" => return Ok(None),
        "shared" => (PropagationKind::Shared, false),
        "rshared" => (PropagationKind::Shared, true),
        "slave" => (PropagationKind::Slave, false),
        "rslave" => (PropagationKind::Slave, true),
        "private" => (PropagationKind::Private, false),
        "rprivate" => (PropagationKind::Private, true),
        "unbindable" => (PropagationKind::Unbindable, false),
        "runbindable" => (PropagationKind::Unbindable, true),
        _ => {
            return Err(invalid(format!(
                "linux.rootfsPropagation {name:?} is not known"
            )));
        }
    };
    Ok(Some(Propagation { kind, recursive }))
}

/// Labels of the host's security modules. Where the host has the module, the label is for the host's own view of the
/// application's processes, of which there are none; where it has not, runc fails, and so does this.
fn check_labels(process: &Process) -> Result<()> {
    let given = |label: &Option<String>| label.as_deref().is_some_and(|text| !text.is_empty());
    if given(process.apparmor_profile()) {
        let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
        if !enabled.is_ok_and(|text| text.starts_with('Y')) {
            return Err(invalid(
                "process.apparmorProfile is given, but apparmor is not enabled on this host",
            ));
        }
        tracing::warn!(
            "process.apparmorProfile: profiles of the host do not apply inside the sandbox"
        );
    }
    if given(process.selinux_label()) {
        if !Path::new("/sys/fs/selinux/enforce").exists() {
            return Err(invalid(
                "process.selinuxLabel is given, but selinux is disabled or not supported on this host",
            ));
        }
        tracing::warn!("process.selinuxLabel: labels of the host do not apply inside the sandbox");
    }
    Ok(())
}

fn check_hooks(hooks: &Hooks) -> Result<()> {
    let lists: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (name, hooks) in lists {
        for hook in hooks.iter().flatten() {
            check_hook(name, hook)?;
        }
    }
    Ok(())
}

fn check_hook(name: &str, hook: &Hook) -> Result<()> {
    let path = hook.path().display();
    if !hook.path().is_absolute() {
        return Err(invalid(format!(
            "hooks.{name}: path {path} must be absolute"
        )));
    }
    if hook.timeout().is_some_and(|seconds| seconds <= 0) {
        return Err(invalid(format!(
            "hooks.{name}: timeout of {path} must be greater than zero"
        )));
    }
    let args = hook.args().iter().flatten();
    let env = hook.env().iter().flatten();
    if args.chain(env).any(|text| text.contains('\0')) || path.to_string().contains('\0') {
        return Err(invalid(format!(
            "hooks.{name}: {path} has a string with a NUL byte"
        )));
    }
    let bad = hook
        .env()
        .iter()
        .flatten()
        .find(|pair| pair.split_once('=').is_none_or(|(n, _)| n.is_empty()));
    match bad {
        Some(pair) => Err(invalid(format!(
            "hooks.{name}: env entry {pair:?} of {path} is not NAME=value"
        ))),
        None => Ok(()),
    }
}
