//! config.md, *Linux Process*: capabilities.

use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{as_configured, host_lacks, output, probe, shell};

fn sets(names: &[&str]) -> Value {
    let names = json!(names);
    json!({
        "bounding": names, "effective": names, "inheritable": names, "permitted": names, "ambient": names,
    })
}

#[rstest]
#[case::one(&["CAP_CHOWN"])]
#[case::some(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"])]
#[case::admin(&["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN"])]
#[case::new(&["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"])]
#[case::none(&[])]
fn all_sets_alike(#[case] names: &[&str]) {
    as_configured(probe().set("/process/capabilities", sets(names)));
}

#[rstest]
fn every_capability() {
    if (0..=40).any(host_lacks) {
        return;
    }
    let last: usize = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(last >= 40);
    let names = conformance::CAPABILITIES.map(|name| format!("CAP_{name}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    as_configured(probe().set("/process/capabilities", sets(&names)));
}

/// Each set by itself, as far as capset(2) lets them differ.
#[rstest]
#[case::bounding(json!({"bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]}), "CapBnd", 0x21)]
#[case::inheritable(json!({"bounding": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "effective": [], "permitted": ["CAP_KILL"]}), "CapInh", 0x20)]
#[case::ambient(json!({"bounding": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]}), "CapAmb", 0x20)]
fn one_set(#[case] capabilities: Value, #[case] line: &str, #[case] bits: u64) {
    let bundle =
        shell(&format!("grep {line} /proc/self/status")).set("/process/capabilities", capabilities);
    assert_eq!(output(bundle), format!("{line}:\t{bits:016x}\n"));
}

/// execve(2): a process that is not root's keeps the ambient ones alone.
#[rstest]
#[case::with_ambient(json!(["CAP_KILL"]), "0000000000000020")]
#[case::without(json!([]), "0000000000000000")]
fn ambient_capabilities_of_a_user(#[case] ambient: Value, #[case] bits: &str) {
    let names = json!(["CAP_KILL", "CAP_CHOWN"]);
    let capabilities = json!({
        "bounding": names, "effective": names, "inheritable": names, "permitted": names, "ambient": ambient,
    });
    let bundle = shell("grep -E 'CapEff|CapPrm' /proc/self/status")
        .user(1000, 1000)
        .set("/process/capabilities", capabilities);
    assert_eq!(
        output(bundle),
        format!("CapPrm:\t{bits}\nCapEff:\t{bits}\n")
    );
}

/// *Any value which cannot be mapped to a relevant kernel interface, or cannot be granted otherwise, MUST be logged as
/// a warning by the runtime. Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot
/// be granted* (runtime-spec 1.1)
#[rstest]
#[case::bounding("bounding")]
#[case::effective("effective")]
#[case::inheritable("inheritable")]
#[case::permitted("permitted")]
#[case::ambient("ambient")]
fn unknown_capability_is_a_warning(#[case] set: &str) {
    let names = json!(["CAP_TEST", "CAP_KILL"]);
    let bundle = shell("grep CapBnd /proc/self/status")
        .set("/process/capabilities", sets(&["CAP_KILL"]))
        .set(&format!("/process/capabilities/{set}"), names);
    let output = Container::new(bundle)
        .unwrap()
        .run()
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(output.stdout, "CapBnd:\t0000000000000020\n");
    assert!(output.stderr.contains("CAP_TEST"), "{output:?}");
}
