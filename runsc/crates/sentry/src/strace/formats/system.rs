//! Calls about users, capabilities and the system as a whole.

use abi::raw::general as nr;

use super::Arg::{
    After, Before, Buffer, Directory, Filled, Flags, Hex, In, Int, OneOf, Out, Path, Pointer, Size,
    Text, Unsigned,
};
use super::{Row, row};
use crate::strace::decode::{id, process, system};
use crate::strace::names::process as names;

pub(super) const ROWS: &[Row] = &[
    row(nr::__NR_getuid, &[]),
    row(nr::__NR_geteuid, &[]),
    row(nr::__NR_getgid, &[]),
    row(nr::__NR_getegid, &[]),
    row(
        nr::__NR_getresuid,
        &[Out(id::unsigned), Out(id::unsigned), Out(id::unsigned)],
    ),
    row(
        nr::__NR_getresgid,
        &[Out(id::unsigned), Out(id::unsigned), Out(id::unsigned)],
    ),
    row(nr::__NR_setuid, &[Int]),
    row(nr::__NR_setgid, &[Int]),
    row(nr::__NR_setreuid, &[Int, Int]),
    row(nr::__NR_setregid, &[Int, Int]),
    row(nr::__NR_setresuid, &[Int, Int, Int]),
    row(nr::__NR_setresgid, &[Int, Int, Int]),
    row(nr::__NR_setfsuid, &[Int]),
    row(nr::__NR_setfsgid, &[Int]),
    row(nr::__NR_getgroups, &[Int, After(id::groups_out)]),
    row(nr::__NR_setgroups, &[Int, Before(id::groups_in)]),
    row(
        nr::__NR_capget,
        &[
            In(process::capability_header),
            Out(process::capability_data),
        ],
    ),
    row(
        nr::__NR_capset,
        &[In(process::capability_header), In(process::capability_data)],
    ),
    row(nr::__NR_uname, &[Out(system::utsname)]),
    row(nr::__NR_sethostname, &[Buffer(1), Size]),
    row(nr::__NR_setdomainname, &[Buffer(1), Size]),
    row(nr::__NR_sysinfo, &[Out(system::sysinfo)]),
    row(
        nr::__NR_getrandom,
        &[Filled, Size, Flags(&names::GETRANDOM)],
    ),
    row(nr::__NR_membarrier, &[OneOf(&names::MEMBARRIER), Hex, Int]),
    row(nr::__NR_personality, &[Flags(&names::PERSONALITY)]),
    row(
        nr::__NR_getcpu,
        &[Out(id::unsigned), Out(id::unsigned), Pointer],
    ),
    row(nr::__NR_shmget, &[Hex, Size, Hex]),
    row(nr::__NR_shmat, &[Int, Pointer, Hex]),
    row(nr::__NR_shmctl, &[Int, Int, Pointer]),
    row(nr::__NR_shmdt, &[Pointer]),
    row(nr::__NR_semget, &[Hex, Int, Hex]),
    row(nr::__NR_semop, &[Int, Pointer, Size]),
    row(nr::__NR_semtimedop, &[Int, Pointer, Size, Pointer]),
    row(nr::__NR_semctl, &[Int, Int, Int, Hex]),
    row(nr::__NR_msgget, &[Hex, Hex]),
    row(nr::__NR_msgsnd, &[Int, Pointer, Size, Hex]),
    row(nr::__NR_msgrcv, &[Int, Pointer, Size, Int, Hex]),
    row(nr::__NR_msgctl, &[Int, Int, Pointer]),
    row(nr::__NR_syslog, &[Int, Pointer, Int]),
    row(nr::__NR_bpf, &[Int, Pointer, Unsigned]),
    row(nr::__NR_perf_event_open, &[Pointer, Int, Int, Int, Hex]),
    row(nr::__NR_seccomp, &[Unsigned, Hex, Pointer]),
    row(nr::__NR_init_module, &[Pointer, Size, Text]),
    row(nr::__NR_finit_module, &[Int, Text, Unsigned]),
    row(nr::__NR_delete_module, &[Text, Unsigned]),
    row(nr::__NR_kexec_load, &[Hex, Size, Pointer, Hex]),
    row(nr::__NR_iopl, &[Int]),
    row(nr::__NR_reboot, &[Hex, Unsigned, Hex, Pointer]),
    row(nr::__NR_vhangup, &[]),
    row(nr::__NR_quotactl, &[Hex, Path, Int, Pointer]),
    row(nr::__NR_quotactl_fd, &[Int, Hex, Int, Pointer]),
    row(nr::__NR_add_key, &[Text, Text, Pointer, Size, Int]),
    row(nr::__NR_request_key, &[Text, Text, Text, Int]),
    row(nr::__NR_keyctl, &[Int, Hex, Hex, Hex, Hex]),
    row(nr::__NR_fanotify_init, &[Hex, Hex]),
    row(nr::__NR_fanotify_mark, &[Int, Hex, Hex, Directory, Path]),
    row(nr::__NR_landlock_create_ruleset, &[Pointer, Size, Hex]),
    row(nr::__NR_landlock_add_rule, &[Int, Int, Pointer, Hex]),
    row(nr::__NR_landlock_restrict_self, &[Int, Hex]),
    row(nr::__NR_kexec_file_load, &[Int, Int, Size, Text, Hex]),
    row(nr::__NR_memfd_secret, &[Hex]),
    row(nr::__NR_sched_setattr, &[Int, Pointer, Hex]),
    row(nr::__NR_sched_getattr, &[Int, Pointer, Unsigned, Hex]),
    row(nr::__NR_ioperm, &[Hex, Size, Int]),
];
