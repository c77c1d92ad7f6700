//! The command line.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use fixtures::runtime::Runtime;

/// Attacks the workspace's runsc from inside a sandbox.
///
/// The environment variables of `fixtures` choose the runtime under test and its profile.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
pub struct Options {
    /// How long to start new sessions.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub minutes: u64,
    /// The platform; else the first that works.
    #[arg(long, value_name = "NAME")]
    pub platform: Option<String>,
    /// The seed of the first session; those of the next follow it. Else the time.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// How many sessions to run, whatever time that takes.
    #[arg(long, value_name = "N")]
    pub sessions: Option<u64>,
    /// How long a session makes calls.
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub seconds: u64,
    /// Calls that are not made, such as those whose bugs are known.
    #[arg(long, value_name = "CALL,…", value_delimiter = ',')]
    pub without: Vec<String>,
    /// Has every call in the debug log, which is kept.
    #[arg(long)]
    pub trace: bool,
    /// How long `kill` and `delete` may take until nothing is left, in seconds.
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub kill_limit: u64,
    /// Runs bundles with damaged `config.json` files, and no random system calls.
    #[arg(long)]
    pub specs: bool,
    /// Where findings are kept.
    #[arg(long, value_name = "DIR", default_value = "fuzz-results")]
    pub out: PathBuf,
}

impl Options {
    /// The seed of the first session.
    pub(crate) fn first_seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| now.as_secs())
        })
    }

    /// The command that repeats a session.
    pub(crate) fn again(&self, runtime: &Runtime, seed: u64) -> String {
        let platform = runtime.platform.as_deref().unwrap_or("ptrace");
        let profile = std::env::var("RUNSC_PROFILE")
            .map_or(String::new(), |name| format!("RUNSC_PROFILE={name} "));
        let without = match self.without.as_slice() {
            [] => String::new(),
            names => format!(" --without {}", names.join(",")),
        };
        let what = match self.specs {
            true => "--specs".to_owned(),
            false => format!("--seconds {}{without} --trace", self.seconds),
        };
        format!(
            "{profile}cargo run -p fuzz -- --platform {platform} --seed {seed} --sessions 1 {what}"
        )
    }
}
