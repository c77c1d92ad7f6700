//! The process as `config.json` describes it: arguments, environment, directory, user, capabilities, limits.

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

/// What the command prints in a container of this bundle.
fn output(bundle: Bundle) -> String {
    Container::new(bundle)
        .unwrap()
        .run()
        .unwrap()
        .success()
        .unwrap()
        .stdout
}

fn shell(script: &str) -> Bundle {
    Bundle::busybox(&["sh", "-c", script]).unwrap()
}

#[rstest]
fn arguments_are_passed() {
    let bundle = Bundle::busybox(&["printf", "[%s]", "one", "", "two words", "*"]).unwrap();
    assert_eq!(output(bundle), "[one][][two words][*]");
}

#[rstest]
fn environment_is_passed() {
    let bundle = Bundle::busybox(&["env"])
        .unwrap()
        .env("EMPTY=")
        .env("WITH=a=b c");
    let text = output(bundle);
    for line in ["EMPTY=", "WITH=a=b c", "HOME=/root"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
    assert!(
        !text.contains("CARGO"),
        "the caller's environment leaks: {text}"
    );
}

/// Accounts with homes of their own; the first of two with one id counts.
const ACCOUNTS: &str = "root:x:0:0::/the/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n\
    again:x:1000:1000::/no:/bin/sh\nnone:x:7:7::";

/// A bundle with those accounts whose environment is `more` and the path.
fn with_accounts(script: &str, uid: u32, more: &[&str]) -> Bundle {
    let env = [&["PATH=/bin"], more].concat();
    let bundle = shell(script).user(uid, uid).set("/process/env", json!(env));
    let path = bundle.rootfs().join("etc/passwd");
    std::fs::write(path, ACCOUNTS).unwrap();
    bundle
}

#[rstest]
#[case::root(0, &[], "/the/root")]
#[case::user(1000, &[], "/home/me")]
#[case::empty_entry(7, &[], "")]
#[case::no_entry(1234, &[], "/")]
#[case::empty(0, &["HOME="], "/the/root")]
#[case::own(1000, &["HOME=/own"], "/own")]
fn home_is_the_users(#[case] uid: u32, #[case] env: &[&str], #[case] home: &str) {
    let script = "env | grep ^HOME=";
    let bundle = with_accounts(script, uid, env);
    assert_eq!(output(bundle), format!("HOME={home}\n"));
}

#[rstest]
fn home_without_accounts_is_the_root() {
    let bundle = with_accounts("echo $HOME", 0, &[]);
    std::fs::remove_file(bundle.rootfs().join("etc/passwd")).unwrap();
    assert_eq!(output(bundle), "/\n");
}

#[rstest]
fn accounts_are_those_inside_the_root() {
    // Absolute links, also through the directory above the root, stay in it; so does what is mounted there.
    let bundle = with_accounts("echo $HOME", 0, &[]);
    let path = bundle.rootfs().join("etc/passwd");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/../accounts", &path).unwrap();
    std::fs::write(bundle.rootfs().join("accounts"), "r:x:0:0::/linked:\n").unwrap();
    assert_eq!(output(bundle), "/linked\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "r:x:0:0::/mounted:\n").unwrap();
    let source = file.path().to_string_lossy();
    let bundle = with_accounts("echo $HOME", 0, &[]);
    let bundle = bundle.mount("/etc/passwd", "bind", &source, &["bind", "ro"]);
    assert_eq!(output(bundle), "/mounted\n");
}

#[rstest]
fn home_of_another_process_is_its_own_users() {
    let container = Container::new(with_accounts("sleep 100", 0, &[])).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    let home = |flags: &[&str]| {
        let output = container.exec(flags, &["sh", "-c", "echo $HOME"]).unwrap();
        output.success().unwrap().stdout
    };
    assert_eq!(home(&[]), "/the/root\n");
    assert_eq!(home(&["--user", "1000"]), "/home/me\n");
    assert_eq!(home(&["--user", "5", "--env", "HOME=/x"]), "/x\n");
}

#[rstest]
fn working_directory() {
    assert_eq!(
        output(shell("pwd").set("/process/cwd", json!("/etc"))),
        "/etc\n"
    );
}

#[rstest]
fn user_and_groups() {
    let user = json!({"uid": 1000, "gid": 2000, "additionalGids": [3000, 4000]});
    let text = output(shell("id -u; id -g; id -G").set("/process/user", user));
    assert_eq!(text, "1000\n2000\n2000 3000 4000\n");
}

#[rstest]
fn umask_of_the_user() {
    let user = json!({"uid": 0, "gid": 0, "umask": 0o077});
    assert_eq!(output(shell("umask").set("/process/user", user)), "0077\n");
}

#[rstest]
fn host_name() {
    assert_eq!(
        output(shell("hostname").set("/hostname", json!("a-name"))),
        "a-name\n"
    );
}

#[rstest]
fn process_ids_start_at_one() {
    assert_eq!(output(shell("echo $$; sh -c 'echo $PPID'; true")), "1\n1\n");
}

#[rstest]
fn limits_are_set() {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]);
    assert_eq!(
        output(shell("ulimit -n; ulimit -H -n; ulimit -c").set("/process/rlimits", limits)),
        "123\n456\n0\n"
    );
}

