//! Threads and processes that make random calls on what the worker has.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::arena;
use crate::dice::Dice;
use crate::raw::{self, Arg as _, raw};
use crate::values::Maker;
use crate::worker;

/// How deep processes make processes.
pub(crate) const MAX_DEPTH: u64 = 3;
/// The size of a thread's stack.
const STACK_PAGES: u64 = 32;
/// Sharing memory and more, as the C library makes threads.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// Flags that go together.
const FLAGS: [i32; 16] = [
    libc::SIGCHLD,
    libc::SIGCHLD,
    THREAD,
    THREAD,
    THREAD | libc::CLONE_CHILD_CLEARTID | libc::CLONE_PARENT_SETTID,
    libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
    libc::CLONE_VM | libc::SIGCHLD,
    libc::CLONE_FILES | libc::SIGCHLD,
    libc::CLONE_FS | libc::CLONE_VM | libc::CLONE_SIGHAND,
    libc::CLONE_PARENT | libc::SIGCHLD,
    libc::CLONE_PIDFD | libc::SIGCHLD,
    libc::CLONE_PTRACE | libc::SIGCHLD,
    libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::SIGCHLD,
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::SIGCHLD,
    libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::SIGCHLD,
    libc::SIGUSR1,
];

static OWN: AtomicI64 = AtomicI64::new(0);
static RECENT: [AtomicI64; 64] = [const { AtomicI64::new(0) }; 64];
static MADE: AtomicI64 = AtomicI64::new(0);

/// The id of this process.
pub(crate) fn own_pid() -> i64 {
    OWN.load(Ordering::Relaxed)
}

/// Asks for the id of this process, which a child must do.
pub(crate) fn note_own_pid() {
    OWN.store(raw!(SYS_getpid), Ordering::Relaxed);
}

/// One of the last processes or threads that were made here; 0 if there are none.
pub(crate) fn recent(index: u64) -> i64 {
    let nr = MADE.load(Ordering::Relaxed).clamp(1, 64).cast_unsigned();
    let index = usize::try_from(index % nr).unwrap_or(0);
    RECENT
        .get(index)
        .map_or(0, |pid| pid.load(Ordering::Relaxed))
}

fn note(pid: i64) {
    let made = MADE.fetch_add(1, Ordering::Relaxed).rem_euclid(64);
    let slot = usize::try_from(made).ok().and_then(|n| RECENT.get(n));
    if let Some(slot) = slot {
        slot.store(pid, Ordering::Relaxed);
    }
}

/// A thread on everything that the worker has.
pub(crate) fn thread(dice: &mut Dice) {
    let args = [THREAD.word(), stack(), 0, 0, 0, 0];
    finish(raw::spawn(
        libc::SYS_clone.cast_unsigned(),
        args,
        child,
        argument(dice, 0),
    ));
}

/// Makes the call, one of those that make processes, with flags that go together, or arguments as they came up.
pub(crate) fn any(number: i64, maker: &mut Maker<'_>, depth: u64, args: [u64; 6]) {
    let mut flags = maker.dice.pick(&FLAGS).copied().unwrap_or(0).word();
    if maker.dice.one_in(8) {
        flags ^= 1 << (7 + maker.dice.below(26));
    }
    let argument = argument(&mut maker.dice, depth + 1);
    let made = match number {
        libc::SYS_clone => {
            let args = [flags, stack_for(flags), args[2], args[3], args[4], 0];
            raw::spawn(number.cast_unsigned(), args, child, argument)
        }
        libc::SYS_clone3 => clone3(flags, args, argument),
        _ => raw::spawn(number.cast_unsigned(), args, child, argument),
    };
    finish(made);
}

fn clone3(flags: u64, args: [u64; 6], argument: u64) -> i64 {
    let signal = flags & 0xff;
    let stack = match stack_for(flags) {
        0 => [0, 0],
        top => [top - STACK_PAGES * arena::PAGE, STACK_PAGES * arena::PAGE],
    };
    // The address of some structure serves the call as somewhere to store ids.
    let ids = args[0];
    let all = [
        flags & !0xff,
        ids,
        ids,
        ids,
        signal,
        stack[0],
        stack[1],
        0,
        0,
        0,
        0,
    ];
    let len = if args[1] > 88 { 88 } else { args[1] };
    raw::spawn(
        libc::SYS_clone3.cast_unsigned(),
        [all.as_slice().word(), len, 0, 0, 0, 0],
        child,
        argument,
    )
}

fn finish(made: i64) {
    if made > 1 {
        note(made);
    }
}

/// Who shares memory with a parent that is awake needs a stack.
fn stack_for(flags: u64) -> u64 {
    let shares = flags & libc::CLONE_VM.word() != 0;
    let waits = flags & libc::CLONE_VFORK.word() != 0;
    if shares && !waits { stack() } else { 0 }
}

fn stack() -> u64 {
    arena::reserve(STACK_PAGES).wrapping_add(STACK_PAGES * arena::PAGE)
}

/// What a child needs to know: its seed and how deep it is.
fn argument(dice: &mut Dice, depth: u64) -> u64 {
    (dice.next() << 8) | depth.min(0xff)
}

extern "C" fn child(argument: u64) -> ! {
    let depth = argument & 0xff;
    note_own_pid();
    let mut dice = Dice::new(argument >> 8);
    let nr_calls = if depth == 0 {
        u64::MAX
    } else {
        20 + dice.below(400)
    };
    worker::run(dice, nr_calls, depth);
    loop {
        raw!(SYS_exit, depth);
        raw!(SYS_exit_group, depth);
    }
}
