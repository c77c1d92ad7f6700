//! Measures a platform (`PLATFORM=kvm`; ptrace without): microseconds per empty call, fault and mapping, new thread, and
//! new space; medians of 5. A row's name as argument measures only that.
#![expect(clippy::print_stdout, reason = "a measuring program prints")]
#![expect(clippy::unwrap_used, reason = "nothing to do but stop")]

use platform::{Access, Context, Exit, Platform, Space, ThreadState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CODE: usize = 0x40_0000;
const DATA: usize = 0x80_0000;
const PAGE: usize = 4096;
const ROUNDS: u32 = 20_000;

fn main() {
    let only = std::env::args().nth(1);
    let platform = open();
    let rows: [Row; 7] = [
        ("platform", 50, |_, rounds| platforms(rounds)),
        ("space that is not recycled", 200, fresh_spaces),
        ("empty call", ROUNDS, |platform, rounds| {
            calls(platform, rounds)
        }),
        ("empty call, 8 threads", ROUNDS, threads),
        ("fault, map, retry, unmap", 4_000, |platform, rounds| {
            faults(platform, rounds)
        }),
        ("space, context, map, call", 1_000, |platform, rounds| {
            forks(platform, rounds)
        }),
        ("context, call", 1_000, |platform, rounds| {
            contexts(platform, rounds)
        }),
    ];
    for (name, rounds, measure) in rows {
        if only.as_ref().is_none_or(|only| only == name) {
            let mut times: Vec<_> = (0..5).map(|_| measure(&platform, rounds)).collect();
            times.sort_unstable();
            report(name, rounds, times[2]);
        }
    }
}

fn open() -> Arc<Platform> {
    let name = std::env::var("PLATFORM").unwrap_or_else(|_| "ptrace".to_owned());
    platform::open(&name).unwrap()
}

type Row = (&'static str, u32, fn(&Arc<Platform>, u32) -> Duration);

fn report(name: &str, rounds: u32, time: Duration) {
    println!(
        "{name}: {:.2} us",
        time.as_secs_f64() * 1e6 / f64::from(rounds)
    );
}

/// `syscall; jmp` back, and at 16: `mov (%rdi), %al; syscall; jmp` back to 16.
fn code() -> OwnedFd {
    let file = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::pwrite(&file, &[0x0f, 0x05, 0xeb, 0xfc], 0).unwrap();
    rustix::io::pwrite(&file, &[0x8a, 0x07, 0x0f, 0x05, 0xeb, 0xfa], 16).unwrap();
    rustix::fs::ftruncate(&file, 1 << 20).unwrap();
    file
}

fn space(platform: &Platform, file: &OwnedFd) -> Arc<Space> {
    let space = platform.new_space().unwrap();
    let access = Access::READ | Access::EXECUTE;
    space
        .map(CODE..CODE + PAGE, file.as_fd(), 0, access, true)
        .unwrap();
    space
}

fn enter(platform: &Platform, space: &Arc<Space>) -> Context {
    let mut context = platform.new_context();
    context.switch_to(space).unwrap();
    context
}

fn run(context: &mut Context, state: &mut ThreadState) -> Exit {
    context.run(state).unwrap()
}

fn calls(platform: &Platform, rounds: u32) -> Duration {
    let space = space(platform, &code());
    let mut context = enter(platform, &space);
    let mut state = ThreadState::initial(u64::try_from(CODE).unwrap(), 0);
    for _ in 0..100 {
        run(&mut context, &mut state);
    }
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(run(&mut context, &mut state), Exit::Syscall);
        state.rax = 0;
    }
    start.elapsed()
}

fn threads(platform: &Arc<Platform>, rounds: u32) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| calls(platform, rounds / 8));
        }
    });
    start.elapsed()
}

fn faults(platform: &Platform, rounds: u32) -> Duration {
    let file = code();
    let space = space(platform, &file);
    let mut context = enter(platform, &space);
    let rdi = u64::try_from(DATA).unwrap();
    let at = u64::try_from(CODE + 16).unwrap();
    let mut state = ThreadState {
        rdi,
        ..ThreadState::initial(at, 0)
    };
    let start = Instant::now();
    for _ in 0..rounds {
        assert!(matches!(run(&mut context, &mut state), Exit::Fault(_)));
        space
            .map(DATA..DATA + PAGE, file.as_fd(), 4096, Access::READ, true)
            .unwrap();
        assert_eq!(run(&mut context, &mut state), Exit::Syscall);
        space.unmap(DATA..DATA + PAGE).unwrap();
    }
    start.elapsed()
}

fn forks(platform: &Platform, rounds: u32) -> Duration {
    let file = code();
    let start = Instant::now();
    for _ in 0..rounds {
        let space = space(platform, &file);
        let mut context = enter(platform, &space);
        let mut state = ThreadState::initial(u64::try_from(CODE).unwrap(), 0);
        assert_eq!(run(&mut context, &mut state), Exit::Syscall);
    }
    start.elapsed()
}

fn platforms(rounds: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        drop(open());
    }
    start.elapsed()
}

fn fresh_spaces(platform: &Arc<Platform>, rounds: u32) -> Duration {
    let start = Instant::now();
    let spaces: Vec<_> = (0..rounds).map(|_| platform.new_space().unwrap()).collect();
    let time = start.elapsed();
    drop(spaces);
    time
}

fn contexts(platform: &Platform, rounds: u32) -> Duration {
    let space = space(platform, &code());
    let start = Instant::now();
    for _ in 0..rounds {
        let mut context = enter(platform, &space);
        let mut state = ThreadState::initial(u64::try_from(CODE).unwrap(), 0);
        assert_eq!(run(&mut context, &mut state), Exit::Syscall);
    }
    start.elapsed()
}