/// Runs a runtime's command line under a limit of the caller's own.
fn with_open_files(limit: u32, command: &std::process::Command) -> std::process::Command {
    let mut limited = std::process::Command::new("sh");
    let script = format!("ulimit -n {limit} && exec \"$@\"");
    limited
        .args(["-c", &script, "sh"])
        .arg(command.get_program());
    limited.args(command.get_args());
    limited
}

#[rstest]
fn open_files_without_a_limit_are_the_callers() {
    let bundle = shell("ulimit -n; ulimit -Hn; sleep 100").set("/process/rlimits", json!([]));
    let container = Container::new(bundle).unwrap();
    let minute = std::time::Duration::from_secs(60);
    let script = ["sh", "-c", "ulimit -n; ulimit -Hn"];
    let other = Container::new(shell(script[2]).set("/process/rlimits", json!([]))).unwrap();
    let mut run = with_open_files(700, &other.run_command(&[]));
    assert_eq!(command::run(&mut run, minute).unwrap().stdout, "700\n700\n");
    container.run_detached(&[]).unwrap().success().unwrap();
    let mut exec = container.command(&["exec", &container.id]);
    exec.args(script);
    let output = command::run(&mut with_open_files(600, &exec), minute).unwrap();
    assert_eq!(output.stdout, "600\n600\n", "{output:?}");
}

#[rstest]
fn capabilities_are_limited() {
    let few = json!(["CAP_KILL", "CAP_CHOWN"]);
    let capabilities = json!({"bounding": few, "effective": few, "permitted": few});
    let bundle = shell("grep Cap /proc/self/status").set("/process/capabilities", capabilities);
    let text = output(bundle);
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        let line = format!("{name}:\t0000000000000021");
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}

#[rstest]
fn missing_capability_is_felt() {
    let none = json!({"bounding": [], "effective": [], "permitted": []});
    let bundle = shell("chown 1000 /etc/passwd 2>&1; echo $?").set("/process/capabilities", none);
    assert!(output(bundle).ends_with("\n1\n"));
}

#[rstest]
fn no_new_privileges() {
    let bundle =
        shell("grep NoNewPrivs /proc/self/status").set("/process/noNewPrivileges", json!(true));
    assert_eq!(output(bundle), "NoNewPrivs:\t1\n");
}

#[rstest]
fn only_the_standard_descriptors_are_open() {
    assert_eq!(output(shell("ls /proc/self/fd | wc -l")).trim(), "4");
}

#[rstest]
fn devices_are_there() {
    let script = "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done; \
        echo x >/dev/null; head -c 4 /dev/zero | od -An -tx1; ls -d /dev/pts /dev/shm /dev/fd /dev/stdin";
    let text = output(shell(script));
    assert_eq!(
        text,
        " 00 00 00 00\n/dev/fd\n/dev/pts\n/dev/shm\n/dev/stdin\n"
    );
}

#[rstest]
fn processes_are_listed() {
    let text = output(shell("sleep 100 & ps -o pid,args; true"));
    assert!(
        text.contains("sleep 100")
            && text
                .lines()
                .any(|line| line.trim_start().starts_with("1 sh")),
        "{text}"
    );
}
