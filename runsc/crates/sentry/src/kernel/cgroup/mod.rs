//! Control groups (`man 7 cgroups`), as the application sees them: its own container is the root.
//!
//! A [`Hierarchy`] is a tree of [`Group`]s, one for each mounted set of controllers of version 1, or the
//! one of version 2. Hierarchies are made when they are first mounted. A thread group is in exactly one
//! group of each: the root, unless it or an ancestor was moved. What limits the container as a whole is
//! set from outside ([`Limits`]); of what groups below the root can be told, `pids.max` is enforced here,
//! weights are kept as the hints that they are, and limits that nothing would enforce are refused.
//!
//! Lock order: a hierarchy's members, then a group's children; both are leaves of the rest of the kernel.

mod group;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use parking_lot::Mutex;

use crate::error::Result;
use crate::kernel::thread_group::ThreadGroup;

pub use group::{Group, Hierarchy};
pub use usage::GroupUsage;

/// What a controller controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "their names are Linux's")]
pub enum Controller {
    Cpuset,
    Cpu,
    Cpuacct,
    Blkio,
    Memory,
    Devices,
    Freezer,
    Pids,
}

impl Controller {
    /// All of them, in the order of `/proc/cgroups`.
    pub const ALL: [Controller; 8] = [
        Controller::Cpuset,
        Controller::Cpu,
        Controller::Cpuacct,
        Controller::Blkio,
        Controller::Memory,
        Controller::Devices,
        Controller::Freezer,
        Controller::Pids,
    ];

    /// Its name in version 1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Controller::Cpuset => "cpuset",
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
            Controller::Blkio => "blkio",
            Controller::Memory => "memory",
            Controller::Devices => "devices",
            Controller::Freezer => "freezer",
            Controller::Pids => "pids",
        }
    }

    /// Its name in version 2, if it is a controller there.
    #[must_use]
    pub const fn unified_name(self) -> Option<&'static str> {
        match self {
            Controller::Cpuset | Controller::Cpu | Controller::Memory | Controller::Pids => {
                Some(self.name())
            }
            Controller::Blkio => Some("io"),
            Controller::Cpuacct | Controller::Devices | Controller::Freezer => None,
        }
    }
}

/// Which hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one of version 2.
    Unified,
    /// One of version 1: its controllers, or only a name (`none,name=systemd`).
    V1 {
        /// In the order of [`Controller::ALL`].
        controllers: Vec<Controller>,
        /// The name, for one without controllers.
        name: Option<String>,
    },
}

impl Kind {
    /// One of version 1 with these controllers.
    #[must_use]
    pub fn v1(controllers: &[Controller]) -> Kind {
        Kind::V1 {
            controllers: controllers.to_vec(),
            name: None,
        }
    }

    /// One of version 1 that has a name and no controllers.
    #[must_use]
    pub fn named(name: &str) -> Kind {
        Kind::V1 {
            controllers: Vec::new(),
            name: Some(name.to_owned()),
        }
    }

