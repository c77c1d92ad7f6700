//! Calls about signals.

use abi::raw::general as nr;

use super::Arg::{Before, In, Int, OneOf, Out, Signal, Size, Unsigned};
use super::{Row, row};
use crate::strace::decode::{siginfo, signal, time};
use crate::strace::names::signal as names;

pub(super) const ROWS: &[Row] = &[
    row(
        nr::__NR_rt_sigaction,
        &[Signal, In(signal::action), Out(signal::action), Size],
    ),
    row(
        nr::__NR_rt_sigprocmask,
        &[OneOf(&names::HOW), In(signal::set), Out(signal::set), Size],
    ),
    row(nr::__NR_rt_sigpending, &[Out(signal::set), Size]),
    row(nr::__NR_rt_sigsuspend, &[In(signal::set), Size]),
    row(
        nr::__NR_rt_sigtimedwait,
        &[
            In(signal::set),
            Out(siginfo::siginfo),
            In(time::timespec),
            Size,
        ],
    ),
    row(
        nr::__NR_sigaltstack,
        &[In(signal::stack), Out(signal::stack)],
    ),
    row(nr::__NR_rt_sigreturn, &[Before(signal::frame)]),
    row(nr::__NR_pause, &[]),
    row(nr::__NR_kill, &[Int, Signal]),
    row(nr::__NR_tkill, &[Int, Signal]),
    row(nr::__NR_tgkill, &[Int, Int, Signal]),
    row(
        nr::__NR_rt_sigqueueinfo,
        &[Int, Signal, In(siginfo::siginfo)],
    ),
    row(
        nr::__NR_rt_tgsigqueueinfo,
        &[Int, Int, Signal, In(siginfo::siginfo)],
    ),
    row(
        nr::__NR_pidfd_send_signal,
        &[Int, Signal, In(siginfo::siginfo), Unsigned],
    ),
];
