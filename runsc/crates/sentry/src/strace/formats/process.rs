//! Calls about processes and threads.

use abi::raw::general as nr;

use super::Arg::{
    After, Before, Directory, Flags, Hex, In, Int, Long, OneOf, Out, Path, Pointer, Size, Unsigned,
};
use super::{Row, row};
use crate::strace::decode::{id, process, siginfo, time};
use crate::strace::names::file as file_names;
use crate::strace::names::process as names;
use crate::strace::names::time as time_names;
use crate::strace::printer::{Printer, put};

pub(super) const ROWS: &[Row] = &[
    row(
        nr::__NR_clone,
        &[
            Before(clone_stack),
            Before(clone_flags),
            Before(clone_parent_tid),
            Before(clone_tls),
            Before(clone_child_tid),
        ],
    ),
    row(nr::__NR_clone3, &[Before(process::clone_args), Size]),
    row(nr::__NR_fork, &[]),
    row(nr::__NR_vfork, &[]),
    row(
        nr::__NR_execve,
        &[Path, In(process::arguments), In(process::environment)],
    ),
    row(
        nr::__NR_execveat,
        &[
            Directory,
            Path,
            In(process::arguments),
            In(process::environment),
            Flags(&file_names::AT),
        ],
    ),
    row(nr::__NR_exit, &[Int]),
    row(nr::__NR_exit_group, &[Int]),
    row(
        nr::__NR_wait4,
        &[
            Int,
            Out(process::wait_status),
            Flags(&names::WAIT4),
            Out(process::waited_usage),
        ],
    ),
    row(
        nr::__NR_waitid,
        &[
            OneOf(&names::WAIT_ID),
            Int,
            Out(siginfo::siginfo),
            Flags(&names::WAIT),
            Out(process::rusage),
        ],
    ),
    row(nr::__NR_getpid, &[]),
    row(nr::__NR_gettid, &[]),
    row(nr::__NR_getppid, &[]),
    row(nr::__NR_getpgid, &[Int]),
    row(nr::__NR_getpgrp, &[]),
    row(nr::__NR_setpgid, &[Int, Int]),
    row(nr::__NR_getsid, &[Int]),
    row(nr::__NR_setsid, &[]),
    row(nr::__NR_set_tid_address, &[Pointer]),
    row(nr::__NR_pidfd_open, &[Int, Flags(&names::PIDFD)]),
    row(nr::__NR_pidfd_getfd, &[Int, Int, Unsigned]),
    row(
        nr::__NR_prctl,
        &[
            OneOf(&names::PRCTL),
            After(process::prctl_argument),
            After(process::prctl_argument),
            After(process::prctl_argument),
            After(process::prctl_argument),
        ],
    ),
    row(
        nr::__NR_arch_prctl,
        &[OneOf(&names::ARCH), After(process::arch_argument)],
    ),
    row(
        nr::__NR_futex,
        &[
            Pointer,
            Before(process::futex_operation),
            Before(process::futex_argument),
            Before(process::futex_argument),
            Before(process::futex_argument),
            Before(process::futex_argument),
        ],
    ),
    row(
        nr::__NR_futex_waitv,
        &[
            Before(process::futex_vector),
            Unsigned,
            Unsigned,
            In(time::timespec),
            OneOf(&time_names::CLOCK),
        ],
    ),
    row(
        nr::__NR_futex_wake,
        &[Pointer, Hex, Int, Flags(&names::FUTEX2)],
    ),
    row(
        nr::__NR_futex_wait,
        &[
            Pointer,
            Hex,
            Hex,
            Flags(&names::FUTEX2),
            In(time::timespec),
            OneOf(&time_names::CLOCK),
        ],
    ),
    row(nr::__NR_futex_requeue, &[Pointer, Unsigned, Int, Int]),
    row(nr::__NR_set_robust_list, &[Pointer, Size]),
    row(
        nr::__NR_get_robust_list,
        &[Int, Out(id::pointer), Out(id::long)],
    ),
    row(nr::__NR_unshare, &[Flags(&names::CLONE)]),
    row(nr::__NR_setns, &[Int, Flags(&names::CLONE)]),
    row(nr::__NR_getpriority, &[OneOf(&names::PRIORITY), Int]),
    row(nr::__NR_setpriority, &[OneOf(&names::PRIORITY), Int, Int]),
    row(nr::__NR_ioprio_get, &[OneOf(&names::IO_PRIORITY), Int]),
    row(nr::__NR_ioprio_set, &[OneOf(&names::IO_PRIORITY), Int, Hex]),
    row(
        nr::__NR_getrlimit,
        &[OneOf(&names::RESOURCE), Out(process::rlimit)],
    ),
    row(
        nr::__NR_setrlimit,
        &[OneOf(&names::RESOURCE), In(process::rlimit)],
    ),
    row(
        nr::__NR_prlimit64,
        &[
            Int,
            OneOf(&names::RESOURCE),
            In(process::rlimit),
            Out(process::rlimit),
        ],
    ),
    row(
        nr::__NR_getrusage,
        &[OneOf(&names::RUSAGE), Out(process::rusage)],
    ),
    row(nr::__NR_sched_yield, &[]),
    row(
        nr::__NR_sched_getaffinity,
        &[Int, Size, After(id::mask_out)],
    ),
    row(
        nr::__NR_sched_setaffinity,
        &[Int, Size, Before(id::mask_in)],
    ),
    row(nr::__NR_sched_getscheduler, &[Int]),
    row(
        nr::__NR_sched_setscheduler,
        &[Int, OneOf(&names::SCHED), In(id::int)],
    ),
    row(nr::__NR_sched_getparam, &[Int, Out(id::int)]),
    row(nr::__NR_sched_setparam, &[Int, In(id::int)]),
    row(nr::__NR_sched_get_priority_max, &[OneOf(&names::SCHED)]),
    row(nr::__NR_sched_get_priority_min, &[OneOf(&names::SCHED)]),
    row(nr::__NR_sched_rr_get_interval, &[Int, Out(time::timespec)]),
    row(
        nr::__NR_rseq,
        &[Pointer, Unsigned, Flags(&names::RSEQ), Hex],
    ),
    row(nr::__NR_ptrace, &[Long, Int, Pointer, Pointer]),
    row(nr::__NR_kcmp, &[Int, Int, Int, Hex, Hex]),
];

const SETTLS: u64 = 0x8_0000;
const PARENT_SETTID: u64 = 0x10_0000;
const CHILD_TID: u64 = 0x120_0000;
const PIDFD: u64 = 0x1000;

// strace prints the stack first, and each argument with its name.

fn clone_stack(p: &mut Printer<'_>, _n: usize) {
    p.text("child_stack=");
    p.pointer(p.arg(1));
}

fn clone_flags(p: &mut Printer<'_>, _n: usize) {
    p.text("flags=");
    process::clone_flags(p, 0);
}

fn clone_parent_tid(p: &mut Printer<'_>, _n: usize) {
    if p.arg(0) & (PARENT_SETTID | PIDFD) != 0 {
        put!(p, "parent_tid={:#x}", p.arg(2));
    }
}

fn clone_tls(p: &mut Printer<'_>, _n: usize) {
    if p.arg(0) & SETTLS != 0 {
        put!(p, "tls={:#x}", p.arg(4));
    }
}

fn clone_child_tid(p: &mut Printer<'_>, _n: usize) {
    if p.arg(0) & CHILD_TID != 0 {
        put!(p, "child_tidptr={:#x}", p.arg(3));
    }
}
