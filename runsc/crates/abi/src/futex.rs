//! Structures and numbers of futexes (`man 2 futex`, `man 2 futex_waitv`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The bits of a futex word that hold the owner's thread id.
pub const TID_MASK: u32 = 0x3fff_ffff;
/// Someone waits in the kernel.
pub const WAITERS: u32 = 0x8000_0000;
/// The owner died without unlocking.
pub const OWNER_DIED: u32 = 0x4000_0000;
/// Entries of a robust list that are looked at.
pub const ROBUST_LIST_LIMIT: usize = 2048;
/// Futexes that `futex_waitv` takes.
pub const WAITV_MAX: usize = 128;
/// Every bit set: what calls without a bitset use.
pub const BITSET_ANY: u32 = u32::MAX;

/// `struct robust_list_head`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct RobustListHead {
    /// The first entry; the head itself if there is none. Bit 0: a PI futex.
    pub next: u64,
    /// From an entry to its futex word.
    pub futex_offset: i64,
    /// The entry that is being locked or unlocked.
    pub pending: u64,
}

/// `struct futex_waitv`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct FutexWaitv {
    /// The value expected there.
    pub value: u64,
    /// The address.
    pub address: u64,
    /// `FUTEX2_*`
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// `FUTEX2_SIZE_U32`
pub const FUTEX2_SIZE_U32: u32 = 2;
/// `FUTEX2_SIZE_MASK`
pub const FUTEX2_SIZE_MASK: u32 = 3;
/// `FUTEX2_PRIVATE`
pub const FUTEX2_PRIVATE: u32 = 128;
