//! config-linux.md, *Masked Paths* and *Readonly Paths*.

use std::fs;

use rstest::rstest;
use serde_json::json;

use crate::common::{as_configured, output, probe, refused, shell};

/// *will mask over the provided paths inside the container so that they cannot be read*
#[rstest]
#[case::file(&["/masked-file"])]
#[case::directory(&["/masked-directory"])]
#[case::below(&["/masked-directory/inner"])]
#[case::proc(&["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"])]
#[case::several(&["/masked-file", "/masked-directory", "/no/such/path"])]
fn masked(#[case] paths: &[&str]) {
    let bundle = probe();
    let root = bundle.rootfs();
    fs::write(root.join("masked-file"), "secret").unwrap();
    fs::create_dir_all(root.join("masked-directory/inner")).unwrap();
    fs::write(root.join("masked-directory/inner/file"), "secret").unwrap();
    as_configured(bundle.set("/linux/maskedPaths", json!(paths)));
}

#[rstest]
fn masked_symbolic_link_masks_its_target() {
    let bundle = shell("cat /target");
    let root = bundle.rootfs();
    fs::write(root.join("target"), "secret").unwrap();
    std::os::unix::fs::symlink("target", root.join("link")).unwrap();
    let bundle = bundle.set("/linux/maskedPaths", json!(["/link"]));
    assert_eq!(output(bundle), "");
}

/// *will set the provided paths as readonly inside the container*
#[rstest]
#[case::file(&["/protected-file"])]
#[case::directory(&["/protected-directory"])]
#[case::below(&["/protected-directory/inner"])]
#[case::proc(&["/proc/sys", "/proc/irq", "/proc/bus", "/proc/sysrq-trigger"])]
#[case::several(&["/protected-file", "/protected-directory", "/no/such/path"])]
fn read_only(#[case] paths: &[&str]) {
    let bundle = probe();
    let root = bundle.rootfs();
    fs::write(root.join("protected-file"), "text").unwrap();
    fs::create_dir_all(root.join("protected-directory/inner")).unwrap();
    as_configured(bundle.set("/linux/readonlyPaths", json!(paths)));
}

#[rstest]
fn read_only_path_can_be_read() {
    let bundle = shell("cat /file; echo more 2>/dev/null >>/file; rm /file 2>/dev/null; echo $?");
    fs::write(bundle.rootfs().join("file"), "text\n").unwrap();
    let bundle = bundle.set("/linux/readonlyPaths", json!(["/file"]));
    assert_eq!(output(bundle), "text\n1\n");
}

/// *The values MUST be absolute paths in the container namespace*
#[rstest]
#[case::masked("/linux/maskedPaths")]
#[case::read_only("/linux/readonlyPaths")]
fn relative_path_is_an_error(#[case] place: &str) {
    if crate::common::differs("runc", "relative paths are taken as they are") {
        return;
    }
    refused(shell("true").set(place, json!(["relative"])), "absolute");
}
