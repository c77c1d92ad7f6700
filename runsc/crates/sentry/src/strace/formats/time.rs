//! Calls about time.

use abi::raw::general as nr;

use super::Arg::{Flags, In, Int, OneOf, Out, Pointer, Unsigned};
use super::{Ret, Row, returns, row};
use crate::strace::decode::{id, time};
use crate::strace::names::time as names;
use crate::strace::printer::{Printer, put};

pub(super) const ROWS: &[Row] = &[
    row(
        nr::__NR_clock_gettime,
        &[OneOf(&names::CLOCK), Out(time::timespec)],
    ),
    row(
        nr::__NR_clock_getres,
        &[OneOf(&names::CLOCK), Out(time::timespec)],
    ),
    row(
        nr::__NR_clock_settime,
        &[OneOf(&names::CLOCK), In(time::timespec)],
    ),
    row(
        nr::__NR_gettimeofday,
        &[Out(time::timeval), Out(time::timezone)],
    ),
    row(
        nr::__NR_settimeofday,
        &[In(time::timeval), In(time::timezone)],
    ),
    row(nr::__NR_time, &[Out(time::seconds)]),
    row(nr::__NR_times, &[Out(time::tms)]),
    returns(nr::__NR_adjtimex, &[Out(time::timex)], Ret::Print(state)),
    returns(
        nr::__NR_clock_adjtime,
        &[OneOf(&names::CLOCK), Out(time::timex)],
        Ret::Print(state),
    ),
    row(nr::__NR_nanosleep, &[In(time::timespec), Pointer]),
    row(
        nr::__NR_clock_nanosleep,
        &[
            OneOf(&names::CLOCK),
            Flags(&names::TIMER),
            In(time::timespec),
            Pointer,
        ],
    ),
    row(
        nr::__NR_getitimer,
        &[OneOf(&names::INTERVAL), Out(time::itimerval)],
    ),
    row(
        nr::__NR_setitimer,
        &[
            OneOf(&names::INTERVAL),
            In(time::itimerval),
            Out(time::itimerval),
        ],
    ),
    row(nr::__NR_alarm, &[Unsigned]),
    row(
        nr::__NR_timer_create,
        &[OneOf(&names::CLOCK), In(time::sigevent), Out(id::int)],
    ),
    row(
        nr::__NR_timer_settime,
        &[
            Int,
            Flags(&names::TIMER),
            In(time::itimerspec),
            Out(time::itimerspec),
        ],
    ),
    row(nr::__NR_timer_gettime, &[Int, Out(time::itimerspec)]),
    row(nr::__NR_timer_getoverrun, &[Int]),
    row(nr::__NR_timer_delete, &[Int]),
    row(nr::__NR_restart_syscall, &[]),
];

/// The state of the clock.
fn state(p: &mut Printer<'_>, value: u64) {
    put!(p, "{value} (");
    p.one_of(&names::TIME_STATE, value);
    p.text(")");
}
