//! User namespaces (`man 7 user_namespaces`): which ids and which capabilities count where.
//!
//! Credentials and inodes hold ids of the outermost namespace; a namespace's maps say what they are called
//! in it. [`UserNamespace::user_inward`] and its like stand where ids cross to the application.

use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::credentials::{Capability, CapabilitySet, Credentials, SecureBits};
use crate::kernel::task::Task;

/// What an id without a name in a namespace shows as (`/proc/sys/kernel/overflowuid`).
pub const OVERFLOW_ID: u32 = 65534;
/// The deepest nesting.
const MAX_LEVEL: u32 = 32;
/// The most lines of a map.
pub const MAX_EXTENTS: usize = 340;

/// One line of a map: `count` ids from `inside` on are those from `outside` on of the outermost namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first id in the namespace.
    pub inside: u32,
    /// The first id outside: in the parent while the map is being written, in the outermost namespace after.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

fn shift(id: u32, from: u32, to: u32, count: u32) -> Option<u32> {
    let offset = id.checked_sub(from)?;
    (offset < count).then(|| to.checked_add(offset))?
}

/// A map of ids, empty until it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap(Vec<Extent>);

impl IdMap {
    /// What the namespace's `id` is in the outermost one.
    #[must_use]
    pub fn outward(&self, id: u32) -> Option<u32> {
        self.0
            .iter()
            .find_map(|extent| shift(id, extent.inside, extent.outside, extent.count))
    }

    /// What the outermost namespace's `id` is in this one.
    #[must_use]
    pub fn inward(&self, id: u32) -> Option<u32> {
        self.0
            .iter()
            .find_map(|extent| shift(id, extent.outside, extent.inside, extent.count))
    }

    /// The lines.
    #[must_use]
    pub fn extents(&self) -> &[Extent] {
        &self.0
    }
}

/// The maps of a namespace, and whether `setgroups(2)` may be used in it.
#[derive(Clone, Debug, Default)]
pub struct Maps {
    /// Users.
    pub users: IdMap,
    /// Groups.
    pub groups: IdMap,
    /// `/proc/[pid]/setgroups` says deny.
    pub denies_setgroups: bool,
}

/// A user namespace.
#[derive(Debug)]
pub struct UserNamespace {
    /// Inode number.
    pub ino: u64,
    /// The one it was made in; none for the outermost.
    pub parent: Option<Arc<UserNamespace>>,
    /// Who made it, in terms of the outermost namespace.
    pub owner: u32,
    /// That one's group.
    pub owner_group: u32,
    level: u32,
    maps: Mutex<Maps>,
    /// What the outermost namespace's maps show, users and groups, if not every id mapped to itself: ids inside,
    /// outside, how many. Its ids pass unchanged all the same: whoever touches the host's files maps them.
    shown: [Vec<[u32; 3]>; 2],
}

/// Which of the two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `uid_map`
    User,
    /// `gid_map`
    Group,
}

impl UserNamespace {
    /// The outermost namespace, which maps every id to itself, and shows these maps unless they are empty.
    #[must_use]
    pub fn root(
        ino: u64,
        shown_users: Vec<[u32; 3]>,
        shown_groups: Vec<[u32; 3]>,
    ) -> Arc<UserNamespace> {
        let all = IdMap(vec![Extent {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        }]);
        Arc::new(UserNamespace {
            ino,
            parent: None,
            owner: 0,
            owner_group: 0,
            level: 0,
            maps: Mutex::new(Maps {
                users: all.clone(),
                groups: all,
                denies_setgroups: false,
            }),
            shown: [shown_users, shown_groups],
        })
    }

    /// Whether it is the outermost one.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// The maps as they are now.
    #[must_use]
    pub fn maps(&self) -> Maps {
        self.maps.lock().clone()
    }

    /// What the outermost namespace's map is to show, empty if what it is.
    #[must_use]
    pub fn shown(&self, kind: Kind) -> &[[u32; 3]] {
        let [users, groups] = &self.shown;
        match kind {
            Kind::User => users,
            Kind::Group => groups,
        }
    }

    /// The outermost namespace's name of user `id`.
    #[must_use]
    pub fn user_outward(&self, id: u32) -> Option<u32> {
        if self.is_root() {
            return Some(id);
        }
        self.maps.lock().users.outward(id)
    }

    /// The outermost namespace's name of group `id`.
    #[must_use]
    pub fn group_outward(&self, id: u32) -> Option<u32> {
        if self.is_root() {
            return Some(id);
        }
        self.maps.lock().groups.outward(id)
    }

    /// What user `id` of the outermost namespace is called here, [`OVERFLOW_ID`] if nothing.
    #[must_use]
    pub fn user_inward(&self, id: u32) -> u32 {
        if self.is_root() {
            return id;
        }
        self.maps.lock().users.inward(id).unwrap_or(OVERFLOW_ID)
    }

