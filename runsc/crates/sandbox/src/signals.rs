//! Signals to the sandbox's own process, which stands for the container on the host: they are for the init process, and
//! a change of its controlling terminal's window is for the terminal behind that.

use std::sync::Arc;

use control::Target;
use host::signal_fd::{Received, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};

use crate::end::End;
use crate::error::SandboxError;
use crate::guest::Guest;

/// `SIGWINCH`
const WINDOW_CHANGED: i32 = 28;
/// Stack of the thread that waits for them.
const STACK_BYTES: usize = 128 << 10;

/// Starts passing them on. Returns at once.
pub(crate) fn watch(
    signals: SignalFd,
    guest: &Arc<Guest>,
    end: &Arc<End>,
) -> Result<(), SandboxError> {
    let (guest, end) = (guest.clone(), end.clone());
    std::thread::Builder::new()
        .name("signals".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            loop {
                let mut polled = [PollFd::new(&signals, PollFlags::IN)];
                if poll(&mut polled, None).is_ok()
                    && let Ok(Some(received)) = signals.next_received()
                {
                    pass_on(received, &guest, &end);
                }
            }
        })
        .map(drop)
        .map_err(SandboxError::Thread)
}

fn pass_on(received: Received, guest: &Guest, end: &Arc<End>) {
    let number = received.number;
    if number == WINDOW_CHANGED {
        guest.window_changed();
    } else if received.sent
        && let Err(failure) = guest.signal(Target::Init, number, end)
    {
        // What the kernel sends is about the sandbox: of its terminal's end the guest learns from the terminal.
        tracing::info!(number, reason = %failure.reason, "a signal was not passed on");
    }
}
