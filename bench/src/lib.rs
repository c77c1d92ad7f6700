//! The bench: what system calls, processes, programs, a start and an idle sandbox cost on the host and in each runtime.
//!
//! All runtimes are measured in one run and in turn, repetition by repetition, so that what else the machine does falls
//! on all of them alike. [`subject`] says what is measured, [`scene`] in what, [`measure`], [`programs`], [`start`],
//! [`idle`] and [`probe`] how; [`samples`] keeps the numbers, and [`table`], [`csv`] and [`chart`] show them.

mod chart;
mod cli;
mod csv;
mod effort;
mod idle;
mod machine;
mod measure;
mod probe;
mod processes;
mod programs;
mod rounds;
mod rows;
mod samples;
mod scene;
mod start;
mod stats;
mod subject;
mod table;

use std::fs;
use std::path::Path;

use anyhow::Context as _;

pub use cli::Options;
pub use effort::Effort;
pub use machine::{Machine, load};
pub use rows::{Class, Row, Unit};
pub use samples::Samples;
pub use stats::Summary;
pub use subject::{NATIVE, Subject, all as subjects};
pub use table::digits;

/// Measures all subjects.
///
/// # Errors
/// The guest program or a bundle can't be made.
pub fn run(effort: &Effort, subjects: &[Subject]) -> anyhow::Result<Samples> {
    rounds::run(effort, subjects)
}

/// Measures, prints the table, and writes it with the samples and the chart.
///
/// # Errors
/// A runtime is missing, something can't be built, or a file can't be written.
#[expect(clippy::print_stdout, reason = "the table is the program's output")]
pub fn main(options: &Options) -> anyhow::Result<()> {
    fs::create_dir_all(&options.out).with_context(|| format!("make {}", options.out.display()))?;
    let subjects = options.subjects()?;
    let machine = Machine::read();
    let samples = run(&options.effort(), &subjects)?;
    let report = format!(
        "{}Load at the end: {}\n\n{}",
        machine.describe(),
        load(),
        table::render(&samples)
    );
    print!("{report}");
    write(&options.out, &samples, &report)
}

fn write(out: &Path, samples: &Samples, report: &str) -> anyhow::Result<()> {
    let files = [
        ("table.md", report.to_owned()),
        ("samples.csv", csv::samples(samples)),
        ("summary.csv", csv::summary(samples)),
        ("chart.svg", chart::render(samples)),
    ];
    for (name, text) in files {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