    /// What group `id` of the outermost namespace is called here, [`OVERFLOW_ID`] if nothing.
    #[must_use]
    pub fn group_inward(&self, id: u32) -> u32 {
        if self.is_root() {
            return id;
        }
        self.maps.lock().groups.inward(id).unwrap_or(OVERFLOW_ID)
    }

    /// Whether both ids have names here.
    #[must_use]
    pub fn knows(&self, uid: u32, gid: u32) -> bool {
        if self.is_root() {
            return true;
        }
        let maps = self.maps.lock();
        maps.users.inward(uid).is_some() && maps.groups.inward(gid).is_some()
    }

    /// Whether `setgroups(2)` may be used: the group map is there, and nobody said deny.
    #[must_use]
    pub fn allows_setgroups(&self) -> bool {
        let maps = self.maps.lock();
        !maps.groups.0.is_empty() && !maps.denies_setgroups
    }

    /// The outermost namespace.
    #[must_use]
    pub fn outermost(self: &Arc<Self>) -> &Arc<UserNamespace> {
        let mut namespace = self;
        while let Some(parent) = &namespace.parent {
            namespace = parent;
        }
        namespace
    }

    /// Whether it is `other` or below it.
    #[must_use]
    pub fn is_within(self: &Arc<Self>, other: &Arc<UserNamespace>) -> bool {
        std::iter::successors(Some(self), |namespace| namespace.parent.as_ref())
            .any(|namespace| Arc::ptr_eq(namespace, other))
    }
}

impl Credentials {
    /// Whether they have `capability` in `namespace`: those of the effective set in their own namespace and
    /// all below it, every one in namespaces that their user made from their own.
    #[must_use]
    pub fn has_in(&self, namespace: &Arc<UserNamespace>, capability: Capability) -> bool {
        let mut current = namespace;
        loop {
            if Arc::ptr_eq(current, &self.user_ns) {
                return self.effective.has(capability);
            }
            let Some(parent) = &current.parent else {
                return false;
            };
            if Arc::ptr_eq(parent, &self.user_ns) && current.owner == self.euid {
                return true;
            }
            current = parent;
        }
    }

    /// Whether they have `capability` in their own namespace.
    #[must_use]
    pub fn has_own(&self, capability: Capability) -> bool {
        self.effective.has(capability)
    }

    /// Whether they have `capability` over an inode of these ids: in their own namespace, which must know
    /// the ids.
    #[must_use]
    pub fn has_over(&self, capability: Capability, uid: u32, gid: u32) -> bool {
        self.effective.has(capability) && self.user_ns.knows(uid, gid)
    }
}

/// Makes a user namespace for `task` and puts it there, with every capability in it (`CLONE_NEWUSER`). EPERM in
/// a chroot, or for ids without names; ENOSPC if nested too deep.
pub fn enter_new(task: &Task) -> Result<()> {
    let old = task.credentials();
    let parent = old.user_ns.clone();
    if parent.level >= MAX_LEVEL {
        return Err(Errno::ENOSPC);
    }
    let in_chroot = task.namespaces().mounts.as_ref().is_some_and(|mounts| {
        let (root, top) = (task.fs().root(), mounts.root_path().topmost());
        !Arc::ptr_eq(&root.mount, &top.mount) || !Arc::ptr_eq(&root.dentry, &top.dentry)
    });
    if in_chroot || !parent.knows(old.euid, old.egid) {
        return Err(Errno::EPERM);
    }
    let namespace = Arc::new(UserNamespace {
        ino: task.kernel().namespace_ids.allocate(),
        level: parent.level + 1,
        parent: Some(parent),
        owner: old.euid,
        owner_group: old.egid,
        maps: Mutex::default(),
        shown: [Vec::new(), Vec::new()],
    });
    task.set_credentials(in_namespace(&old, namespace));
    Ok(())
}

/// The credentials of a task that has just entered `namespace`.
#[must_use]
pub fn in_namespace(old: &Credentials, namespace: Arc<UserNamespace>) -> Credentials {
    Credentials {
        permitted: CapabilitySet::FULL,
        effective: CapabilitySet::FULL,
        inheritable: CapabilitySet::EMPTY,
        ambient: CapabilitySet::EMPTY,
        bounding: CapabilitySet::FULL,
        secure_bits: SecureBits::empty(),
        user_ns: namespace,
        ..old.clone()
    }
}

