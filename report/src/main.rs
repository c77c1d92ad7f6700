//! Reports on platforms and runtimes beside the host kernel.
//!
//! [`matrix`]: the behaviour tests in every place.
//! [`compare`]: costs and tests side by side, as a page.
//! [`repro`]: one program's calls on the host kernel and in the sandbox.

mod compare;
mod escape;
mod matrix;
mod repro;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

/// Reports on the platforms of the workspace's runsc, and on other runtimes, beside the host kernel. Needs root.
#[derive(Debug, Parser)]
#[command(name = "report")]
enum Command {
    /// Runs every behaviour test in every place; the exit code is 1 if one differs that is not listed.
    Matrix(matrix::Options),
    /// Runs a program on the host kernel and in the sandbox, and shows the first call whose result differs.
    Repro(repro::Options),
    /// Measures and tests every platform and writes a page and JSON; the exit code is as that of `matrix`.
    Compare(compare::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Matrix(options) => matrix::run(&options),
        Command::Repro(options) => Ok(repro::run(&options)),
        Command::Compare(options) => compare::run(&options),
    }
}

/// Writes a report to a file, or to standard output if none is named.
#[expect(clippy::print_stdout, reason = "the report is the program's output")]
fn deliver(text: &str, output: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = output else {
        print!("{text}");
        return Ok(());
    };
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Progress and failures, apart from the report.
#[expect(
    clippy::print_stderr,
    reason = "the report is alone on standard output"
)]
fn say(text: &str) {
    eprintln!("report: {text}");
}
