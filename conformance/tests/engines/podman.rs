//! podman with `--runtime`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fixtures::command::wait_until;
use fixtures::engines::Podman;
use fixtures::runtime::Runtime;
use rstest::rstest;

use crate::terminal::Terminal;
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
    let shared = format!("{}:/data", directory.path().display());
    let script = "echo back >/data/new; touch /scratch/f; hostname; ulimit -n; grep CapEff /proc/self/status";
    let flags = [
        "--volume",
        &shared,
        "--tmpfs",
        "/scratch",
        "--hostname",
        "inner",
        "--ulimit",
        "nofile=100:200",
        "--cap-drop",
        "all",
        "--cap-add",
        "chown",
        "--cpus",
        "0.5",
    ];
    let output = shell(&flags, script);
    let expected = "inner\n100\nCapEff:\t0000000000000001\n";
    assert_eq!(output.stdout, expected, "{output:?}");
    let new = std::fs::read_to_string(directory.path().join("new")).unwrap();
    assert_eq!(new, "back\n");
    assert_eq!(podman.run(&[], &["nosuchprogram"]).unwrap().code, 127);
    background(&podman, directory.path());
    on_a_terminal(&podman);
    pod_has_one_host_name(&podman);
}

/// A pod's containers share the first one's namespaces of names and of System V objects on the host.
pub(crate) fn pod_has_one_host_name(podman: &Podman) {
    let call = |args: &[&str]| podman.podman(args).unwrap();
    let image = format!("localhost/{}", fixtures::engines::IMAGE);
    let mut create = vec!["pod", "create", "--name", "pod", "--hostname", "of-the-pod"];
    create.extend(["--network", "none", "--share", "ipc,uts"]);
    create.extend(["--infra-image", &image, "--infra-command", "sleep 1000"]);
    call(&create).success().unwrap();
    let script = checked("hostname");
    let member = ["run", "--rm", "--pod", "pod", "--network", "none", &image];
    let output = call(&[&member[..], &["sh", "-c", &script]].concat());
    assert_eq!(output.stdout, "of-the-pod\n", "{output:?}");
    call(&["pod", "rm", "--force", "--time", "0", "pod"])
        .success()
        .unwrap();
}

/// Builds an image whose commands run on the runtime, and runs it.
pub(crate) fn build(podman: &Podman) {
    let context = tempfile::tempdir().unwrap();
    let recipe = format!(
        "FROM localhost/{}\nRUN {}\nUSER 1000\nRUN id -u >/tmp/id\nCMD cat /made /tmp/id\n",
        fixtures::engines::IMAGE,
        checked("echo made >/made"),
    );
    let file = podman.path().join("Dockerfile");
    std::fs::write(&file, recipe).unwrap();
    let (file, context) = (file.to_string_lossy(), context.path().to_string_lossy());
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&*context, mode).unwrap();
    let build = ["build", "--network", "none", "--tag", "made", "--file"];
    podman
        .podman(&[&build[..], &[&file, &context]].concat())
        .unwrap()
        .success()
        .unwrap();
    let run = ["run", "--rm", "--network", "none", "localhost/made"];
    let output = podman.podman(&run).unwrap();
    assert_eq!(output.stdout, "made\n1000\n", "{output:?}");
}

/// Starts a container in the background, called `stays`, and a process in it.
pub(crate) fn start_in_the_background(podman: &Podman) {
    let call = |args: &[&str]| podman.podman(args).unwrap();
    let script = checked("trap 'exit 4' TERM; while :; do echo tick; sleep 0.1; done");
    let image = fixtures::engines::IMAGE;
    let run = ["run", "--detach", "--name", "stays", "--network", "none"];
    call(&[&run[..], &[image, "sh", "-c", &script]].concat())
        .success()
        .unwrap();
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
}

/// Stops that container, which ends with its own code.
pub(crate) fn stop_in_the_background(podman: &Podman) {
    let call = |args: &[&str]| podman.podman(args).unwrap();
    call(&["stop", "stays"]).success().unwrap();
    let code = call(&["inspect", "--format", "{{.State.ExitCode}}", "stays"]);
    assert_eq!(code.stdout, "4\n");
}

fn background(podman: &Podman, directory: &Path) {
    let call = |args: &[&str]| podman.podman(args).unwrap();
    start_in_the_background(podman);
    let status = || call(&["inspect", "--format", "{{.State.Status}}", "stays"]).stdout;
    assert_eq!(status(), "running\n");
    call(&["pause", "stays"]).success().unwrap();
    assert_eq!(status(), "paused\n");
    call(&["unpause", "stays"]).success().unwrap();
    let top = call(&["top", "stays", "-o", "pid,comm"]).success().unwrap();
    assert!(top.stdout.contains(" sh"), "{top:?}");
    stop_in_the_background(podman);
    // Into a container that runs, podman copies through its mount namespace on the host, which is empty.
    let (there, back) = (directory.join("new"), directory.join("copy"));
    let (there, back) = (there.to_string_lossy(), back.to_string_lossy());
    call(&["cp", &there, "stays:/root/new"]).success().unwrap();
    call(&["cp", "stays:/root/new", &back]).success().unwrap();
    assert_eq!(std::fs::read_to_string(&*back).unwrap(), "back\n");
    call(&["restart", "stays"]).success().unwrap();
    assert_eq!(status(), "running\n");
    call(&["kill", "--signal", "KILL", "stays"])
        .success()
        .unwrap();
    assert_eq!(call(&["wait", "stays"]).stdout, "137\n");
    call(&["rm", "stays"]).success().unwrap();
}

fn on_a_terminal(podman: &Podman) {
    let flags = [
        "run",
        "--rm",
        "-it",
        "--network",
        "none",
        "--env",
        "PS1=ready> ",
    ];
    let command = podman.command(&[&flags[..], &[fixtures::engines::IMAGE, "sh"]].concat());
    let mut terminal = Terminal::start(&command);
    terminal.expect("ready> ");
    terminal.write("tty\n");
    terminal.expect("/dev/pts/0");
    terminal.write("sleep 1000\n");
    terminal.expect("sleep 1000");
    std::thread::sleep(Duration::from_millis(500));
    terminal.write("\x03");
    terminal.expect("ready> ");
    terminal.write("exit 6\n");
    assert_eq!(terminal.finish(), 6);
}
