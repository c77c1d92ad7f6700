//! Calls that wait for descriptors, and descriptors that are events.

use abi::raw::general as nr;

use super::Arg::{After, Before, Flags, In, Int, OneOf, Out, Pointer, Size, Unsigned};
use super::{Ret, Row, returns, row};
use crate::strace::decode::{event, signal, time};
use crate::strace::names::file as names;
use crate::strace::names::signal as signal_names;
use crate::strace::names::time as time_names;

const POLLED: Ret = Ret::Print(event::polled);
const SELECTED: Ret = Ret::Print(event::selected);

pub(super) const ROWS: &[Row] = &[
    returns(
        nr::__NR_poll,
        &[Before(event::poll_fds), Unsigned, Int],
        POLLED,
    ),
    returns(
        nr::__NR_ppoll,
        &[
            Before(event::poll_fds),
            Unsigned,
            In(time::timespec),
            In(signal::set),
            Size,
        ],
        POLLED,
    ),
    returns(
        nr::__NR_select,
        &[
            Int,
            Before(event::fd_set),
            Before(event::fd_set),
            Before(event::fd_set),
            In(time::timeval),
        ],
        SELECTED,
    ),
    returns(
        nr::__NR_pselect6,
        &[
            Int,
            Before(event::fd_set),
            Before(event::fd_set),
            Before(event::fd_set),
            In(time::timespec),
            In(signal::sized_set),
        ],
        SELECTED,
    ),
    row(nr::__NR_epoll_create, &[Int]),
    row(nr::__NR_epoll_create1, &[Flags(&names::EPOLL_CREATE)]),
    row(
        nr::__NR_epoll_ctl,
        &[Int, OneOf(&names::EPOLL_CTL), Int, In(event::epoll_event)],
    ),
    row(
        nr::__NR_epoll_wait,
        &[Int, After(event::epoll_events), Int, Int],
    ),
    row(
        nr::__NR_epoll_pwait,
        &[
            Int,
            After(event::epoll_events),
            Int,
            Int,
            In(signal::set),
            Size,
        ],
    ),
    row(
        nr::__NR_epoll_pwait2,
        &[
            Int,
            After(event::epoll_events),
            Int,
            In(time::timespec),
            In(signal::set),
            Size,
        ],
    ),
    row(nr::__NR_eventfd, &[Unsigned]),
    row(nr::__NR_eventfd2, &[Unsigned, Flags(&names::EVENTFD)]),
    row(nr::__NR_inotify_init, &[]),
    row(nr::__NR_inotify_init1, &[Flags(&names::INOTIFY_INIT)]),
    row(nr::__NR_inotify_rm_watch, &[Int, Int]),
    row(nr::__NR_signalfd, &[Int, In(signal::set), Size]),
    row(
        nr::__NR_signalfd4,
        &[Int, In(signal::set), Size, Flags(&signal_names::SIGNALFD)],
    ),
    row(
        nr::__NR_timerfd_create,
        &[
            OneOf(&time_names::CLOCK),
            Flags(&time_names::TIMERFD_CREATE),
        ],
    ),
    row(
        nr::__NR_timerfd_settime,
        &[
            Int,
            Flags(&time_names::TIMERFD_SET),
            In(time::itimerspec),
            Out(time::itimerspec),
        ],
    ),
    row(nr::__NR_timerfd_gettime, &[Int, Out(time::itimerspec)]),
    row(nr::__NR_io_uring_setup, &[Unsigned, Pointer]),
    row(nr::__NR_userfaultfd, &[Flags(&names::OPEN)]),
];
