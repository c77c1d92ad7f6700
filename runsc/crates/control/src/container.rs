//! A container as the kernel sees it: the spec, resolved and validated, in the kernel's own terms.

use std::collections::BTreeMap;

use std::fmt;

use serde::{Deserialize, Serialize};

/// One container to be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// `uname`'s nodename.
    pub hostname: String,
    /// `uname`'s domainname, empty for none.
    pub domainname: String,
    /// The init process.
    pub process: Process,
    /// Its root file system.
    pub root: Root,
    /// What is mounted on it, in order.
    pub mounts: Vec<Mount>,
    /// Paths that are made unreadable.
    pub masked_paths: Vec<String>,
    /// Paths that are made read-only.
    pub read_only_paths: Vec<String>,
    /// What every process of it may call, if limited.
    pub seccomp: Option<SeccompProfile>,
    /// Kernel parameters: paths below `/proc/sys`.
    pub sysctl: BTreeMap<String, String>,
    /// Device nodes besides the standard ones.
    pub devices: Vec<Device>,
    /// Most bytes of memory, if limited.
    pub memory_limit_bytes: Option<u64>,
    /// Most tasks, if limited.
    pub pids_limit: Option<u64>,
    /// What limits its use of processors.
    pub cpu: CpuLimits,
    /// What the host's control groups say of its limits: files by name, which the container's own show too.
    pub group_files: BTreeMap<String, String>,
    /// What `/proc/cpuinfo` says of each processor, after its number.
    pub processor_description: String,
    /// Ids that differ between the guest's view and the gofer's; empty: none do.
    pub uid_map: Vec<IdentityMap>,
    /// The same for groups.
    pub gid_map: Vec<IdentityMap>,
}

/// A seccomp filter, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompProfile {
    /// Instructions, each a `struct sock_filter`.
    pub program: Vec<[u8; 8]>,
    /// Flags of `SECCOMP_SET_MODE_FILTER`.
    pub flags: u64,
}

/// What limits the use of processors; the host's control groups enforce it, the container's own show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuLimits {
    /// The weight, `cpu.shares`.
    pub shares: Option<u64>,
    /// Microseconds of processor time in each period; negative for no limit.
    pub quota_us: Option<i64>,
    /// The period in microseconds.
    pub period_us: Option<u64>,
    /// The processors, as a list of ranges; empty for all.
    pub cpus: String,
    /// The memory nodes; empty for all.
    pub mems: String,
}

/// A range of ids in the container's user namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityMap {
    /// First id in the container.
    pub container: u32,
    /// First id on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// A process to be run.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory, absolute.
    pub cwd: String,
    /// Who it runs as.
    pub user: User,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Its limits.
    pub rlimits: Vec<Rlimit>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Its standard descriptors are a terminal, its controlling one.
    pub terminal: bool,
    /// `/proc/self/oom_score_adj`.
    pub oom_score_adj: Option<i32>,
}

/// For logs: the environment by its names, since values are often secret.
impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |pair: &'_ String| pair.split('=').next().unwrap_or_default().to_owned();
        let names: Vec<String> = self.env.iter().map(name).collect();
        f.debug_struct("Process")
            .field("args", &self.args)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .field("capabilities", &self.capabilities)
            .field("rlimits", &self.rlimits)
            .field("no_new_privileges", &self.no_new_privileges)
            .field("terminal", &self.terminal)
            .field("oom_score_adj", &self.oom_score_adj)
            .finish()
    }
}

/// User and groups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub additional_gids: Vec<u32>,
    /// File mode creation mask.
    pub umask: Option<u32>,
}

/// Capability sets, bit N for capability N (`man 7 capabilities`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the sets of their names")]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

/// One resource limit (`man 2 getrlimit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// Soft limit; `u64::MAX` is none.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// The root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Which of the gofer's trees it is.
    pub tree: u32,
    /// Writes are refused.
    pub read_only: bool,
    /// What lies over it.
    pub overlay: Overlay,
    /// How mounts below it propagate; private when absent.
    pub propagation: Option<Propagation>,
}

/// How mounts below a mount propagate (`man 7 mount_namespaces`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// The type.
    pub kind: PropagationKind,
    /// The mounts below it too.
    pub recursive: bool,
}

/// Types of propagation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropagationKind {
    /// `MS_SHARED`
    Shared,
    /// `MS_SLAVE`
    Slave,
    /// `MS_PRIVATE`
    Private,
    /// `MS_UNBINDABLE`
    Unbindable,
}

/// A writable layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlay {
    /// None: writes go to the tree.
    #[default]
    None,
    /// One in memory, lost at the end.
    Memory,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, absolute.
    pub destination: String,
    /// What `/proc/mounts` calls the source; empty: the file system's type.
    pub source: String,
    /// What.
    pub kind: MountKind,
    /// How.
    pub flags: MountFlags,
    /// Changes of its propagation, in order.
    pub propagation: Vec<Propagation>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A tree of the gofer's: a directory or a single file of the host.
    Bind {
        /// Which tree.
        tree: u32,
        /// What lies over it.
        overlay: Overlay,
        /// It is a directory (else a file).
        directory: bool,
        /// Its path in the host's file system that it is a part of, which `/proc/[pid]/mountinfo` shows.
        root_name: String,
    },
    /// An in-memory file system.
    Tmpfs {
        /// Most bytes, if limited.
        size_bytes: Option<u64>,
        /// Most inodes, if limited.
        max_inodes: Option<u64>,
        /// Permissions of its root.
        mode: Option<u32>,
        /// Owner of its root.
        uid: Option<u32>,
        /// Group of its root.
        gid: Option<u32>,
        /// The tree of the gofer's that it starts with a copy of.
        copied: Option<u32>,
    },
    /// `/proc`.
    Proc,
    /// `/sys`.
    Sysfs,
    /// `/dev`, with the standard devices.
    Devtmpfs {
        /// Its type is `devtmpfs` (else it was asked for as a tmpfs, and is shown as one).
        shown_as_devtmpfs: bool,
        /// Most bytes, if limited.
        size_bytes: Option<u64>,
        /// Permissions of its root.
        mode: Option<u32>,
    },
    /// `/dev/pts`.
    Devpts {
        /// Permissions of terminals.
        mode: Option<u32>,
        /// Their owner, if not who opens them.
        uid: Option<u32>,
        /// Their group, if not that of who opens them.
        gid: Option<u32>,
        /// Permissions of `ptmx`.
        ptmx_mode: Option<u32>,
        /// Most terminals.
        max: Option<u32>,
    },
    /// POSIX message queues.
    Mqueue,
    /// Control groups.
    Cgroup {
        /// The one hierarchy of version 2; else a directory with those of version 1.
        unified: bool,
    },
}

/// Flags of a mount (`man 2 mount`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent flags of mount(2)"
)]
#[expect(missing_docs, reason = "the fields are the options of their names")]
pub struct MountFlags {
    pub read_only: bool,
    pub no_suid: bool,
    pub no_dev: bool,
    pub no_exec: bool,
    pub no_atime: bool,
    pub no_dir_atime: bool,
    pub relatime: bool,
    pub no_symlink_follow: bool,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Where, absolute.
    pub path: String,
    /// Character or block.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Kinds of device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// `S_IFCHR`
    Character,
    /// `S_IFBLK`
    Block,
    /// `S_IFIFO`
    Fifo,
}
