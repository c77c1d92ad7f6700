//! `struct timespec` and its relatives.

use abi::time::{Itimerspec, Itimerval, Sigevent, Timespec, Timeval, Timex, Timezone, Tms};

use crate::kernel::signal::Signal;
use crate::strace::names;
use crate::strace::printer::{Printer, put};

fn print_timespec(p: &mut Printer<'_>, time: Timespec) {
    put!(p, "{{tv_sec={}, tv_nsec={}}}", time.sec, time.nsec);
}

pub(crate) fn print_timeval(p: &mut Printer<'_>, time: Timeval) {
    put!(p, "{{tv_sec={}, tv_usec={}}}", time.sec, time.usec);
}

pub(crate) fn timespec(p: &mut Printer<'_>, address: usize) {
    if let Some(time) = p.value(address) {
        print_timespec(p, time);
    }
}

pub(crate) fn timeval(p: &mut Printer<'_>, address: usize) {
    if let Some(time) = p.value(address) {
        print_timeval(p, time);
    }
}

/// Access and modification times of `utimensat(2)`.
pub(crate) fn file_times(p: &mut Printer<'_>, address: usize) {
    const UTIME_NOW: i64 = 0x3fff_ffff;
    const UTIME_OMIT: i64 = 0x3fff_fffe;
    p.array(address, 2, |p, time: Timespec| match time.nsec {
        UTIME_NOW => p.text("UTIME_NOW"),
        UTIME_OMIT => p.text("UTIME_OMIT"),
        _ => print_timespec(p, time),
    });
}

/// Access and modification times of `utimes(2)`.
pub(crate) fn two_timevals(p: &mut Printer<'_>, address: usize) {
    p.array(address, 2, print_timeval);
}

pub(crate) fn utimbuf(p: &mut Printer<'_>, address: usize) {
    if let Some([access, modification]) = p.value::<[i64; 2]>(address) {
        put!(p, "{{actime={access}, modtime={modification}}}");
    }
}

pub(crate) fn itimerspec(p: &mut Printer<'_>, address: usize) {
    if let Some(timer) = p.value::<Itimerspec>(address) {
        p.text("{it_interval=");
        print_timespec(p, timer.interval);
        p.text(", it_value=");
        print_timespec(p, timer.value);
        p.text("}");
    }
}

pub(crate) fn itimerval(p: &mut Printer<'_>, address: usize) {
    if let Some(timer) = p.value::<Itimerval>(address) {
        p.text("{it_interval=");
        print_timeval(p, timer.interval);
        p.text(", it_value=");
        print_timeval(p, timer.value);
        p.text("}");
    }
}

pub(crate) fn timezone(p: &mut Printer<'_>, address: usize) {
    if let Some(zone) = p.value::<Timezone>(address) {
        let Timezone {
            minutes_west,
            dst_time,
        } = zone;
        put!(
            p,
            "{{tz_minuteswest={minutes_west}, tz_dsttime={dst_time}}}"
        );
    }
}

pub(crate) fn tms(p: &mut Printer<'_>, address: usize) {
    if let Some(times) = p.value::<Tms>(address) {
        put!(
            p,
            "{{tms_utime={}, tms_stime={}, tms_cutime={}, tms_cstime={}}}",
            times.utime,
            times.stime,
            times.cutime,
            times.cstime
        );
    }
}

/// `time_t`
pub(crate) fn seconds(p: &mut Printer<'_>, address: usize) {
    if let Some(seconds) = p.value::<i64>(address) {
        put!(p, "[{seconds}]");
    }
}

pub(crate) fn timex(p: &mut Printer<'_>, address: usize) {
    if let Some(timex) = p.value::<Timex>(address) {
        p.text("{modes=");
        p.flags(&names::time::ADJUST, u64::from(timex.modes));
        put!(
            p,
            ", offset={}, freq={}, maxerror={}, esterror={}, status={:#x}, constant={}, time=",
            timex.offset,
            timex.freq,
            timex.maxerror,
            timex.esterror,
            timex.status,
            timex.constant
        );
        print_timeval(p, timex.time);
        put!(p, ", tick={}, tai={}, ...}}", timex.tick, timex.tai);
    }
}

pub(crate) fn sigevent(p: &mut Printer<'_>, address: usize) {
    if let Some(event) = p.value::<Sigevent>(address) {
        put!(p, "{{sigev_value={:#x}, sigev_signo=", event.value);
        match Signal::new(u64::from(event.signo.cast_unsigned())) {
            Some(signal) => p.text(&signal.name()),
            None => put!(p, "{}", event.signo),
        }
        p.text(", sigev_notify=");
        p.one_of(
            &names::signal::NOTIFY,
            u64::from(event.notify.cast_unsigned()),
        );
        if event.notify == abi::time::SIGEV_THREAD_ID {
            put!(p, ", sigev_notify_thread_id={}", event.thread_id);
        }
        p.text("}");
    }
}

/// The state of the clock.
pub(crate) fn state(p: &mut Printer<'_>, value: u64) {
    put!(p, "{value} (");
    p.one_of(&names::time::TIME_STATE, value);
    p.text(")");
}
