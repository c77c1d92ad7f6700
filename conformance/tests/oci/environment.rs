//! The process as `config.json` describes it: arguments, environment, directory, user, capabilities, limits.

use fixtures::bundle::Bundle;
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
