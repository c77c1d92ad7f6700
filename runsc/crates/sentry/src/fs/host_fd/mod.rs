//! Host descriptors that were donated, as standard input and output: files, pipes, sockets, terminals,
//! passed through byte for byte.
//!
//! The open file description is the caller's: it is never made non-blocking, and its own file offset is
//! the one that moves, so that what the caller writes afterwards comes behind. Streams are read and
//! written with `RWF_NOWAIT`, terminals (which can't promise that) after a poll; when nothing can be done
//! now, the [`watcher`] is asked to wake the file's wait queue.

mod inode;
mod nudge;
mod terminal;
pub(crate) mod watcher;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use abi::Errno;
use memory::GuestBytes;
use memory::io::Position as HostPosition;
use platform::Access;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{self, OFlags, SeekFrom};

use crate::error::{Result, SyscallResult};
use crate::kernel::Kernel;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::attr::FileType;
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, OpenFlags, OwnOffset, Position, Whence, Written};
use crate::vfs::io::{Sink, Source};

use watcher::Watched;

/// Most bytes moved by one host call on a stream.
const MOST: usize = 1 << 20;
/// What a pipe that is ready for writing surely takes (`PIPE_BUF`).
const PIPE_STEP: usize = 4096;
/// What a terminal that is ready for writing takes without waiting for long.
const TERMINAL_STEP: usize = 256;

/// What kind of host file it is, as far as that changes how it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Regular files, directories: never wait, have offsets.
    Stored,
    /// Pipes, sockets.
    Stream,
    /// Terminals.
    Terminal,
    /// Other character devices: `/dev/null` and the like.
    Device,
}

/// A donated host descriptor.
#[derive(Debug)]
pub struct HostDescriptor {
    fd: Arc<OwnedFd>,
    kind: Kind,
    /// None where the host's epoll refuses the file, which is always ready then.
    watched: Option<Watched>,
}

impl Kernel {
    /// An open file for a donated host descriptor. The access mode is the descriptor's own.
    ///
    /// # Errors
    /// EBADF, or what the host reports of it.
    pub fn open_host_descriptor(&self, fd: OwnedFd) -> Result<Arc<OpenFile>> {
        let flags = fs::fcntl_getfl(&fd).map_err(host::errno)?;
        let fd = Arc::new(fd);
        let path = inode::path(self, &fd, flags)?;
        let file_type = path.inode().kind()?;
        let kind = match file_type {
            FileType::Regular | FileType::Directory | FileType::BlockDevice => Kind::Stored,
            FileType::CharDevice if host::terminal::attributes(fd.as_fd()).is_ok() => {
                Kind::Terminal
            }
            FileType::CharDevice => Kind::Device,
            FileType::Fifo | FileType::Socket | FileType::Symlink => Kind::Stream,
        };
        let watched = match kind {
            Kind::Stream | Kind::Terminal => self.vfs.host_watcher()?.watch(fd.clone()).ok(),
            Kind::Stored | Kind::Device => None,
        };
        let file = Arc::new(HostDescriptor { fd, kind, watched });
        let inode = path.inode().clone();
        inode::set_file(&inode, &file);
        Ok(OpenFile::new(path, inode, file, open_flags(flags)))
    }
}

/// The flags that matter to the guest. Whether it is non-blocking is the guest's own affair.
fn open_flags(host: OFlags) -> OpenFlags {
    let mut flags = OpenFlags::empty();
    match host & OFlags::RWMODE {
        OFlags::WRONLY => flags |= OpenFlags::WRONLY,
        OFlags::RDWR => flags |= OpenFlags::RDWR,
        _ => {}
    }
    flags.set(OpenFlags::APPEND, host.contains(OFlags::APPEND));
    flags.set(OpenFlags::LARGEFILE, host.contains(OFlags::LARGEFILE));
    flags
}

