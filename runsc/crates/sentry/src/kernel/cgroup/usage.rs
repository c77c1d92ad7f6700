//! What the members of a group use.

use std::sync::Arc;

use super::{Group, Hierarchy};
use crate::kernel::Kernel;

/// Use of processor and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupUsage {
    /// Processor time in user mode, in nanoseconds.
    pub user_ns: u64,
    /// And in the kernel.
    pub system_ns: u64,
    /// Private memory, in bytes.
    pub anonymous: u64,
    /// Shared memory and tmpfs.
    pub shared: u64,
    /// Caches of files.
    pub file: u64,
    /// Page faults.
    pub faults: u64,
}

impl GroupUsage {
    /// All memory.
    #[must_use]
    pub const fn memory(&self) -> u64 {
        self.anonymous + self.shared + self.file
    }

    /// All processor time, in nanoseconds.
    #[must_use]
    pub const fn cpu_ns(&self) -> u64 {
        self.user_ns + self.system_ns
    }
}

impl Hierarchy {
    /// What `group` and those below it use. For the root it is the kernel's own count, with memory of no
    /// process; for others the sum over the processes that are in it now, with the children that they
    /// have reaped.
    #[must_use]
    pub fn usage(&self, kernel: &Kernel, group: &Arc<Group>) -> GroupUsage {
        let mut usage = GroupUsage::default();
        for who in self.members(kernel, group, true) {
            for part in [who.usage(), who.children_usage()] {
                usage.user_ns = usage.user_ns.saturating_add(part.user_ns);
                usage.system_ns = usage.system_ns.saturating_add(part.system_ns);
                usage.faults = usage.faults.saturating_add(part.minor_faults);
            }
            let space = who.tasks().iter().find_map(|task| task.mm_if_alive());
            if let Some(space) = space.filter(|_| !group.is_root()) {
                let statistics = space.statistics();
                usage.anonymous += statistics.resident_anonymous as u64;
                usage.shared += statistics.resident_shared as u64;
            }
        }
        if group.is_root() {
            let memory = kernel.memory().usage();
            usage.anonymous = memory.anonymous + memory.dirty;
            usage.shared = memory.shared;
            usage.file = memory.cache;
        }
        usage
    }
}
