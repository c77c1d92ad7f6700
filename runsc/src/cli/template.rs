//! Specs made up: for `spec`, and for `do`.

use serde_json::{Value, json};

use crate::config::SPEC_VERSION;

/// Docker's default set.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// What differs between specs.
#[derive(Debug)]
pub(crate) struct Template<'a> {
    pub(crate) args: &'a [String],
    pub(crate) env: Vec<String>,
    pub(crate) cwd: &'a str,
    pub(crate) root: &'a str,
    pub(crate) read_only: bool,
    pub(crate) hostname: &'a str,
    pub(crate) terminal: bool,
    pub(crate) mounts: Vec<Value>,
}

/// The spec.
pub(crate) fn spec(template: Template<'_>) -> Value {
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
               "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
               "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
               "options": ["nosuid", "noexec", "nodev", "ro"]}),
    ];
    mounts.extend(template.mounts);
    let namespaces: Vec<Value> = ["pid", "network", "ipc", "uts", "mount"]
        .map(|kind| json!({ "type": kind }))
        .into();
    json!({
        "ociVersion": SPEC_VERSION,
        "process": {
            "terminal": template.terminal,
            "user": {"uid": 0, "gid": 0},
            "args": template.args,
            "env": template.env,
            "cwd": template.cwd,
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        },
        "root": {"path": template.root, "readonly": template.read_only},
        "hostname": template.hostname,
        "mounts": mounts,
        "linux": {"namespaces": namespaces},
    })
}
