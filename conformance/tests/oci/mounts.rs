//! The root file system and the mounts of `config.json`.

use std::fs;

use fixtures::bundle::Bundle;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

fn shell(script: &str) -> Bundle {
    Bundle::busybox(&["sh", "-c", script]).unwrap()
}

fn output(bundle: Bundle) -> String {
    Container::new(bundle)
        .unwrap()
        .run()
        .unwrap()
        .success()
        .unwrap()
        .stdout
}

#[rstest]
fn writes_reach_the_root_file_system() {
    let bundle = shell("echo written >/new; mkdir /dir; ln -s new /link; chmod 600 /new");
    let container = Container::new(bundle).unwrap();
    container.run().unwrap().success().unwrap();
    let rootfs = container.bundle.rootfs();
    assert_eq!(fs::read_to_string(rootfs.join("new")).unwrap(), "written\n");
    assert!(rootfs.join("dir").is_dir());
    assert_eq!(
        fs::read_link(rootfs.join("link"))
            .unwrap()
            .to_string_lossy(),
        "new"
    );
}

#[rstest]
fn read_only_root_refuses_writes() {
    let script = "echo x >/new; echo $?; rm /etc/passwd; echo $?; mkdir /dir; echo $?; echo y >/tmp/y && cat /tmp/y";
    let bundle = shell(&format!("exec 2>/dev/null; {script}")).set("/root/readonly", json!(true));
    let container = Container::new(bundle).unwrap();
    let output = container.run().unwrap().success().unwrap();
    assert_eq!(output.stdout, "1\n1\n1\ny\n");
    assert!(!container.bundle.rootfs().join("new").exists());
}

#[rstest]
fn bind_mount_is_shared_with_the_host() {
    let shared = tempfile::tempdir().unwrap();
    fs::write(shared.path().join("in"), "from the host\n").unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    let bundle =
        shell("cat /mnt/in; echo back >/mnt/out").mount("/mnt", "bind", &source, &["rbind", "rw"]);
    fs::create_dir(bundle.rootfs().join("mnt")).unwrap();
    assert_eq!(output(bundle), "from the host\n");
    assert_eq!(
        fs::read_to_string(shared.path().join("out")).unwrap(),
        "back\n"
    );
}

#[rstest]
fn read_only_bind_mount() {
    let shared = tempfile::tempdir().unwrap();
    fs::write(shared.path().join("in"), "text\n").unwrap();
    let source = shared.path().to_string_lossy().into_owned();
    let bundle = shell("cat /mnt/in; echo x 2>/dev/null >/mnt/out; echo $?").mount(
        "/mnt",
        "bind",
        &source,
        &["rbind", "ro"],
    );
    fs::create_dir(bundle.rootfs().join("mnt")).unwrap();
    assert!(output(bundle).starts_with("text\n1\n"));
    assert!(!shared.path().join("out").exists());
}

#[rstest]
fn bind_mount_of_one_file() {
    let shared = tempfile::tempdir().unwrap();
    let file = shared.path().join("hosts");
    fs::write(&file, "10.0.0.1 somewhere\n").unwrap();
    let bundle = shell("cat /etc/hosts; echo more >>/etc/hosts");
    let bundle = bundle.mount(
        "/etc/hosts",
        "bind",
        &file.to_string_lossy(),
        &["rbind", "rw"],
    );
    assert_eq!(output(bundle), "10.0.0.1 somewhere\n");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "10.0.0.1 somewhere\nmore\n"
    );
}

#[rstest]
fn mount_point_is_made() {
    let bundle =
        shell("echo x >/a/b/c/f && cat /a/b/c/f").mount("/a/b/c", "tmpfs", "tmpfs", &["nosuid"]);
    assert_eq!(output(bundle), "x\n");
}

#[rstest]
fn tmpfs_hides_what_is_beneath() {
    let bundle =
        shell("ls -A /etc | wc -l; echo x >/etc/f").mount("/etc", "tmpfs", "tmpfs", &["mode=0700"]);
    let container = Container::new(bundle).unwrap();
    assert_eq!(
        container.run().unwrap().success().unwrap().stdout.trim(),
        "0"
    );
    assert!(container.bundle.rootfs().join("etc/passwd").exists());
    assert!(!container.bundle.rootfs().join("etc/f").exists());
}

#[rstest]
fn tmpfs_size_is_limited() {
    let script =
        "dd if=/dev/zero of=/small/f bs=1k count=2000 2>/dev/null; echo $?; wc -c </small/f";
    let bundle = shell(script).mount("/small", "tmpfs", "tmpfs", &["size=1048576"]);
    assert_eq!(output(bundle), "1\n1048576\n");
}

#[rstest]
fn symbolic_link_does_not_leave_the_root() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "outside").unwrap();
    let bundle = shell("cat /escape/secret 2>/dev/null; cat /../../etc/group | head -n 1");
    std::os::unix::fs::symlink(outside.path(), bundle.rootfs().join("escape")).unwrap();
    assert_eq!(output(bundle), "root:x:0:\n");
}

#[rstest]
fn mounts_are_listed() {
    let text = output(shell("cat /proc/mounts").mount("/here", "tmpfs", "tmpfs", &["ro"]));
    for path in [
        "/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/sys", "/tmp", "/here",
    ] {
        assert!(
            text.lines()
                .any(|line| line.split(' ').nth(1) == Some(path)),
            "{path} is not in {text}"
        );
    }
}

#[rstest]
fn masked_and_read_only_paths() {
    let bundle = shell("cat /etc/passwd; ls -A /var; echo x 2>/dev/null >/etc/group; echo $?")
        .set(
            "/linux/maskedPaths",
            json!(["/etc/passwd", "/var", "/no/such/path"]),
        )
        .set(
            "/linux/readonlyPaths",
            json!(["/etc/group", "/no/such/path"]),
        );
    assert_eq!(output(bundle), "1\n");
}

/// A bind mount of one file: the same file whatever gets its name, and nothing of what is beside it.
#[rstest]
fn single_file_stays_the_same_when_its_name_goes_to_another() {
    let shared = tempfile::tempdir().unwrap();
    let file = shared.path().join("file");
    fs::write(&file, "first\n").unwrap();
    let source = file.to_string_lossy().into_owned();
    let script = "echo more >>/mnt; touch /ready; while [ ! -e /go ]; do sleep 0.1; done; cat /mnt";
    let bundle = shell(script).mount("/mnt", "bind", &source, &["rbind", "rw"]);
    fs::write(bundle.rootfs().join("mnt"), "").unwrap();
    let container = Container::new(bundle).unwrap();
    let rootfs = container.bundle.rootfs();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| container.run());
        while !rootfs.join("ready").exists() && !running.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "first\nmore\n");
        fs::write(shared.path().join("new"), "other\n").unwrap();
        fs::rename(shared.path().join("new"), &file).unwrap();
        fs::write(rootfs.join("go"), "").unwrap();
        let output = running.join().unwrap().unwrap().success().unwrap();
        assert_eq!(output.stdout, "first\nmore\n");
    });
}
