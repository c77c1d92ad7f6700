//! Images built with the runtime, and containers that work together.

use std::fs;

use fixtures::command::wait_until;
use fixtures::engines::{Docker, IMAGE};
use rstest::rstest;

use crate::{checked, needs_root, on_our_kernel, unique};

#[rstest]
fn images_are_built_with_the_default_runtime() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("input"), "copied\n").unwrap();
    let text = format!(
        "FROM {IMAGE}\nCOPY input /input\nRUN {}; cat /input >/output && echo built >>/output\n\
         USER 1000\nWORKDIR /work\nRUN id -u >/tmp/user\nCMD [\"cat\", \"/output\", \"/tmp/user\"]\n",
        on_our_kernel()
    );
    fs::write(directory.path().join("Dockerfile"), text).unwrap();
    let tag = unique("built");
    let path = directory.path().to_string_lossy();
    docker
        .docker(&["build", "--network", "none", "--tag", &tag, &path])
        .unwrap()
        .success()
        .unwrap();
    let output = docker
        .docker(&["run", "--rm", "--network", "none", &tag])
        .unwrap();
    assert_eq!(output.stdout, "copied\nbuilt\n1000\n", "{output:?}");
}

#[rstest]
fn two_containers_share_a_volume() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let (volume, writer) = (unique("volume"), unique("writer"));
    docker
        .docker(&["volume", "create", &volume])
        .unwrap()
        .success()
        .unwrap();
    let mount = format!("{volume}:/shared");
    let script = checked(
        "i=0; while :; do i=$((i+1)); echo $i >/shared/.new; mv /shared/.new /shared/counter; sleep 0.1; done",
    );
    docker
        .run_detached(&writer, &["--volume", &mount], &["sh", "-c", &script])
        .unwrap();
    let read_only = format!("{volume}:/shared:ro");
    let read = || {
        let output = docker
            .run(&["--volume", &read_only], &["cat", "/shared/counter"])
            .unwrap();
        output.stdout.trim().parse::<u64>().unwrap_or(0)
    };
    let limit = std::time::Duration::from_secs(20);
    wait_until("the first number", limit, || read() > 0).unwrap();
    let first = read();
    wait_until("a later number", limit, || read() > first).unwrap();
    docker.remove(&writer);
    docker
        .docker(&["volume", "rm", &volume])
        .unwrap()
        .success()
        .unwrap();
}
