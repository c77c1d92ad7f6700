//! A worker: a process that makes random system calls.

use std::process::ExitCode;
use std::sync::OnceLock;

use crate::arena::{self, Arena};
use crate::dice::Dice;
use crate::grammar::{self, Call, Grammar};
use crate::raw::{self, raw};
use crate::values::Maker;
use crate::{elf, setup, spawn, supervisor};

/// What all threads and children of a worker know.
struct World {
    grammar: Grammar,
    arena: Arena,
}

static WORLD: OnceLock<World> = OnceLock::new();

/// What a child of the supervisor does until it is killed.
pub(crate) fn start(seed: u64) {
    let mut dice = Dice::of(seed, 1);
    if dice.one_in(8) {
        elf::run(&mut dice);
        return;
    }
    setup::limit();
    setup::identity(dice.below(8));
    setup::files();
    prepare();
    for _ in 0..dice.below(4) {
        spawn::thread(&mut dice);
    }
    run(dice, u64::MAX, 0);
}

/// This program, executed by a worker.
pub(crate) fn run_executed(args: &[&str]) -> ExitCode {
    let seed = args.iter().flat_map(|arg| arg.bytes()).map(u64::from).sum();
    setup::limit();
    // Whoever executed it may have had as many descriptors as it may have.
    raw!(SYS_close_range, 100, u32::MAX, 0);
    prepare();
    let mut dice = Dice::of(seed, spawn::own_pid().cast_unsigned());
    let nr_calls = 100 + dice.below(1000);
    run(dice, nr_calls, 1);
    ExitCode::SUCCESS
}

fn prepare() {
    spawn::note_own_pid();
    let Some(grammar) = grammar::read() else {
        return;
    };
    setup::descriptors();
    setup::arm();
    WORLD.get_or_init(|| World {
        grammar,
        arena: Arena::new(),
    });
}

/// Makes so many calls.
pub(crate) fn run(dice: Dice, nr_calls: u64, depth: u64) {
    let Some(world) = WORLD.get() else { return };
    let mut maker = Maker::new(&world.grammar, dice, world.arena, arena::scratch());
    for made in 0..nr_calls {
        supervisor::beat();
        if made % 64 == 0 {
            housekeeping(&mut maker);
        }
        if maker.dice.one_in(14) {
            raw!(SYS_close, maker.dice.below(200));
        }
        one(world, &mut maker, depth);
    }
}

/// Sees to it that the worker goes on: the alarm, and a signal for whoever sleeps.
fn housekeeping(maker: &mut Maker<'_>) {
    setup::rearm();
    let other = spawn::recent(maker.dice.below(64));
    if other > 1 {
        raw!(SYS_tkill, other, libc::SIGALRM);
    }
}

fn one(world: &World, maker: &mut Maker<'_>, depth: u64) {
    let list = match maker.dice.one_in(10) {
        true => &world.grammar.rarely,
        false => &world.grammar.often,
    };
    let Some(call) = maker.dice.pick(list) else {
        return;
    };
    let args = maker.arguments(&call.args);
    make(call, maker, depth, args);
}

fn make(call: &Call, maker: &mut Maker<'_>, depth: u64, args: [u64; 6]) {
    match call.number.cast_signed() {
        number @ (libc::SYS_fork | libc::SYS_vfork | libc::SYS_clone | libc::SYS_clone3) => {
            if depth < spawn::MAX_DEPTH {
                spawn::any(number, maker, depth, args);
            }
        }
        number if depth == 0 && ends(number) => {}
        _ => {
            raw::call(call.number, args);
        }
    }
}

/// Calls that would end a worker, or most of what it can do: its children make them.
fn ends(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_exit
            | libc::SYS_exit_group
            | libc::SYS_execve
            | libc::SYS_execveat
            | libc::SYS_rt_sigreturn
            | libc::SYS_seccomp
    )
}
