//! Capabilities by name.

use control::Capabilities;
use oci_spec::runtime::{Capabilities as Names, LinuxCapabilities};

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

#[cfg(test)]
mod tests {
    use super::capability_bit;

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
