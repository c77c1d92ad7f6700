//! Terminals: pseudo terminals for `--console-socket`, and the care of the caller's own.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use host::errno;
use rustix::fs::{self, Mode, OFlags};
use rustix::net::{
    self, AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcsetattr, tcsetwinsize,
};

use crate::{ContainerError, Result};

/// A new pseudo terminal whose user end is raw: the guest's kernel is the line discipline.
#[derive(Debug)]
pub struct Pty {
    /// The end for whoever shows the terminal.
    pub master: OwnedFd,
    /// The end for the container.
    pub slave: OwnedFd,
}

impl Pty {
    /// Makes one of `columns` × `rows`, if given.
    ///
    /// # Errors
    /// [`ContainerError::Host`].
    pub fn open(size: Option<(u16, u16)>) -> Result<Pty> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let step = |error| ContainerError::host("make a pseudo terminal")(errno(error));
        let master = openpt(flags).map_err(step)?;
        grantpt(&master).map_err(step)?;
        unlockpt(&master).map_err(step)?;
        let slave = ioctl_tiocgptpeer(&master, flags).map_err(step)?;
        let mut attributes = tcgetattr(&slave).map_err(step)?;
        attributes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &attributes).map_err(step)?;
        if let Some((columns, rows)) = size {
            let size = Winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&slave, size).map_err(step)?;
        }
        Ok(Pty { master, slave })
    }

    /// Hands the master to whoever listens on the unix stream socket at `path`: one message, the
    /// terminal's name, with the descriptor.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn send_master(&self, path: &Path) -> Result<()> {
        let name = ptsname(&self.master, Vec::new())
            .map_err(|error| ContainerError::host("name a pseudo terminal")(errno(error)))?;
        send_descriptor(path, self.master.as_fd(), name.to_bytes())
    }
}

/// Hands a descriptor to whoever listens on the unix stream socket at `path`, of any length: one
/// message with this payload.
///
/// # Errors
/// [`ContainerError::Path`].
pub fn send_descriptor(path: &Path, fd: BorrowedFd<'_>, payload: &[u8]) -> Result<()> {
    let failed = |error: rustix::io::Errno| {
        ContainerError::path("send a descriptor to socket", path)(error.into())
    };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = fs::open(parent.unwrap_or(Path::new(".")), flags, Mode::empty());
    let directory = directory.map_err(failed)?;
    // A socket's address has room for 108 bytes.
    let short = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(path.file_name().unwrap_or_default());
    let socket = net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    let address = SocketAddrUnix::new(short).map_err(failed)?;
    net::connect(&socket, &address).map_err(failed)?;
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let payload = [IoSlice::new(payload)];
    net::sendmsg(&socket, &payload, &mut ancillary, SendFlags::NOSIGNAL).map_err(failed)?;
    Ok(())
}

/// The caller's terminal in raw mode, as long as this lives.
#[derive(Debug)]
pub struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Makes `terminal` raw; `None` when it is none.
    ///
    /// # Errors
    /// [`ContainerError::Host`].
    pub fn new(terminal: BorrowedFd<'_>) -> Result<Option<RawTerminal>> {
        if !isatty(terminal) {
            return Ok(None);
        }
        let step = |error| ContainerError::host("put the terminal in raw mode")(errno(error));
        let before = tcgetattr(terminal).map_err(step)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw).map_err(step)?;
        let terminal = rustix::io::fcntl_dupfd_cloexec(terminal, 3).map_err(step)?;
        Ok(Some(RawTerminal { terminal, before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Whoever reads the terminal next sees its mode; there is nobody left to tell otherwise.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Copies of this process's standard descriptors.
///
/// # Errors
/// [`ContainerError::Host`] when one of them is closed.
pub fn own_stdio() -> Result<[OwnedFd; 3]> {
    let copy = |fd: BorrowedFd<'_>| {
        rustix::io::fcntl_dupfd_cloexec(fd, 3)
            .map_err(|e| ContainerError::host("duplicate a standard descriptor")(errno(e)))
    };
    Ok([
        copy(std::io::stdin().as_fd())?,
        copy(std::io::stdout().as_fd())?,
        copy(std::io::stderr().as_fd())?,
    ])
}

/// Three copies of one descriptor.
///
/// # Errors
/// [`ContainerError::Host`].
pub fn thrice(fd: &OwnedFd) -> Result<[OwnedFd; 3]> {
    let copy = || {
        fd.try_clone().map_err(|e| ContainerError::Host {
            step: "duplicate the terminal",
            errno: host::Errno::from_raw(e.raw_os_error().unwrap_or(5)),
        })
    };
    Ok([copy()?, copy()?, copy()?])
}
/// Opens `/dev/null` for a process without input and output.
///
/// # Errors
/// [`ContainerError::Path`].
pub fn null() -> Result<OwnedFd> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .map_err(ContainerError::path("open", "/dev/null"))
}
