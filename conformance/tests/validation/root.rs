//! config.md, *Root*.

use rstest::rstest;
use serde_json::json;

use crate::common::{as_configured, output, probe, refused, shell};

/// *readonly (bool, OPTIONAL) If true then the root filesystem MUST be read-only inside the container*
#[rstest]
#[case::read_only(true)]
#[case::writable(false)]
fn readonly(#[case] value: bool) {
    let bundle = probe().set("/root/readonly", json!(value));
    as_configured(bundle);
}

#[rstest]
fn read_only_root_lets_mounts_be_written() {
    let bundle = shell("echo x 2>/dev/null >/x; echo $?; echo y >/tmp/y && cat /tmp/y")
        .set("/root/readonly", json!(true));
    assert_eq!(output(bundle), "1\ny\n");
}

/// *path ... either an absolute path or a relative path to the bundle*
#[rstest]
fn relative_path_is_one_of_the_bundle() {
    assert_eq!(
        output(shell("echo fine").set("/root/path", json!("./rootfs/"))),
        "fine\n"
    );
}

#[rstest]
fn absolute_path() {
    let bundle = shell("echo fine");
    let path = bundle.rootfs().to_string_lossy().into_owned();
    assert_eq!(output(bundle.set("/root/path", json!(path))), "fine\n");
}

/// *A directory MUST exist at the path declared by the field*
#[rstest]
#[case::missing("no-such-directory")]
#[case::file("config.json")]
fn path_that_is_no_directory_is_an_error(#[case] path: &str) {
    refused(shell("true").set("/root/path", json!(path)), "");
}

#[rstest]
fn missing_root_is_an_error() {
    refused(shell("true").set("/root", json!(null)), "");
}
