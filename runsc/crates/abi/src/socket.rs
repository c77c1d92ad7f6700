//! Sockets (`man 2 socket`, `man 7 socket`, `man 7 unix`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `AF_UNSPEC`
pub const AF_UNSPEC: u16 = 0;
/// `AF_UNIX`
pub const AF_UNIX: u16 = 1;
/// `AF_INET`
pub const AF_INET: u16 = 2;
/// `AF_INET6`
pub const AF_INET6: u16 = 10;
/// `AF_NETLINK`
pub const AF_NETLINK: u16 = 16;
/// Families have numbers below this.
pub const AF_MAX: i32 = 46;

/// Type bits of the second argument of `socket(2)`.
pub const SOCK_TYPE_MASK: u32 = 0xf;
/// `SOCK_STREAM`
pub const SOCK_STREAM: i32 = 1;
/// `SOCK_DGRAM`
pub const SOCK_DGRAM: i32 = 2;
/// `SOCK_RAW`
pub const SOCK_RAW: i32 = 3;
/// `SOCK_SEQPACKET`
pub const SOCK_SEQPACKET: i32 = 5;
/// Types run up to this.
pub const SOCK_MAX: i32 = 11;

/// `SOL_SOCKET`
pub const SOL_SOCKET: i32 = 1;
/// `SOL_NETLINK`
pub const SOL_NETLINK: i32 = 270;
/// `SCM_RIGHTS`
pub const SCM_RIGHTS: i32 = 1;
/// `SCM_CREDENTIALS`
pub const SCM_CREDENTIALS: i32 = 2;
/// `SCM_PIDFD`
pub const SCM_PIDFD: i32 = 4;
/// Most descriptors in one message.
pub const SCM_MAX_FD: usize = 253;

/// Longest socket address (`struct sockaddr_storage`).
pub const ADDRESS_MAX: usize = 128;
/// Length of a `struct sockaddr_un`.
pub const SOCKADDR_UN_LEN: usize = 110;

/// `struct msghdr`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Msghdr {
    /// Address of the name.
    pub name: u64,
    /// Its length.
    pub name_len: u32,
    /// Padding.
    pub pad: u32,
    /// Address of the vector.
    pub iov: u64,
    /// Its entries.
    pub iov_len: u64,
    /// Address of ancillary data.
    pub control: u64,
    /// Its length.
    pub control_len: u64,
    /// Flags of what was received.
    pub flags: u32,
    /// Padding.
    pub pad2: u32,
}

/// `struct mmsghdr`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Mmsghdr {
    /// The message.
    pub header: Msghdr,
    /// Bytes that were moved.
    pub len: u32,
    /// Padding.
    pub pad: u32,
}

/// `struct cmsghdr`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Cmsghdr {
    /// Length with this header.
    pub len: u64,
    /// `SOL_SOCKET` and the like.
    pub level: i32,
    /// `SCM_RIGHTS` and the like.
    pub kind: i32,
}

/// `struct ucred`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Ucred {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// `struct linger`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Linger {
    /// Whether it is on.
    pub on: i32,
    /// Seconds.
    pub seconds: i32,
}
