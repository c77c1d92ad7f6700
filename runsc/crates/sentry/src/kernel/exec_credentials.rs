//! What `execve(2)` does to credentials (`man 7 capabilities`, *Transformation of capabilities during
//! execve* and *Capabilities and execution of programs by root*).

use std::sync::Arc;

use crate::error::Result;
use crate::kernel::credentials::{Capability, CapabilitySet, Credentials, SecureBits};
use crate::kernel::fs_context::Sharing;
use crate::kernel::task::Task;
use crate::kernel::user_namespace::UserNamespace;
use crate::vfs::file::OpenFile;
use crate::vfs::file_capabilities::{self, FileCapabilities};
use crate::vfs::xattr;

/// Whether the program got privileges that its caller did not have: it is to distrust its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elevation {
    /// No.
    Same,
    /// Yes (`AT_SECURE`).
    Elevated,
}

/// Why a program may not get what its file would give it (`LSM_UNSAFE_*` of Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Distrust {
    /// `PR_SET_NO_NEW_PRIVS`
    no_new_privs: bool,
    /// Another process could change the root or working directory under it.
    shares_fs: bool,
    /// A tracer that has no such privileges itself could change it.
    traced: bool,
}

impl Distrust {
    fn of(task: &Task, old: &Credentials, sharing: Sharing) -> Distrust {
        Distrust {
            no_new_privs: old.no_new_privs,
            shares_fs: sharing == Sharing::Shared,
            traced: !task.tracer_is_trusted_in(&old.user_ns),
        }
    }

    fn any(self) -> bool {
        self.no_new_privs || self.shares_fs || self.traced
    }
}

/// The credentials of the program in `file` when `task` executes it, which has its root and working directory for
/// itself, or not.
pub(crate) fn after_exec(
    task: &Task,
    file: &OpenFile,
    sharing: Sharing,
) -> Result<(Credentials, Elevation)> {
    let old = &*task.credentials();
    let attr = file.inode().attr()?;
    let mut new = old.clone();
    let mount = &file.path().mount;
    // What the less privileged have mounted elevates only them.
    let own_fs = old.user_ns.is_within(&mount.tree().owner(&old.user_ns));
    let may_elevate = !mount.is_no_suid() && own_fs;
    // Set-ID bits of ids that the user namespace does not know mean nothing in it.
    let may_set_id = may_elevate && !old.no_new_privs && old.user_ns.knows(attr.uid, attr.gid);
    if may_set_id && attr.permissions & 0o4000 != 0 {
        new.euid = attr.uid;
    }
    // Set-group-ID without group execute permission marks mandatory locking, not elevation (man 7 inode).
    if may_set_id && attr.permissions & 0o2010 == 0o2010 {
        new.egid = attr.gid;
    }
    let capabilities = may_elevate
        .then(|| file_capabilities(file, &old.user_ns))
        .flatten();
    let set_id = new.euid != old.uid || new.egid != old.gid;
    let effective = transform(old, &mut new, capabilities);
    let distrust = Distrust::of(task, old, sharing);
    if distrust.any() && gains(old, &new) {
        downgrade(old, &mut new, distrust);
    }
    if capabilities.is_some() || set_id {
        new.ambient = CapabilitySet::EMPTY;
    }
    new.permitted = CapabilitySet(new.permitted.0 | new.ambient.0);
    new.effective = if effective {
        new.permitted
    } else {
        new.ambient
    };
    new.suid = new.euid;
    new.fsuid = new.euid;
    new.sgid = new.egid;
    new.fsgid = new.egid;
    new.secure_bits.remove(SecureBits::KEEP_CAPS);
    let grew = !new.permitted.is_subset_of(new.ambient);
    let elevated = set_id || Some(new.uid) != new.root_id() && (effective || grew);
    let elevation = if elevated {
        Elevation::Elevated
    } else {
        Elevation::Same
    };
    Ok((new, elevation))
}

/// Whether the file gives another user or group, or capabilities that the caller had not.
fn gains(old: &Credentials, new: &Credentials) -> bool {
    new.euid != old.euid
        || !(new.egid == old.egid || old.groups.binary_search(&new.egid).is_ok())
        || !new.permitted.is_subset_of(old.permitted)
}

/// It gets no more than its caller had, and maybe less.
fn downgrade(old: &Credentials, new: &mut Credentials, distrust: Distrust) {
    if !old.has_own(Capability::Setuid) || distrust.no_new_privs {
        new.euid = new.uid;
        new.egid = new.gid;
    }
    new.permitted = CapabilitySet(new.permitted.0 & old.permitted.0);
}

/// Sets the permitted capabilities that come of the file, before ambient ones; whether they are to be effective.
fn transform(old: &Credentials, new: &mut Credentials, file: Option<FileCapabilities>) -> bool {
    let no_root = old.secure_bits.contains(SecureBits::NOROOT);
    // Root by real or effective id has every file capability, unless a set-user-ID-root program has its own.
    let root = old.root_id();
    let as_root = !no_root
        && (Some(new.uid) == root || Some(new.euid) == root)
        && !(file.is_some() && Some(old.uid) != root);
    let (permitted, inheritable, effective) = if as_root {
        (
            CapabilitySet::FULL,
            CapabilitySet::FULL,
            Some(new.euid) == root,
        )
    } else {
        let file = file.unwrap_or_default();
        (file.permitted, file.inheritable, file.effective)
    };
    new.permitted =
        CapabilitySet((old.inheritable.0 & inheritable.0) | (permitted.0 & old.bounding.0));
    effective
}

/// What the file gives those of `namespace`, none if it has no valid attribute for them.
fn file_capabilities(file: &OpenFile, namespace: &Arc<UserNamespace>) -> Option<FileCapabilities> {
    let stored = file.inode().get_xattr(xattr::CAPABILITY).ok()?;
    let owner = file.path().mount.tree().owner(namespace);
    file_capabilities::granted(namespace, &owner, &stored)
}
