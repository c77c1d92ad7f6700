//! podman with `--runtime`.

use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::Podman;
use fixtures::runtime::Runtime;
use rstest::rstest;

use crate::{checked, needs_root};

#[rstest]
fn short_list() {
    needs_root!();
    for runtime in Runtime::matrix().unwrap() {
        short_list_on(&runtime);
    }
}

fn short_list_on(runtime: &Runtime) {
    let podman = Podman::new(runtime).unwrap();
    let shell =
        |flags: &[&str], script: &str| podman.run(flags, &["sh", "-c", &checked(script)]).unwrap();
    let output = shell(
        &["--user", "1000", "--env", "A=b", "--workdir", "/tmp"],
        "id -u; echo $A; pwd; exit 3",
    );
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("1000\nb\n/tmp\n", 3),
        "{output:?}"
    );
    let output = shell(
        &["--read-only", "--memory", "64m", "--pids-limit", "20"],
        "touch /x 2>/dev/null || echo refused",
    );
    assert_eq!(output.stdout, "refused\n", "{output:?}");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "shared\n").unwrap();
    let volume = format!("{}:/data:ro", directory.path().display());
    assert_eq!(
        shell(&["--volume", &volume], "cat /data/file").stdout,
        "shared\n"
    );
    assert_eq!(podman.run(&[], &["nosuchprogram"]).unwrap().code, 127);

    let call = |args: &[&str]| podman.podman(args).unwrap();
    let script = checked("trap 'exit 4' TERM; while :; do echo tick; sleep 0.1; done");
    let image = fixtures::engines::IMAGE;
    call(&[
        "run",
        "--detach",
        "--name",
        "stays",
        "--network",
        "none",
        image,
        "sh",
        "-c",
        &script,
    ])
    .success()
    .unwrap();
    let status = || call(&["inspect", "--format", "{{.State.Status}}", "stays"]).stdout;
    assert_eq!(status(), "running\n");
    let executed = call(&["exec", "stays", "sh", "-c", &checked("echo inside; exit 5")]);
    assert_eq!(
        (executed.stdout.as_str(), executed.code),
        ("inside\n", 5),
        "{executed:?}"
    );
    wait_until("output", Duration::from_secs(20), || {
        call(&["logs", "stays"]).stdout.contains("tick")
    })
    .unwrap();
    call(&["pause", "stays"]).success().unwrap();
    assert_eq!(status(), "paused\n");
    call(&["unpause", "stays"]).success().unwrap();
    call(&["stop", "stays"]).success().unwrap();
    assert_eq!(
        call(&["inspect", "--format", "{{.State.ExitCode}}", "stays"]).stdout,
        "4\n"
    );
    call(&["rm", "stays"]).success().unwrap();
}
