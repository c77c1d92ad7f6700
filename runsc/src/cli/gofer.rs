//! `runsc gofer`: started by `create`, never by people.

use container::gofer_process;

use crate::cli::FAILURE;
use crate::logging;

/// Runs as the gofer. Returns the exit code.
pub(crate) fn main() -> u8 {
    match gofer_process::load_config() {
        Ok(config) => {
            logging::init_child(&config.log);
            gofer_process::run(&config)
        }
        Err(_) => {
            logging::complain("gofer is started by create, not by hand");
            FAILURE
        }
    }
}