    /// The kind that the options of `mount -t cgroup` ask for; none: all controllers together.
    ///
    /// # Errors
    /// EINVAL for an option that is not known, ENOENT for a controller that is not there.
    pub fn parse(options: &str) -> Result<Kind> {
        let mut controllers = Vec::new();
        let mut name = None;
        let mut none = false;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            if let Some(text) = option.strip_prefix("name=") {
                name = Some(text.to_owned());
                continue;
            }
            match option {
                "none" => none = true,
                "all" => controllers.extend(Controller::ALL),
                "noprefix" | "clone_children" | "xattr" => return Err(Errno::EINVAL),
                other => {
                    let found = Controller::ALL.into_iter().find(|c| c.name() == other);
                    controllers.push(found.ok_or(Errno::ENOENT)?);
                }
            }
        }
        if none && (name.is_none() || !controllers.is_empty()) {
            return Err(Errno::EINVAL);
        }
        if name.is_none() && controllers.is_empty() {
            controllers.extend(Controller::ALL);
        }
        controllers.sort_unstable();
        controllers.dedup();
        Ok(Kind::V1 { controllers, name })
    }

    /// What `/proc/[pid]/cgroup` and the mount table call it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Kind::Unified => String::new(),
            Kind::V1 { controllers, name } => {
                let names = controllers.iter().map(|c| c.name().to_owned());
                let name = name.iter().map(|name| format!("name={name}"));
                names.chain(name).collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// What limits the container, besides memory and tasks, of which the kernel knows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `cpu.shares`
    pub cpu_shares: Option<u64>,
    /// `cpu.cfs_quota_us`; none or negative: all of it.
    pub cpu_quota_us: Option<i64>,
    /// `cpu.cfs_period_us`
    pub cpu_period_us: Option<u64>,
    /// `cpuset.cpus`, empty for all.
    pub cpus: String,
    /// `cpuset.mems`, empty for all.
    pub mems: String,
}

/// All hierarchies of a kernel.
#[derive(Debug)]
pub struct Cgroups {
    hierarchies: Mutex<Vec<Arc<Hierarchy>>>,
    next_id: AtomicU32,
    limits: Mutex<Limits>,
    /// What the host's files say of the container's limits, by name.
    on_host: Mutex<BTreeMap<String, String>>,
}

impl Default for Cgroups {
    fn default() -> Cgroups {
        Cgroups {
            hierarchies: Mutex::default(),
            next_id: AtomicU32::new(1),
            limits: Mutex::default(),
            on_host: Mutex::default(),
        }
    }
}

