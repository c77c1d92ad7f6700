//! config-linux.md, *Rootfs Mount Propagation*; config.md, *Mounts*: propagation of one mount.

use rstest::rstest;
use serde_json::{Value, json};

use fixtures::bundle::{Bundle, DEFAULT_CAPABILITIES};

use crate::common::{as_configured, differs, output, probe, refused, shell};

fn admin(bundle: Bundle) -> Bundle {
    let names: Vec<&str> = DEFAULT_CAPABILITIES
        .into_iter()
        .chain(["CAP_SYS_ADMIN"])
        .collect();
    let names: Value = json!(names);
    bundle.set(
        "/process/capabilities",
        json!({"bounding": names, "effective": names, "permitted": names}),
    )
}

#[rstest]
#[case::shared("shared")]
#[case::slave("slave")]
#[case::private("private")]
#[case::unbindable("unbindable")]
#[case::rshared("rshared")]
#[case::rslave("rslave")]
#[case::rprivate("rprivate")]
fn of_the_root(#[case] propagation: &str) {
    let takes_part = propagation.ends_with("shared") || propagation.ends_with("unbindable");
    if takes_part && differs("runc", "the root of the container stays private") {
        return;
    }
    as_configured(admin(probe()).set("/linux/rootfsPropagation", json!(propagation)));
}

#[rstest]
fn unknown_value_is_an_error() {
    let bundle = shell("true").set("/linux/rootfsPropagation", json!("sideways"));
    refused(bundle, "");
}

#[rstest]
#[case::shared("shared", "shared:")]
#[case::private("private", "")]
#[case::unbindable("unbindable", "unbindable")]
fn of_a_mount(#[case] option: &str, #[case] shown: &str) {
    let bundle = shell("grep ' /here ' /proc/self/mountinfo | sed 's/ - .*//' | cut -d' ' -f7-")
        .mount("/here", "tmpfs", "tmpfs", &["nosuid", option]);
    let text = output(bundle);
    if shown.is_empty() {
        assert_eq!(text.trim(), "");
    } else {
        assert!(text.starts_with(shown), "{text:?}");
    }
}

#[rstest]
fn of_a_bind_mount() {
    let shared = tempfile::tempdir().unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    let script = "grep ' /here ' /proc/self/mountinfo | grep -c unbindable";
    let bundle = shell(script).mount("/here", "bind", &source, &["rbind", "runbindable"]);
    assert_eq!(output(bundle), "1\n");
    // What the host mounts later does not show: the sandbox has its own mounts.
    let _ = differs(
        "runsc",
        "mounts that the host makes later never come into the sandbox",
    );
}
