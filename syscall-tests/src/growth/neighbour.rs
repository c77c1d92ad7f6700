//! Another user's process, which works when asked: starts a process, uses a pipe and a file.

use crate::case::{Failure, Outcome};
use crate::growth::become_user;
use crate::support::fd::{self, Fd};
use crate::support::process::{self, Child};

const NEIGHBOUR: u32 = 1001;
/// How long it may take over its work.
const PATIENCE_MS: i32 = 60_000;

/// It, and the pipes that lead to it.
pub(super) struct Neighbour {
    ask: Fd,
    answer: Fd,
    process: Child,
}

impl Neighbour {
    /// Starts it.
    pub(super) fn start() -> Result<Neighbour, Failure> {
        let (asked, ask) = fd::pipe(0)?;
        let (answer, answered) = fd::pipe(0)?;
        let process = process::fork(|| serve(&asked, &answered))?;
        Ok(Neighbour {
            ask,
            answer,
            process,
        })
    }

    /// Has it work: `works`, or what is wrong.
    pub(super) fn works(&mut self) -> String {
        let mut status = 0_i32;
        if matches!(
            sys!(SYS_wait4, self.process.pid, &mut status, libc::WNOHANG, 0),
            Ok(1..)
        ) {
            return format!("dead ({})", process::Status(status));
        }
        if self.ask.write(b"?").is_err() {
            return "dead".to_owned();
        }
        if !matches!(
            fd::poll_one(&self.answer, libc::POLLIN, PATIENCE_MS),
            Ok(1..)
        ) {
            return "silent".to_owned();
        }
        match self.answer.read(200) {
            Ok(text) if !text.is_empty() => String::from_utf8_lossy(&text).into_owned(),
            _ => "dead".to_owned(),
        }
    }
}

fn serve(asked: &Fd, answered: &Fd) -> i32 {
    if become_user(NEIGHBOUR).is_err() {
        return 90;
    }
    while asked.read(1).is_ok_and(|byte| !byte.is_empty()) {
        let text = match work() {
            Ok(()) => "works".to_owned(),
            Err(Failure::Failed(reason) | Failure::Skipped(reason)) => reason,
        };
        if answered.write(text.as_bytes()).is_err() {
            return 91;
        }
    }
    0
}

fn work() -> Outcome {
    let mut child = process::fork(|| 7)?;
    let status = child.wait()?;
    if status.code() != Some(7) {
        fail!("its child ended with {status}");
    }
    let (reader, writer) = fd::pipe(0)?;
    writer.write(b"hello")?;
    if reader.read(5)? != b"hello" {
        fail!("its pipe holds something else");
    }
    Ok(())
}
