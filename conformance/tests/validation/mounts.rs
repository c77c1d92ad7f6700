//! config.md, *Mounts*.

use std::fs;
use std::process::Command;

use fixtures::command;
use fixtures::container::LIMIT;
use rstest::rstest;
use serde_json::json;

use crate::common::{WithMountBelow, as_configured, differs, output, probe, refused, shell};

/// *The runtime MUST mount entries in the listed order*
#[rstest]
fn mounted_in_the_listed_order() {
    let bundle = probe()
        .mount("/a", "tmpfs", "first", &["nosuid"])
        .mount("/a/b", "tmpfs", "second", &["nodev"])
        .mount("/a/b/c", "tmpfs", "third", &["noexec"]);
    as_configured(bundle);
}

#[rstest]
fn later_mount_hides_an_earlier_one() {
    let bundle = shell("grep -c ' /a ' /proc/self/mountinfo; stat -c %u /a")
        .mount("/a", "tmpfs", "first", &["uid=1"])
        .mount("/a", "tmpfs", "second", &["uid=2"]);
    assert_eq!(output(bundle), "2\n2\n");
}

#[rstest]
#[case::tmpfs("tmpfs", "tmpfs", &["nosuid", "nodev", "size=1m", "mode=0700"])]
#[case::proc("proc", "proc", &["nosuid", "noexec", "nodev"])]
#[case::sysfs("sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"])]
#[case::devpts("devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"])]
#[case::mqueue("mqueue", "mqueue", &["nosuid", "noexec", "nodev"])]
fn types(#[case] kind: &str, #[case] source: &str, #[case] options: &[&str]) {
    let place = match kind {
        "proc" => "/other/proc",
        _ => "/other",
    };
    as_configured(probe().mount(place, kind, source, options));
}

/// *destination ... the mount point is made if it is not there*
#[rstest]
fn destination_is_made() {
    as_configured(probe().mount("/not/there/yet", "tmpfs", "tmpfs", &[]));
}

#[rstest]
fn destination_of_a_file_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "text\n").unwrap();
    let source = file.to_string_lossy().into_owned();
    let bundle =
        shell("cat /some/where/file").mount("/some/where/file", "bind", &source, &["bind"]);
    assert_eq!(output(bundle), "text\n");
}

/// The fourth field of mountinfo (man 5 proc), by which programs learn what is mounted, or which container theirs is.
#[rstest]
#[case::on_the_file_system_of_the_tests(std::env::temp_dir())]
#[case::on_another("/dev/shm".into())]
fn bind_shows_its_path_in_the_file_system_of_the_host(#[case] on: std::path::PathBuf) {
    let directory = tempfile::tempdir_in(on).unwrap();
    let source = directory.path().join("some #data");
    fs::create_dir(&source).unwrap();
    let source = source.to_string_lossy();
    let bundle = shell("grep ' /here ' /proc/self/mountinfo | cut -d' ' -f4");
    let inside = output(bundle.mount("/here", "bind", &source, &["bind"]));
    let script = r#"mount --bind "$0" "$0" && tail -n 1 /proc/self/mountinfo | cut -d' ' -f4"#;
    let mut on_host = Command::new("unshare");
    on_host.args(["--mount", "sh", "-c", script, &source]);
    let on_host = command::run(&mut on_host, LIMIT).unwrap();
    assert_eq!(inside, on_host.success().unwrap().stdout);
}

/// *relative ... destination is relative to /* as older versions had it
#[rstest]
fn relative_destination_is_one_of_the_root() {
    let bundle = shell("grep -c ' /relative ' /proc/self/mountinfo").mount(
        "relative",
        "tmpfs",
        "tmpfs",
        &[],
    );
    assert_eq!(output(bundle), "1\n");
}

#[rstest]
fn destination_through_a_link_stays_inside() {
    let bundle = shell("ls -A /inside").mount("/link/made", "tmpfs", "tmpfs", &[]);
    fs::create_dir(bundle.rootfs().join("inside")).unwrap();
    std::os::unix::fs::symlink("/inside", bundle.rootfs().join("link")).unwrap();
    assert_eq!(output(bundle), "made\n");
}

/// *source ... relative to the bundle*
#[rstest]
fn relative_source_is_one_of_the_bundle() {
    let bundle = shell("cat /here/file").mount("/here", "bind", "data", &["bind"]);
    let data = bundle.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "of the bundle\n").unwrap();
    assert_eq!(output(bundle), "of the bundle\n");
}

#[rstest]
#[case::missing("/no/such/source")]
#[case::missing_relative("no-such-source")]
fn missing_source_is_an_error(#[case] source: &str) {
    refused(
        shell("true").mount("/here", "bind", source, &["bind"]),
        "no-such-source".trim_start_matches("no-such-"),
    );
}

#[rstest]
fn directory_on_a_file_is_an_error() {
    let shared = tempfile::tempdir().unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    refused(
        shell("true").mount("/etc/passwd", "bind", &source, &["bind"]),
        "",
    );
}

#[rstest]
fn unknown_type_is_an_error() {
    refused(
        shell("true").mount("/x", "no-such-fs", "none", &[]),
        if differs("runc", "the error names the place alone") {
            "/x"
        } else {
            "no-such-fs"
        },
    );
}

#[rstest]
fn type_without_bind_option() {
    let shared = tempfile::tempdir().unwrap();
    fs::write(shared.path().join("file"), "x\n").unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    let bundle = shell("cat /here/file").mount("/here", "none", &source, &["rbind", "rw"]);
    assert_eq!(output(bundle), "x\n");
}

#[rstest]
fn recursive_bind_brings_the_mounts_below() {
    let shared = WithMountBelow::new();
    fs::write(shared.below().join("file"), "below\n").unwrap();
    let script = "cat /with/below/file; ls -A /without/below";
    let bundle = shell(script)
        .mount("/with", "bind", shared.source(), &["rbind"])
        .mount("/without", "bind", shared.source(), &["bind"]);
    assert_eq!(output(bundle), "below\n");
}

#[rstest]
#[case::idmap("idmap")]
#[case::ridmap("ridmap")]
fn id_mapped_mounts(#[case] option: &str) {
    let shared = tempfile::tempdir().unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    if differs(
        "runsc",
        "refused by name: id-mapped mounts are not supported",
    ) {
        refused(
            shell("true").mount("/x", "bind", &source, &["rbind", option]),
            option,
        );
        return;
    }
    let _ = differs("runc", "runc 1.1 does not know the options");
}

#[rstest]
fn nothing_but_objects_is_an_error() {
    refused(shell("true").set("/mounts", json!(["/x"])), "");
}
