//! Clocks, sleeping, interval timers, POSIX timers, and the vDSO.

#![expect(
    unsafe_code,
    reason = "calls the C library's clock functions, which use the vDSO"
)]

use crate::case::Outcome;
use crate::support::time::{LATE, MS, clock_ns, monotonic_ns, nanoseconds, sleep_ms, timespec};
use crate::support::{map, process, signal};
use crate::sys::{self, SysError};

cases!(
    all_clocks_run,
    clocks_never_go_back,
    clock_resolution,
    clock_errors,
    real_time_agrees_in_all_calls,
    vdso_is_present,
    vdso_agrees_with_the_calls,
    processor_time_counts_work_only,
    times_of_a_thread,
    clock_of_another_process,
    setting_the_clock_needs_privilege,
    nanosleep_sleeps,
    nanosleep_errors,
    absolute_sleep,
    absolute_sleep_in_the_past,
    alarm_replaces_and_reports,
    interval_timer_repeats,
    interval_timer_query,
    virtual_and_profiling_timers,
    interval_timer_errors,
    posix_timer_signals,
    posix_timer_value_and_overrun,
    posix_timer_targets_a_thread,
    posix_timer_query_and_delete,
    posix_timer_errors,
    posix_timers_are_not_inherited,
    times_and_ticks,
    getcpu_is_plausible,
    coarse_clocks_follow,
);

fn all_clocks_run() -> Outcome {
    for clock in [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_PROCESS_CPUTIME_ID,
        libc::CLOCK_THREAD_CPUTIME_ID,
        libc::CLOCK_MONOTONIC_RAW,
        libc::CLOCK_REALTIME_COARSE,
        libc::CLOCK_MONOTONIC_COARSE,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_TAI,
    ] {
        let mut now = sys::zeroed::<libc::timespec>();
        sys!(SYS_clock_gettime, clock, &mut now)?;
        check!(
            nanoseconds(&now) > 0 && (0..1_000_000_000).contains(&now.tv_nsec),
            "clock {clock}"
        );
    }
    Ok(())
}

fn clocks_never_go_back() -> Outcome {
    for clock in [
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_MONOTONIC_RAW,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_PROCESS_CPUTIME_ID,
    ] {
        let mut last = 0;
        for _ in 0..300 {
            let now = clock_ns(clock);
            check!(now >= last, "clock {clock} went from {last} to {now}");
            last = now;
        }
    }
    Ok(())
}

fn clock_resolution() -> Outcome {
    let mut resolution = sys::zeroed::<libc::timespec>();
    for clock in [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_PROCESS_CPUTIME_ID,
    ] {
        sys!(SYS_clock_getres, clock, &mut resolution)?;
        check_eq!(nanoseconds(&resolution), 1);
    }
    sys!(
        SYS_clock_getres,
        libc::CLOCK_MONOTONIC_COARSE,
        &mut resolution
    )?;
    check!((1_000_000..=10_000_000).contains(&nanoseconds(&resolution)));
    sys!(SYS_clock_getres, libc::CLOCK_MONOTONIC, 0)?;
    Ok(())
}

fn clock_errors() -> Outcome {
    let mut now = sys::zeroed::<libc::timespec>();
    errno_is!(sys!(SYS_clock_gettime, 99, &mut now), EINVAL);
    errno_is!(sys!(SYS_clock_getres, 99, &mut now), EINVAL);
    errno_is!(sys!(SYS_clock_gettime, libc::CLOCK_MONOTONIC, 8), EFAULT);
    errno_is!(sys!(SYS_clock_gettime, i32::MIN, &mut now), EINVAL);
    Ok(())
}

fn real_time_agrees_in_all_calls() -> Outcome {
    let before = clock_ns(libc::CLOCK_REALTIME);
    let mut day = sys::zeroed::<libc::timeval>();
    sys!(SYS_gettimeofday, &mut day, 0)?;
    let seconds = sys!(SYS_time, 0)?;
    let after = clock_ns(libc::CLOCK_REALTIME);
    let day_ns = day.tv_sec * 1_000_000_000 + day.tv_usec * 1000;
    check!(
        (before - 1000..=after).contains(&day_ns),
        "{before} {day_ns} {after}"
    );
    check!((before / 1_000_000_000 - 1..=after / 1_000_000_000).contains(&seconds));
    let mut stored = 0_i64;
    check_eq!(sys!(SYS_time, &mut stored)?, stored);
    // After 2020, and not in the next century.
    check!((1_577_836_800..4_102_444_800).contains(&seconds));
    Ok(())
}

