//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use fixtures::runtime::Runtime;

use crate::subject::{self, Subject};

/// Measures the workspace's runsc beside the host, runc and other runtimes.
///
/// The environment variables of `fixtures` choose the runtime under test, its platforms and its profile.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// One more runtime: its name and its command line with global flags, without a subcommand.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Runtime::parse)]
    pub vs: Vec<Runtime>,
    /// How often everything is measured; medians need five.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: u32,
    /// How long to measure each row in each repetition, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub row_ms: u64,
    /// Where to write the table, the samples and the chart.
    #[arg(long, value_name = "DIR", default_value = "bench-results")]
    pub out: PathBuf,
    /// Once and briefly, on the host and in the runtime under test only: shows that the bench works.
    #[arg(long, conflicts_with_all = ["vs", "repetitions"])]
    pub quick: bool,
}

impl Options {
    /// What is measured: the host, the runtime under test on each platform that works here, runc, and the others that
    /// are named.
    ///
    /// # Errors
    /// The runtime under test can't be built or found, or two have one name.
    pub fn subjects(&self) -> anyhow::Result<Vec<Subject>> {
        subject::all(!self.quick, &self.vs)
    }

    /// How often everything is measured.
    pub(crate) fn repetitions(&self) -> u32 {
        if self.quick { 1 } else { self.repetitions }
    }

    /// How long a row is measured, in milliseconds.
    pub(crate) fn row_ms(&self) -> u64 {
        if self.quick {
            self.row_ms.min(5)
        } else {
            self.row_ms
        }
    }

    /// How long a sandbox is left alone before its memory is read, and again while its CPU time is counted.
    pub(crate) fn settle(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 1000 })
    }
}
