//! Scheduling: policies, affinity, yielding (`man 7 sched`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

const NOT_SCHEDULED: &str = "the values do not reach the host's scheduler";

calls! {
    24 sched_yield() => full ["limits::yield_succeeds", "torture::dropped_page_is_zero_at_once"];
    204 sched_getaffinity(pid: i32, room: usize, mask: UserPtr<u8> as After(id::mask_out))
        => full ["limits::affinity_errors", "procfs::processors"];
    203 sched_setaffinity(pid: i32, size: usize, mask: UserPtr<u8> as Before(id::mask_in))
        => full ["limits::affinity_errors", "limits::affinity"];
    145 sched_getscheduler(pid: i32)
        => partial(NOT_SCHEDULED) ["limits::scheduling_policy", "limits::scheduling_errors"];
    144 sched_setscheduler(
        pid: i32,
        policy: i32 as OneOf(process::SCHED),
        priority: UserPtr<i32> as In(id::int),
    )
        => partial(NOT_SCHEDULED) ["limits::scheduling_policy", "limits::scheduling_errors"];
    143 sched_getparam(pid: i32, priority: UserPtr<i32> as Out(id::int))
        => partial(NOT_SCHEDULED) ["limits::scheduling_policy"];
    142 sched_setparam(pid: i32, priority: UserPtr<i32> as In(id::int)) => partial(NOT_SCHEDULED);
    146 sched_get_priority_max(policy: i32 as OneOf(process::SCHED))
        => full ["limits::scheduling_policy", "limits::scheduling_errors"];
    147 sched_get_priority_min(policy: i32 as OneOf(process::SCHED)) => full ["limits::scheduling_policy"];
    148 sched_rr_get_interval(pid: i32, interval: UserPtr<Timespec> as Out(time::timespec))
        => partial(NOT_SCHEDULED) ["limits::scheduling_policy"];
    309 getcpu(
        cpu: UserPtr<u32> as Out(id::unsigned),
        node: UserPtr<u32> as Out(id::unsigned),
        cache: UserPtr<u8>,
    )
        => full ["time::getcpu_is_plausible"];
    314 sched_setattr(pid: i32, attributes: UserPtr<u8>, flags: u32 as Hex)
        => partial("SCHED_DEADLINE is EPERM; the values do not reach the host's scheduler");
    315 sched_getattr(pid: i32, attributes: UserPtr<u8>, size: u32, flags: u32 as Hex)
        => partial(NOT_SCHEDULED) ["limits::scheduling_policy"];
}

const SCHED_FIFO: i32 = 1;
const SCHED_RR: i32 = 2;
const SCHED_RESET_ON_FORK: i32 = 0x4000_0000;
/// `SCHED_RR`'s time slice on Linux, in nanoseconds.
const RR_INTERVAL_NS: i64 = 100_000_000;

fn sched_yield(_task: &Task) -> SyscallResult {
    std::thread::yield_now();
    Ok(0)
}

fn target(task: &Task, pid: i32) -> Result<Arc<Task>> {
    let pid = u32::try_from(pid).map_err(|_| Errno::EINVAL)?;
    task.pid_namespace()
        .task(if pid == 0 { task.tid() } else { pid })
        .ok_or(Errno::ESRCH)
}

/// The processors as a bit mask in words.
fn all_processors(task: &Task) -> Vec<u64> {
    let count = task.kernel().processors();
    let word = |n: usize| match count.saturating_sub(n * 64) {
        left if left >= 64 => u64::MAX,
        left => (1 << left) - 1,
    };
    (0..count.div_ceil(64)).map(word).collect()
}

fn sched_getaffinity(task: &Task, pid: i32, room: usize, mask: UserPtr<u8>) -> SyscallResult {
    let all = all_processors(task);
    if room < all.len() * 8 || !room.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let chosen = target(task, pid)?.own.lock().affinity.clone();
    let processors = if chosen.is_empty() { all } else { chosen };
    let bytes: Vec<u8> = processors
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    task.mm().write_bytes(mask.address(), &bytes)?;
    Ok(bytes.len() as u64)
}

fn sched_setaffinity(task: &Task, pid: i32, size: usize, mask: UserPtr<u8>) -> SyscallResult {
    let all = all_processors(task);
    let mut bytes = vec![0; all.len() * 8];
    let given = size.min(bytes.len());
    mask.read_bytes(&task.mm(), &mut bytes[..given])?;
    let target = target(task, pid)?;
    check_owner(task, &target)?;
    let words = bytes
        .chunks_exact(8)
        .map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    let mask: Vec<u64> = words.zip(&all).map(|(word, all)| word & all).collect();
    if mask.iter().all(|word| *word == 0) {
        return Err(Errno::EINVAL.into());
    }
    target.own.lock().affinity = mask;
    target.affinity_changed.store(true, Ordering::Release);
    if !std::ptr::eq(task, Arc::as_ptr(&target)) {
        target.kick();
    }
    Ok(0)
}

