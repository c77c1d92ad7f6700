//! Capabilities by name.

use std::collections::BTreeSet;

use control::Capabilities;
use oci_spec::runtime::{Capabilities as Names, LinuxCapabilities};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Result;
use crate::spec::invalid;

/// Names from 0 (`linux/capability.h`).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The names of all capabilities, from 0 on.
#[must_use]
pub fn capability_names() -> Vec<String> {
    NAMES.iter().map(|name| format!("CAP_{name}")).collect()
}

/// The bit of a capability, named with or without `CAP_`, in any case.
///
/// # Errors
/// [`crate::ContainerError::Spec`] for an unknown name.
pub fn capability_bit(name: &str) -> Result<u64> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|known| *known == short)
        .map(|number| 1 << number)
        .ok_or_else(|| invalid(format!("unknown capability {name:?}")))
}

/// Every capability that this kernel knows, in every set but the ambient one.
#[must_use]
pub fn all_capabilities() -> Capabilities {
    let all = (1 << NAMES.len()) - 1;
    Capabilities {
        bounding: all,
        effective: all,
        inheritable: 0,
        permitted: all,
        ambient: 0,
    }
}

pub(super) fn convert(sets: Option<&LinuxCapabilities>) -> Result<Capabilities> {
    let Some(sets) = sets else {
        return Ok(Capabilities::default());
    };
    Ok(Capabilities {
        bounding: bits(sets.bounding().as_ref())?,
        effective: bits(sets.effective().as_ref())?,
        inheritable: bits(sets.inheritable().as_ref())?,
        permitted: bits(sets.permitted().as_ref())?,
        ambient: bits(sets.ambient().as_ref())?,
    })
}

fn bits(names: Option<&Names>) -> Result<u64> {
    names.into_iter().flatten().try_fold(0, |bits, name| {
        Ok(bits | capability_bit(&name.to_string())?)
    })
}

/// Warns of capabilities that nobody knows: they can't be granted, and are no reason to fail (runtime-spec 1.1,
/// config.md, *capabilities*).
pub fn warn_of_unknown_capabilities<'a>(names: impl IntoIterator<Item = &'a str>) {
    let names: BTreeSet<&str> = names.into_iter().collect();
    if !names.is_empty() {
        let names = Vec::from_iter(names).join(", ");
        tracing::warn!("ignoring unknown capabilities: {names}");
    }
}

/// Parses a spec, or a part of one whose sets of capabilities are at the JSON pointer `sets`. Unknown ones are left
/// out, with a warning.
///
/// # Errors
/// The text is not what it is to be.
pub fn parse_with_capabilities<T: DeserializeOwned>(
    text: &[u8],
    sets: &str,
) -> serde_json::Result<T> {
    let first = match serde_json::from_slice(text) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    let Ok(mut value) = serde_json::from_slice::<Value>(text) else {
        return Err(first);
    };
    let unknown = value.pointer_mut(sets).map(remove_unknown);
    let unknown = unknown.unwrap_or_default();
    if unknown.is_empty() {
        // That was not the reason; this error has the place.
        return Err(first);
    }
    let parsed = serde_json::from_value(value)?;
    warn_of_unknown_capabilities(unknown.iter().map(String::as_str));
    Ok(parsed)
}

/// Removes unknown names from an object of sets, and returns them.
fn remove_unknown(sets: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let sets = sets.as_object_mut().into_iter().flatten();
    for names in sets.filter_map(|(_, names)| names.as_array_mut()) {
        names.retain(|name| match name.as_str() {
            Some(name) if capability_bit(name).is_err() => {
                unknown.push(name.to_owned());
                false
            }
            _ => true,
        });
    }
    unknown
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Process;

    use super::{capability_bit, parse_with_capabilities};

    #[test]
    fn unknown_capabilities_are_left_out() {
        let parse =
            |text: &str| parse_with_capabilities::<Process>(text.as_bytes(), "/capabilities");
        let process = |more: &str| {
            format!(
                r#"{{"cwd": "/", "user": {{"uid": 0, "gid": 0}},
                "capabilities": {{"bounding": ["CAP_KILL", "CAP_NONE", "1"], "ambient": ["X"]}}{more}}}"#
            )
        };
        let parsed = parse(&process("")).unwrap();
        let sets = parsed.capabilities().as_ref().unwrap();
        assert_eq!(sets.bounding().as_ref().unwrap().len(), 1);
        assert!(sets.ambient().as_ref().unwrap().is_empty());
        for wrong in [process(r#", "args": 1"#).as_str(), "{", "[]"] {
            parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn names_have_their_numbers() {
        for (name, number) in [
            ("CAP_CHOWN", 0),
            ("sys_admin", 21),
            ("CAP_CHECKPOINT_RESTORE", 40),
        ] {
            assert_eq!(capability_bit(name).unwrap(), 1 << number);
        }
        assert!(capability_bit("CAP_NONE").is_err());
    }
}
