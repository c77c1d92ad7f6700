//! The spec's resources as writes to control groups version 1 (Documentation/admin-guide/cgroup-v1).

use std::fs;
use std::path::Path;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxNetwork, LinuxResources,
    LinuxThrottleDevice,
};

use crate::Result;
use crate::cgroups::devices;
use crate::cgroups::setting::{Missing, Setting, Step};
use crate::spec::invalid;

/// All writes, in order.
pub(super) fn steps(resources: &LinuxResources) -> Result<Vec<Step>> {
    if resources.unified().as_ref().is_some_and(|u| !u.is_empty()) {
        return Err(invalid(
            "linux.resources.unified needs control groups version 2, and the host has version 1",
        ));
    }
    let mut steps = devices::steps(resources.devices().as_deref().unwrap_or_default());
    if let Some(memory) = resources.memory() {
        steps.extend(memory_steps(memory)?);
    }
    if let Some(cpu) = resources.cpu() {
        steps.extend(cpu_steps(cpu));
    }
    if let Some(pids) = resources.pids() {
        steps.extend(pids_step(pids.limit()));
    }
    if let Some(block) = resources.block_io() {
        steps.extend(block_steps(block));
    }
    let pages = resources.hugepage_limits().as_deref().unwrap_or_default();
    steps.extend(pages.iter().map(huge_page_step));
    if let Some(network) = resources.network() {
        steps.extend(network_steps(network));
    }
    if resources
        .rdma()
        .as_ref()
        .is_some_and(|rdma| !rdma.is_empty())
    {
        return Err(invalid(
            "linux.resources.rdma: a sandbox has no RDMA devices",
        ));
    }
    Ok(steps)
}

fn one(controller: &'static str, file: &str, value: impl ToString) -> Step {
    Step::One(Setting::new(controller, file, value))
}

fn memory_steps(memory: &LinuxMemory) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let limit = memory.limit().filter(|limit| *limit != 0);
    let mut swap = memory.swap().filter(|swap| *swap != 0);
    if limit == Some(-1) && swap.is_none() {
        // Else the old bound of both would still hold.
        swap = Some(-1);
    }
    if let (Some(limit), Some(swap)) = (limit, swap)
        && swap > 0
        && (limit > swap || limit < 0)
    {
        return Err(invalid(format!(
            "memory.swap {swap} bounds memory and swap, and is less than memory.limit {limit}"
        )));
    }
    let limit = limit.map(|bytes| Setting::new("memory", "memory.limit_in_bytes", bytes));
    let swap = swap.map(|bytes| {
        Setting::new("memory", "memory.memsw.limit_in_bytes", bytes).if_missing(Missing::Warn)
    });
    match (limit, swap) {
        (Some(limit), Some(swap)) => steps.push(Step::Either(limit, swap)),
        (limit, swap) => steps.extend(limit.into_iter().chain(swap).map(Step::One)),
    }
    if let Some(bytes) = memory.reservation().filter(|bytes| *bytes != 0) {
        steps.push(one("memory", "memory.soft_limit_in_bytes", bytes));
    }
    if let Some(bytes) = memory.kernel_tcp().filter(|bytes| *bytes != 0) {
        let file = "memory.kmem.tcp.limit_in_bytes";
        steps.push(Step::One(
            Setting::new("memory", file, bytes).if_missing(Missing::Warn),
        ));
    }
    if memory.use_hierarchy() == Some(true) {
        let setting = Setting::new("memory", "memory.use_hierarchy", 1);
        steps.push(Step::One(setting.if_missing(Missing::Ignore)));
    }
    if let Some(swappiness) = memory.swappiness().filter(|value| *value != u64::MAX) {
        if swappiness > 100 {
            return Err(invalid(format!(
                "memory.swappiness {swappiness} is not between 0 and 100"
            )));
        }
        steps.push(one("memory", "memory.swappiness", swappiness));
    }
    if memory.disable_oom_killer() == Some(true) {
        steps.push(one("memory", "memory.oom_control", 1));
    }
    Ok(steps)
}

