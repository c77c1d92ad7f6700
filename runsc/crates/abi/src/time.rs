//! Structures of times (`man 3 timespec`, `man 3 timeval`, `man 3 itimerspec`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct timespec`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Timespec {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nsec: i64,
}

/// `struct timeval`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Timeval {
    /// Seconds.
    pub sec: i64,
    /// Microseconds, 0 to 999,999.
    pub usec: i64,
}

/// `struct itimerspec`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Itimerspec {
    /// Period.
    pub interval: Timespec,
    /// First expiry.
    pub value: Timespec,
}

/// `struct itimerval`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Itimerval {
    /// Period.
    pub interval: Timeval,
    /// First expiry.
    pub value: Timeval,
}

/// Nanoseconds in a second.
pub const NANOS_PER_SEC: u64 = 1_000_000_000;

impl Timespec {
    /// Of a number of nanoseconds.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Timespec {
        Timespec {
            sec: (nanos / NANOS_PER_SEC).cast_signed(),
            nsec: (nanos % NANOS_PER_SEC).cast_signed(),
        }
    }

    /// In nanoseconds, saturating; none if negative or the nanoseconds are out of range (EINVAL).
    #[must_use]
    pub fn to_nanos(self) -> Option<u64> {
        let sec = u64::try_from(self.sec).ok()?;
        let nsec = u64::try_from(self.nsec)
            .ok()
            .filter(|nsec| *nsec < NANOS_PER_SEC)?;
        Some(sec.saturating_mul(NANOS_PER_SEC).saturating_add(nsec))
    }
}

impl Timeval {
    /// Of a number of nanoseconds, rounded down.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Timeval {
        Timeval {
            sec: (nanos / NANOS_PER_SEC).cast_signed(),
            usec: (nanos % NANOS_PER_SEC / 1000).cast_signed(),
        }
    }

    /// In nanoseconds, saturating; none if negative or the microseconds are out of range (EINVAL).
    #[must_use]
    pub fn to_nanos(self) -> Option<u64> {
        let sec = u64::try_from(self.sec).ok()?;
        let usec = u64::try_from(self.usec)
            .ok()
            .filter(|usec| *usec < 1_000_000)?;
        Some(
            sec.saturating_mul(NANOS_PER_SEC)
                .saturating_add(usec * 1000),
        )
    }
}
