//! `run` and `do` in the foreground: start, pass signals on, wait, clean up.

use std::os::fd::AsFd;

use control::{Connection, Request, Target};
use host::errno;
use host::signal_fd::SignalFd;
use rustix::event::{PollFd, PollFlags, poll};

use crate::console::RawTerminal;
use crate::lifecycle::{self, Create, Created};
use crate::state::StateDir;
use crate::{ContainerError, Result, Settings, signal};

/// Creates a container, runs it to its end, and deletes it. Returns its exit code.
///
/// # Errors
/// Of every step; nothing is left of the container then.
pub fn run(settings: &Settings, request: Create<'_>) -> Result<u8> {
    let signals = SignalFd::block_all().map_err(ContainerError::host("receive signals"))?;
    let id = request.id.to_owned();
    let Created { state, launched } = lifecycle::create(settings, request)?;
    let ran = (|| {
        let connection = lifecycle::connect(&StateDir::new(&settings.root), &state)?;
        let _raw = if state.process.terminal {
            RawTerminal::new(std::io::stdin().as_fd())?
        } else {
            None
        };
        lifecycle::start(settings, &id)?;
        forward_until_end(
            &signals,
            &connection,
            launched.sandbox().pidfd().as_fd(),
            &id,
        )?;
        launched.wait()
    })();
    let deleted = lifecycle::delete(settings, &id, true);
    let code = ran?;
    deleted?;
    Ok(code)
}

/// Passes signals on to the init process until `end` is readable.
fn forward_until_end(
    signals: &SignalFd,
    connection: &Connection,
    end: std::os::fd::BorrowedFd<'_>,
    id: &str,
) -> Result<()> {
    loop {
        let mut polled = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::from_borrowed_fd(end, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result.map_err(|e| ContainerError::host("wait for the sandbox")(errno(e)))?,
        };
        let ended = !polled[1].revents().is_empty();
        while let Some(number) = signals
            .next()
            .map_err(ContainerError::host("read a signal"))?
        {
            // A sandbox that is just ending can't take it, and need not.
            let _ = forward(connection, id, number);
        }
        if ended {
            return Ok(());
        }
    }
}

fn forward(connection: &Connection, id: &str, number: i32) -> Result<()> {
    let request = match number {
        signal::CHLD => return Ok(()),
        signal::WINCH => Request::WindowChanged { id: id.to_owned() },
        signal => Request::Signal {
            id: id.to_owned(),
            target: Target::Init,
            signal,
        },
    };
    lifecycle::ask(connection, &request, id).map(drop)
}

/// Passes the signals of an executed process on until it ends. Returns its exit code; a sandbox that
/// ended first has taken it along by SIGKILL.
///
/// # Errors
/// [`ContainerError::Host`].
pub fn supervise(signals: &SignalFd, connection: &Connection, id: &str) -> Result<u8> {
    const KILLED: u8 = 128 + 9;
    loop {
        let mut polled = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(connection, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result.map_err(|e| ContainerError::host("wait for the process")(errno(e)))?,
        };
        let answered = !polled[1].revents().is_empty();
        while let Some(number) = signals
            .next()
            .map_err(ContainerError::host("read a signal"))?
        {
            let request = match number {
                signal::CHLD => continue,
                signal::WINCH => Request::WindowChanged { id: id.to_owned() },
                signal => Request::Signal {
                    id: id.to_owned(),
                    target: Target::Executed,
                    signal,
                },
            };
            if connection.send(&request, &[]).is_err() {
                return Ok(KILLED);
            }
        }
        if answered {
            match connection.receive::<control::Reply>() {
                Ok(received) => {
                    if let control::Reply::Exited { status } = received.message {
                        return Ok(status);
                    }
                }
                Err(control::ConnectionError::Closed) => return Ok(KILLED),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