fn cpu_steps(cpu: &LinuxCpu) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        steps.push(one("cpu", "cpu.shares", shares));
    }
    if let Some(idle) = cpu.idle() {
        steps.push(one("cpu", "cpu.idle", idle));
    }
    let period = cpu.period().filter(|period| *period != 0);
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = period.map(|us| Setting::new("cpu", "cpu.cfs_period_us", us));
    let quota = quota.map(|us| Setting::new("cpu", "cpu.cfs_quota_us", us));
    match (period, quota) {
        (Some(period), Some(quota)) => steps.push(Step::Either(period, quota)),
        (period, quota) => steps.extend(period.into_iter().chain(quota).map(Step::One)),
    }
    if let Some(burst) = cpu.burst() {
        steps.push(one("cpu", "cpu.cfs_burst_us", burst));
    }
    if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
        steps.push(one("cpu", "cpu.rt_period_us", period));
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
        steps.push(one("cpu", "cpu.rt_runtime_us", runtime));
    }
    if let Some(cpus) = cpu.cpus().as_ref().filter(|cpus| !cpus.is_empty()) {
        steps.push(one("cpuset", "cpuset.cpus", cpus));
    }
    if let Some(mems) = cpu.mems().as_ref().filter(|mems| !mems.is_empty()) {
        steps.push(one("cpuset", "cpuset.mems", mems));
    }
    steps
}

fn pids_step(limit: i64) -> Option<Step> {
    match limit {
        0 => None,
        limit if limit < 0 => Some(one("pids", "pids.max", "max")),
        limit => Some(one("pids", "pids.max", limit)),
    }
}

fn block_steps(block: &LinuxBlockIo) -> Vec<Step> {
    let mut steps = Vec::new();
    // Which of the two there is depends on the scheduler that the kernel was built with.
    let mut weight = |suffix: &str, value: String| {
        for file in ["blkio.weight", "blkio.bfq.weight"] {
            let setting = Setting::new("blkio", &format!("{file}{suffix}"), &value);
            let missing = if file == "blkio.weight" {
                Missing::Ignore
            } else {
                Missing::Warn
            };
            steps.push(Step::One(setting.if_missing(missing)));
        }
    };
    if let Some(value) = block.weight().filter(|value| *value != 0) {
        weight("", value.to_string());
    }
    for device in block.weight_device().iter().flatten() {
        if let Some(value) = device.weight().filter(|value| *value != 0) {
            weight(
                "_device",
                format!("{}:{} {value}", device.major(), device.minor()),
            );
        }
    }
    if let Some(value) = block.leaf_weight().filter(|value| *value != 0) {
        let setting = Setting::new("blkio", "blkio.leaf_weight", value);
        steps.push(Step::One(setting.if_missing(Missing::Warn)));
    }
    for (file, devices) in throttles(block) {
        for device in devices {
            steps.push(one("blkio", file, rate(device)));
        }
    }
    steps
}

fn throttles(block: &LinuxBlockIo) -> [(&'static str, &[LinuxThrottleDevice]); 4] {
    let lists = [
        (
            "blkio.throttle.read_bps_device",
            block.throttle_read_bps_device(),
        ),
        (
            "blkio.throttle.write_bps_device",
            block.throttle_write_bps_device(),
        ),
        (
            "blkio.throttle.read_iops_device",
            block.throttle_read_iops_device(),
        ),
        (
            "blkio.throttle.write_iops_device",
            block.throttle_write_iops_device(),
        ),
    ];
    lists.map(|(file, devices)| (file, devices.as_deref().unwrap_or_default()))
}

fn rate(device: &LinuxThrottleDevice) -> String {
    format!("{}:{} {}", device.major(), device.minor(), device.rate())
}

fn huge_page_step(limit: &LinuxHugepageLimit) -> Step {
    let file = format!("hugetlb.{}.limit_in_bytes", limit.page_size());
    one("hugetlb", &file, limit.limit())
}

fn network_steps(network: &LinuxNetwork) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(class) = network.class_id().filter(|class| *class != 0) {
        steps.push(one("net_cls", "net_cls.classid", class));
    }
    for interface in network.priorities().iter().flatten() {
        let value = format!("{} {}", interface.name(), interface.priority());
        steps.push(one("net_prio", "net_prio.ifpriomap", value));
    }
    steps
}

