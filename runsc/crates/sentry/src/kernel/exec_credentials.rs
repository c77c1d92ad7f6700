//! What `execve(2)` does to credentials (`man 7 capabilities`, *Transformation of capabilities during
//! execve* and *Capabilities and execution of programs by root*).

use crate::error::Result;
use crate::kernel::credentials::{CapabilitySet, Credentials, SecureBits};
use crate::vfs::file::OpenFile;

/// Whether the program got privileges that its caller did not have: it is to distrust its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elevation {
    /// No.
    Same,
    /// Yes (`AT_SECURE`).
    Elevated,
}

/// Capabilities of a file, from its `security.capability` attribute (versions 2 and 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FileCapabilities {
    permitted: CapabilitySet,
    inheritable: CapabilitySet,
    effective: bool,
}

/// The credentials of the program in `file` when a task with `old` executes it.
pub(crate) fn after_exec(old: &Credentials, file: &OpenFile) -> Result<(Credentials, Elevation)> {
    let attr = file.inode().attr()?;
    let mut new = old.clone();
    // Set-ID bits of ids that the user namespace does not know mean nothing in it.
    let may_elevate = !old.no_new_privs
        && !file.path().mount.is_no_suid()
        && old.user_ns.knows(attr.uid, attr.gid);
    if may_elevate && attr.permissions & 0o4000 != 0 {
        new.euid = attr.uid;
    }
    // Set-group-ID without group execute permission marks mandatory locking, not elevation (man 7 inode).
    if may_elevate && attr.permissions & 0o2010 == 0o2010 {
        new.egid = attr.gid;
    }
    let capabilities = if may_elevate {
        file_capabilities(file)
    } else {
        None
    };
    let set_id = new.euid != old.euid || new.egid != old.egid;
    transform(old, &mut new, capabilities, set_id);
    new.suid = new.euid;
    new.fsuid = new.euid;
    new.sgid = new.egid;
    new.fsgid = new.egid;
    new.secure_bits.remove(SecureBits::KEEP_CAPS);
    let gained = !new.permitted.is_subset_of(old.permitted) && Some(new.uid) != new.root_id();
    let elevated = new.euid != new.uid || new.egid != new.gid || gained;
    Ok((
        new,
        if elevated {
            Elevation::Elevated
        } else {
            Elevation::Same
        },
    ))
}

fn transform(
    old: &Credentials,
    new: &mut Credentials,
    file: Option<FileCapabilities>,
    set_id: bool,
) {
    let no_root = old.secure_bits.contains(SecureBits::NOROOT);
    // Root by real or effective id has every file capability, unless a set-user-ID-root program has its own.
    let root = old.root_id();
    let as_root = !no_root
        && (Some(new.uid) == root || Some(new.euid) == root)
        && !(file.is_some() && Some(old.uid) != root);
    let privileged = file.is_some() || set_id;
    let ambient = if privileged {
        CapabilitySet::EMPTY
    } else {
        old.ambient
    };
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
    let granted = (old.inheritable.0 & inheritable.0) | (permitted.0 & old.bounding.0) | ambient.0;
    new.ambient = ambient;
    new.permitted = CapabilitySet(granted);
    new.effective = if effective { new.permitted } else { ambient };
}

/// The file's capabilities, none if it has no valid attribute.
fn file_capabilities(file: &OpenFile) -> Option<FileCapabilities> {
    let value = file.inode().get_xattr(b"security.capability").ok()?;
    let word = |at: usize| {
        let bytes = value.get(at * 4..at * 4 + 4)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
    };
    let magic = word(0)?;
    // VFS_CAP_REVISION_2 and _3; the latter's root id is that of the outermost namespace here.
    if !matches!((magic >> 24, value.len()), (2, 20) | (3, 24)) {
        return None;
    }
    let valid = CapabilitySet::FULL.0;
    Some(FileCapabilities {
        permitted: CapabilitySet((word(1)? | word(3)? << 32) & valid),
        inheritable: CapabilitySet((word(2)? | word(4)? << 32) & valid),
        effective: magic & 1 != 0,
    })
}
