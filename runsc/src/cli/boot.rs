//! `runsc boot`: started by `create`, never by people.

use crate::cli::FAILURE;
use crate::logging;

/// Runs as the sandbox. Returns the exit code.
pub(crate) fn main() -> u8 {
    match control::read_config(host::spawn::FIRST_DONATED) {
        Ok(config) => {
            let config: control::BootConfig = config;
            logging::init_child(&config.log);
            sandbox::main(config)
        }
        Err(_) => {
            logging::complain("boot is started by create, not by hand");
            FAILURE
        }
    }
}
