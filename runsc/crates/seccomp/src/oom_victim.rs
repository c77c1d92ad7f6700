//! What the host's OOM killer takes in the guest's stead, and the keeper that forks the next one.

use libc::{
    SYS_clone, SYS_exit, SYS_mmap, SYS_nanosleep, SYS_prctl, SYS_read, SYS_wait4, SYS_write,
};

use crate::entry::{Argument, Entry, NOT_EXECUTABLE, allow, when};

/// SIGCHLD and no flag: a process of its own in the same namespaces.
const NEW_PROCESS: &[&[Argument]] = &[&[Argument::Is(0, 17)]];
/// `PR_SET_PDEATHSIG`
const DEATH_SIGNAL: &[&[Argument]] = &[&[Argument::Is(0, 1)]];

/// What both need, once the keeper holds nothing but its two pipes.
pub const ENTRIES: &[Entry] = &[
    when(SYS_clone, NEW_PROCESS, "the keeper makes the next one"),
    allow(SYS_wait4, "the keeper waits for its end"),
    allow(SYS_nanosleep, "the keeper lets memory come back"),
    allow(SYS_write, "the keeper tells of an end"),
    when(SYS_prctl, DEATH_SIGNAL, "ends with the keeper"),
    when(SYS_mmap, NOT_EXECUTABLE, "the memory to take"),
    allow(SYS_read, "waits to be offered"),
    allow(SYS_exit, "the end of either"),
];
