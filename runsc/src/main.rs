//! `runsc`: an OCI runtime whose containers run on a kernel of its own, in user space.

mod cli;
mod config;
mod flags;
mod logging;
mod printable;

use std::process::ExitCode;

use memory::CountedHeap;

/// What the sandbox allocates counts against its container's limit.
#[global_allocator]
static HEAP: CountedHeap = CountedHeap;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(cli::main(&args))
}
