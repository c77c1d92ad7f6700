//! config.md, *Linux mount options*: what each does, and its recursive form.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use fixtures::container::Container;

use rstest::rstest;

use crate::common::{WithMountBelow, differs, output, refused, shell};

/// A bind mount of a directory with a program, a setuid one, and a file.
fn bound(script: &str, options: &[&str]) -> String {
    let shared = tempfile::tempdir().unwrap();
    let busybox = shared.path().join("busybox");
    fs::copy("/bin/busybox", &busybox).unwrap();
    fs::write(shared.path().join("file"), "text\n").unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    output(shell(script).mount("/here", "bind", &source, options))
}

const WRITE: &str = "echo x 2>/dev/null >/here/new; echo $?";
const EXECUTE: &str = "/here/busybox true 2>/dev/null; echo $?";

#[rstest]
#[case::ro(&["rbind", "ro"], WRITE, "1\n")]
#[case::rw(&["rbind", "rw"], WRITE, "0\n")]
#[case::ro_then_rw(&["rbind", "ro", "rw"], WRITE, "0\n")]
#[case::neither(&["bind"], WRITE, "0\n")]
#[case::noexec(&["rbind", "noexec"], EXECUTE, "126\n")]
#[case::exec(&["rbind", "noexec", "exec"], EXECUTE, "0\n")]
fn flags_are_felt(#[case] options: &[&str], #[case] script: &str, #[case] wanted: &str) {
    assert_eq!(bound(script, options), wanted);
}

/// *rro, rrw, rnoexec, …*: *recursive*
#[rstest]
#[case::rro(&["rbind", "rro"], WRITE, "1\n")]
#[case::rrw(&["rbind", "rro", "rrw"], WRITE, "0\n")]
#[case::rnoexec(&["rbind", "rnoexec"], EXECUTE, "126\n")]
#[case::rexec(&["rbind", "rnoexec", "rexec"], EXECUTE, "0\n")]
fn recursive_flags_are_felt(#[case] options: &[&str], #[case] script: &str, #[case] wanted: &str) {
    if options.len() == 3
        && differs(
            "runc",
            "a recursive flag that clears does not undo one that sets",
        )
    {
        return;
    }
    if options.len() == 3
        && differs(
            "runc",
            "a recursive flag that clears does not undo one that sets",
        )
    {
        return;
    }
    assert_eq!(bound(script, options), wanted);
}

#[rstest]
fn recursive_read_only_covers_the_mounts_below() {
    let shared = WithMountBelow::new();
    let script = "echo x 2>/dev/null >/here/below/x; echo $?";
    let bundle = shell(script).mount("/here", "bind", shared.source(), &["rbind", "rro"]);
    assert_eq!(output(bundle), "1\n");
}

/// Options as mountinfo shows them.
#[rstest]
#[case::nosuid("nosuid", "nosuid", true)]
#[case::nodev("nodev", "nodev", true)]
#[case::noexec("noexec", "noexec", true)]
#[case::noatime("noatime", "noatime", true)]
#[case::nodiratime("nodiratime", "nodiratime", true)]
#[case::relatime("relatime", "relatime", true)]
#[case::default_is_relatime("rw", "relatime", true)]
#[case::strictatime("strictatime", "relatime", false)]
#[case::ro("ro", "ro", true)]
#[case::sync_is_accepted("sync", "noexec", false)]
#[case::defaults_is_accepted("defaults", "noexec", false)]
fn shown_in_mountinfo(#[case] option: &str, #[case] shown: &str, #[case] wanted: bool) {
    if option == "defaults"
        && differs(
            "runc",
            "runc 1.1 passes it to mount(2), which does not know it",
        )
    {
        return;
    }
    if option == "defaults"
        && differs(
            "runc",
            "runc 1.1 passes it to mount(2), which does not know it",
        )
    {
        return;
    }
    let script = "grep ' /here ' /proc/self/mountinfo | cut -d' ' -f6";
    let text = output(shell(script).mount("/here", "tmpfs", "tmpfs", &[option]));
    assert_eq!(text.trim().split(',').any(|o| o == shown), wanted, "{text}");
}

