//! config-linux.md, *Devices*, *Default Devices*, *Dev symbolic links*.

use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{as_configured, differs, output, probe, refused, shell};

/// *lists devices that MUST be available in the container*
#[rstest]
#[case::null(json!({"path": "/dev/test-null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5, "gid": 6}))]
#[case::zero(json!({"path": "/dev/deep/er/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666, "uid": 0, "gid": 0}))]
#[case::unbuffered(json!({"path": "/dev/test-full", "type": "u", "major": 1, "minor": 7, "fileMode": 0o600}))]
#[case::fifo(json!({"path": "/dev/test-fifo", "type": "p", "fileMode": 0o622, "uid": 0, "gid": 0}))]
#[case::character_without_a_driver(json!({"path": "/dev/test1", "type": "c", "major": 10, "minor": 666, "fileMode": 0o660, "uid": 0, "gid": 0}))]
#[case::block_without_a_driver(json!({"path": "/dev/test2", "type": "b", "major": 8, "minor": 666, "fileMode": 0o660, "uid": 0, "gid": 0}))]
fn device_is_made(#[case] device: Value) {
    as_configured(probe().set("/linux/devices", json!([device])));
}

/// One of the default devices is the configuration's own if it is named there.
#[rstest]
fn default_device_with_another_mode() {
    let device = json!({"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 1, "gid": 2});
    if differs("runc", "makes it as it always does") {
        return;
    }
    as_configured(probe().set("/linux/devices", json!([device])));
}

#[rstest]
fn made_devices_work() {
    let devices = json!([
        {"path": "/dev/my-zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666, "uid": 0, "gid": 0},
        {"path": "/dev/my-fifo", "type": "p", "fileMode": 0o666, "uid": 0, "gid": 0},
    ]);
    let script =
        "head -c 3 /dev/my-zero | od -An -tx1; (echo through >/dev/my-fifo) & cat /dev/my-fifo";
    let bundle = shell(script).set("/linux/devices", devices);
    assert_eq!(output(bundle), " 00 00 00\nthrough\n");
}

/// *same type, major, minor should not be used for multiple devices*: the runtime can't offer what its kernel has no
/// driver for.
#[rstest]
fn device_of_the_host() {
    if !std::path::Path::new("/sys/dev/char/10:200").exists() {
        println!("this host has no /dev/net/tun");
        return;
    }
    let device = json!({"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666, "uid": 0, "gid": 0});
    if differs(
        "runsc",
        "refused by name: the sandbox's kernel has no driver for it",
    ) {
        refused(
            shell("true").set("/linux/devices", json!([device])),
            "/dev/net/tun",
        );
        return;
    }
    as_configured(probe().set("/linux/devices", json!([device])));
}

#[rstest]
#[case::kind(json!({"path": "/dev/x", "type": "x", "major": 1, "minor": 3}))]
#[case::no_kind(json!({"path": "/dev/x", "major": 1, "minor": 3}))]
fn invalid_device_is_an_error(#[case] device: Value) {
    refused(shell("true").set("/linux/devices", json!([device])), "");
}

/// *the runtime MUST also supply ... /dev/null, zero, full, random, urandom, tty, ptmx*
#[rstest]
fn default_devices_work() {
    let script = "echo gone >/dev/null; head -c 2 /dev/zero | od -An -tx1; \
                  echo x 2>/dev/null >/dev/full; echo $?; head -c 8 /dev/random | wc -c; \
                  head -c 8 /dev/urandom | wc -c; ls -l /dev/ptmx /dev/tty >/dev/null && echo there";
    assert_eq!(output(shell(script)), " 00 00\n1\n8\n8\nthere\n");
}

#[rstest]
fn default_devices_without_a_mount_on_dev() {
    let bundle = shell(
        "echo gone >/dev/null; head -c 2 /dev/zero | od -An -tx1; ls -l /dev/fd | sed 's/.*-> //'",
    );
    let mounts: Vec<Value> = bundle.config()["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"))
        .cloned()
        .collect();
    assert_eq!(
        output(bundle.set("/mounts", json!(mounts))),
        " 00 00\n/proc/self/fd\n"
    );
}

#[rstest]
fn links_to_descriptors_work() {
    let script = "echo out >/dev/stdout; echo err >/dev/stderr; echo in | cat /dev/stdin; readlink /dev/fd/1 >/dev/null && echo fd";
    assert_eq!(output(shell(script)), "out\nin\nfd\n");
}
