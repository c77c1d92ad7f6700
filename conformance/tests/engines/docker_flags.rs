//! What `docker run` passes on: each flag is seen from inside.

use std::fs;

use fixtures::engines::Docker;
use rstest::rstest;

use crate::{checked, needs_root, on_our_kernel};

fn shell(flags: &[&str], script: &str) -> fixtures::command::Output {
    let docker = Docker::shared().unwrap();
    docker.run(flags, &["sh", "-c", &checked(script)]).unwrap()
}

#[rstest]
#[case::user(&["--user", "1000:1000"], "id -u; id -g", "1000\n1000\n")]
#[case::groups(&["--group-add", "77"], "id -G", "0 77\n")]
#[case::working_directory(&["--workdir", "/made/up"], "pwd", "/made/up\n")]
#[case::environment(&["--env", "A=b c"], "echo \"$A\"", "b c\n")]
#[case::hostname(&["--hostname", "inner"], "hostname; cat /etc/hostname", "inner\ninner\n")]
#[case::limits(&["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn", "100\n200\n")]
#[case::temporary_files(
    &["--tmpfs", "/scratch:size=1m"],
    "touch /scratch/f && df -k /scratch | awk 'NR==2{print $2}'",
    "1024\n"
)]
#[case::shared_memory(&["--shm-size", "3m"], "df -k /dev/shm | awk 'NR==2{print $2}'", "3072\n")]
#[case::read_only(
    &["--read-only", "--tmpfs", "/new"],
    "touch /file 2>/dev/null || echo refused; touch /new/file && echo made",
    "refused\nmade\n"
)]
#[case::no_capabilities(&["--cap-drop", "ALL"], "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n")]
#[case::one_capability(
    &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
    "grep CapEff /proc/self/status",
    "CapEff:\t0000000000000001\n"
)]
#[case::no_new_privileges(
    &["--security-opt", "no-new-privileges"],
    "grep NoNewPrivs /proc/self/status",
    "NoNewPrivs:\t1\n"
)]
#[case::oom_score(&["--oom-score-adj", "200"], "cat /proc/self/oom_score_adj", "200\n")]
#[case::device(&["--device", "/dev/null:/dev/mine"], "echo x >/dev/mine; test -c /dev/mine && echo device", "device\n")]
#[case::init(&["--init"], "tr '\\0' ' ' </proc/1/cmdline | cut -d' ' -f1", "/sbin/docker-init\n")]
#[case::unconfined(&["--security-opt", "seccomp=unconfined"], "echo fine", "fine\n")]
fn flag_is_seen_inside(#[case] flags: &[&str], #[case] script: &str, #[case] expected: &str) {
    needs_root!();
    let output = shell(flags, script).success().unwrap();
    assert_eq!(output.stdout, expected);
}

#[rstest]
fn large_environment() {
    needs_root!();
    // One string has room for 128 KiB (man 2 execve, MAX_ARG_STRLEN).
    let variables: Vec<String> = (0..3)
        .map(|index| format!("BIG{index}={}", "x".repeat(100_000)))
        .collect();
    let mut flags = Vec::new();
    for variable in &variables {
        flags.extend(["--env", variable]);
    }
    let output = shell(&flags, "echo ${#BIG0} ${#BIG1} ${#BIG2}");
    assert_eq!(output.stdout, "100000 100000 100000\n");
}

#[rstest]
fn privileged_is_every_capability_of_its_own_kernel() {
    needs_root!();
    let script = "grep CapEff /proc/self/status | cut -f2; test -e /dev/vda || echo no disks";
    let output = shell(&["--privileged"], script).success().unwrap();
    let (bits, rest) = output.stdout.split_once('\n').unwrap();
    // Newer releases of docker know three capabilities more.
    let all = u64::from_str_radix(bits, 16).unwrap();
    assert_eq!(all & 0x3f_ffff_ffff, 0x3f_ffff_ffff, "{bits}");
    // The host's devices are not part of the privilege: it is the sandbox's kernel that grants it.
    if on_our_kernel() != "true" {
        assert_eq!(rest, "no disks\n");
    }
}

