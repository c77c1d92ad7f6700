//! config-linux.md, *User namespace mappings*.

use rstest::rstest;
use serde_json::{Value, json};

use fixtures::bundle::Bundle;

use crate::common::{as_configured, differs, output, probe, refused, shell};

fn mapped(bundle: Bundle, uids: &Value, gids: &Value) -> Bundle {
    let mut namespaces = bundle.config()["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .clone();
    namespaces.push(json!({"type": "user"}));
    let bundle = bundle
        .set("/linux/namespaces", json!(namespaces))
        .set("/linux/uidMappings", uids.clone())
        .set("/linux/gidMappings", gids.clone());
    // The runtime's files in the container are those of its root.
    let owner = std::process::Command::new("chown")
        .args(["-R", "1000:1000"])
        .arg(bundle.rootfs())
        .status();
    assert!(owner.unwrap().success());
    std::fs::set_permissions(
        bundle.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    bundle
}

fn one() -> Value {
    json!([{"containerID": 0, "hostID": 1000, "size": 2000}])
}

#[rstest]
fn one_range() {
    as_configured(mapped(probe(), &one(), &one()));
}

#[rstest]
fn several_ranges() {
    let ranges = json!([
        {"containerID": 0, "hostID": 1000, "size": 1},
        {"containerID": 1, "hostID": 100_000, "size": 65535},
    ]);
    as_configured(mapped(probe(), &ranges, &ranges));
}

/// Files that the container makes belong to the mapped ids on the host.
#[rstest]
fn files_belong_to_the_mapped_ids() {
    let bundle = mapped(
        shell("id -u; echo x >/made; stat -c %u:%g /made /bin/busybox"),
        &one(),
        &one(),
    );
    let made = bundle.rootfs().join("made");
    let container = fixtures::container::Container::new(bundle).unwrap();
    let text = container.run().unwrap().success().unwrap().stdout;
    assert_eq!(text, "0\n0:0\n0:0\n");
    let metadata = std::fs::metadata(made).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((metadata.uid(), metadata.gid()), (1000, 1000));
}

#[rstest]
fn without_a_user_namespace_they_are_an_error() {
    if differs("runc", "they are ignored") {
        return;
    }
    refused(shell("true").set("/linux/uidMappings", one()), "");
}

#[rstest]
#[case::negative(json!([{"containerID": -1, "hostID": 0, "size": 1}]))]
#[case::wrapping(json!([{"containerID": 0, "hostID": 4_294_967_295_u32, "size": 100}]))]
fn invalid_range_is_an_error(#[case] range: Value) {
    let bundle = shell("true");
    let mut namespaces = bundle.config()["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .clone();
    namespaces.push(json!({"type": "user"}));
    let bundle = bundle
        .set("/linux/namespaces", json!(namespaces))
        .set("/linux/uidMappings", range)
        .set("/linux/gidMappings", one());
    refused(bundle, "");
}

#[rstest]
fn without_mappings_ids_are_as_on_the_host() {
    let text = output(shell("cat /proc/self/uid_map"));
    let fields: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(fields, ["0", "0", "4294967295"]);
}
