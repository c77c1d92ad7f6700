//! Credentials: ids, groups, capabilities (`man 7 credentials`, `man 7 capabilities`).
//!
//! A task's credentials are immutable and shared; changing them means installing a new `Arc`.

use std::sync::Arc;

use bitflags::bitflags;

use crate::kernel::user_namespace::UserNamespace;

/// A set of capabilities, bit *n* being capability number *n*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CapabilitySet(pub u64);

/// Capability numbers (`linux/capability.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of man 7 capabilities")]
pub enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Fsetid = 4,
    Kill = 5,
    Setgid = 6,
    Setuid = 7,
    Setpcap = 8,
    LinuxImmutable = 9,
    NetBindService = 10,
    NetBroadcast = 11,
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
    IpcOwner = 15,
    SysModule = 16,
    SysRawio = 17,
    SysChroot = 18,
    SysPtrace = 19,
    SysPacct = 20,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    Mknod = 27,
    Lease = 28,
    AuditWrite = 29,
    AuditControl = 30,
    Setfcap = 31,
    MacOverride = 32,
    MacAdmin = 33,
    Syslog = 34,
    WakeAlarm = 35,
    BlockSuspend = 36,
    AuditRead = 37,
    Perfmon = 38,
    Bpf = 39,
    CheckpointRestore = 40,
}

/// The highest capability number, `/proc/sys/kernel/cap_last_cap`.
pub const CAP_LAST: u8 = 40;

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: CapabilitySet = CapabilitySet(0);
    /// Every capability.
    pub const FULL: CapabilitySet = CapabilitySet((1 << (CAP_LAST + 1)) - 1);

    /// Whether it holds `capability`.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Whether it holds the capability of this number; false above [`CAP_LAST`].
    #[must_use]
    pub const fn has_number(self, number: u8) -> bool {
        number <= CAP_LAST && self.0 & (1 << number) != 0
    }

    /// Whether every capability of `self` is in `other`.
    #[must_use]
    pub const fn is_subset_of(self, other: CapabilitySet) -> bool {
        self.0 & !other.0 == 0
    }
}

bitflags! {
    /// Secure bits (`man 7 capabilities`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SecureBits: u32 {
        /// SECBIT_NOROOT
        const NOROOT = 1;
        /// SECBIT_NOROOT_LOCKED
        const NOROOT_LOCKED = 2;
        /// SECBIT_NO_SETUID_FIXUP
        const NO_SETUID_FIXUP = 4;
        /// SECBIT_NO_SETUID_FIXUP_LOCKED
        const NO_SETUID_FIXUP_LOCKED = 8;
        /// SECBIT_KEEP_CAPS
        const KEEP_CAPS = 16;
        /// SECBIT_KEEP_CAPS_LOCKED
        const KEEP_CAPS_LOCKED = 32;
        /// SECBIT_NO_CAP_AMBIENT_RAISE
        const NO_CAP_AMBIENT_RAISE = 64;
        /// SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED
        const NO_CAP_AMBIENT_RAISE_LOCKED = 128;
    }
}

/// The credentials of a task.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Saved set-user-ID.
    pub suid: u32,
    /// File-system user.
    pub fsuid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Saved set-group-ID.
    pub sgid: u32,
    /// File-system group.
    pub fsgid: u32,
    /// Supplementary groups, sorted.
    pub groups: Vec<u32>,
    /// Permitted capabilities.
    pub permitted: CapabilitySet,
    /// Effective capabilities.
    pub effective: CapabilitySet,
    /// Inheritable capabilities.
    pub inheritable: CapabilitySet,
    /// The bounding set.
    pub bounding: CapabilitySet,
    /// Ambient capabilities.
    pub ambient: CapabilitySet,
    /// Secure bits.
    pub secure_bits: SecureBits,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// The user namespace that the capabilities count in.
    pub user_ns: Arc<UserNamespace>,
}

impl Credentials {
    /// Root with every capability in `user_ns`.
    #[must_use]
    pub fn root(user_ns: Arc<UserNamespace>) -> Credentials {
        Credentials {
            uid: 0,
            euid: 0,
            suid: 0,
            fsuid: 0,
            gid: 0,
            egid: 0,
            sgid: 0,
            fsgid: 0,
            groups: Vec::new(),
            permitted: CapabilitySet::FULL,
            effective: CapabilitySet::FULL,
            inheritable: CapabilitySet::EMPTY,
            bounding: CapabilitySet::FULL,
            ambient: CapabilitySet::EMPTY,
            secure_bits: SecureBits::empty(),
            no_new_privs: false,
            user_ns,
        }
    }

    /// Whether they have `capability` in the outermost user namespace: over what belongs to no other.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.user_ns.is_root() && self.effective.has(capability)
    }

    /// Whether the file-system group or a supplementary group is `gid`.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.binary_search(&gid).is_ok()
    }
}

/// What the file-system user id decides: these go when it leaves 0 and come back when it returns.
const FILE_CAPABILITIES: CapabilitySet = CapabilitySet(
    1 << Capability::Chown as u8
        | 1 << Capability::DacOverride as u8
        | 1 << Capability::DacReadSearch as u8
        | 1 << Capability::Fowner as u8
        | 1 << Capability::Fsetid as u8
        | 1 << Capability::LinuxImmutable as u8
        | 1 << Capability::Mknod as u8
        | 1 << Capability::MacOverride as u8,
);

impl Credentials {
    /// The id that is root in their user namespace.
    #[must_use]
    pub fn root_id(&self) -> Option<u32> {
        self.user_ns.user_outward(0)
    }

    /// Adjusts capabilities after user ids changed from those of `old` (`man 7 capabilities`, *Effect of user
    /// ID changes on capabilities*).
    pub fn follow_uids(&mut self, old: &Credentials) {
        if !old.secure_bits.contains(SecureBits::NO_SETUID_FIXUP) {
            let root = old.root_id();
            let any_root = |set: &Credentials| {
                [set.uid, set.euid, set.suid]
                    .into_iter()
                    .any(|id| Some(id) == root)
            };
            let (was_root, is_root) = (any_root(old), any_root(self));
            if was_root && !is_root {
                if !old.secure_bits.contains(SecureBits::KEEP_CAPS) {
                    self.permitted = CapabilitySet::EMPTY;
                    self.effective = CapabilitySet::EMPTY;
                }
                self.ambient = CapabilitySet::EMPTY;
            }
            if Some(old.euid) == root && Some(self.euid) != root {
                self.effective = CapabilitySet::EMPTY;
            }
            if Some(old.euid) != root && Some(self.euid) == root {
                self.effective = self.permitted;
            }
        }
        self.follow_fsuid(old);
    }

    /// Adjusts the file capabilities after the file-system user id changed.
    pub fn follow_fsuid(&mut self, old: &Credentials) {
        if old.secure_bits.contains(SecureBits::NO_SETUID_FIXUP) {
            return;
        }
        let root = old.root_id();
        if Some(old.fsuid) == root && Some(self.fsuid) != root {
            self.effective.0 &= !FILE_CAPABILITIES.0;
        }
        if Some(old.fsuid) != root && Some(self.fsuid) == root {
            self.effective.0 |= self.permitted.0 & FILE_CAPABILITIES.0;
        }
    }
}
