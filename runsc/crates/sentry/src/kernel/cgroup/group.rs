//! Groups, and who is in them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use parking_lot::Mutex;

use super::Kind;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::kernel::thread_group::ThreadGroup;

/// One tree of groups.
#[derive(Debug)]
pub struct Hierarchy {
    /// Its number in `/proc/cgroups`; 0 for the unified one.
    pub id: u32,
    /// Which it is.
    pub kind: Kind,
    /// The container's own group.
    pub root: Arc<Group>,
    /// Where thread groups are that are not in the root, by their address.
    moved: Mutex<HashMap<usize, Moved>>,
}

#[derive(Debug)]
struct Moved {
    who: Weak<ThreadGroup>,
    group: Arc<Group>,
    /// How many tasks it has, that is with numbers.
    nr_tasks: u64,
}

/// One group.
#[derive(Debug)]
pub struct Group {
    name: Vec<u8>,
    parent: Option<Arc<Group>>,
    children: Mutex<BTreeMap<Vec<u8>, Arc<Group>>>,
    /// What was written to its files, by file; what was not has its default.
    settings: Mutex<BTreeMap<&'static str, String>>,
    /// How many tasks are in it and below, zombies included; of the root this is not known.
    nr_tasks: AtomicU64,
    /// `pids.max`; `u64::MAX` for none.
    max_tasks: AtomicU64,
    /// How often that refused a task.
    refused: AtomicU64,
    removed: AtomicBool,
    /// Tells it from a group of the same name before.
    serial: u64,
}

/// More groups than that are refused (`EAGAIN`), lest a loop of mkdir takes the sandbox's memory.
const MOST_CHILDREN: usize = 4096;
/// As deep as paths go.
const DEEPEST: usize = 64;

impl Group {
    fn new(name: &[u8], parent: Option<Arc<Group>>, serial: u64) -> Arc<Group> {
        Arc::new(Group {
            name: name.to_vec(),
            parent,
            children: Mutex::default(),
            settings: Mutex::default(),
            nr_tasks: AtomicU64::new(0),
            max_tasks: AtomicU64::new(u64::MAX),
            refused: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            serial,
        })
    }

    /// Whether it is the container's own.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// What it is below.
    #[must_use]
    pub fn parent(&self) -> Option<&Arc<Group>> {
        self.parent.as_ref()
    }

    /// Where it is in its hierarchy.
    #[must_use]
    pub fn path(&self) -> String {
        let Some(parent) = &self.parent else {
            return "/".to_owned();
        };
        let above = parent.path();
        let name = String::from_utf8_lossy(&self.name);
        format!("{}/{name}", above.trim_end_matches('/'))
    }

