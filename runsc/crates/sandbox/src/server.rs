//! The control server: one thread per connection, which takes a request, acts, and answers. Its
//! clients are the command line's processes; the kernel's answers are taken as they come, the
//! client's words are checked by their decoding.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use control::{Connection, ConnectionError, FailureKind, Received, Reply, Request, Target};
use rustix::net::{SocketFlags, accept_with};

use crate::end::End;
use crate::error::SandboxError;
use crate::failure::Failure;
use crate::guest::{Guest, Running};

/// Stack of a thread that serves a connection.
const STACK_BYTES: usize = 512 << 10;

/// Starts serving. Returns at once.
pub(crate) fn serve(
    listener: OwnedFd,
    guest: Arc<Guest>,
    end: &Arc<End>,
) -> Result<(), SandboxError> {
    let end = end.clone();
    thread::Builder::new()
        .name("control".into())
        .spawn(move || accept_all(&listener, &guest, &end))
        .map_err(SandboxError::Thread)?;
    Ok(())
}

fn accept_all(listener: &OwnedFd, guest: &Arc<Guest>, end: &Arc<End>) {
    loop {
        let socket = match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => socket,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot accept control connections any more");
                return;
            }
        };
        let (guest, end) = (guest.clone(), end.clone());
        let thread = thread::Builder::new()
            .name("control".into())
            .stack_size(STACK_BYTES);
        let started = thread.spawn(move || {
            let connection = Arc::new(Connection::new(socket));
            serve_one(&connection, &guest, &end);
        });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for a control connection");
        }
    }
}

fn serve_one(connection: &Arc<Connection>, guest: &Arc<Guest>, end: &Arc<End>) {
    let mut executed: Option<Running> = None;
    loop {
        let received = match connection.receive::<Request>() {
            Ok(received) => received,
            Err(ConnectionError::Closed) => break,
            Err(error) => {
                tracing::warn!(%error, "a control connection ends");
                break;
            }
        };
        tracing::debug!(request = ?received.message, "control");
        // A start that fails ends the sandbox, but not before it has said why.
        let starts = matches!(received.message, Request::Start { .. });
        let _due = starts.then(|| end.answer_due());
        let reply = act(received, connection, guest, end, &mut executed);
        let reply = reply.unwrap_or_else(|failure| {
            tracing::info!(reason = %failure.reason, "control request failed");
            Reply::Failed {
                kind: failure.kind,
                reason: failure.reason,
            }
        });
        if connection.send(&reply, &[]).is_err() {
            break;
        }
    }
    // Whoever stood for the executed process on the host is gone.
    if let Some(process) = executed {
        process.kill();
    }
}

fn act(
    received: Received<Request>,
    connection: &Arc<Connection>,
    guest: &Arc<Guest>,
    end: &Arc<End>,
    executed: &mut Option<Running>,
) -> Result<Reply, Failure> {
    let Received { message, fds } = received;
    match message {
        Request::Start { id, hooks, notices } => {
            guest.check(&id)?;
            let process = guest.start(&hooks, fds, &notices).inspect_err(|failure| {
                // Nothing will ever run here: whoever waits for the sandbox must not wait on.
                if failure.kind != FailureKind::WrongState {
                    end.with(crate::FAILURE);
                }
            })?;
            let pid = process.pid();
            end_with(process, end)?;
            Ok(Reply::Started { pid })
        }
        Request::Exec(spec) => {
            guest.check(&spec.id)?;
            if executed.is_some() {
                return Err(Failure::new(
                    FailureKind::WrongState,
                    "one process per connection",
                ));
            }
            let process = guest.exec(&spec.process, fds)?;
            let pid = process.pid();
            *executed = Some(process.clone());
            // The answer to this request must come before that of the process's end.
            connection
                .send(&Reply::Started { pid }, &[])
                .map_err(|e| Failure::new(FailureKind::Failed, e))?;
            report_end(process, connection, end)?;
            Ok(Reply::Done)
        }
        Request::Signal { id, target, signal } => {
            guest.check(&id)?;
            match (target, &*executed) {
                (Target::Executed, Some(process)) => process.signal(signal)?,
                _ => guest.signal(target, signal, end)?,
            }
            Ok(Reply::Done)
        }
        Request::WindowChanged { id } => {
            guest.check(&id)?;
            match &*executed {
                Some(process) => process.window_changed(),
                None => guest.window_changed(),
            }
            Ok(Reply::Done)
        }
        Request::Wait { id, pid } => {
            guest.check(&id)?;
            let _due = end.answer_due();
            let status = guest.wait(pid)?;
            let _ = connection.send(&Reply::Exited { status }, &[]);
            Ok(Reply::Done)
        }
        Request::Processes { id } => {
            guest.check(&id)?;
            Ok(Reply::Processes(guest.processes()))
        }
        Request::Pause { id } => guest.check(&id).and_then(|()| guest.pause()),
        Request::Resume { id } => guest.check(&id).and_then(|()| guest.resume()),
        Request::Update { id, limits } => {
            guest.check(&id)?;
            Ok(guest.update(limits))
        }
        Request::Usage { id } => {
            guest.check(&id)?;
            Ok(Reply::Usage(guest.usage()))
        }
    }
}

/// The sandbox ends with the init process.
fn end_with(process: Running, end: &Arc<End>) -> Result<(), Failure> {
    let end = end.clone();
    spawn(move || end.with(process.wait()))
}

fn report_end(
    process: Running,
    connection: &Arc<Connection>,
    end: &Arc<End>,
) -> Result<(), Failure> {
    let (connection, end) = (connection.clone(), end.clone());
    spawn(move || {
        let _due = end.answer_due();
        let status = process.wait();
        // The other end may have gone: then nobody wants to know.
        let _ = connection.send(&Reply::Exited { status }, &[]);
    })
}

fn spawn(body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name("wait".into())
        .stack_size(64 << 10)
        .spawn(body)
        .map(drop)
        .map_err(|e| Failure::new(FailureKind::Failed, e))
}
