//! The flags of one mount, as opposed to those of its file system.

use bitflags::bitflags;

bitflags! {
    /// Per-mount flags, with the numbers of `statvfs(3)`'s `f_flag` where it has them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct MountFlags: u32 {
        /// ST_RDONLY
        const READ_ONLY = 1;
        /// ST_NOSUID
        const NO_SUID = 2;
        /// ST_NODEV
        const NO_DEV = 4;
        /// ST_NOEXEC
        const NO_EXEC = 8;
        /// ST_NOATIME
        const NO_ATIME = 1024;
        /// ST_NODIRATIME
        const NO_DIR_ATIME = 2048;
        /// ST_RELATIME
        const RELATIME = 4096;
        /// ST_NOSYMFOLLOW
        const NO_SYMLINK_FOLLOW = 8192;
        /// Hides something from those it was copied for: it can't be taken off or moved.
        const LOCKED = 1 << 30;
        /// It stays read-only.
        const LOCK_READ_ONLY = 1 << 24;
        /// It stays without set-ID bits.
        const LOCK_NO_SUID = 1 << 25;
        /// It stays without devices.
        const LOCK_NO_DEV = 1 << 26;
        /// It stays without execution.
        const LOCK_NO_EXEC = 1 << 27;
        /// When access times change stays as it is.
        const LOCK_ATIME = 1 << 28;
        /// All locks.
        const LOCKS = 1 << 30 | 0x1f << 24;
        /// When access times change.
        const ATIME = 1024 | 2048 | 4096;
    }
}

/// What a mount may forbid, each with the lock that keeps it.
const RESTRICTIONS: [(MountFlags, MountFlags); 4] = [
    (MountFlags::READ_ONLY, MountFlags::LOCK_READ_ONLY),
    (MountFlags::NO_SUID, MountFlags::LOCK_NO_SUID),
    (MountFlags::NO_DEV, MountFlags::LOCK_NO_DEV),
    (MountFlags::NO_EXEC, MountFlags::LOCK_NO_EXEC),
];

impl MountFlags {
    /// The locks that keep what it has now from those it is copied for.
    #[must_use]
    pub fn own_locks(self) -> MountFlags {
        RESTRICTIONS
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .fold(MountFlags::LOCK_ATIME, |locks, (_, lock)| locks | *lock)
    }

    /// Whether its locks let it become `new`.
    #[must_use]
    pub fn may_become(self, new: MountFlags) -> bool {
        let keeps = RESTRICTIONS
            .iter()
            .all(|(flag, lock)| !self.contains(*lock) || new.contains(*flag));
        keeps && self.keeps_access_times(new)
    }

    fn keeps_access_times(self, new: MountFlags) -> bool {
        let times = |flags: MountFlags| flags & MountFlags::ATIME;
        !self.contains(MountFlags::LOCK_ATIME) || times(self) == times(new)
    }

    /// Whether a new mount of the same type, with the flags `new`, allows no more than this one, as far as that
    /// is locked; the locks that the new one takes over.
    #[must_use]
    pub fn covers(self, new: MountFlags) -> Option<MountFlags> {
        let read_only =
            !self.contains(MountFlags::LOCK_READ_ONLY) || new.contains(MountFlags::READ_ONLY);
        let locks = self & (MountFlags::LOCK_READ_ONLY | MountFlags::LOCK_ATIME);
        (read_only && self.keeps_access_times(new)).then_some(locks)
    }

    /// As `/proc/mounts` prints them: `rw,nosuid,relatime`.
    #[must_use]
    pub fn text(self) -> String {
        let names = [
            (MountFlags::NO_SUID, ",nosuid"),
            (MountFlags::NO_DEV, ",nodev"),
            (MountFlags::NO_EXEC, ",noexec"),
            (MountFlags::NO_ATIME, ",noatime"),
            (MountFlags::NO_DIR_ATIME, ",nodiratime"),
            (MountFlags::RELATIME, ",relatime"),
            (MountFlags::NO_SYMLINK_FOLLOW, ",nosymfollow"),
        ];
        let access = if self.contains(MountFlags::READ_ONLY) {
            "ro"
        } else {
            "rw"
        };
        let mut text = String::from(access);
        for (_, name) in names.iter().filter(|(flag, _)| self.contains(*flag)) {
            text.push_str(name);
        }
        text
    }
}