    /// A number that no other group of its parent ever had.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The group of this name below it.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Option<Arc<Group>> {
        self.children.lock().get(name).cloned()
    }

    /// All groups right below it.
    #[must_use]
    pub fn children(&self) -> Vec<(Vec<u8>, Arc<Group>)> {
        let children = self.children.lock();
        let pairs = children
            .iter()
            .map(|(name, group)| (name.clone(), group.clone()));
        pairs.collect()
    }

    /// How many groups are below it, at any depth.
    #[must_use]
    pub fn descendants(&self) -> usize {
        let children = self.children();
        children
            .iter()
            .map(|(_, child)| 1 + child.descendants())
            .sum()
    }

    fn depth(&self) -> usize {
        self.parent.as_ref().map_or(0, |parent| 1 + parent.depth())
    }

    /// Makes a group below it.
    ///
    /// # Errors
    /// EEXIST; EINVAL for a name with a line break; EAGAIN for too many; ENODEV if it is gone itself.
    pub fn make(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Group>> {
        if name.contains(&b'\n') {
            return Err(Errno::EINVAL);
        }
        let mut children = self.children.lock();
        if self.removed.load(Ordering::Acquire) {
            return Err(Errno::ENODEV);
        }
        if children.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        if children.len() >= MOST_CHILDREN || self.depth() >= DEEPEST {
            return Err(Errno::EAGAIN);
        }
        let last = children.values().map(|child| child.serial).max();
        let serial = last.unwrap_or(self.serial) + 1;
        let child = Group::new(name, Some(self.clone()), serial);
        children.insert(name.to_vec(), child.clone());
        Ok(child)
    }

    /// What was written to one of its files.
    #[must_use]
    pub fn setting(&self, file: &str) -> Option<String> {
        self.settings.lock().get(file).cloned()
    }

    /// Keeps what was written to one of its files.
    pub fn set(&self, file: &'static str, value: String) {
        self.settings.lock().insert(file, value);
    }

    /// `pids.max`; none for no limit.
    #[must_use]
    pub fn max_tasks(&self) -> Option<u64> {
        Some(self.max_tasks.load(Ordering::Relaxed)).filter(|most| *most != u64::MAX)
    }

    /// Sets `pids.max`.
    pub fn set_max_tasks(&self, most: Option<u64>) {
        self.max_tasks
            .store(most.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How often `pids.max` refused a task.
    #[must_use]
    pub fn refused_tasks(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// So many tasks are in it now that were not.
    fn add_tasks(&self, nr_tasks: u64) {
        self.nr_tasks.fetch_add(nr_tasks, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.add_tasks(nr_tasks);
        }
    }

    /// So many tasks are no longer in it.
    fn remove_tasks(&self, nr_tasks: u64) {
        self.nr_tasks.fetch_sub(nr_tasks, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.remove_tasks(nr_tasks);
        }
    }

    /// Whether it is `other` or below it.
    #[must_use]
    pub fn is_within(self: &Arc<Self>, other: &Arc<Group>) -> bool {
        let mut current = Some(self);
        while let Some(group) = current {
            if Arc::ptr_eq(group, other) {
                return true;
            }
            current = group.parent.as_ref();
        }
        false
    }
}

fn key(who: &Arc<ThreadGroup>) -> usize {
    Arc::as_ptr(who).addr()
}

impl Hierarchy {
    pub(super) fn new(id: u32, kind: Kind) -> Arc<Hierarchy> {
        Arc::new(Hierarchy {
            id,
            kind,
            root: Group::new(b"", None, 0),
            moved: Mutex::default(),
        })
    }

    pub(super) fn conflicts_with(&self, kind: &Kind) -> bool {
        match (&self.kind, kind) {
            (
                Kind::V1 { controllers, name },
                Kind::V1 {
                    controllers: others,
                    name: other_name,
                },
            ) => {
                controllers.iter().any(|c| others.contains(c))
                    || name.is_some() && name == other_name
            }
            _ => false,
        }
    }

    /// Where a thread group is.
    #[must_use]
    pub fn group_of(&self, who: &Arc<ThreadGroup>) -> Arc<Group> {
        let moved = self.moved.lock();
        moved
            .get(&key(who))
            .filter(|entry| std::ptr::eq(entry.who.as_ptr(), Arc::as_ptr(who)))
            .map_or_else(|| self.root.clone(), |entry| entry.group.clone())
    }

    /// Moves a thread group.
    ///
    /// # Errors
    /// ENODEV if the group is gone; ESRCH if the thread group is.
    pub fn move_to(&self, who: &Arc<ThreadGroup>, group: &Arc<Group>) -> Result<()> {
        // No task comes or goes meanwhile.
        let _tree = who.kernel().task_set.lock();
        match who.tasks().len() as u64 {
            0 => Err(Errno::ESRCH),
            nr_tasks => self.place(who, group, nr_tasks),
        }
    }

    /// Puts a thread group with so many tasks somewhere.
    fn place(&self, who: &Arc<ThreadGroup>, group: &Arc<Group>, nr_tasks: u64) -> Result<()> {
        let mut moved = self.moved.lock();
        if group.removed.load(Ordering::Acquire) {
            return Err(Errno::ENODEV);
        }
        if let Some(old) = moved.remove(&key(who)) {
            old.group.remove_tasks(old.nr_tasks);
        }
        if !group.is_root() {
            group.add_tasks(nr_tasks);
            let entry = Moved {
                who: Arc::downgrade(who),
                group: group.clone(),
                nr_tasks,
            };
            moved.insert(key(who), entry);
        }
        Ok(())
    }

    pub(super) fn inherit(&self, parent: &Arc<ThreadGroup>, child: &Arc<ThreadGroup>) {
        let group = self.group_of(parent);
        if !group.is_root() {
            // A group with a member can't be removed meanwhile.
            let _ = self.place(child, &group, 0);
        }
    }

    pub(super) fn add_task(&self, who: &Arc<ThreadGroup>) {
        if let Some(entry) = self.moved.lock().get_mut(&key(who)) {
            entry.nr_tasks += 1;
            entry.group.add_tasks(1);
        }
    }

    /// With its last task, the thread group is in no group any more.
    pub(super) fn remove_task(&self, who: &Arc<ThreadGroup>) {
        if let Entry::Occupied(mut entry) = self.moved.lock().entry(key(who)) {
            entry.get_mut().nr_tasks -= 1;
            entry.get().group.remove_tasks(1);
            if entry.get().nr_tasks == 0 {
                entry.remove();
            }
        }
    }

    /// Removes a group without groups below it or members.
    ///
    /// # Errors
    /// ENOENT, EBUSY.
    pub fn remove(&self, parent: &Arc<Group>, name: &[u8]) -> Result<()> {
        let moved = self.moved.lock();
        let mut children = parent.children.lock();
        let group = children.get(name).ok_or(Errno::ENOENT)?;
        let has_members = moved.values().any(|entry| {
            let living = entry.who.upgrade().is_some_and(|who| !who.is_zombie());
            living && Arc::ptr_eq(&entry.group, group)
        });
        let below = group.children.lock();
        if has_members || !below.is_empty() {
            return Err(Errno::EBUSY);
        }
        group.removed.store(true, Ordering::Release);
        drop(below);
        children.remove(name);
        Ok(())
    }

    /// The living thread groups in `group`, and in those below it if `below`.
    #[must_use]
    pub fn members(
        &self,
        kernel: &Kernel,
        group: &Arc<Group>,
        below: bool,
    ) -> Vec<Arc<ThreadGroup>> {
        let all = kernel.root_pid_ns().groups().into_iter();
        all.map(|(_, who)| who)
            .filter(|who| !who.is_zombie())
            .filter(|who| {
                let place = self.group_of(who);
                Arc::ptr_eq(&place, group) || below && place.is_within(group)
            })
            .collect()
    }

    /// How many tasks are in `group` and below.
    #[must_use]
    pub fn task_count(&self, kernel: &Kernel, group: &Arc<Group>) -> u64 {
        if group.is_root() {
            return kernel.root_pid_ns().task_count().0 as u64;
        }
        group.nr_tasks.load(Ordering::Relaxed)
    }

    pub(super) fn check_fork(&self, parent: &Arc<ThreadGroup>) -> Result<()> {
        let mut current = Some(self.group_of(parent));
        while let Some(group) = current {
            if let Some(most) = group.max_tasks()
                && !group.is_root()
                && self.task_count(parent.kernel(), &group) >= most
            {
                group.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Errno::EAGAIN);
            }
            current = group.parent.clone();
        }
        Ok(())
    }
}
