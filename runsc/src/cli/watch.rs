//! `runsc watch`: started by `exec --detach`, never by people.

use container::exec;

use crate::cli::FAILURE;
use crate::logging;

/// Runs as a watcher. Returns the exit code.
pub(crate) fn main() -> u8 {
    let Ok(config) = exec::load_watch_config() else {
        logging::complain("watch is started by exec, not by hand");
        return FAILURE;
    };
    logging::init_child(&config.log);
    exec::watch(&config).unwrap_or_else(|error| {
        tracing::error!("{error}");
        FAILURE
    })
}
