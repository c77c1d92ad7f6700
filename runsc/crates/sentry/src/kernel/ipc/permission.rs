//! Who may use an IPC object (`man 7 sysvipc`, *Permissions*).

use abi::Errno;

use super::Encoder;
use crate::error::Result;
use crate::kernel::credentials::{Capability, Credentials};

/// Read permission, for all three classes.
pub const READ: u32 = 0o444;
/// Write permission, for all three classes.
pub const WRITE: u32 = 0o222;

/// `struct ipc_perm`
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// The key it was made with.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
    /// Creator.
    pub creator_uid: u32,
    /// Creator's group.
    pub creator_gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Reuse count of the slot.
    pub sequence: u16,
}

impl Permission {
    /// Of an object that `credentials` make.
    #[must_use]
    pub fn new(credentials: &Credentials, key: i32, mode: u32) -> Permission {
        Permission {
            key,
            uid: credentials.euid,
            gid: credentials.egid,
            creator_uid: credentials.euid,
            creator_gid: credentials.egid,
            mode: mode & 0o777,
            sequence: 0,
        }
    }

    /// Whether every class in `wanted` (its bits are looked at in the caller's class) is allowed; EACCES.
    pub fn check(&self, credentials: &Credentials, wanted: u32) -> Result<()> {
        let asked = (wanted >> 6) | (wanted >> 3) | wanted;
        let uid = credentials.euid;
        let in_group = |gid: u32| credentials.egid == gid || credentials.groups.contains(&gid);
        let granted = if uid == self.uid || uid == self.creator_uid {
            self.mode >> 6
        } else if in_group(self.gid) || in_group(self.creator_gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if asked & !granted & 0o7 == 0 || credentials.has(Capability::IpcOwner) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// EPERM unless owner, creator or `CAP_SYS_ADMIN`.
    pub fn check_owner(&self, credentials: &Credentials) -> Result<()> {
        let uid = credentials.euid;
        if uid == self.uid || uid == self.creator_uid || credentials.has(Capability::SysAdmin) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// `IPC_SET`: owner and permission bits.
    pub fn set(&mut self, uid: u32, gid: u32, mode: u32) {
        self.uid = uid;
        self.gid = gid;
        self.mode = (self.mode & !0o777) | (mode & 0o777);
    }

    /// `IPC_SET` by whoever has `credentials`; EPERM.
    pub fn set_by(
        &mut self,
        credentials: &Credentials,
        owner: (u32, u32),
        mode: u32,
    ) -> Result<()> {
        self.check_owner(credentials)?;
        self.set(owner.0, owner.1, mode);
        Ok(())
    }

    /// A `struct ipc64_perm`: 48 bytes.
    pub(super) fn encode(&self) -> Encoder {
        Encoder::default()
            .half(self.key.cast_unsigned())
            .half(self.uid)
            .half(self.gid)
            .half(self.creator_uid)
            .half(self.creator_gid)
            .half(self.mode)
            .half(u32::from(self.sequence))
            .half(0)
            .word(0)
            .word(0)
    }
}