/// Writes `uid_map` or `gid_map` of `namespace`, whose lines name ids of its parent (`man 7 user_namespaces`,
/// *Defining user and group ID mappings*). EPERM: written before, or not allowed; EINVAL: not a map.
pub fn write_map(
    writer: &Task,
    namespace: &Arc<UserNamespace>,
    kind: Kind,
    lines: &[Extent],
) -> Result<()> {
    let parent = namespace.parent.clone().ok_or(Errno::EPERM)?;
    let credentials = writer.credentials();
    let near =
        Arc::ptr_eq(&credentials.user_ns, namespace) || Arc::ptr_eq(&credentials.user_ns, &parent);
    if !near || !credentials.has_in(namespace, Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    check_lines(lines)?;
    let mut maps = namespace.maps.lock();
    let current = match kind {
        Kind::User => &maps.users,
        Kind::Group => &maps.groups,
    };
    if !current.0.is_empty() {
        return Err(Errno::EPERM);
    }
    let outward = |id| match kind {
        Kind::User => parent.user_outward(id),
        Kind::Group => parent.group_outward(id),
    };
    let denies_setgroups = maps.denies_setgroups;
    if !may_map(
        &credentials,
        namespace,
        &parent,
        kind,
        lines,
        denies_setgroups,
        outward,
    ) {
        return Err(Errno::EPERM);
    }
    let mut extents = Vec::with_capacity(lines.len());
    for line in lines {
        let outside = outward(line.outside).ok_or(Errno::EPERM)?;
        let last = outward(line.outside + (line.count - 1)).ok_or(Errno::EPERM)?;
        // The range must lie in one line of the parent's map.
        if last.checked_sub(outside) != Some(line.count - 1) {
            return Err(Errno::EPERM);
        }
        extents.push(Extent { outside, ..*line });
    }
    match kind {
        Kind::User => maps.users = IdMap(extents),
        Kind::Group => maps.groups = IdMap(extents),
    }
    Ok(())
}

fn check_lines(lines: &[Extent]) -> Result<()> {
    if lines.is_empty() || lines.len() > MAX_EXTENTS {
        return Err(Errno::EINVAL);
    }
    let overlaps = |one: (u32, u32), two: (u32, u32)| {
        one.0 < two.0.saturating_add(two.1) && two.0 < one.0.saturating_add(one.1)
    };
    for (n, line) in lines.iter().enumerate() {
        let fits = |first: u32| first.checked_add(line.count).is_some();
        if line.count == 0 || !fits(line.inside) || !fits(line.outside) {
            return Err(Errno::EINVAL);
        }
        let clashes = lines[..n].iter().any(|other| {
            overlaps((line.inside, line.count), (other.inside, other.count))
                || overlaps((line.outside, line.count), (other.outside, other.count))
        });
        if clashes {
            return Err(Errno::EINVAL);
        }
    }
    Ok(())
}

/// Anyone may map the own id alone (the group only where `setgroups(2)` is denied); more needs
/// `CAP_SETUID` or `CAP_SETGID` in the parent.
fn may_map(
    credentials: &Credentials,
    namespace: &Arc<UserNamespace>,
    parent: &Arc<UserNamespace>,
    kind: Kind,
    lines: &[Extent],
    denies_setgroups: bool,
    outward: impl Fn(u32) -> Option<u32>,
) -> bool {
    let own_alone = match lines {
        [line] if line.count == 1 && namespace.owner == credentials.euid => {
            let id = outward(line.outside);
            match kind {
                Kind::User => id == Some(credentials.euid),
                Kind::Group => id == Some(credentials.egid) && denies_setgroups,
            }
        }
        _ => false,
    };
    let capability = match kind {
        Kind::User => Capability::Setuid,
        Kind::Group => Capability::Setgid,
    };
    own_alone || credentials.has_in(parent, capability)
}

/// `/proc/[pid]/setgroups`: "deny" only before the group map is there, and for good. EPERM.
pub fn set_setgroups(writer: &Task, namespace: &Arc<UserNamespace>, allow: bool) -> Result<()> {
    if !writer.credentials().has_in(namespace, Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let mut maps = namespace.maps.lock();
    let too_late = if allow {
        maps.denies_setgroups
    } else {
        !maps.groups.0.is_empty()
    };
    if too_late {
        return Err(Errno::EPERM);
    }
    maps.denies_setgroups = !allow;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lead_both_ways() {
        let map = IdMap(vec![
            Extent {
                inside: 0,
                outside: 1000,
                count: 1,
            },
            Extent {
                inside: 1,
                outside: 100_000,
                count: 10,
            },
        ]);
        assert_eq!(map.outward(0), Some(1000));
        assert_eq!(map.outward(10), Some(100_009));
        assert_eq!(map.outward(11), None);
        assert_eq!(map.inward(100_000), Some(1));
        assert_eq!(map.inward(0), None);
    }

    #[test]
    fn overlapping_and_empty_lines_are_einval() {
        let line = |inside, outside, count| Extent {
            inside,
            outside,
            count,
        };
        assert_eq!(check_lines(&[]), Err(Errno::EINVAL));
        assert_eq!(check_lines(&[line(0, 0, 0)]), Err(Errno::EINVAL));
        assert_eq!(check_lines(&[line(0, u32::MAX, 2)]), Err(Errno::EINVAL));
        assert_eq!(
            check_lines(&[line(0, 10, 5), line(4, 20, 5)]),
            Err(Errno::EINVAL)
        );
        assert_eq!(check_lines(&[line(0, 10, 5), line(5, 20, 5)]), Ok(()));
    }
}
