//! Standard streams of every kind, and the other ends of them.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;

use crate::plan::Stream;

/// A stream, and what keeps its other end open.
pub(crate) struct End {
    /// What the runtime gets.
    pub(crate) stdio: Stdio,
    /// What is kept while the container lives.
    pub(crate) kept: Option<OwnedFd>,
}

/// Opens stream `number`; closed ones are `/dev/null` here, and closed by the shell that starts the runtime.
pub(crate) fn open(stream: Stream, number: usize, directory: &Path) -> anyhow::Result<End> {
    let input = number == 0;
    Ok(match stream {
        Stream::Closed | Stream::Null => End {
            stdio: file(Path::new("/dev/null"))?.into(),
            kept: None,
        },
        Stream::File => {
            let path = directory.join(format!("stdio-{number}"));
            std::fs::write(&path, "text\n".repeat(100)).context("write a file")?;
            End {
                stdio: file(&path)?.into(),
                kept: None,
            }
        }
        Stream::Pipe => pipe(input, true)?,
        Stream::IdlePipe => pipe(input, false)?,
        Stream::Socket => {
            let (ours, theirs) = UnixStream::pair().context("make sockets")?;
            End {
                stdio: OwnedFd::from(theirs).into(),
                kept: Some(ours.into()),
            }
        }
        Stream::Terminal => terminal()?,
    })
}

fn file(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.with_context(|| format!("open {}", path.display()))
}

fn pipe(input: bool, served: bool) -> anyhow::Result<End> {
    let (reader, writer) = rustix::pipe::pipe().context("make a pipe")?;
    let (theirs, ours) = if input {
        (reader, writer)
    } else {
        (writer, reader)
    };
    let kept = match (served, input) {
        // Its end of file comes at once.
        (true, true) => None,
        (true, false) => {
            drain(ours);
            None
        }
        (false, _) => Some(ours),
    };
    Ok(End {
        stdio: theirs.into(),
        kept,
    })
}

/// Reads all that comes out of it, as long as something may.
pub(crate) fn drain(end: OwnedFd) {
    let mut reader = File::from(end);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while matches!(reader.read(&mut bytes), Ok(1..)) {}
    });
}

fn terminal() -> anyhow::Result<End> {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).context("open a terminal")?;
    grantpt(&master).context("grant a terminal")?;
    unlockpt(&master).context("unlock a terminal")?;
    let theirs = ioctl_tiocgptpeer(&master, flags).context("open a terminal's other side")?;
    Ok(End {
        stdio: theirs.into(),
        kept: Some(master),
    })
}
