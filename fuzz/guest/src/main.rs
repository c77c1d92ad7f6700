//! The fuzzer's program inside the sandbox.
//!
//! `drive SEED SECONDS DIRECTORY` supervises workers that make random system calls and starts new ones when they end, in
//! epochs after each of which everything is killed and cleared; `ping` shows that a new process can live here. With any
//! other arguments it is a worker, since a worker may execute this program with whatever arguments come up.
//!
//! [`grammar`] reads the calls from `calls.txt`, [`values`] makes their arguments, [`arena`] holds the memory and
//! [`setup`] the descriptors that they are about, [`worker`] makes them, [`spawn`] makes threads and processes, [`elf`]
//! executes damaged programs, [`supervisor`] looks after all of it.

mod arena;
mod dice;
mod edges;
mod elf;
mod grammar;
mod names;
mod raw;
mod setup;
mod signals;
mod spawn;
mod supervisor;
mod values;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["ping"] => ping(),
        ["drive", seed, seconds, directory] => supervisor::run(
            seed.parse().unwrap_or(0),
            seconds.parse().unwrap_or(10),
            directory,
        ),
        other => worker::run_executed(other),
    }
}

/// Uses what a new program needs of its kernel: memory, a file, another process, a pipe.
#[expect(clippy::print_stdout, reason = "the answer")]
fn ping() -> ExitCode {
    let memory = vec![1_u8; 1 << 16];
    let maps = std::fs::read_to_string("/proc/self/maps").is_ok();
    let sum: usize = memory.iter().copied().map(usize::from).sum();
    println!("pong {sum} {maps}");
    ExitCode::SUCCESS
}
