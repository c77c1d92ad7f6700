//! The sandbox process: lockdown, the container's start, the control server.
//!
//! It is pid 1 of its own pid namespace, so that its end is the end of every stub. [`main`] takes
//! what the parent donated ([`inputs`]), gives up everything else ([`lockdown`]), builds the kernel
//! ([`guest`]) and serves control requests ([`server`]) until the init process or one of the
//! [`lifeline`]s ends.

mod end;
mod error;
mod failure;
mod guest;
mod inputs;
mod lifeline;
mod lockdown;
mod masks;
mod mounts;
mod notices;
mod oom_events;
mod platform_list;
mod processes;
mod server;
mod signals;
mod start;
mod start_hook;
mod syscall_list;
mod terminal;

use std::sync::Arc;

use control::{BootConfig, Connection, Report};
use host::signal_fd::SignalFd;
use host::spawn::take_donated;

pub use platform::{KVM, PTRACE, device as device_of_platform};
pub use platform_list::{PlatformReport, try_platforms};
pub use sentry::user_log::TARGET as USER_LOG;
pub use syscall_list::{describe_syscalls, syscalls_csv, syscalls_json};

use crate::end::End;
use crate::error::SandboxError;
use crate::guest::Guest;
use crate::inputs::Inputs;
use crate::oom_events::OomEvents;

/// The exit code of every failure of the sandbox's own.
const FAILURE: u8 = 128;

/// Runs as the sandbox. Returns the process's exit code: the init process's own.
#[must_use]
pub fn main(config: BootConfig) -> u8 {
    let Ok(report) = take_donated(config.fds.report).map(Connection::new) else {
        return FAILURE;
    };
    let end = Arc::new(End::default());
    match prepare(config, &end) {
        Ok(()) => {
            if report.send(&Report::Ready, &[]).is_err() {
                return FAILURE;
            }
            drop(report);
            let code = end.wait();
            tracing::info!("the sandbox ends with exit code {code}");
            code
        }
        Err(error) => {
            tracing::error!("cannot start: {error}");
            let _ = report.send(
                &Report::Failed {
                    reason: error.to_string(),
                },
                &[],
            );
            FAILURE
        }
    }
}

/// Heaps that the Sentry's threads share: more of them keep more free memory from each other.
const ARENAS: u8 = 4;

fn prepare(config: BootConfig, end: &Arc<End>) -> Result<(), SandboxError> {
    host::malloc::limit_arenas(ARENAS);
    let inputs = Inputs::take(&config)?;
    let score = lockdown::OomScore::open();
    lockdown::give_up_privilege(&config, &inputs)?;
    let victim = lockdown::prepare_oom_victim(&inputs, &score);
    score.of_stubs(victim.is_some());
    let signals = SignalFd::block_messages().map_err(SandboxError::host("receive signals"))?;
    let Inputs {
        gofer,
        gofer_lifeline,
        lifeline,
        control,
        stdio,
        preserved,
        notify,
        host_memory,
        platform_device,
    } = inputs;
    let platform = lockdown::make_platform(&config, platform_device)?;
    let host_calls = platform.host_calls();
    let denied = config.log.denied_report("sandbox");
    let oom_events = victim.map(|victim| OomEvents::new(victim, end));
    let guest = Guest::new(
        config,
        platform,
        (host_memory, oom_events),
        gofer,
        stdio,
        preserved,
        notify,
    )?;
    lockdown::install_filter(host_calls, denied)?;
    lifeline::watch(lifeline, gofer_lifeline, end)?;
    signals::watch(signals, &guest, end)?;
    server::serve(control, guest, end)
}
