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
        /// What it forbids can't be allowed again.
        const LOCKED_FLAGS = 1 << 29;
        /// Both locks.
        const LOCKS = 3 << 29;
        /// What a mount may forbid.
        const RESTRICTIONS = 1 | 2 | 4 | 8;
    }
}

impl MountFlags {
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