fn vdso_is_present() -> Outcome {
    let address = crate::support::auxv(33).unwrap_or(0) as usize;
    check!(address != 0, "AT_SYSINFO_EHDR is missing");
    let header: Vec<u8> = (0..4).map(|offset| map::peek(address + offset)).collect();
    check_eq!(header, b"\x7fELF");
    let area = crate::support::proc::area_of(address)?;
    check!(area.is_some_and(|area| area.name == "[vdso]" && area.perms == "r-xp"));
    Ok(())
}

fn vdso_agrees_with_the_calls() -> Outcome {
    for clock in [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_MONOTONIC_COARSE,
        libc::CLOCK_BOOTTIME,
    ] {
        // The coarse clocks lag by a tick.
        let slack = if clock == libc::CLOCK_MONOTONIC_COARSE {
            20 * MS
        } else {
            2000
        };
        for _ in 0..200 {
            let before = clock_ns(clock);
            let mut now = sys::zeroed::<libc::timespec>();
            // SAFETY: stores into a local.
            check_eq!(unsafe { libc::clock_gettime(clock, &raw mut now) }, 0);
            let (library, after) = (nanoseconds(&now), clock_ns(clock));
            check!(
                (before - slack..=after + slack).contains(&library),
                "clock {clock}: {before} {library} {after}"
            );
        }
    }
    // SAFETY: a null pointer asks for the result alone.
    let (library, call) = unsafe { (libc::time(std::ptr::null_mut()), sys!(SYS_time, 0)?) };
    check!((0..=1).contains(&(call - library)));
    Ok(())
}

fn spin(milliseconds: i64) {
    let end = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) + milliseconds * MS;
    while clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) < end {
        std::hint::spin_loop();
    }
}

fn processor_time_counts_work_only() -> Outcome {
    let start = clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(100);
    let slept = clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID) - start;
    check!(slept < 60 * MS, "{slept} ns of processor time while asleep");
    spin(50);
    check!(clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID) - start >= 50 * MS);
    Ok(())
}

fn times_of_a_thread() -> Outcome {
    let worker = std::thread::spawn(|| {
        spin(40);
        clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
    });
    let worked = worker.join().unwrap_or(0);
    check!(worked >= 40 * MS);
    check!(clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) < clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID));
    let mut usage = sys::zeroed::<libc::rusage>();
    sys!(SYS_getrusage, libc::RUSAGE_SELF, &mut usage)?;
    check!(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 20_000);
    sys!(SYS_getrusage, libc::RUSAGE_THREAD, &mut usage)?;
    errno_is!(sys!(SYS_getrusage, 5, &mut usage), EINVAL);
    errno_is!(sys!(SYS_getrusage, libc::RUSAGE_SELF, 8), EFAULT);
    Ok(())
}

/// `clock_getcpuclockid(3)`: the id is made of the process id.
fn clock_of_another_process() -> Outcome {
    let child = process::fork(|| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    let clock = (!child.pid << 3) | 2;
    check!(crate::support::time::wait_until(|| clock_ns(clock) > 5 * MS));
    errno_is!(
        sys!(
            SYS_clock_gettime,
            (!4_000_000 << 3) | 2,
            &mut sys::zeroed::<libc::timespec>()
        ),
        EINVAL
    );
    Ok(())
}

fn setting_the_clock_needs_privilege() -> Outcome {
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        errno_is!(
            sys!(
                SYS_clock_settime,
                libc::CLOCK_REALTIME,
                &timespec(1_700_000_000_000_000_000)
            ),
            EPERM
        );
        let now = libc::timeval {
            tv_sec: 1_700_000_000,
            tv_usec: 0,
        };
        errno_is!(sys!(SYS_settimeofday, &now, 0), EPERM);
        errno_is!(
            sys!(SYS_clock_settime, libc::CLOCK_MONOTONIC, &timespec(1)),
            EINVAL
        );
        Ok(())
    })
}

fn nanosleep_sleeps() -> Outcome {
    for milliseconds in [0, 1, 20, 60] {
        let start = monotonic_ns();
        sys!(SYS_nanosleep, &timespec(milliseconds * MS), 0)?;
        let spent = monotonic_ns() - start;
        check!(
            (milliseconds * MS..milliseconds * MS + LATE).contains(&spent),
            "{spent} ns"
        );
    }
    Ok(())
}