/// A new group has no processors and no memory nodes, and takes no process then: it gets its
/// parent's, from the top down.
pub(super) fn inherit_cpuset(mount_point: &Path, directory: &Path) {
    let Ok(below) = directory.strip_prefix(mount_point) else {
        return;
    };
    let mut parent = mount_point.to_owned();
    for name in below {
        let group = parent.join(name);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let read = |directory: &Path| fs::read_to_string(directory.join(file));
            if read(&group).is_ok_and(|text| text.trim().is_empty())
                && let Ok(text) = read(&parent)
            {
                // Where it fails, joining the group fails, and says so.
                let _ = fs::write(group.join(file), text.trim());
            }
        }
        parent = group;
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxResources;
    use serde_json::{Value, json};

    use super::steps;
    use crate::cgroups::setting::Step;

    fn written(resources: Value) -> Vec<String> {
        let resources: LinuxResources = serde_json::from_value(resources).unwrap();
        match steps(&resources) {
            Err(error) => vec![error.to_string()],
            Ok(steps) => steps
                .iter()
                .map(|step| match step {
                    Step::One(a) => format!("{}={}", a.file, a.value),
                    Step::Either(a, b) => {
                        format!("{}={} <> {}={}", a.file, a.value, b.file, b.value)
                    }
                })
                .collect(),
        }
    }

    #[test]
    fn resources_become_writes() {
        assert_eq!(
            written(json!({
                "memory": {"limit": 1000, "swap": 2000, "reservation": 500, "swappiness": 50,
                           "disableOOMKiller": true},
                "cpu": {"shares": 512, "quota": 50000, "period": 100_000, "cpus": "0-1", "mems": "0"},
                "pids": {"limit": 7},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 4096}],
                "blockIO": {"weight": 0, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]},
                "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 3}]},
            })),
            [
                "memory.limit_in_bytes=1000 <> memory.memsw.limit_in_bytes=2000",
                "memory.soft_limit_in_bytes=500",
                "memory.swappiness=50",
                "memory.oom_control=1",
                "cpu.shares=512",
                "cpu.cfs_period_us=100000 <> cpu.cfs_quota_us=50000",
                "cpuset.cpus=0-1",
                "cpuset.mems=0",
                "pids.max=7",
                "blkio.throttle.read_bps_device=8:0 9",
                "hugetlb.2MB.limit_in_bytes=4096",
                "net_cls.classid=1",
                "net_prio.ifpriomap=lo 3",
            ]
        );
    }

    #[test]
    fn what_is_unset_is_not_written() {
        assert_eq!(
            written(json!({"memory": {"limit": 0}, "cpu": {"shares": 0}, "pids": {"limit": 0}})),
            [""; 0]
        );
        assert_eq!(
            written(json!({"memory": {"limit": -1}, "pids": {"limit": -1}})),
            [
                "memory.limit_in_bytes=-1 <> memory.memsw.limit_in_bytes=-1",
                "pids.max=max"
            ]
        );
    }

    #[test]
    fn nonsense_is_named() {
        for (resources, error) in [
            (
                json!({"memory": {"limit": 10, "swap": 5}}),
                "invalid spec: memory.swap 5 bounds memory and swap, and is less than memory.limit 10",
            ),
            (
                json!({"memory": {"swappiness": 101}}),
                "invalid spec: memory.swappiness 101 is not between 0 and 100",
            ),
            (
                json!({"unified": {"memory.max": "1"}}),
                "invalid spec: linux.resources.unified needs control groups version 2, and the host has version 1",
            ),
        ] {
            assert_eq!(written(resources), [error]);
        }
    }
}
