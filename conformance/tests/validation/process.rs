//! config.md, *Process*, *Hostname* and *Domainname*.

use rstest::rstest;
use serde_json::json;

use crate::common::{as_configured, differs, host_lacks, output, probe, refused, shell};

/// `CAP_SYS_RESOURCE`
const SYS_RESOURCE: u32 = 24;

/// Everything at its default, as `spec` and the engines have it.
#[rstest]
fn default_configuration() {
    as_configured(probe());
}

/// *hostname (string, OPTIONAL) specifies the container's hostname as seen by processes running inside the container*
#[rstest]
#[case::short("a")]
#[case::dotted("host.example.com")]
#[case::long("a-host-name-with-sixty-three-characters-is-as-long-as-a-label-is")]
fn hostname(#[case] name: &str) {
    as_configured(probe().set("/hostname", json!(name)));
}

#[rstest]
fn hostname_that_is_too_long_is_an_error() {
    let bundle = shell("true").set("/hostname", json!("x".repeat(65)));
    refused(bundle, "");
}

/// Without one, a new UTS namespace has its creator's.
#[rstest]
fn absent_hostname_is_the_hosts() {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    // hostname(1) prints an empty one as it likes.
    let text = output(shell("cat /proc/sys/kernel/hostname").set("/hostname", json!(null)));
    assert_eq!(text, own);
}

#[rstest]
fn domainname() {
    if differs("runc", "runc 1.1 does not know the field") {
        return;
    }
    as_configured(probe().set("/domainname", json!("example.com")));
}

/// *args (array of strings, OPTIONAL) with similar semantics to execvp's argv*
#[rstest]
fn args() {
    let many: Vec<String> = (0..2000).map(|n| format!("argument {n}")).collect();
    let args: Vec<String> = ["/probe", "", "two words", "*", "ümläut", "new\nline"]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(many)
        .collect();
    as_configured(probe().set("/process/args", json!(args)));
}

#[rstest]
fn program_is_found_in_the_path_of_env() {
    let bundle = shell("true")
        .args(&["which-one"])
        .set("/process/env", json!(["PATH=/none:/opt"]));
    let opt = bundle.rootfs().join("opt");
    std::fs::create_dir_all(&opt).unwrap();
    std::fs::write(opt.join("which-one"), "#!/bin/sh\necho this one\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(opt.join("which-one"), mode).unwrap();
    assert_eq!(output(bundle), "this one\n");
}

/// *args ... at least one entry is REQUIRED*
#[rstest]
#[case::none(json!([]))]
#[case::empty_program(json!([""]))]
fn missing_program_is_an_error(#[case] args: serde_json::Value) {
    refused(shell("true").set("/process/args", args), "");
}

/// *cwd (string, REQUIRED) is the working directory that will be set for the executable. This value MUST be an absolute
/// path.*
#[rstest]
#[case::root("/")]
#[case::directory("/etc")]
#[case::on_a_mount("/tmp")]
fn cwd(#[case] path: &str) {
    as_configured(probe().set("/process/cwd", json!(path)));
}

#[rstest]
fn cwd_that_is_not_there_is_made() {
    as_configured(probe().set("/process/cwd", json!("/made/by/the/runtime")));
}

#[rstest]
#[case::relative("etc")]
#[case::empty("")]
fn cwd_that_is_not_absolute_is_an_error(#[case] path: &str) {
    refused(shell("true").set("/process/cwd", json!(path)), "cwd");
}

#[rstest]
fn cwd_that_is_a_file_is_an_error() {
    let container = fixtures::container::Container::new(
        shell("true").set("/process/cwd", json!("/etc/passwd")),
    )
    .unwrap();
    assert_ne!(container.run().unwrap().code, 0);
}

/// *env (array of strings, OPTIONAL) with the same semantics as IEEE Std 1003.1-2008's environ*
#[rstest]
fn env() {
    let long = format!("LONG={}", "x".repeat(100_000));
    let env = json!([
        "PATH=/bin",
        "A=1",
        "EMPTY=",
        "EQUALS=a=b",
        "SPACE= x ",
        "UNI=ü",
        long
    ]);
    as_configured(probe().set("/process/env", env));
}

#[rstest]
fn env_has_nothing_of_the_runtimes() {
    let text = output(shell("env").set("/process/env", json!(["PATH=/bin", "ONLY=this"])));
    for line in text.lines() {
        let name = line.split('=').next().unwrap();
        let known = ["PATH", "ONLY", "PWD", "SHLVL", "HOME", "OLDPWD", "_"];
        assert!(known.contains(&name), "{line}");
    }
}

#[rstest]
#[case::set(true)]
#[case::not_set(false)]
fn no_new_privileges(#[case] value: bool) {
    as_configured(probe().set("/process/noNewPrivileges", json!(value)));
}

/// *oomScoreAdj (int, OPTIONAL) adjusts the oom-killer score*
#[rstest]
#[case::higher(500)]
#[case::most(1000)]
#[case::lower(-100)]
#[case::none(0)]
fn oom_score_adj(#[case] score: i32) {
    if score < 0 && host_lacks(SYS_RESOURCE) {
        return;
    }
    as_configured(probe().set("/process/oomScoreAdj", json!(score)));
}

#[rstest]
#[case::above(1001)]
#[case::below(-1001)]
fn oom_score_adj_out_of_range_is_an_error(#[case] score: i32) {
    refused(
        shell("true").set("/process/oomScoreAdj", json!(score)),
        "oom",
    );
}

/// *scheduler* and *ioPriority*
#[rstest]
fn scheduling_is_accepted() {
    let bundle = shell("echo fine")
        .set(
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_IDLE", "priority": 4}),
        )
        .set(
            "/process/scheduler",
            json!({"policy": "SCHED_BATCH", "nice": 5}),
        );
    assert_eq!(output(bundle), "fine\n");
}

#[rstest]
#[case::io("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}))]
#[case::nice("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 20}))]
#[case::priority("/process/scheduler", json!({"policy": "SCHED_OTHER", "priority": 5}))]
#[case::policy("/process/scheduler", json!({"policy": "SCHED_WRONG"}))]
fn invalid_scheduling_is_an_error(#[case] place: &str, #[case] value: serde_json::Value) {
    if differs("runc", "runc 1.1 does not know the field") {
        return;
    }
    refused(shell("true").set(place, value), "");
}

/// *apparmorProfile*, *selinuxLabel*: an error where the host has no such module
#[rstest]
#[case::apparmor(
    "/process/apparmorProfile",
    "apparmor",
    "/sys/module/apparmor/parameters/enabled"
)]
#[case::selinux("/process/selinuxLabel", "selinux", "/sys/fs/selinux/enforce")]
fn labels_of_absent_modules_are_errors(
    #[case] place: &str,
    #[case] word: &str,
    #[case] module: &str,
) {
    let bundle = shell("true").set(place, json!("a_profile"));
    if std::path::Path::new(module).exists() {
        println!("this host has the module");
        return;
    }
    let container = fixtures::container::Container::new(bundle).unwrap();
    let output = container.run().unwrap();
    assert_ne!(output.code, 0);
    assert!(
        output.stderr.to_lowercase().contains(word),
        "{}",
        output.stderr
    );
}