impl HostDescriptor {
    /// The descriptor itself.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether it is a terminal of the host.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.kind == Kind::Terminal
    }

    /// Most bytes of one read or write at the host's own offset: a device may never come to an end.
    fn most(&self) -> usize {
        if self.kind == Kind::Stored {
            usize::MAX
        } else {
            MOST
        }
    }

    /// What the host says it is ready for now.
    fn ready(&self, wanted: PollFlags) -> PollFlags {
        let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), wanted)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut fds, Some(&now)) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    /// EAGAIN, after asking to be woken when `events` are there.
    fn again<T>(&self, events: Events) -> Result<T> {
        if let Some(watched) = &self.watched {
            watched.arm(events);
            // It may have become ready just before.
            let missed = match events {
                Events::IN => self.ready(PollFlags::IN),
                _ => self.ready(PollFlags::OUT),
            };
            if !missed.is_empty() {
                watched.queue().wake(Events::READABLE | Events::WRITABLE);
            }
        }
        Err(Errno::EAGAIN)
    }

    fn read_some(&self, sink: &mut Sink<'_>, position: HostPosition, most: usize) -> Result<usize> {
        let fd = self.fd.as_fd();
        match sink {
            Sink::User(io) => {
                let pinned = io.pin(Access::WRITE, most);
                if pinned.is_empty() && io.remaining() > 0 {
                    return Err(Errno::EFAULT);
                }
                let len = self.call(|| memory::io::read(fd, &pinned.pieces(), position))?;
                drop(pinned);
                io.skip(len);
                Ok(len)
            }
            Sink::Kernel(buffer) => {
                let mut bytes = vec![0; buffer.len().min(most)];
                let len = self.call(|| plain_read(fd, &mut bytes, position))?;
                sink.write(&bytes[..len])
            }
        }
    }

    fn write_some(
        &self,
        source: &mut Source<'_>,
        position: HostPosition,
        most: usize,
    ) -> Result<usize> {
        let fd = self.fd.as_fd();
        match source {
            Source::User(io) => {
                let pinned = io.pin(Access::READ, most);
                if pinned.is_empty() && io.remaining() > 0 {
                    return Err(Errno::EFAULT);
                }
                let pieces: Vec<GuestBytes<'_>> = pinned.pieces();
                let len = self.call(|| memory::io::write(fd, &pieces, position))?;
                drop(pieces);
                drop(pinned);
                io.skip(len);
                Ok(len)
            }
            Source::Kernel(bytes) => {
                let len =
                    self.call(|| plain_write(fd, &bytes[..bytes.len().min(most)], position))?;
                *bytes = &bytes[len..];
                Ok(len)
            }
        }
    }

    fn read_stream(&self, sink: &mut Sink<'_>) -> Result<usize> {
        if self.kind == Kind::Stream {
            match self.read_some(sink, HostPosition::CurrentNow, MOST) {
                Err(Errno::EOPNOTSUPP) => {}
                Err(Errno::EAGAIN) => return self.again(Events::IN),
                other => return other,
            }
        }
        if self.watched.is_some() && self.ready(PollFlags::IN).is_empty() {
            return self.again(Events::IN);
        }
        let outcome = self.read_some(sink, HostPosition::Current, MOST);
        self.ended_early(outcome, Events::IN)
    }

    fn write_stream(&self, source: &mut Source<'_>) -> Result<usize> {
        if self.kind == Kind::Stream {
            match self.write_some(source, HostPosition::CurrentNow, MOST) {
                Err(Errno::EOPNOTSUPP) => {}
                Err(Errno::EAGAIN) => return self.again(Events::OUT),
                other => return other,
            }
        }
        if self.watched.is_some() && self.ready(PollFlags::OUT).is_empty() {
            return self.again(Events::OUT);
        }
        let most = match self.kind {
            Kind::Terminal => TERMINAL_STEP,
            Kind::Stream => PIPE_STEP,
            Kind::Stored | Kind::Device => MOST,
        };
        let outcome = self.write_some(source, HostPosition::Current, most);
        self.ended_early(outcome, Events::OUT)
    }

    /// A call that blocked although the host had said that it would not, and was interrupted, has done nothing:
    /// it is as if the host had said so.
    fn ended_early(&self, outcome: Result<usize>, events: Events) -> Result<usize> {
        match outcome {
            Err(Errno::EINTR) => self.again(events),
            other => other,
        }
    }

    /// Makes a host call. Signals of the host are the Sentry's affair, not the guest's; on a terminal, EINTR ends
    /// a call that blocks.
    fn call(&self, mut call: impl FnMut() -> Result<usize>) -> Result<usize> {
        if let (Kind::Terminal, Some(watched)) = (self.kind, &self.watched) {
            return watched.nudged(call);
        }
        loop {
            match call() {
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
    }
}

fn plain_read(fd: BorrowedFd<'_>, bytes: &mut [u8], position: HostPosition) -> Result<usize> {
    use rustix::io::{IoSliceMut, ReadWriteFlags, pread, preadv2, read};
    let outcome = match position {
        HostPosition::Current => read(fd, bytes),
        HostPosition::CurrentNow => preadv2(
            fd,
            &mut [IoSliceMut::new(bytes)],
            u64::MAX,
            ReadWriteFlags::NOWAIT,
        ),
        HostPosition::At(at) => pread(fd, bytes, at),
    };
    outcome.map_err(host::errno)
}

fn plain_write(fd: BorrowedFd<'_>, bytes: &[u8], position: HostPosition) -> Result<usize> {
    use rustix::io::{IoSlice, ReadWriteFlags, pwrite, pwritev2, write};
    let outcome = match position {
        HostPosition::Current => write(fd, bytes),
        HostPosition::CurrentNow => {
            pwritev2(fd, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT)
        }
        HostPosition::At(at) => pwrite(fd, bytes, at),
    };
    outcome.map_err(host::errno)
}

impl OwnOffset for HostDescriptor {
    fn read(&self, sink: &mut Sink<'_>) -> Result<usize> {
        self.read_some(sink, HostPosition::Current, self.most())
    }

    fn write(&self, source: &mut Source<'_>) -> Result<usize> {
        self.write_some(source, HostPosition::Current, self.most())
    }

    fn seek(&self, whence: Whence, by: i64) -> Result<u64> {
        let start = || u64::try_from(by).map_err(|_| Errno::EINVAL);
        let from = match whence {
            Whence::Set => SeekFrom::Start(start()?),
            Whence::Current => SeekFrom::Current(by),
            Whence::End => SeekFrom::End(by),
            Whence::Data => SeekFrom::Data(start()?),
            Whence::Hole => SeekFrom::Hole(start()?),
        };
        fs::seek(&*self.fd, from).map_err(host::errno)
    }
}

impl File for HostDescriptor {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        match self.kind {
            Kind::Stored => self.read_some(sink, HostPosition::At(offset), usize::MAX),
            Kind::Stream | Kind::Terminal | Kind::Device => self.read_stream(sink),
        }
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let outcome = match (self.kind, position) {
            (Kind::Stored, Position::At(at)) => {
                self.write_some(source, HostPosition::At(at), usize::MAX)
            }
            (Kind::Stored, Position::End) => OwnOffset::write(self, source),
            (Kind::Stream | Kind::Terminal | Kind::Device, _) => self.write_stream(source),
        };
        let len = outcome.map_err(|errno| match errno {
            Errno::EPIPE => crate::fs::pipe::broken_pipe(task),
            other => other,
        })?;
        let end = match position {
            Position::At(at) => at.saturating_add(len as u64),
            Position::End => 0,
        };
        Ok(Written { len, end })
    }

    fn is_seekable(&self) -> bool {
        match self.kind {
            Kind::Stored => true,
            // Some have offsets, be they always 0 as that of `/dev/null`.
            Kind::Device => OwnOffset::seek(self, Whence::Current, 0).is_ok(),
            Kind::Stream | Kind::Terminal => false,
        }
    }

    fn own_offset(&self) -> Option<&dyn OwnOffset> {
        self.is_seekable().then_some(self)
    }

    fn poll(&self) -> Events {
        let Some(watched) = &self.watched else {
            return Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM;
        };
        let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
        let ready = watcher::events(self.ready(all));
        let missing = (Events::IN | Events::OUT).difference(ready);
        if !missing.is_empty() && !ready.intersects(Events::HUP | Events::ERR) {
            watched.arm(missing);
        }
        ready
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.watched.as_ref().map(Watched::queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        terminal::ioctl(task, self, command, argument)
    }

    fn sync(&self) -> Result<()> {
        fs::fsync(&*self.fd).map_err(host::errno)
    }
}
