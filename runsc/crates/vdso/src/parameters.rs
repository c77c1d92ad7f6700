//! The page that the functions read: a sequence lock around what turns the time-stamp counter into time.
//!
//! A clock shows `base + ((tsc - tsc_base) * multiplier >> 32)` nanoseconds. A writer makes the sequence odd,
//! writes, and makes it even again; a reader that finds it odd, or changed, reads again.

/// Bytes of the page.
pub const PAGE_LEN: usize = 4096;
/// How far the image lies above the page.
pub const BELOW_IMAGE: usize = PAGE_LEN;

/// `u32`: the sequence.
pub const SEQUENCE_AT: usize = 0;
/// `u32`: [`MODE_CALL`] or [`MODE_TSC`].
pub const MODE_AT: usize = 4;
/// `u64`: the counter at the bases.
pub const TSC_BASE_AT: usize = 8;
/// `u64`: nanoseconds per tick, times 2³².
pub const MULTIPLIER_AT: usize = 16;
/// `u64`: nanoseconds of `CLOCK_MONOTONIC` at the base.
pub const MONOTONIC_AT: usize = 24;
/// `u64`: nanoseconds of `CLOCK_REALTIME` at the base.
pub const REALTIME_AT: usize = 32;
/// `u64`: nanoseconds of `CLOCK_BOOTTIME` at the base.
pub const BOOTTIME_AT: usize = 40;
/// `u32`: 1 if `rdtscp` tells the processor's number, so that `getcpu` needs no call.
pub const CPU_MODE_AT: usize = 48;

/// The functions make the system call.
pub const MODE_CALL: u32 = 0;
/// The functions read the counter.
pub const MODE_TSC: u32 = 1;

/// The multiplier's binary places.
pub const SHIFT: u32 = 32;
