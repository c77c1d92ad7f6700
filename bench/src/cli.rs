//! The command line.

use std::path::PathBuf;

use clap::Parser;
use fixtures::runtime::Runtime;

use crate::effort::Effort;
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

    /// How much is measured.
    pub(crate) fn effort(&self) -> Effort {
        match self.quick {
            true => Effort::quick(),
            false => Effort::thorough(self.repetitions, self.row_ms),
        }
    }
}
