//! Platforms and runtimes side by side: what they cost and what they get right, as one page and as JSON.
//!
//! [`collect`] measures and tests; [`model`] is what came of it, and is the JSON; [`page`] shows the same structure.
//! [`ranking`] says in words which is best for what, [`bare_metal`] what KVM should cost without a hypervisor below.

mod bare_metal;
mod collect;
mod model;
mod page;
mod ranking;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use fixtures::runtime::Runtime;

use model::Comparison;

/// What to compare and how thoroughly.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One more runtime: its name and its command line with global flags, without a subcommand.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Runtime::parse)]
    vs: Vec<Runtime>,
    /// How often everything is measured; quartiles need five.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// How long to measure each row in each repetition, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 70, value_parser = clap::value_parser!(u64).range(1..))]
    row_ms: u64,
    /// Only the behaviour tests whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Once and briefly, with few tests: shows that the comparison works.
    #[arg(long, conflicts_with_all = ["repetitions", "row_ms"])]
    quick: bool,
    /// Where to write compare.html and compare.json.
    #[arg(long, value_name = "DIR", default_value = "compare-results")]
    out: PathBuf,
    /// Makes the page anew from the JSON of an earlier run, without measuring.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vs", "quick", "only", "repetitions", "row_ms"])]
    from: Option<PathBuf>,
}

impl Options {
    /// The behaviour tests' names must contain this.
    fn filter(&self) -> &str {
        let default = if self.quick { "read::" } else { "" };
        self.only.as_deref().unwrap_or(default)
    }
}

/// Compares and writes the page and the JSON; the exit code is 1 if a test differs that is not listed.
///
/// # Errors
/// A program can't be built or run, or a file can't be read or written.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let comparison = match &options.from {
        Some(path) => read(path)?,
        None => collect::collect(options)?,
    };
    fs::create_dir_all(&options.out).with_context(|| format!("make {}", options.out.display()))?;
    let json = format!("{:#}\n", serde_json::to_value(&comparison)?);
    for (name, text) in [
        ("compare.json", json),
        ("compare.html", page::render(&comparison)),
    ] {
        let path = options.out.join(name);
        crate::deliver(&text, Some(&path))?;
        crate::say(&format!("wrote {}", path.display()));
    }
    for problem in comparison.tests.problems() {
        crate::say(&problem);
    }
    let is_clean = comparison.tests.problems().next().is_none();
    Ok(ExitCode::from(u8::from(!is_clean)))
}

fn read(path: &Path) -> anyhow::Result<Comparison> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))
}
