//! config-linux.md, *Control groups*, on hosts with version 2: the specification's values in the files of the one
//! hierarchy (Documentation/admin-guide/cgroup-v2.rst).

use std::fs;

use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;
use serde_json::{Value, json};

use crate::cgroups::{Nested, check, created, directory, host_has, refused, unique};
use crate::common::shell;

#[rstest]
#[case::memory(
    json!({"memory": {"limit": 67_108_864, "reservation": 33_554_432, "swap": 134_217_728}}),
    &[("memory.max", "67108864"), ("memory.low", "33554432"), ("memory.swap.max", "67108864")]
)]
#[case::cpus(
    json!({"cpu": {"shares": 1024, "quota": 20_000, "period": 50_000, "cpus": "0", "mems": "0"}}),
    &[("cpu.weight", "39"), ("cpu.max", "20000 50000"), ("cpuset.cpus", "0"), ("cpuset.mems", "0")]
)]
#[case::unified(
    json!({"unified": {"memory.high": "50331648", "cpu.max.burst": "0"}}),
    &[("memory.high", "50331648")]
)]
#[case::no_limits(json!({}), &[("pids.max", "max"), ("memory.max", "max"), ("cgroup.freeze", "0")])]
fn values_of_resources(
    #[case] resources: Value,
    #[case] expected: &[(&str, &str)],
    #[values(true, false)] absolute: bool,
) {
    if host_has(2) {
        let nested = Nested::new(expected[0].0, absolute);
        let expected: Vec<_> = expected
            .iter()
            .map(|(file, value)| ("", *file, *value))
            .collect();
        check(&resources, &nested.path, &expected);
    }
}

/// The limit is the application's. A sandbox has threads of its own in the group, for which there is room on the host.
#[rstest]
fn a_limit_on_processes() {
    if !host_has(2) {
        return;
    }
    let bundle = shell("sleep 1000").set("/linux/resources", json!({"pids": {"limit": 30}}));
    let container = created(bundle, &format!("/{}", unique("pids")));
    let limit = fs::read_to_string(directory(&container, "").join("pids.max")).unwrap();
    match Runtime::under_test().unwrap().kind {
        Kind::Host => assert_eq!(limit.trim(), "30"),
        Kind::Runsc | Kind::Gvisor => assert!(limit.trim().parse::<u64>().unwrap() > 30),
    }
    container.start().unwrap().success().unwrap();
    let script = "for i in $(seq 40); do sleep 1 & done; wait";
    let output = container.exec(&[], &["sh", "-c", script]).unwrap();
    assert!(output.stderr.contains("fork"), "{output:?}");
}

#[rstest]
#[case::more_memory_than_swap(json!({"memory": {"limit": 2_000_000, "swap": 1_000_000}}))]
#[case::no_such_processor(json!({"cpu": {"cpus": "4000"}}))]
#[case::no_such_file(json!({"unified": {"memory.nonsense": "1"}}))]
#[case::another_group(json!({"unified": {"../memory.max": "1"}}))]
fn values_that_cannot_be_set_are_errors_and_leave_nothing(#[case] resources: Value) {
    if host_has(2) {
        refused(resources, "");
    }
}
