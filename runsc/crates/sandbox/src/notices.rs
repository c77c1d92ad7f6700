//! What the container's user is told before the container's first process runs.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::write;
use rustix::termios::isatty;

/// Says it in the user log, and on the container's standard error: of all that a user of an engine looks at, that is
/// what the engine shows without being asked.
pub(crate) fn tell(notice: &str, stdio: &[OwnedFd]) {
    tracing::warn!(target: crate::USER_LOG, "{notice}");
    let [_, output, errors, ..] = stdio else {
        return;
    };
    if is_data(output, errors) || !is_writable(errors) {
        return;
    }
    // Who has no standard error has the log. The carriage return is for terminals in raw mode.
    let end = if isatty(errors) { "\r\n" } else { "\n" };
    let _ = write(errors, format!("runsc: {notice}{end}").as_bytes());
}

/// Whether the line would get into what the program prints: both go to one place where nobody reads along.
fn is_data(output: &OwnedFd, errors: &OwnedFd) -> bool {
    let file = |fd: &OwnedFd| fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino));
    !isatty(errors) && (file(errors).is_none() || file(errors) == file(output))
}

/// Whether the line is taken without waiting for a reader.
fn is_writable(fd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents() == PollFlags::OUT
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::tell;

    fn files(errors: &std::path::Path, output: &std::path::Path) -> Vec<OwnedFd> {
        let open = |path| {
            OwnedFd::from(
                File::options()
                    .append(true)
                    .create(true)
                    .open(path)
                    .unwrap(),
            )
        };
        vec![open(output), open(output), open(errors)]
    }

    #[test]
    fn the_line_is_for_standard_error_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (errors, output) = (
            directory.path().join("errors"),
            directory.path().join("output"),
        );
        tell("something is missing", &files(&errors, &output));
        assert_eq!(
            std::fs::read_to_string(&errors).unwrap(),
            "runsc: something is missing\n"
        );
        tell("something is missing", &files(&output, &output));
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "");
    }

    #[test]
    fn a_pipe_that_is_full_or_closed_is_left_alone() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        tell("nobody reads this", &[null(), null(), writer.into()]);
    }
}