impl Cgroups {
    /// Sets what limits the container.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.lock() = limits;
    }

    /// Changes of these limits what is given.
    pub fn change_limits(&self, new: Limits) {
        let mut limits = self.limits.lock();
        let list = |new: String, old: &str| {
            if new.is_empty() { old.to_owned() } else { new }
        };
        *limits = Limits {
            cpu_shares: new.cpu_shares.or(limits.cpu_shares),
            cpu_quota_us: new.cpu_quota_us.or(limits.cpu_quota_us),
            cpu_period_us: new.cpu_period_us.or(limits.cpu_period_us),
            cpus: list(new.cpus, &limits.cpus),
            mems: list(new.mems, &limits.mems),
        };
    }

    /// Sets what the files of the container's own group show where the kernel has no limit of its own.
    pub fn show_on_host(&self, files: BTreeMap<String, String>) {
        *self.on_host.lock() = files;
    }

    /// What the host's file of this name says.
    #[must_use]
    pub fn on_host(&self, name: &str) -> Option<String> {
        self.on_host.lock().get(name).cloned()
    }

    /// What limits the container.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits.lock().clone()
    }

    /// The hierarchies that there are, the unified one (number 0) last.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Hierarchy>> {
        let mut all = self.hierarchies.lock().clone();
        all.sort_by_key(|hierarchy| std::cmp::Reverse(hierarchy.id));
        all
    }

    /// The hierarchy of this kind, made if there is none.
    ///
    /// # Errors
    /// EBUSY if one of its controllers belongs to another one.
    pub fn mount(&self, kind: &Kind) -> Result<Arc<Hierarchy>> {
        let mut hierarchies = self.hierarchies.lock();
        if let Some(found) = hierarchies.iter().find(|h| h.kind == *kind) {
            return Ok(found.clone());
        }
        if hierarchies.iter().any(|h| h.conflicts_with(kind)) {
            return Err(Errno::EBUSY);
        }
        let id = match kind {
            Kind::Unified => 0,
            Kind::V1 { .. } => self.next_id.fetch_add(1, Ordering::Relaxed),
        };
        let hierarchy = Hierarchy::new(id, kind.clone());
        hierarchies.push(hierarchy.clone());
        Ok(hierarchy)
    }

    /// Whether `parent` may have another task: EAGAIN if a group that it is in has no room for one
    /// (`pids.max`).
    ///
    /// # Errors
    /// EAGAIN
    pub fn check_fork(&self, parent: &Arc<ThreadGroup>) -> Result<()> {
        for hierarchy in &*self.hierarchies.lock() {
            hierarchy.check_fork(parent)?;
        }
        Ok(())
    }

    /// A task of `who` has its numbers. The task set must be locked.
    pub(crate) fn add_task(&self, who: &Arc<ThreadGroup>) {
        for hierarchy in &*self.hierarchies.lock() {
            hierarchy.add_task(who);
        }
    }

    /// A task of `who` has given its numbers back. The task set must be locked.
    pub(crate) fn remove_task(&self, who: &Arc<ThreadGroup>) {
        for hierarchy in &*self.hierarchies.lock() {
            hierarchy.remove_task(who);
        }
    }

    /// Puts a new thread group where its parent is. The task set must be locked.
    pub fn inherit(&self, parent: &Arc<ThreadGroup>, child: &Arc<ThreadGroup>) {
        for hierarchy in &*self.hierarchies.lock() {
            hierarchy.inherit(parent, child);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use abi::Errno;

    use super::{Cgroups, Controller, Kind};

    #[test]
    fn options_name_controllers() {
        let memory = Kind::v1(&[Controller::Memory]);
        assert_eq!(Kind::parse("memory"), Ok(memory.clone()));
        assert_eq!(Kind::parse("cpuacct,cpu").unwrap().text(), "cpu,cpuacct");
        assert_eq!(Kind::parse("none,name=systemd"), Ok(Kind::named("systemd")));
        assert_eq!(Kind::named("systemd").text(), "name=systemd");
        assert_eq!(Kind::parse("nonsense"), Err(Errno::ENOENT));
        assert_eq!(Kind::parse("none"), Err(Errno::EINVAL));
    }

    #[test]
    fn a_controller_is_in_one_hierarchy() {
        let cgroups = Cgroups::default();
        let memory = cgroups.mount(&Kind::v1(&[Controller::Memory])).unwrap();
        let again = cgroups.mount(&Kind::v1(&[Controller::Memory])).unwrap();
        assert!(std::sync::Arc::ptr_eq(&memory, &again));
        let both = Kind::v1(&[Controller::Memory, Controller::Pids]);
        assert_eq!(cgroups.mount(&both).unwrap_err(), Errno::EBUSY);
        cgroups.mount(&Kind::Unified).unwrap();
        let ids: Vec<u32> = cgroups.all().iter().map(|h| h.id).collect();
        assert_eq!(ids, [1, 0]);
    }

    #[test]
    fn groups_come_and_go() {
        let cgroups = Cgroups::default();
        let hierarchy = cgroups.mount(&Kind::Unified).unwrap();
        let child = hierarchy.root.make(b"a").unwrap();
        assert_eq!(child.path(), "/a");
        assert_eq!(child.make(b"b").unwrap().path(), "/a/b");
        assert_eq!(hierarchy.root.make(b"a").unwrap_err(), Errno::EEXIST);
        assert_eq!(hierarchy.remove(&hierarchy.root, b"a"), Err(Errno::EBUSY));
        hierarchy.remove(&child, b"b").unwrap();
        hierarchy.remove(&hierarchy.root, b"a").unwrap();
        assert_eq!(hierarchy.remove(&hierarchy.root, b"a"), Err(Errno::ENOENT));
        assert_eq!(child.make(b"late").unwrap_err(), Errno::ENODEV);
    }

    proptest! {
        #[test]
        fn any_options_are_a_kind_or_refused(
            text in "((none|all|memory|cpu|pids|name=[a-z]{0,3}|noprefix|x)?,?){0,6}|.{0,30}",
        ) {
            if let Ok(kind) = Kind::parse(&text) {
                prop_assert!(!kind.text().is_empty());
            }
        }
    }
}