#[rstest]
#[case::mode(&["mode=1770"], "stat -c %a /here", "1770\n")]
#[case::default_mode(&[], "stat -c %a /here", "1777\n")]
#[case::owner(&["uid=5", "gid=6"], "stat -c %u:%g /here", "5:6\n")]
#[case::size(&["size=64k"], "dd if=/dev/zero of=/here/f bs=1k count=100 2>/dev/null; stat -c %s /here/f", "65536\n")]
#[case::size_with_unit(&["size=1m"], "df -k /here | tail -n 1 | awk '{print $2}'", "1024\n")]
#[case::inodes(&["nr_inodes=4"], "touch /here/1 /here/2 /here/3 && echo three; touch /here/4 2>/dev/null; echo $?", "three\n1\n")]
fn tmpfs_data(#[case] options: &[&str], #[case] script: &str, #[case] wanted: &str) {
    assert_eq!(
        output(shell(script).mount("/here", "tmpfs", "tmpfs", options)),
        wanted
    );
}

/// As runc has it, and images expect it of `/run` and the like.
#[rstest]
fn tmpfs_takes_over_the_mode_of_what_it_covers() {
    let bundle = shell("stat -c %a /covered").mount("/covered", "tmpfs", "tmpfs", &["nosuid"]);
    let covered = bundle.rootfs().join("covered");
    fs::create_dir(&covered).unwrap();
    let mode = PermissionsExt::from_mode(0o710);
    fs::set_permissions(covered, mode).unwrap();
    assert_eq!(output(bundle), "710\n");
}

#[rstest]
#[case::unknown("no_such_option")]
#[case::unknown_value("no_such=option")]
#[case::bad_size("size=much")]
#[case::bad_mode("mode=9z")]
fn unknown_tmpfs_option_is_an_error(#[case] option: &str) {
    refused(
        shell("true").mount("/here", "tmpfs", "tmpfs", &[option]),
        "",
    );
}

#[rstest]
fn nosymfollow() {
    if differs("runc", "runc 1.1 does not know the option") {
        return;
    }
    let script = "echo x >/here/file; ln -s file /here/link; cat /here/link 2>/dev/null; echo $?";
    let bundle = shell(script).mount("/here", "tmpfs", "tmpfs", &["nosymfollow"]);
    assert_eq!(output(bundle), "1\n");
}

#[rstest]
fn devpts_modes() {
    let script = "stat -c %a /other/ptmx";
    let bundle = shell(script).mount(
        "/other",
        "devpts",
        "devpts",
        &["newinstance", "ptmxmode=0640"],
    );
    assert_eq!(output(bundle), "640\n");
}

/// `tmpcopyup`: *copy up the contents to a tmpfs*. The image stays as it is.
#[rstest]
#[case::content(
    "cat /image/file /image/below/link; stat -c '%a %u:%g' /image/file",
    "text\ntext\n640 3:4\n"
)]
#[case::writable(
    "echo more >>/image/file; cat /image/file; rm -r /image/below; ls /image",
    "text\nmore\nfile\n"
)]
#[case::type_is_tmpfs(
    "grep -c ' /image .* - tmpfs ' /proc/self/mountinfo; stat -f -c %t /image",
    "1\n1021994\n"
)]
#[case::rename(
    "mv /image/below /image/above; cat /image/above/link; mkdir /image/below; ls /image/below",
    "text\n"
)]
fn tmpcopyup(#[case] script: &str, #[case] wanted: &str) {
    let bundle = shell(script);
    let image = bundle.rootfs().join("image");
    fs::create_dir_all(image.join("below")).unwrap();
    fs::write(image.join("file"), "text\n").unwrap();
    fs::set_permissions(image.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    chown(image.join("file"), Some(3), Some(4)).unwrap();
    symlink("../file", image.join("below/link")).unwrap();
    let options = ["rprivate", "nosuid", "nodev", "tmpcopyup"];
    let container = Container::new(bundle.mount("/image", "tmpfs", "tmpfs", &options)).unwrap();
    let shown = container.run().unwrap().success().unwrap().stdout;
    assert_eq!(shown, wanted);
    assert_eq!(fs::read_to_string(image.join("file")).unwrap(), "text\n");
    assert!(image.join("below/link").exists());
}

#[rstest]
fn tmpcopyup_of_nothing_is_empty() {
    let bundle = shell("ls -a /new /tmp/new").mount("/new", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let bundle = bundle.mount("/tmp", "tmpfs", "tmpfs", &[]).mount(
        "/tmp/new",
        "tmpfs",
        "tmpfs",
        &["tmpcopyup"],
    );
    let none = ".\n..\n";
    assert_eq!(output(bundle), format!("/new:\n{none}\n/tmp/new:\n{none}"));
}
