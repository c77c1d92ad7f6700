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

/// `struct timezone`, which nothing uses any more.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Timezone {
    /// Minutes west of Greenwich.
    pub minutes_west: i32,
    /// Daylight saving.
    pub dst_time: i32,
}

/// `struct tms` of `times(2)`, in clock ticks.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Tms {
    /// User time.
    pub utime: i64,
    /// System time.
    pub stime: i64,
    /// User time of children that were waited for.
    pub cutime: i64,
    /// System time of children that were waited for.
    pub cstime: i64,
}

/// `struct sigevent` (`man 7 sigevent`), as far as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Sigevent {
    /// `sigev_value`
    pub value: u64,
    /// `sigev_signo`
    pub signo: i32,
    /// `SIGEV_*`
    pub notify: i32,
    /// `sigev_notify_thread_id`
    pub thread_id: i32,
    /// Nothing.
    pub padding: [i32; 11],
}

/// `SIGEV_SIGNAL`
pub const SIGEV_SIGNAL: i32 = 0;
/// `SIGEV_NONE`
pub const SIGEV_NONE: i32 = 1;
/// `SIGEV_THREAD`
pub const SIGEV_THREAD: i32 = 2;
/// `SIGEV_THREAD_ID`
pub const SIGEV_THREAD_ID: i32 = 4;

/// `struct timex` of `adjtimex(2)`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[expect(missing_docs, reason = "the fields are those of man 2 adjtimex")]
pub struct Timex {
    pub modes: u32,
    pub pad0: u32,
    pub offset: i64,
    pub freq: i64,
    pub maxerror: i64,
    pub esterror: i64,
    pub status: i32,
    pub pad1: i32,
    pub constant: i64,
    pub precision: i64,
    pub tolerance: i64,
    pub time: Timeval,
    pub tick: i64,
    pub ppsfreq: i64,
    pub jitter: i64,
    pub shift: i32,
    pub pad2: i32,
    pub stabil: i64,
    pub jitcnt: i64,
    pub calcnt: i64,
    pub errcnt: i64,
    pub stbcnt: i64,
    pub tai: i32,
    pub padding: [i32; 11],
}

const _: () = assert!(size_of::<Sigevent>() == 64);
const _: () = assert!(size_of::<Timex>() == 208);
