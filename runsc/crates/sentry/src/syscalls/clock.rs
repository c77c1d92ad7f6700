//! Reading clocks: `man 2 clock_gettime`, `man 2 gettimeofday`, `man 2 time`, `man 2 times`,
//! `man 2 adjtimex`. Nobody here can set one: the clocks are the host's.

use abi::Errno;
use abi::time::{Timespec, Timeval, Timex, Timezone, Tms};
use mm::user_ptr::UserPtr;

use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;
use crate::time::NANOS_PER_SEC;
use crate::time::clock_id::ClockId;

const HOST_CLOCK: &str = "the clocks are the host's: EPERM even with CAP_SYS_TIME";

calls! {
    228 clock_gettime(clock: i32 as OneOf(time::CLOCK), to: UserPtr<Timespec> as Out(time::timespec))
        => full ["time::all_clocks_run", "time::vdso_agrees_with_the_calls"];
    229 clock_getres(clock: i32 as OneOf(time::CLOCK), to: UserPtr<Timespec> as Out(time::timespec))
        => full ["time::clock_resolution", "time::clock_errors"];
    227 clock_settime(clock: i32 as OneOf(time::CLOCK), from: UserPtr<Timespec> as In(time::timespec))
        => partial(HOST_CLOCK) ["time::setting_the_clock_needs_privilege"];
    96 gettimeofday(
        time: UserPtr<Timeval> as Out(time::timeval),
        zone: UserPtr<Timezone> as Out(time::timezone),
    )
        => full ["time::real_time_agrees_in_all_calls", "limits::times_of_day_and_zone"];
    164 settimeofday(
        time: UserPtr<Timeval> as In(time::timeval),
        zone: UserPtr<Timezone> as In(time::timezone),
    )
        => partial(HOST_CLOCK) ["time::setting_the_clock_needs_privilege"];
    201 time(to: UserPtr<u64> as Out(time::seconds)) => full ["time::real_time_agrees_in_all_calls"];
    100 times(to: UserPtr<Tms> as Out(time::tms)) => full ["time::times_and_ticks"];
    159 adjtimex(discipline: UserPtr<Timex> as Out(time::timex)) -> Print(time::state) => partial(HOST_CLOCK);
    305 clock_adjtime(
        clock: i32 as OneOf(time::CLOCK),
        discipline: UserPtr<Timex> as Out(time::timex),
    ) -> Print(time::state)
        => partial(HOST_CLOCK);
}

fn clock_gettime(task: &Task, clock: i32, to: UserPtr<Timespec>) -> SyscallResult {
    let clock = ClockId::decode(clock)?;
    let now_ns = clock.now(task)?;
    task.kernel().vdso.touch();
    to.write(&task.mm(), &Timespec::from_nanos(now_ns))?;
    Ok(0)
}

fn clock_getres(task: &Task, clock: i32, to: UserPtr<Timespec>) -> SyscallResult {
    let clock = ClockId::decode(clock)?;
    if clock.is_cpu() {
        clock.now(task)?;
    }
    if !to.is_null() {
        to.write(&task.mm(), &Timespec::from_nanos(clock.resolution_ns()))?;
    }
    Ok(0)
}

fn clock_settime(task: &Task, clock: i32, from: UserPtr<Timespec>) -> SyscallResult {
    let clock = ClockId::decode(clock)?;
    from.read(&task.mm())?.to_nanos().ok_or(Errno::EINVAL)?;
    Err(match clock {
        ClockId::Realtime | ClockId::Process { .. } | ClockId::Thread { .. } => Errno::EPERM,
        _ => Errno::EINVAL,
    }
    .into())
}

fn gettimeofday(task: &Task, time: UserPtr<Timeval>, zone: UserPtr<Timezone>) -> SyscallResult {
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

fn settimeofday(task: &Task, time: UserPtr<Timeval>, zone: UserPtr<Timezone>) -> SyscallResult {
    let mm = task.mm();
    if !time.is_null() {
        time.read(&mm)?.to_nanos().ok_or(Errno::EINVAL)?;
    }
    if !zone.is_null() {
        zone.read(&mm)?;
    }
    Err(Errno::EPERM.into())
}

fn time(task: &Task, to: UserPtr<u64>) -> SyscallResult {
    let seconds = task.kernel().clock().realtime_ns() / NANOS_PER_SEC;
    if !to.is_null() {
        to.write(&task.mm(), &seconds)?;
    }
    Ok(seconds)
}

/// Nanoseconds in a clock tick (`sysconf(_SC_CLK_TCK)` is 100).
const NANOS_PER_TICK: u64 = NANOS_PER_SEC / 100;

fn times(task: &Task, to: UserPtr<Tms>) -> SyscallResult {
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

fn adjtimex(task: &Task, discipline: UserPtr<Timex>) -> SyscallResult {
    read_discipline(task, discipline)
}

fn clock_adjtime(task: &Task, clock: i32, discipline: UserPtr<Timex>) -> SyscallResult {
    match ClockId::decode(clock)? {
        ClockId::Realtime => read_discipline(task, discipline),
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
