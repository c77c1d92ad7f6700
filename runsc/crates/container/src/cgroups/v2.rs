//! The spec's resources as writes to control groups version 2 (Documentation/admin-guide/cgroup-v2.rst).

use std::fs;
use std::path::Path;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxResources, LinuxThrottleDevice,
};

use crate::Result;
use crate::cgroups::hierarchies::Hierarchy;
use crate::cgroups::setting::{Missing, Setting, Step};
use crate::cgroups::threads::limit_with_room;
use crate::spec::invalid;

/// All writes, in order. Device rules would need a BPF program, and are left out: only the gofer
/// could open a device, and it refuses those that the spec does not name.
pub(super) fn steps(resources: &LinuxResources) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(memory) = resources.memory() {
        steps.extend(memory_steps(memory)?);
    }
    if let Some(cpu) = resources.cpu() {
        steps.extend(cpu_steps(cpu)?);
    }
    if let Some(pids) = resources.pids() {
        let limit = Some(pids.limit()).filter(|limit| *limit != 0);
        steps.extend(limit.map(|limit| one("pids.max", limit_with_room(limit))));
    }
    if let Some(block) = resources.block_io() {
        steps.extend(block_steps(block));
    }
    let pages = resources.hugepage_limits().as_deref().unwrap_or_default();
    steps.extend(pages.iter().map(huge_page_step));
    if resources.network().as_ref().is_some_and(|network| {
        network.class_id().is_some_and(|class| class != 0)
            || network.priorities().as_ref().is_some_and(|p| !p.is_empty())
    }) {
        tracing::warn!("control groups version 2 have no network classes: left out");
    }
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        if file.contains('/') || !file.contains('.') || file.starts_with("cgroup.") {
            return Err(invalid(format!(
                "linux.resources.unified names no control file: {file:?}"
            )));
        }
        steps.push(one(file, value));
    }
    Ok(steps)
}

fn one(file: &str, value: impl ToString) -> Step {
    Step::One(setting(file, value))
}

fn setting(file: &str, value: impl ToString) -> Setting {
    Setting::new("", file, value)
}

/// `-1` is no limit.
fn bytes(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn memory_steps(memory: &LinuxMemory) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let limit = memory.limit().filter(|limit| *limit != 0);
    match (memory.swap().filter(|swap| *swap != 0), limit) {
        (Some(swap), _) if swap < 0 => {
            steps.push(Step::One(
                setting("memory.swap.max", "max").if_missing(Missing::Warn),
            ));
        }
        // The spec's value is memory and swap together, this file's is swap alone.
        (Some(swap), Some(limit)) if limit > 0 && swap >= limit => {
            let setting = setting("memory.swap.max", swap - limit);
            steps.push(Step::One(setting.if_missing(Missing::Warn)));
        }
        (Some(swap), limit) => {
            return Err(invalid(format!(
                "memory.swap {swap} makes no sense with memory.limit {}",
                limit.unwrap_or(0)
            )));
        }
        (None, Some(-1)) => {
            let setting = setting("memory.swap.max", "max");
            steps.push(Step::One(setting.if_missing(Missing::Ignore)));
        }
        (None, _) => {}
    }
    if let Some(limit) = limit {
        steps.push(one("memory.max", bytes(limit)));
    }
    if let Some(low) = memory.reservation().filter(|low| *low != 0) {
        steps.push(one("memory.low", bytes(low)));
    }
    Ok(steps)
}

fn cpu_steps(cpu: &LinuxCpu) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        steps.push(one("cpu.weight", weight_of_shares(shares)));
    }
    if let Some(idle) = cpu.idle() {
        steps.push(one("cpu.idle", idle));
    }
    let quota = cpu.quota().filter(|quota| *quota != 0);
    if quota.is_some() || cpu.period().is_some_and(|period| period != 0) {
        let quota = quota.filter(|quota| *quota > 0);
        let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
        let period = cpu
            .period()
            .filter(|period| *period != 0)
            .unwrap_or(100_000);
        steps.push(one("cpu.max", format!("{quota} {period}")));
    }
    if let Some(burst) = cpu.burst() {
        steps.push(one("cpu.max.burst", burst));
    }
    if cpu.realtime_runtime().is_some_and(|runtime| runtime != 0)
        || cpu.realtime_period().is_some_and(|period| period != 0)
    {
        return Err(invalid(
            "linux.resources.cpu: control groups version 2 have no real-time limits",
        ));
    }
    if let Some(cpus) = cpu.cpus().as_ref().filter(|cpus| !cpus.is_empty()) {
        steps.push(one("cpuset.cpus", cpus));
    }
    if let Some(mems) = cpu.mems().as_ref().filter(|mems| !mems.is_empty()) {
        steps.push(one("cpuset.mems", mems));
    }
    Ok(steps)
}

