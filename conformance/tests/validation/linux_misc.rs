//! config-linux.md: `intelRdt`, *Personality*, *Time Offsets*, *Memory policy*, *Network devices*; `mountLabel`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{as_configured, differs, output, probe, refused, shell};

/// What a sandbox has not is refused by name before anything is made.
#[rstest]
#[case::intel_rdt("intelRdt", json!({"closID": "x", "l3CacheSchema": "L3:0=f"}))]
#[case::time_offsets("timeOffsets", json!({"monotonic": {"secs": 100}}))]
#[case::memory_policy("memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}))]
#[case::net_devices("netDevices", json!({"eth0": {"name": "other0"}}))]
#[case::personality("personality", json!({"domain": "LINUX32"}))]
fn refused_by_name(#[case] field: &str, #[case] value: Value) {
    let bundle = shell("true").set(&format!("/linux/{field}"), value);
    if differs("runsc", "refused by name: a sandbox has no such thing") {
        refused(bundle, field);
        return;
    }
    let _ = differs("runc", "depends on its version and the host");
}

#[rstest]
fn plain_personality() {
    let bundle = shell("echo fine").set("/linux/personality", json!({"domain": "LINUX"}));
    assert_eq!(output(bundle), "fine\n");
}

/// *mountLabel ... will set the Selinux context for the mounts in the container*: nothing without the module
#[rstest]
fn mount_label() {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        println!("this host has the module");
        return;
    }
    if differs(
        "runc",
        "the label reaches mount(2), which refuses it on this host",
    ) {
        return;
    }
    let label = json!("system_u:object_r:svirt_sandbox_file_t:s0:c715,c811");
    as_configured(probe().set("/linux/mountLabel", label));
}
