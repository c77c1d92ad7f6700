//! The fuzzer: random system calls with semi-valid arguments in sandboxes, whose host side is watched.
//!
//! ```sh
//! cargo run -p fuzz -- --minutes 10 --platform kvm          # one session after the other, a new seed each
//! cargo run -p fuzz -- --platform kvm --seed 17 --sessions 1 --trace   # one again, with every call in its debug log
//! cargo run -p fuzz -- --minutes 10 --specs                 # damaged config.json files
//! RUNSC_PROFILE=dev cargo run -p fuzz -- --minutes 480      # with overflow checks and assertions in the Sentry
//! ```
//!
//! A session is a container that lives for half a minute. Its seed decides what it is ([`plan`]): the kind of root, the
//! user, capabilities, limits, what its standard input and output are, and when it is killed. Inside, `fuzz-guest`
//! supervises workers that make random calls; `fuzz/guest/src/calls.txt` says what arguments look like. Threads and
//! children work on the same memory and descriptors, in namespaces of their own or not, and execute damaged programs.
//!
//! Meanwhile ([`session`]) `runsc exec` must always get an answer; the sandbox must not end by itself; its logs hold no
//! panic; what the host's processes hold after everything inside was killed must not grow ([`watch`]); and after `kill`
//! and `delete` nothing is left. What does not hold is a finding ([`finding`]): it is printed with the command that
//! repeats it, and kept in a directory with the end of the session's logs. The same seed gives each worker the same calls in the
//! same order; how the threads of a worker fall together is up to the machine.
//!
//! With `--specs` a session is some bundles whose `config.json` is damaged ([`spec`]).

mod cli;
mod dice;
mod finding;
mod plan;
mod session;
mod spec;
mod stdio;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use cli::Options;
use session::Scene;

/// Runs sessions until the time is over; fails if there was a finding.
///
/// # Errors
/// The runtime or the guest program can't be built, or a session can't be prepared.
pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    let findings = run(options)?;
    Ok(if findings == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs sessions until the time is over or so many were run; how many had a finding.
///
/// # Errors
/// As [`main`].
#[expect(clippy::print_stdout, reason = "the program's output")]
pub fn run(options: &Options) -> anyhow::Result<u64> {
    let scene = Scene::new(options)?;
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    let (mut nr_findings, mut seed, mut nr) = (0, options.first_seed(), 0);
    while nr < options.sessions.unwrap_or(u64::MAX)
        && (options.sessions.is_some() || Instant::now() < end)
    {
        let outcome = match options.specs {
            true => scene.specs(seed)?,
            false => scene.session(seed)?,
        };
        println!("{}", outcome.summary);
        for finding in &outcome.findings {
            println!("{finding}");
        }
        if !outcome.findings.is_empty() {
            nr_findings += 1;
            println!("  again: {}", options.again(&scene.runtime, seed));
        }
        seed = seed.wrapping_add(1);
        nr += 1;
    }
    println!("{nr} sessions, {nr_findings} with findings");
    Ok(nr_findings)
}
