//! getrusage, and how its structure is filled.

use abi::Errno;
use mm::AddressSpace;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::thread_group::Usage;
use crate::syscalls::declare::calls;

calls! {
    98 getrusage(who: i32 as OneOf(process::RUSAGE), usage: UserPtr<Rusage> as Out(process::rusage))
        => partial("block I/O and involuntary switches are not counted") [
            "wait::rusage_is_filled",
            "mmap::large_pages_flags_are_accepted_or_refused",
        ];
}

/// `struct rusage`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct Rusage {
    user_seconds: i64,
    user_microseconds: i64,
    system_seconds: i64,
    system_microseconds: i64,
    max_resident_kib: i64,
    unused: [i64; 3],
    minor_faults: i64,
    major_faults: i64,
    swaps: i64,
    in_blocks: i64,
    out_blocks: i64,
    messages: [i64; 2],
    signals: i64,
    voluntary_switches: i64,
    involuntary_switches: i64,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl From<&Usage> for Rusage {
    fn from(usage: &Usage) -> Rusage {
        let seconds = |ns: u64| signed(ns / 1_000_000_000);
        let microseconds = |ns: u64| signed(ns % 1_000_000_000 / 1000);
        Rusage {
            user_seconds: seconds(usage.user_ns),
            user_microseconds: microseconds(usage.user_ns),
            system_seconds: seconds(usage.system_ns),
            system_microseconds: microseconds(usage.system_ns),
            max_resident_kib: signed(usage.max_resident / 1024),
            minor_faults: signed(usage.minor_faults),
            voluntary_switches: signed(usage.voluntary_switches),
            ..Rusage::new_zeroed()
        }
    }
}

/// Stores `usage` at `address` unless that is NULL.
pub(super) fn write_if_wanted(mm: &AddressSpace, to: UserPtr<Rusage>, usage: &Usage) -> Result<()> {
    if to.is_null() {
        Ok(())
    } else {
        to.write(mm, &Rusage::from(usage))
    }
}

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;

fn getrusage(task: &Task, who: i32, usage: UserPtr<Rusage>) -> SyscallResult {
    let used = match who {
        RUSAGE_SELF => task.group().usage(),
        RUSAGE_CHILDREN => task.group().children_usage(),
        RUSAGE_THREAD => {
            let (user_ns, system_ns) = task.cpu_time();
            Usage {
                user_ns,
                system_ns,
                ..Usage::default()
            }
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    usage.write(&task.mm(), &Rusage::from(&used))?;
    Ok(0)
}