fn nanosleep_errors() -> Outcome {
    for bad in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
        let request = libc::timespec {
            tv_sec: bad.0,
            tv_nsec: bad.1,
        };
        errno_is!(sys!(SYS_nanosleep, &request, 0), EINVAL);
        errno_is!(
            sys!(SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, 0, &request, 0),
            EINVAL
        );
    }
    errno_is!(sys!(SYS_nanosleep, 8, 0), EFAULT);
    errno_is!(sys!(SYS_clock_nanosleep, 99, 0, &timespec(1), 0), EINVAL);
    errno_is!(
        sys!(
            SYS_clock_nanosleep,
            libc::CLOCK_THREAD_CPUTIME_ID,
            0,
            &timespec(1),
            0
        ),
        EOPNOTSUPP
    );
    Ok(())
}

fn absolute_sleep() -> Outcome {
    for clock in [
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_REALTIME,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_TAI,
    ] {
        let until = clock_ns(clock) + 30 * MS;
        sys!(
            SYS_clock_nanosleep,
            clock,
            libc::TIMER_ABSTIME,
            &timespec(until),
            0
        )?;
        let late = clock_ns(clock) - until;
        check!((0..LATE).contains(&late), "{late} ns late on clock {clock}");
    }
    Ok(())
}

fn absolute_sleep_in_the_past() -> Outcome {
    let start = monotonic_ns();
    sys!(
        SYS_clock_nanosleep,
        libc::CLOCK_MONOTONIC,
        libc::TIMER_ABSTIME,
        &timespec(start - 10 * MS),
        0
    )?;
    check!(monotonic_ns() - start < LATE);
    Ok(())
}

fn alarm_replaces_and_reports() -> Outcome {
    check_eq!(sys!(SYS_alarm, 100)?, 0);
    check_eq!(sys!(SYS_alarm, 50)?, 100);
    // It shares the timer with setitimer.
    let mut now = sys::zeroed::<libc::itimerval>();
    sys!(SYS_getitimer, libc::ITIMER_REAL, &mut now)?;
    check!((49..=50).contains(&now.it_value.tv_sec));
    check_eq!(sys!(SYS_alarm, 0)?, 50);
    check_eq!(sys!(SYS_alarm, 0)?, 0);
    Ok(())
}

fn arm(which: i32, first_us: i64, interval_us: i64) -> Result<libc::itimerval, SysError> {
    let time = |us: i64| libc::timeval {
        tv_sec: us / 1_000_000,
        tv_usec: us % 1_000_000,
    };
    let new = libc::itimerval {
        it_interval: time(interval_us),
        it_value: time(first_us),
    };
    let mut old = sys::zeroed::<libc::itimerval>();
    sys!(SYS_setitimer, which, &new, &mut old)?;
    Ok(old)
}

fn interval_timer_repeats() -> Outcome {
    signal::handle(libc::SIGALRM, signal::record, 0)?;
    let start = monotonic_ns();
    arm(libc::ITIMER_REAL, 10_000, 10_000)?;
    while signal::count() < 4 {
        let _ = sys!(SYS_pause);
    }
    check!(monotonic_ns() - start >= 40 * MS);
    check_eq!(signal::seen()[0].code, libc::SI_KERNEL);
    arm(libc::ITIMER_REAL, 0, 0)?;
    let count = signal::count();
    sleep_ms(40);
    check_eq!(signal::count(), count);
    Ok(())
}

fn interval_timer_query() -> Outcome {
    arm(libc::ITIMER_REAL, 5_000_000, 700_000)?;
    let mut now = sys::zeroed::<libc::itimerval>();
    sys!(SYS_getitimer, libc::ITIMER_REAL, &mut now)?;
    check_eq!(
        (now.it_interval.tv_sec, now.it_interval.tv_usec),
        (0, 700_000)
    );
    check!(now.it_value.tv_sec == 4 || (now.it_value.tv_sec == 5 && now.it_value.tv_usec == 0));
    let old = arm(libc::ITIMER_REAL, 0, 0)?;
    check_eq!(old.it_interval.tv_usec, 700_000);
    sys!(SYS_getitimer, libc::ITIMER_REAL, &mut now)?;
    check_eq!((now.it_value.tv_sec, now.it_value.tv_usec), (0, 0));
    Ok(())
}