fn check_owner(task: &Task, target: &Task) -> Result<()> {
    let (mine, theirs) = (task.credentials(), target.credentials());
    let owner = mine.euid == theirs.euid || mine.euid == theirs.uid;
    if owner || mine.has(Capability::SysNice) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn sched_getscheduler(task: &Task, pid: i32) -> SyscallResult {
    Ok(u64::from(
        target(task, pid)?.own.lock().policy.unsigned_abs(),
    ))
}

fn sched_setscheduler(task: &Task, pid: i32, policy: i32, priority: UserPtr<i32>) -> SyscallResult {
    if priority.is_null() || policy < 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority: i32 = priority.read(&task.mm())?;
    set_policy(task, pid, Some(policy), priority)
}

fn sched_setparam(task: &Task, pid: i32, priority: UserPtr<i32>) -> SyscallResult {
    if priority.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let priority: i32 = priority.read(&task.mm())?;
    set_policy(task, pid, None, priority)
}

fn set_policy(task: &Task, pid: i32, policy: Option<i32>, priority: i32) -> SyscallResult {
    let target = target(task, pid)?;
    let policy = policy.unwrap_or_else(|| target.own.lock().policy);
    let range = priorities(policy & !SCHED_RESET_ON_FORK).ok_or(Errno::EINVAL)?;
    if !range.contains(&priority) {
        return Err(Errno::EINVAL.into());
    }
    check_owner(task, &target)?;
    let limit = i32::try_from(task.group().limits().get(Resource::RealtimePriority).soft)
        .unwrap_or(i32::MAX);
    let mut own = target.own.lock();
    let raises = priority > own.priority && priority > limit;
    if raises && !task.has_capability(Capability::SysNice) {
        return Err(Errno::EPERM.into());
    }
    own.policy = policy;
    own.priority = priority;
    Ok(0)
}

fn sched_getparam(task: &Task, pid: i32, priority: UserPtr<i32>) -> SyscallResult {
    if priority.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let present = target(task, pid)?.own.lock().priority;
    priority.write(&task.mm(), &present)?;
    Ok(0)
}

/// The priorities of a policy: 1 to 99 for the real-time ones, 0 for other, batch, idle and deadline.
fn priorities(policy: i32) -> Option<std::ops::RangeInclusive<i32>> {
    match policy {
        SCHED_FIFO | SCHED_RR => Some(1..=99),
        0 | 3 | 5 | 6 => Some(0..=0),
        _ => None,
    }
}

fn sched_get_priority_max(_task: &Task, policy: i32) -> SyscallResult {
    let range = priorities(policy).ok_or(Errno::EINVAL)?;
    Ok(u64::from(range.end().unsigned_abs()))
}

fn sched_get_priority_min(_task: &Task, policy: i32) -> SyscallResult {
    let range = priorities(policy).ok_or(Errno::EINVAL)?;
    Ok(u64::from(range.start().unsigned_abs()))
}

fn sched_rr_get_interval(task: &Task, pid: i32, interval: UserPtr<Timespec>) -> SyscallResult {
    let target = target(task, pid)?;
    let round_robin = target.own.lock().policy & !SCHED_RESET_ON_FORK == SCHED_RR;
    let nsec = if round_robin { RR_INTERVAL_NS } else { 0 };
    interval.write(&task.mm(), &Timespec { sec: 0, nsec })?;
    Ok(0)
}

fn getcpu(
    task: &Task,
    cpu: UserPtr<u32>,
    node: UserPtr<u32>,
    _cache: UserPtr<u8>,
) -> SyscallResult {
    let mm = task.mm();
    if !cpu.is_null() {
        cpu.write(&mm, &host::cpu::current())?;
    }
    if !node.is_null() {
        node.write(&mm, &0_u32)?;
    }
    Ok(0)
}

/// `struct sched_attr` (`man 2 sched_setattr`).
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    utilization_min: u32,
    utilization_max: u32,
}

/// Bytes of its first version, and of this one.
const ATTRIBUTES_MIN: usize = 48;
const ATTRIBUTES_LEN: usize = size_of::<Attributes>();

