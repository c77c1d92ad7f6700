//! Images built with the runtime, and containers that work together.

use std::fs;

use fixtures::command::wait_until;
use fixtures::engines::{Docker, IMAGE};
use rstest::rstest;

use crate::{needs_root, on_our_kernel, run_detached};

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
    let tag = Docker::unique("built");
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
    let volume = Docker::unique("volume");
    docker
        .docker(&["volume", "create", &volume])
        .unwrap()
        .success()
        .unwrap();
    let mount = format!("{volume}:/shared");
    let script = "i=0; while :; do i=$((i+1)); echo $i >/shared/.new; mv /shared/.new /shared/counter; sleep 0.1; done";
    let writer = run_detached(&["--volume", &mount], script);
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
    drop(writer);
    docker
        .docker(&["volume", "rm", &volume])
        .unwrap()
        .success()
        .unwrap();
}
