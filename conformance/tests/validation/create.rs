//! runtime.md, *Create*; config.md, *Specification version*; bundle.md.

use std::fs;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

use crate::common::{differs, is_gone, output, refused, shell};

#[rstest]
fn without_an_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let created = container.call(&["create", "--bundle", &bundle]).unwrap();
    assert_ne!(created.code, 0);
}

/// *must generate an error if the ID is not unique*
#[rstest]
fn id_in_use_is_an_error() {
    let container = Container::new(shell("sleep 100")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let again = container.create(&[]).unwrap();
    assert_ne!(again.code, 0);
    assert!(again.stderr.contains("exist"), "{}", again.stderr);
    assert_eq!(container.status(), "created");
}

/// *the user-specified program MUST NOT be run at this time*
#[rstest]
fn does_not_run_the_program() {
    let container = Container::new(shell("echo run >/run-was-here")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!container.bundle.rootfs().join("run-was-here").exists());
}

/// *Any updates to config.json after this step MUST NOT affect the container*
#[rstest]
fn later_changes_of_the_configuration_have_no_effect() {
    let container = Container::new(shell("echo first >/which")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let other = shell("echo second >/which");
    container
        .bundle
        .write_text(&other.config().to_string())
        .unwrap();
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    let which = fs::read_to_string(container.bundle.rootfs().join("which")).unwrap();
    assert_eq!(which, "first\n");
}

#[rstest]
fn missing_bundle_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    let created = container.call(&["create", "--bundle", "/no/such/bundle", &container.id]);
    assert_ne!(created.unwrap().code, 0);
    is_gone(&container);
}

#[rstest]
fn bundle_without_a_configuration_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    fs::remove_file(container.bundle.path().join("config.json")).unwrap();
    assert_ne!(container.create(&[]).unwrap().code, 0);
    is_gone(&container);
}

/// config.md, *Valid values*: *MUST generate an error when invalid or unsupported values are encountered*
#[rstest]
#[case::no_version("")]
#[case::word("invalid")]
#[case::next_major("2.0.0")]
#[case::one_number("1")]
#[case::letters("1.x.0")]
fn invalid_version_is_an_error(#[case] version: &str) {
    let bundle = shell("true").set("/ociVersion", json!(version));
    if differs("runc", "the version is not read") {
        return;
    }
    refused(bundle, "version");
}

#[rstest]
#[case::first("1.0.0")]
#[case::second("1.0.2")]
#[case::third("1.1.0")]
#[case::fourth("1.2.0")]
#[case::development("1.0.2-dev")]
#[case::candidate("1.0.0-rc5")]
#[case::build("1.2.0+dev")]
fn valid_versions_are_accepted(#[case] version: &str) {
    output(shell("true").set("/ociVersion", json!(version)));
}

/// config.md, *Extensibility*: *MUST NOT generate an error if they encounter an unknown property*
#[rstest]
#[case::top("/unknown")]
#[case::of_process("/process/unknown")]
#[case::of_linux("/linux/unknown")]
#[case::of_root("/root/unknown")]
#[case::of_user("/process/user/unknown")]
fn unknown_properties_are_ignored(#[case] place: &str) {
    let text = output(shell("echo fine").set(place, json!({"any": ["thing"]})));
    assert_eq!(text, "fine\n");
}

#[rstest]
fn other_platforms_sections_are_ignored() {
    let bundle = shell("echo fine")
        .set("/windows", json!({"layerFolders": ["c:\\"]}))
        .set(
            "/solaris",
            json!({"milestone": "svc:/milestone/container:default"}),
        );
    assert_eq!(output(bundle), "fine\n");
}

/// config.md, *Valid values*, for the types of JSON
#[rstest]
#[case::args("/process/args", json!("sh"))]
#[case::uid("/process/user/uid", json!("root"))]
#[case::negative_uid("/process/user/uid", json!(-1))]
#[case::large_uid("/process/user/uid", json!(4_294_967_296_u64))]
#[case::cwd("/process/cwd", json!(["/"]))]
#[case::mounts("/mounts", json!({"destination": "/x"}))]
#[case::hostname("/hostname", json!(7))]
#[case::namespaces("/linux/namespaces", json!("pid"))]
fn values_of_the_wrong_type_are_errors(#[case] place: &str, #[case] value: serde_json::Value) {
    refused(shell("true").set(place, value), "");
}

#[rstest]
fn standard_output_is_the_callers_file() {
    let bundle = Bundle::busybox(&["sh", "-c", "echo out; echo err >&2"]).unwrap();
    let container = Container::new(bundle).unwrap();
    let path = |name: &str| container.bundle.path().join(name);
    let file = |name: &str| fs::File::create(path(name)).unwrap();
    let mut command = container.command(&["create", "--bundle"]);
    command.arg(container.bundle.path()).arg(&container.id);
    command
        .stdin(command::nothing().unwrap())
        .stdout(file("stdout"))
        .stderr(file("stderr"));
    assert!(command.status().unwrap().success());
    container.start().unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    let text = |name: &str| fs::read_to_string(path(name)).unwrap();
    assert_eq!(
        (text("stdout").as_str(), text("stderr").as_str()),
        ("out\n", "err\n")
    );
}

/// *create --pid-file*
#[rstest]
fn pid_file_has_the_pid_of_the_state() {
    let container = Container::new(shell("sleep 100")).unwrap();
    let file = container.root().join("pid");
    let flags = ["--pid-file", &file.to_string_lossy()];
    container.create(&flags).unwrap().success().unwrap();
    let pid = fs::read_to_string(&file).unwrap();
    assert_eq!(
        Some(pid.parse().unwrap()),
        container.state().unwrap()["pid"].as_u64()
    );
}
