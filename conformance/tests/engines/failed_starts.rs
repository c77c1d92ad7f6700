//! Programs that turn out to be none only when they are executed: the engine says why, and nothing is left.
//!
//! runc's own start succeeds: its container prints the reason and ends with 1. What is compared is what stays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::{Containerd, Docker, Podman, left_behind, wait_until_gone};
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;

use crate::needs_root;

/// Programs with what they hold, the reason that is given, and docker's exit code for it.
const PROGRAMS: [(&str, &str, u32, &str, i32); 5] = [
    (
        "interpreter",
        "#!/no/such/program\n",
        0o755,
        "no such file or directory",
        127,
    ),
    ("text", "no program\n", 0o755, "exec format error", 125),
    (
        "elf",
        "\x7fELF and no more",
        0o755,
        "exec format error",
        125,
    ),
    (
        "forbidden",
        "#!/etc/passwd\n",
        0o755,
        "permission denied",
        126,
    ),
    ("data", "#!/bin/sh\n", 0o644, "permission denied", 126),
];

/// Limits that podman's runtime may set without `CAP_SYS_RESOURCE`.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=1024:1024",
];

fn write_programs(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    for (name, text, mode, ..) in PROGRAMS {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// runc checks the mode itself, before it starts anything.
fn is_seen_early(runtime: &Runtime, mode: u32) -> bool {
    runtime.kind != Kind::Host || mode & 0o111 == 0
}

#[rstest]
fn docker_keeps_nothing() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let directory = tempfile::tempdir().unwrap();
    write_programs(directory.path());
    let volume = format!("{}:/programs:ro", directory.path().display());
    for runtime in Runtime::matrix().unwrap() {
        for (name, _, mode, reason, code) in PROGRAMS {
            let program = format!("/programs/{name}");
            let container = Docker::unique("failed");
            let known_as = Docker::name_of(&runtime);
            let create = ["create", "--runtime", &known_as, "--name", &container];
            let rest = [
                "--network",
                "none",
                "--volume",
                &volume,
                fixtures::engines::IMAGE,
                &program,
            ];
            let created = docker.docker(&[&create[..], &rest].concat()).unwrap();
            let id = created.success().unwrap().stdout.trim().to_owned();
            let output = docker.docker(&["start", "--attach", &container]).unwrap();
            assert!(output.stderr.contains(reason), "{name}: {output:?}");
            wait_until_gone(std::slice::from_ref(&id)).unwrap();
            docker.remove(&container);
            let run = ["--runtime", &known_as, "--volume", &volume];
            let output = docker.run(&run, &[&program]).unwrap();
            let code = if is_seen_early(&runtime, mode) {
                code
            } else {
                1
            };
            assert_eq!(output.code, code, "{name}: {output:?}");
        }
    }
}

#[rstest]
fn containerd_keeps_nothing() {
    needs_root!();
    for runtime in Runtime::matrix().unwrap() {
        let containerd = Containerd::start(&runtime).unwrap();
        containerd.make_root().unwrap();
        let root = containerd.path().join("image");
        write_programs(&root);
        for (name, _, _, reason, _) in PROGRAMS {
            let id = format!("failed-start-{name}");
            let program = format!("/{name}");
            let output = containerd.run(&["--rm"], &id, &[&program]).unwrap();
            assert_ne!(output.code, 0, "{name}: {output:?}");
            assert!(output.stderr.contains(reason), "{name}: {output:?}");
            wait_until_gone(&[id]).unwrap();
        }
    }
}

#[rstest]
fn podman_keeps_nothing() {
    needs_root!();
    let directory = tempfile::tempdir().unwrap();
    write_programs(directory.path());
    let volume = format!("{}:/programs:ro", directory.path().display());
    let locked = format!("{}:/locked:noexec", directory.path().display());
    for runtime in Runtime::matrix().unwrap() {
        let podman = Podman::new(&runtime).unwrap();
        for (name, _, mode, reason, _) in PROGRAMS {
            let program = format!("/programs/{name}");
            let output = podman
                .run(&[&LIMITS[..], &["--volume", &volume]].concat(), &[&program])
                .unwrap();
            // podman does not read the reason of a start that failed: its code for all of them is 126.
            let code = if is_seen_early(&runtime, mode) {
                126
            } else {
                1
            };
            assert_eq!(output.code, code, "{name}: {output:?}");
            assert!(
                output.stderr.to_lowercase().contains(reason),
                "{name}: {output:?}"
            );
        }
        let path = directory.path().join("good");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let output = podman
            .run(&["--volume", &locked], &["/locked/good"])
            .unwrap();
        assert_ne!(output.code, 0);
        let reason = output.stderr.to_lowercase();
        assert!(reason.contains("permission denied"), "{output:?}");
        // Its monitor takes a moment to end.
        let nothing_runs = || {
            let left = left_behind(&podman.path().to_string_lossy());
            !left.iter().any(|line| line.starts_with("process"))
        };
        wait_until(
            "the end of podman's monitors",
            Duration::from_secs(30),
            nothing_runs,
        )
        .unwrap();
    }
}