const SCHED_DEADLINE: u32 = 6;
const FLAG_RESET_ON_FORK: u64 = 1;
const FLAG_KEEP_POLICY: u64 = 8;
const FLAG_KEEP_PARAMS: u64 = 0x10;
/// All flags, with RECLAIM, `DL_OVERRUN` and those for utilisation clamps.
const FLAGS_KNOWN: u64 = 0x7f;

fn sched_getattr(
    task: &Task,
    pid: i32,
    attributes: UserPtr<u8>,
    size: u32,
    flags: u32,
) -> SyscallResult {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let valid = (ATTRIBUTES_MIN..=abi::PAGE_SIZE).contains(&size);
    if !valid || flags != 0 || attributes.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let target = target(task, pid)?;
    let len = size.min(ATTRIBUTES_LEN);
    let own = target.own.lock().clone();
    let resets = own.policy & SCHED_RESET_ON_FORK != 0;
    let present = Attributes {
        size: u32::try_from(len).unwrap_or(0),
        policy: (own.policy & !SCHED_RESET_ON_FORK).unsigned_abs(),
        flags: if resets { FLAG_RESET_ON_FORK } else { 0 },
        nice: own.nice.into(),
        priority: own.priority.unsigned_abs(),
        utilization_max: 1024,
        ..Attributes::default()
    };
    task.mm()
        .write_bytes(attributes.address(), &present.as_bytes()[..len])?;
    Ok(0)
}

/// Reads the structure, whose size tells its version; E2BIG for one with more in it than is known here.
fn read_attributes(task: &Task, address: usize) -> Result<Attributes> {
    let mm = task.mm();
    let size: u32 = mm.read_value(address)?;
    let size = match usize::try_from(size).unwrap_or(usize::MAX) {
        0 => ATTRIBUTES_MIN,
        size => size,
    };
    let too_big = || {
        // The caller learns the size that would do.
        let len = u32::try_from(ATTRIBUTES_LEN).unwrap_or(0);
        let _ = mm.write_value(address, &len);
        Err(Errno::E2BIG)
    };
    if !(ATTRIBUTES_MIN..=abi::PAGE_SIZE).contains(&size) {
        return too_big();
    }
    let mut bytes = vec![0; size.max(ATTRIBUTES_LEN)];
    mm.read_bytes(address, &mut bytes[..size])?;
    if bytes[ATTRIBUTES_LEN..].iter().any(|byte| *byte != 0) {
        return too_big();
    }
    let (attributes, _) = Attributes::read_from_prefix(&bytes).map_err(|_| Errno::EINVAL)?;
    Ok(attributes)
}

fn sched_setattr(task: &Task, pid: i32, attributes: UserPtr<u8>, flags: u32) -> SyscallResult {
    if attributes.is_null() || pid < 0 || flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let given = read_attributes(task, attributes.address())?;
    if given.flags & !FLAGS_KNOWN != 0 || given.policy.cast_signed() < 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = target(task, pid)?;
    let (policy, priority) = {
        let own = target.own.lock();
        let keeps = given.flags & FLAG_KEEP_POLICY != 0;
        let policy = if keeps {
            own.policy & !SCHED_RESET_ON_FORK
        } else {
            given.policy.cast_signed()
        };
        let priority = if given.flags & FLAG_KEEP_PARAMS == 0 {
            i32::try_from(given.priority).map_err(|_| Errno::EINVAL)?
        } else {
            own.priority
        };
        (policy, priority)
    };
    if policy.unsigned_abs() == SCHED_DEADLINE {
        return Err(Errno::EPERM.into());
    }
    let reset = if given.flags & FLAG_RESET_ON_FORK == 0 {
        0
    } else {
        SCHED_RESET_ON_FORK
    };
    set_policy(task, pid, Some(policy | reset), priority)?;
    if given.flags & FLAG_KEEP_PARAMS == 0 && priorities(policy) == Some(0..=0) {
        let nice = i8::try_from(given.nice.clamp(-20, 19)).unwrap_or(0);
        set_nice(task, &target, nice)?;
    }
    Ok(0)
}

/// Lower values need `CAP_SYS_NICE` or room below `RLIMIT_NICE`; EPERM.
fn set_nice(task: &Task, target: &Task, nice: i8) -> Result<()> {
    let limit = target.group().limits().get(Resource::Nice).soft;
    let mut own = target.own.lock();
    let wanted = u64::try_from(20 - i32::from(nice)).unwrap_or(0);
    if nice < own.nice && wanted > limit && !task.has_capability(Capability::SysNice) {
        return Err(Errno::EPERM);
    }
    own.nice = nice;
    Ok(())
}
