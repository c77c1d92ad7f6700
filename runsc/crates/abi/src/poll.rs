//! `poll(2)`, `select(2)` and `epoll(7)`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct pollfd`
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; negative: skip the entry.
    pub fd: i32,
    /// What is asked for.
    pub events: u16,
    /// What there is.
    pub revents: u16,
}

/// `struct epoll_event`: packed on x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, packed)]
pub struct EpollEvent {
    /// Events and modes.
    pub events: u32,
    /// The application's own mark.
    pub data: u64,
}

/// What `pselect6` takes for its sixth argument: a mask and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SizedSigset {
    /// The address of the mask; 0: none.
    pub address: u64,
    /// Its size in bytes.
    pub len: u64,
}
