//! Attacks the workspace's runsc from inside a sandbox; see the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    fuzz::main(&fuzz::Options::parse())
}