fn virtual_and_profiling_timers() -> Outcome {
    for (which, signo) in [
        (libc::ITIMER_VIRTUAL, libc::SIGVTALRM),
        (libc::ITIMER_PROF, libc::SIGPROF),
    ] {
        signal::handle(signo, signal::record, 0)?;
        let before = signal::count();
        arm(which, 30_000, 0)?;
        // Not while asleep.
        sleep_ms(60);
        check_eq!(signal::count(), before);
        let (end, mut sum) = (monotonic_ns() + 4000 * MS, 0_u64);
        while signal::count() == before && monotonic_ns() < end {
            for step in 0..100_000_u64 {
                sum = std::hint::black_box(sum.wrapping_add(step));
            }
        }
        check_eq!(signal::seen_numbers().last(), Some(&signo));
    }
    Ok(())
}

fn interval_timer_errors() -> Outcome {
    errno_is!(arm(3, 1, 0), EINVAL);
    errno_is!(sys!(SYS_setitimer, libc::ITIMER_REAL, 8, 0), EFAULT);
    let bad = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: 0,
            tv_usec: 1_000_000,
        },
    };
    errno_is!(sys!(SYS_setitimer, libc::ITIMER_REAL, &bad, 0), EINVAL);
    errno_is!(sys!(SYS_getitimer, libc::ITIMER_REAL, 8), EFAULT);
    Ok(())
}

/// A POSIX timer that sends this signal with this value; `target` is a thread for `SIGEV_THREAD_ID`.
fn create_timer(notify: i32, signo: i32, value: usize, target: i32) -> Result<i32, SysError> {
    let mut event = sys::zeroed::<libc::sigevent>();
    event.sigev_notify = notify;
    event.sigev_signo = signo;
    event.sigev_value.sival_ptr = value as *mut libc::c_void;
    event.sigev_notify_thread_id = target;
    let mut id = -1_i32;
    sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, &event, &mut id)?;
    Ok(id)
}

fn set_timer(
    id: i32,
    flags: i32,
    first_ns: i64,
    interval_ns: i64,
) -> Result<libc::itimerspec, SysError> {
    let new = libc::itimerspec {
        it_interval: timespec(interval_ns),
        it_value: timespec(first_ns),
    };
    let mut old = sys::zeroed::<libc::itimerspec>();
    sys!(SYS_timer_settime, id, flags, &new, &mut old)?;
    Ok(old)
}

fn posix_timer_signals() -> Outcome {
    signal::handle(40, signal::record, 0)?;
    let id = create_timer(libc::SIGEV_SIGNAL, 40, 0x1234, 0)?;
    let start = monotonic_ns();
    set_timer(id, 0, 30 * MS, 0)?;
    let _ = sys!(SYS_pause);
    check!(monotonic_ns() - start >= 30 * MS);
    let seen = signal::seen();
    check_eq!(
        (seen[0].signo, seen[0].code, seen[0].value),
        (40, libc::SI_TIMER, 0x1234)
    );
    // si_timerid lies where si_pid does.
    check_eq!(seen[0].pid, id);
    Ok(())
}

fn posix_timer_value_and_overrun() -> Outcome {
    signal::block(signal::bit(40))?;
    let id = create_timer(libc::SIGEV_SIGNAL, 40, 7, 0)?;
    let start = monotonic_ns();
    set_timer(id, 0, 5 * MS, 5 * MS)?;
    sleep_ms(60);
    let info = signal::wait_for(signal::bit(40), 1000)?;
    check_eq!((info.si_code, signal::sender(&info).2), (libc::SI_TIMER, 7));
    let overrun = sys!(SYS_timer_getoverrun, id)?;
    let most = (monotonic_ns() - start) / (5 * MS);
    check!((5..=most).contains(&overrun), "{overrun} overruns");
    Ok(())
}

fn posix_timer_targets_a_thread() -> Outcome {
    const SIGEV_THREAD_ID: i32 = 4;
    signal::block(signal::bit(40))?;
    let worker = std::thread::spawn(|| {
        let id = create_timer(SIGEV_THREAD_ID, 40, 3, process::gettid());
        let armed = id.and_then(|id| set_timer(id, 0, 10 * MS, 0));
        armed.is_ok() && signal::wait_for(signal::bit(40), 5000).is_ok()
    });
    check_eq!(worker.join().ok(), Some(true));
    errno_is!(create_timer(SIGEV_THREAD_ID, 40, 0, 1), EINVAL);
    Ok(())
}

