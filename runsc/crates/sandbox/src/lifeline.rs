//! Who ends the sandbox from outside: the command that waits for it, and the gofer.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

use crate::FAILURE;
use crate::end::End;
use crate::error::SandboxError;

/// The exit code when the command that waited has ended: nobody is there to read it.
const ORPHANED: u8 = 128 + 9;

/// Starts the thread that watches both. A byte on `lifeline` means that the command no longer
/// waits, its end of file that the command has ended; the end of file of `gofer` that the gofer has.
pub(crate) fn watch(lifeline: OwnedFd, gofer: OwnedFd, end: &Arc<End>) -> Result<(), SandboxError> {
    let end = end.clone();
    thread::Builder::new()
        .name("lifeline".into())
        .stack_size(64 << 10)
        .spawn(move || end.with(wait(lifeline, &gofer)))
        .map_err(SandboxError::Thread)?;
    Ok(())
}

/// Returns the code to end with.
fn wait(lifeline: OwnedFd, gofer: &OwnedFd) -> u8 {
    let mut lifeline = Some(lifeline);
    loop {
        let mut polled = vec![PollFd::new(gofer, PollFlags::IN)];
        polled.extend(lifeline.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot watch the lifelines");
                return FAILURE;
            }
        }
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready.first() == Some(&true) {
            tracing::error!("the gofer has ended: without files the sandbox ends too");
            return FAILURE;
        }
        if ready.get(1) == Some(&true)
            && let Some(fd) = lifeline.take()
        {
            let mut byte = [0u8];
            if read(&fd, &mut byte) != Ok(1) {
                tracing::info!("the command that waited for the container has ended");
                return ORPHANED;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::write;
    use rustix::pipe::pipe;

    use super::{ORPHANED, wait};
    use crate::FAILURE;

    #[test]
    fn the_end_of_the_command_is_the_end() {
        let (lifeline, command) = pipe().unwrap();
        let (gofer, _gofer_end) = pipe().unwrap();
        drop(command);
        assert_eq!(wait(lifeline, &gofer), ORPHANED);
    }

    #[test]
    fn a_command_that_detaches_may_end_but_the_gofer_may_not() {
        let (lifeline, command) = pipe().unwrap();
        let (gofer, gofer_end) = pipe().unwrap();
        write(&command, b"d").unwrap();
        drop(command);
        let waiter = std::thread::spawn(move || wait(lifeline, &gofer));
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiter.is_finished());
        drop(gofer_end);
        assert_eq!(waiter.join().unwrap(), FAILURE);
    }
}