/// Shares 2 to 262,144 as weight 1 to 10,000, in proportion.
fn weight_of_shares(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9999 / 262_142
}

fn block_steps(block: &LinuxBlockIo) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
        let bfq = setting("io.bfq.weight", weight).if_missing(Missing::Ignore);
        // Weights 10 to 1,000 as 1 to 10,000, in proportion.
        let plain = 1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990;
        let plain = setting("io.weight", format!("default {plain}")).if_missing(Missing::Warn);
        steps.extend([Step::One(bfq), Step::One(plain)]);
    }
    let lists = [
        ("rbps", block.throttle_read_bps_device()),
        ("wbps", block.throttle_write_bps_device()),
        ("riops", block.throttle_read_iops_device()),
        ("wiops", block.throttle_write_iops_device()),
    ];
    for (key, devices) in lists {
        for device in devices.iter().flatten() {
            steps.push(one("io.max", rate(key, device)));
        }
    }
    steps
}

fn rate(key: &str, device: &LinuxThrottleDevice) -> String {
    format!(
        "{}:{} {key}={}",
        device.major(),
        device.minor(),
        device.rate()
    )
}

fn huge_page_step(limit: &LinuxHugepageLimit) -> Step {
    one(&format!("hugetlb.{}.max", limit.page_size()), limit.limit())
}

/// Lets every group above `directory` hand its controllers down.
pub(super) fn enable_controllers(hierarchies: &[Hierarchy], directory: &Path) {
    let Some(hierarchy) = hierarchies.first() else {
        return;
    };
    let mut above: Vec<&Path> = directory
        .ancestors()
        .skip(1)
        .take_while(|path| path.starts_with(&hierarchy.mount_point))
        .collect();
    above.reverse();
    for group in above {
        let available = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
        for controller in available.split_whitespace() {
            // One that can't be is missed when a limit of it is written, by name.
            let _ = fs::write(
                group.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
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
                    Step::One(a) | Step::Either(a, _) => format!("{}={}", a.file, a.value),
                })
                .collect(),
        }
    }

    #[test]
    fn resources_become_writes() {
        assert_eq!(
            written(json!({
                "memory": {"limit": 1000, "swap": 2500, "reservation": 500},
                "cpu": {"shares": 1024, "quota": 50000, "period": 100_000, "cpus": "0"},
                "pids": {"limit": -1},
                "blockIO": {"weight": 10, "throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 9}]},
                "unified": {"memory.high": "900"},
            })),
            [
                "memory.swap.max=1500",
                "memory.max=1000",
                "memory.low=500",
                "cpu.weight=39",
                "cpu.max=50000 100000",
                "cpuset.cpus=0",
                "pids.max=max",
                "io.bfq.weight=10",
                "io.weight=default 1",
                "io.max=8:1 wiops=9",
                "memory.high=900",
            ]
        );
    }

    #[test]
    fn nonsense_is_named() {
        for (resources, error) in [
            (
                json!({"memory": {"limit": 10, "swap": 5}}),
                "invalid spec: memory.swap 5 makes no sense with memory.limit 10",
            ),
            (
                json!({"unified": {"../x.y": "1"}}),
                "invalid spec: linux.resources.unified names no control file: \"../x.y\"",
            ),
            (
                json!({"cpu": {"realtimeRuntime": 5}}),
                "invalid spec: linux.resources.cpu: control groups version 2 have no real-time limits",
            ),
        ] {
            assert_eq!(written(resources), [error]);
        }
    }
}
