//! Measures the workspace's runsc beside the host and other runtimes; see the library.

use bench::Options;
use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    bench::main(&Options::parse())
}