fn posix_timer_query_and_delete() -> Outcome {
    let id = create_timer(libc::SIGEV_NONE, 0, 0, 0)?;
    set_timer(id, 0, 5000 * MS, 300 * MS)?;
    let mut now = sys::zeroed::<libc::itimerspec>();
    sys!(SYS_timer_gettime, id, &mut now)?;
    check_eq!(nanoseconds(&now.it_interval), 300 * MS);
    check!((4000 * MS..=5000 * MS).contains(&nanoseconds(&now.it_value)));
    set_timer(id, libc::TIMER_ABSTIME, monotonic_ns() + 2000 * MS, 0)?;
    sys!(SYS_timer_gettime, id, &mut now)?;
    check!((1000 * MS..=2000 * MS).contains(&nanoseconds(&now.it_value)));
    sys!(SYS_timer_delete, id)?;
    errno_is!(sys!(SYS_timer_gettime, id, &mut now), EINVAL);
    errno_is!(sys!(SYS_timer_delete, id), EINVAL);
    // Without an event: SIGALRM with the timer's id as value.
    signal::block(signal::bit(libc::SIGALRM))?;
    let mut id = -1_i32;
    sys!(SYS_timer_create, libc::CLOCK_REALTIME, 0, &mut id)?;
    set_timer(id, 0, 5 * MS, 0)?;
    let info = signal::wait_for(signal::bit(libc::SIGALRM), 5000)?;
    check_eq!(signal::sender(&info).2 as i32, id);
    Ok(())
}

fn posix_timer_errors() -> Outcome {
    let mut id = 0_i32;
    errno_is!(sys!(SYS_timer_create, 99, 0, &mut id), EINVAL);
    errno_is!(sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, 0, 8), EFAULT);
    errno_is!(create_timer(libc::SIGEV_SIGNAL, 99, 0, 0), EINVAL);
    errno_is!(create_timer(77, 40, 0, 0), EINVAL);
    let id = create_timer(libc::SIGEV_NONE, 0, 0, 0)?;
    errno_is!(set_timer(id, 0, -1, 0), EINVAL);
    errno_is!(set_timer(id + 100, 0, 1, 0), EINVAL);
    errno_is!(sys!(SYS_timer_getoverrun, id + 100), EINVAL);
    Ok(())
}

fn posix_timers_are_not_inherited() -> Outcome {
    let id = create_timer(libc::SIGEV_NONE, 0, 0, 0)?;
    process::in_child(|| {
        errno_is!(
            sys!(
                SYS_timer_gettime,
                id,
                &mut sys::zeroed::<libc::itimerspec>()
            ),
            EINVAL
        );
        Ok(())
    })
}

fn times_and_ticks() -> Outcome {
    let mut one = sys::zeroed::<libc::tms>();
    let start = sys!(SYS_times, &mut one)?;
    process::status_of(|| {
        spin(60);
        0
    })?;
    sleep_ms(50);
    let mut two = sys::zeroed::<libc::tms>();
    let end = sys!(SYS_times, &mut two)?;
    check!(
        (5..500 + LATE / (10 * MS)).contains(&(end - start)),
        "{} ticks",
        end - start
    );
    let children = two.tms_cutime + two.tms_cstime - one.tms_cutime - one.tms_cstime;
    check!((2..100).contains(&children), "{children} ticks of children");
    sys!(SYS_times, 0)?;
    Ok(())
}

fn getcpu_is_plausible() -> Outcome {
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    sys!(SYS_getcpu, &mut cpu, &mut node, 0)?;
    check!(cpu < 4096 && node < 64, "cpu {cpu} node {node}");
    // SAFETY: takes nothing.
    check!(unsafe { libc::sched_getcpu() } >= 0);
    Ok(())
}

fn coarse_clocks_follow() -> Outcome {
    for (coarse, fine) in [
        (libc::CLOCK_REALTIME_COARSE, libc::CLOCK_REALTIME),
        (libc::CLOCK_MONOTONIC_COARSE, libc::CLOCK_MONOTONIC),
    ] {
        for _ in 0..20 {
            // Others may run between two of these.
            let (before, at, after) = (clock_ns(fine), clock_ns(coarse), clock_ns(fine));
            check!(at >= before - 30 * MS, "{} ns behind", before - at);
            check!(at <= after + MS, "{} ns ahead", at - after);
            sleep_ms(1);
        }
    }
    Ok(())
}
