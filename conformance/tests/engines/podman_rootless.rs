//! podman as a user without privileges, with `--runtime`.

use std::os::unix::fs::chown;

use fixtures::engines::{Podman, ROOTLESS_USER};
use fixtures::runtime::Runtime;
use rstest::rstest;

use crate::podman::{
    build, pod_has_one_host_name, start_in_the_background, stop_in_the_background,
};
use crate::{checked, needs_root};

/// KVM's device is not open to everybody.
fn runtime() -> Option<Runtime> {
    let mut all = Runtime::matrix().unwrap();
    all.retain(|runtime| runtime.platform.as_deref() != Some("kvm"));
    all.pop()
}

#[rstest]
fn short_list() {
    needs_root!();
    let Some(runtime) = runtime() else { return };
    let podman = Podman::rootless(&runtime).unwrap();
    let shell =
        |flags: &[&str], script: &str| podman.run(flags, &["sh", "-c", &checked(script)]).unwrap();
    let output = shell(&["--env", "A=b"], "id -u; echo $A; exit 3");
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("0\nb\n", 3),
        "{output:?}"
    );

    // Root inside is the user outside, and others are of the user's subordinate ids.
    let data = podman.path().join("data");
    std::fs::create_dir(&data).unwrap();
    chown(&data, Some(ROOTLESS_USER), Some(ROOTLESS_USER)).unwrap();
    let volume = format!("{}:/data", data.display());
    let script =
        "echo mine >/data/a; echo theirs >/data/b; chown 7:8 /data/b; stat -c %u:%g /data/b";
    let output = shell(&["--volume", &volume], script);
    assert_eq!(output.stdout, "7:8\n", "{output:?}");
    let owner = |name: &str| {
        use std::os::unix::fs::MetadataExt as _;
        let attributes = std::fs::metadata(data.join(name)).unwrap();
        (attributes.uid(), attributes.gid())
    };
    assert_eq!(owner("a"), (ROOTLESS_USER, ROOTLESS_USER));
    assert_eq!(owner("b"), (600_006, 600_007));
    let output = shell(
        &["--user", "1000", "--volume", &volume],
        "id -u; cat /data/a; touch /data/c 2>/dev/null || echo refused",
    );
    assert_eq!(output.stdout, "1000\nmine\nrefused\n", "{output:?}");

    start_in_the_background(&podman);
    stop_in_the_background(&podman);
    podman.podman(&["rm", "stays"]).unwrap().success().unwrap();
    pod_has_one_host_name(&podman);
    build(&podman);
}