#[rstest]
#[case::success("exit 0", 0)]
#[case::own("exit 3", 3)]
#[case::signal("sh -c 'kill -9 $$'; exit $?", 137)]
fn exit_codes(#[case] script: &str, #[case] code: i32) {
    needs_root!();
    assert_eq!(shell(&[], script).code, code);
}

#[rstest]
#[case::missing("nosuchprogram", 127)]
#[case::missing_path("/bin/nosuchprogram", 127)]
#[case::not_executable("/etc/passwd", 126)]
#[case::directory("/etc", 126)]
fn programs_that_cannot_run(#[case] program: &str, #[case] code: i32) {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let output = docker.run(&[], &[program]).unwrap();
    assert_eq!(output.code, code, "{}", output.stderr);
}

#[rstest]
fn volumes() {
    needs_root!();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "from the host\n").unwrap();
    let path = directory.path().to_string_lossy();
    let whole = format!("{path}:/data");
    let single = format!("{path}/file:/single:ro");
    let output = shell(
        &["--volume", &whole, "--volume", &single],
        "cat /single; echo x 2>/dev/null >/single || echo refused; echo from inside >/data/new",
    );
    assert_eq!(output.stdout, "from the host\nrefused\n");
    let new = fs::read_to_string(directory.path().join("new")).unwrap();
    assert_eq!(new, "from inside\n");
    let locked = format!("{path}:/data:ro");
    let output = shell(
        &["--volume", &locked],
        "touch /data/more 2>/dev/null || cat /data/new",
    );
    assert_eq!(output.stdout, "from inside\n");
}

#[rstest]
fn standard_input() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let mut command = docker.command(&[
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        fixtures::engines::IMAGE,
        "sh",
        "-c",
        &checked("cat"),
    ]);
    let limit = std::time::Duration::from_secs(60);
    let text = "line\n".repeat(50_000);
    let output = fixtures::command::run_with_input(&mut command, text.as_bytes(), limit).unwrap();
    assert_eq!(
        (output.code, output.stdout.len()),
        (0, text.len()),
        "{}",
        output.stderr
    );
}

/// Connects to the socket that it is given, and prints why it can't.
const CLIENT: &str = r#"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strncpy(address.sun_path, argv[argc - 1], sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        puts("connected");
    else
        perror("connect");
}
"#;

#[rstest]
fn sockets_of_the_host_are_refused() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let client = fixtures::build::c_program("unix-client", CLIENT).unwrap();
    let client = format!("{}:/client:ro", client.display());
    let path = docker.path().join("docker.sock");
    let socket = format!("{}:/var/run/docker.sock", path.display());
    let script = checked("test -S /var/run/docker.sock && /client /var/run/docker.sock 2>&1");
    let logging = Docker::logging();
    let flags = [
        "--runtime",
        &logging,
        "--volume",
        &socket,
        "--volume",
        &client,
    ];
    let output = docker.run(&flags, &["sh", "-c", &script]).unwrap();
    if on_our_kernel() == "true" {
        return;
    }
    assert_eq!(output.stdout, "connect: Connection refused\n", "{output:?}");
    let logs = docker.logs();
    let warning = logs
        .lines()
        .find(|line| line.contains("out of reach (--host-uds=none)"));
    assert!(
        warning.is_some_and(|line| line.contains("docker.sock")),
        "{logs}"
    );
}

#[rstest]
fn seccomp_profile() {
    needs_root!();
    let directory = tempfile::tempdir().unwrap();
    let profile = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{
            "names": ["mkdir", "mkdirat"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 28,
        }],
    });
    let path = directory.path().join("profile.json");
    fs::write(&path, profile.to_string()).unwrap();
    let option = format!("seccomp={}", path.display());
    let script = "mkdir /made 2>&1; touch /file && grep ^Seccomp: /proc/self/status";
    let output = shell(&["--security-opt", &option], script)
        .success()
        .unwrap();
    assert_eq!(
        output.stdout,
        "mkdir: can't create directory '/made': No space left on device\nSeccomp:\t2\n"
    );
}
