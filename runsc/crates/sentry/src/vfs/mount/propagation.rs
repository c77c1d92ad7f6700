//! Shared subtrees: mounts that appear and vanish together (`man 7 mount_namespaces`).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Weak};

use locks::Mutex;

use super::{Mount, MountState};

/// Mounts between which mounts and unmounts below them propagate.
#[derive(Debug)]
pub(crate) struct PeerGroup {
    /// Its number in mountinfo.
    pub(crate) id: u64,
    members: Mutex<Mounts>,
    slaves: Mutex<Mounts>,
}

/// Mounts by their ids, so that none takes long to find.
type Mounts = BTreeMap<u64, Weak<Mount>>;

/// The types of `mount(2)`'s `MS_SHARED`, `MS_PRIVATE`, `MS_SLAVE` and `MS_UNBINDABLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Gives and receives.
    Shared,
    /// Neither gives nor receives.
    Private,
    /// Receives.
    Slave,
    /// Private, and can't be bound.
    Unbindable,
}

impl PeerGroup {
    fn new(id: u64) -> Arc<PeerGroup> {
        Arc::new(PeerGroup {
            id,
            members: Mutex::default(),
            slaves: Mutex::default(),
        })
    }

    fn live(list: &Mutex<Mounts>) -> Vec<Arc<Mount>> {
        list.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn has_live(list: &Mutex<Mounts>) -> bool {
        list.lock().values().any(|mount| mount.strong_count() > 0)
    }

    fn add(list: &Mutex<Mounts>, mount: &Arc<Mount>) {
        list.lock().insert(mount.id, Arc::downgrade(mount));
    }
}

/// A mount is gone.
pub(super) fn forget(id: u64, state: &MountState) {
    if let Some(group) = &state.group {
        group.members.lock().remove(&id);
    }
    if let Some(master) = &state.master {
        master.slaves.lock().remove(&id);
    }
}

impl Mount {
    /// Changes how mounts below it propagate. `group_id` is used if it starts a peer group.
    pub(super) fn set_propagation(
        self: &Arc<Mount>,
        to: Propagation,
        group_id: impl FnOnce() -> u64,
    ) {
        if to == Propagation::Shared {
            if self.state.lock().group.is_none() {
                self.join(&PeerGroup::new(group_id()));
            }
            self.state.lock().unbindable = false;
            return;
        }
        let group = self.state.lock().group.take();
        if let Some(group) = &group {
            group.members.lock().remove(&self.id);
        }
        let others_remain = group
            .as_ref()
            .is_some_and(|group| PeerGroup::has_live(&group.members));
        match to {
            Propagation::Slave => {
                if let Some(group) = group.filter(|_| others_remain) {
                    self.enslave(&group);
                }
            }
            Propagation::Private | Propagation::Unbindable | Propagation::Shared => {
                let master = self.state.lock().master.take();
                if let Some(master) = master {
                    master.slaves.lock().remove(&self.id);
                }
            }
        }
        self.state.lock().unbindable = to == Propagation::Unbindable;
    }

    fn join(self: &Arc<Mount>, group: &Arc<PeerGroup>) {
        PeerGroup::add(&group.members, self);
        self.state.lock().group = Some(group.clone());
    }

    fn enslave(self: &Arc<Mount>, group: &Arc<PeerGroup>) {
        let old = self.state.lock().master.replace(group.clone());
        PeerGroup::add(&group.slaves, self);
        if let Some(old) = old.filter(|old| !Arc::ptr_eq(old, group)) {
            old.slaves.lock().remove(&self.id);
        }
    }

    /// A copy of a mount is its peer, and a slave of the same master.
    pub(super) fn inherit_propagation(self: &Arc<Mount>, original: &Mount) {
        let (group, master) = {
            let MountState { group, master, .. } = &*original.state.lock();
            (group.clone(), master.clone())
        };
        if let Some(group) = group {
            self.join(&group);
        }
        if let Some(master) = master {
            self.enslave(&master);
        }
    }

    /// The mounts that receive what is mounted on this one: peers, slaves, their peers and slaves.
    pub(super) fn receivers(self: &Arc<Mount>) -> Vec<Arc<Mount>> {
        let mut found: Vec<Arc<Mount>> = vec![self.clone()];
        let mut known = HashSet::from([self.id]);
        let mut seen_groups = HashSet::new();
        let mut next = 0;
        while let Some(mount) = found.get(next).cloned() {
            next += 1;
            let group = mount.state.lock().group.clone();
            let Some(group) = group.filter(|group| seen_groups.insert(group.id)) else {
                continue;
            };
            let reached = PeerGroup::live(&group.members)
                .into_iter()
                .chain(PeerGroup::live(&group.slaves));
            for other in reached {
                if known.insert(other.id) {
                    found.push(other);
                }
            }
        }
        found.remove(0);
        found
    }
}
