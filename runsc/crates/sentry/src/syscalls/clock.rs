//! Reading clocks: `man 2 clock_gettime`, `man 2 gettimeofday`, `man 2 time`, `man 2 times`,
//! `man 2 adjtimex`. Nobody here can set one: the clocks are the host's.

use abi::Errno;
use abi::raw::general as nr;
use abi::time::{Timespec, Timeval, Timex, Timezone, Tms};

use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::time::NANOS_PER_SEC;
use crate::time::clock_id::ClockId;

const HOST_CLOCK: &str = "the clocks are the host's: EPERM even with CAP_SYS_TIME";

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_clock_gettime, "clock_gettime", clock_gettime),
    Call::full(nr::__NR_clock_getres, "clock_getres", clock_getres),
    Call::partial(
        nr::__NR_clock_settime,
        "clock_settime",
        clock_settime,
        HOST_CLOCK,
    ),
    Call::full(nr::__NR_gettimeofday, "gettimeofday", gettimeofday),
    Call::partial(
        nr::__NR_settimeofday,
        "settimeofday",
        settimeofday,
        HOST_CLOCK,
    ),
    Call::full(nr::__NR_time, "time", time),
    Call::full(nr::__NR_times, "times", times),
    Call::partial(nr::__NR_adjtimex, "adjtimex", adjtimex, HOST_CLOCK),
    Call::partial(
        nr::__NR_clock_adjtime,
        "clock_adjtime",
        clock_adjtime,
        HOST_CLOCK,
    ),
];

fn clock_gettime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (clock, to): (_, UserPtr<Timespec>) = (ClockId::decode(args.i32(0))?, args.ptr(1));
    let now_ns = clock.now(task)?;
    task.kernel().vdso.touch();
    to.write(&task.mm(), &Timespec::from_nanos(now_ns))?;
    Ok(0)
}

fn clock_getres(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (clock, to): (_, UserPtr<Timespec>) = (ClockId::decode(args.i32(0))?, args.ptr(1));
    if clock.is_cpu() {
        clock.now(task)?;
    }
    if !to.is_null() {
        to.write(&task.mm(), &Timespec::from_nanos(clock.resolution_ns()))?;
    }
    Ok(0)
}

fn clock_settime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (clock, from): (_, UserPtr<Timespec>) = (ClockId::decode(args.i32(0))?, args.ptr(1));
    from.read(&task.mm())?.to_nanos().ok_or(Errno::EINVAL)?;
    Err(match clock {
        ClockId::Realtime | ClockId::Process { .. } | ClockId::Thread { .. } => Errno::EPERM,
        _ => Errno::EINVAL,
    }
    .into())
}

fn gettimeofday(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (time, zone): (UserPtr<Timeval>, UserPtr<Timezone>) = (args.ptr(0), args.ptr(1));
    let mm = task.mm();
    if !time.is_null() {
        task.kernel().vdso.touch();
        let now_ns = task.kernel().clock().realtime_ns();
        time.write(&mm, &Timeval::from_nanos(now_ns))?;
    }
    if !zone.is_null() {
        zone.write(&mm, &Timezone::default())?;
    }
    Ok(0)
}

fn settimeofday(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (time, zone): (UserPtr<Timeval>, UserPtr<Timezone>) = (args.ptr(0), args.ptr(1));
    let mm = task.mm();
    if !time.is_null() {
        time.read(&mm)?.to_nanos().ok_or(Errno::EINVAL)?;
    }
    if !zone.is_null() {
        zone.read(&mm)?;
    }
    Err(Errno::EPERM.into())
}

fn time(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let to: UserPtr<u64> = args.ptr(0);
    let seconds = task.kernel().clock().realtime_ns() / NANOS_PER_SEC;
    if !to.is_null() {
        to.write(&task.mm(), &seconds)?;
    }
    Ok(seconds)
}

/// Nanoseconds in a clock tick (`sysconf(_SC_CLK_TCK)` is 100).
const NANOS_PER_TICK: u64 = NANOS_PER_SEC / 100;

fn times(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let to: UserPtr<Tms> = args.ptr(0);
    if !to.is_null() {
        let (user_ns, system_ns) = task.group().cpu_time();
        let children = task.group().children_usage();
        let ticks = |ns: u64| (ns / NANOS_PER_TICK).cast_signed();
        let value = Tms {
            utime: ticks(user_ns),
            stime: ticks(system_ns),
            cutime: ticks(children.user_ns),
            cstime: ticks(children.system_ns),
        };
        to.write(&task.mm(), &value)?;
    }
    Ok(task.kernel().clock().monotonic_ns() / NANOS_PER_TICK)
}

fn adjtimex(task: &Task, args: &SyscallArgs) -> SyscallResult {
    read_discipline(task, args.ptr(0))
}

fn clock_adjtime(task: &Task, args: &SyscallArgs) -> SyscallResult {
    match ClockId::decode(args.i32(0))? {
        ClockId::Realtime => read_discipline(task, args.ptr(1)),
        _ => Err(Errno::EOPNOTSUPP.into()),
    }
}

/// What the clock's discipline looks like: one that nobody has synchronised.
fn read_discipline(task: &Task, at: UserPtr<Timex>) -> SyscallResult {
    const STA_UNSYNC: i32 = 0x40;
    const TIME_ERROR: u64 = 5;
    const ADJ_OFFSET_SS_READ: u32 = 0xa001;
    let mm = task.mm();
    let modes = at.read(&mm)?.modes;
    if modes != 0 && modes != ADJ_OFFSET_SS_READ {
        return Err(Errno::EPERM.into());
    }
    let value = Timex {
        modes,
        maxerror: 16_000_000,
        esterror: 16_000_000,
        status: STA_UNSYNC,
        constant: 2,
        precision: 1,
        tolerance: 32_768_000,
        time: Timeval::from_nanos(task.kernel().clock().realtime_ns()),
        tick: 10_000,
        ..Timex::default()
    };
    at.write(&mm, &value)?;
    Ok(TIME_ERROR)
}
