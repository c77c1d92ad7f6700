//! config-linux.md, *Control groups*: on hosts with version 1, the values are looked up on the host, by the process id
//! that `state` prints.

use std::fs;
use std::path::{Path, PathBuf};

use fixtures::bundle::Bundle;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{differs, shell};

/// Whether this host has that version, and this user may make groups.
pub(crate) fn host_has(version: u8) -> bool {
    let file = match version {
        1 => "/sys/fs/cgroup/memory/cgroup.procs",
        _ => "/sys/fs/cgroup/cgroup.controllers",
    };
    rustix::process::geteuid().is_root() && Path::new(file).exists()
}

/// A path that no other test has.
pub(crate) fn unique(name: &str) -> String {
    format!("runsc-validation-{}-{name}", std::process::id())
}

pub(crate) fn created(bundle: Bundle, path: &str) -> Container {
    let container = Container::new(bundle.set("/linux/cgroupsPath", json!(path))).unwrap();
    let output = container.create(&[]).unwrap();
    output.success().unwrap();
    container
}

/// Where the container's process is in the hierarchy of a controller; that of version 2 has no name.
pub(crate) fn directory(container: &Container, controller: &str) -> PathBuf {
    let pid = container.state().unwrap()["pid"].as_i64().unwrap();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let place = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let of = fields.next()?.split(',').any(|name| name == controller);
        of.then(|| fields.next().unwrap_or_default().trim_start_matches('/'))
    });
    Path::new("/sys/fs/cgroup")
        .join(controller)
        .join(place.unwrap())
}

/// The container's groups have the values, and are gone when it is deleted.
pub(crate) fn check(resources: &Value, path: &str, expected: &[(&str, &str, &str)]) {
    let container = created(
        shell("sleep 1000").set("/linux/resources", resources.clone()),
        path,
    );
    let mut made = Vec::new();
    for (controller, file, value) in expected {
        let directory = directory(&container, controller);
        assert!(
            directory.ends_with(path.trim_start_matches('/')),
            "{}",
            directory.display()
        );
        let found = fs::read_to_string(directory.join(file)).unwrap();
        assert_eq!(found.trim(), *value, "{file}");
        made.push(directory);
    }
    container.delete(&["--force"]).unwrap().success().unwrap();
    let left: Vec<&PathBuf> = made.iter().filter(|directory| directory.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The path of a group in another, which is made along with it as `mkdir -p` does.
pub(crate) struct Nested {
    pub(crate) path: String,
    above: String,
}

impl Nested {
    pub(crate) fn new(name: &str, absolute: bool) -> Nested {
        let (root, kind) = if absolute {
            ("/", "absolute")
        } else {
            ("", "relative")
        };
        let above = unique(&format!("{kind}-{name}"));
        let path = format!("{root}{above}/inner");
        Nested { path, above }
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        // A relative path begins at the group of this process, which each hierarchy has elsewhere.
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let places: Vec<&str> = own.chain(["/"]).map(|place| &place[1..]).collect();
        let mount = Path::new("/sys/fs/cgroup");
        let inner = fs::read_dir(mount).into_iter().flatten().flatten();
        for hierarchy in inner.map(|entry| entry.path()).chain([mount.to_owned()]) {
            for place in &places {
                let _ = fs::remove_dir(hierarchy.join(place).join(&self.above));
            }
        }
    }
}

#[rstest]
#[case::memory(
    json!({"memory": {"limit": 67_108_864, "reservation": 33_554_432, "swap": 134_217_728, "swappiness": 30}}),
    &[
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("memory", "memory.memsw.limit_in_bytes", "134217728"),
        ("memory", "memory.swappiness", "30"),
    ]
)]
#[case::cpus(
    json!({"cpu": {"shares": 256, "quota": 20_000, "period": 50_000, "cpus": "0", "mems": "0"}}),
    &[
        ("cpu", "cpu.shares", "256"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
    ]
)]
#[case::pids(json!({"pids": {"limit": 50}}), &[("pids", "pids.max", "50")])]
#[case::no_limits(json!({}), &[("pids", "pids.max", "max"), ("freezer", "freezer.state", "THAWED")])]
fn values_of_resources(
    #[case] resources: Value,
    #[case] expected: &[(&str, &str, &str)],
    #[values(true, false)] absolute: bool,
) {
    if host_has(1) {
        let nested = Nested::new(expected[0].1, absolute);
        check(&resources, &nested.path, expected);
    }
}

#[rstest]
fn device_rules_are_added_to_those_of_every_container() {
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        {"allow": true, "type": "b", "major": 8, "minor": 20, "access": "rw"},
    ]);
    if !host_has(1) {
        return;
    }
    let bundle = shell("sleep 1000").set("/linux/resources", json!({"devices": rules}));
    let container = created(bundle, &format!("/{}", unique("devices")));
    let list = fs::read_to_string(directory(&container, "devices").join("devices.list")).unwrap();
    for rule in ["c 10:229 rwm", "b 8:20 rw", "c 1:3 rwm"] {
        assert!(
            list.lines().any(|line| line == rule),
            "{rule} is not in\n{list}"
        );
    }
    assert!(!list.contains("a *:* rwm"), "{list}");
}

#[rstest]
#[case::more_memory_than_swap(json!({"memory": {"limit": 2_000_000, "swap": 1_000_000}}))]
#[case::no_such_processor(json!({"cpu": {"cpus": "4000"}}))]
#[case::no_such_controller(json!({"hugepageLimits": [{"pageSize": "77KB", "limit": 1}]}))]
#[case::version_2_alone(json!({"unified": {"memory.max": "1000000"}}))]
fn values_that_cannot_be_set_are_errors_and_leave_nothing(#[case] resources: Value) {
    if host_has(1) {
        refused(resources, "memory");
    }
}

/// It is an error, and leaves no group in the hierarchy of the controller.
pub(crate) fn refused(resources: Value, controller: &str) {
    let path = unique("refused");
    let bundle = shell("true")
        .set("/linux/resources", resources)
        .set("/linux/cgroupsPath", json!(format!("/{path}")));
    let container = Container::new(bundle).unwrap();
    assert_ne!(container.create(&[]).unwrap().code, 0);
    let left = Path::new("/sys/fs/cgroup").join(controller).join(path);
    if controller.is_empty() && differs("runc", "runc 1.1 leaves the group of version 2") {
        let _ = fs::remove_dir(left);
    } else {
        assert!(!left.exists(), "{}", left.display());
    }
}
