//! Streams of the host that were donated: a container's standard input, output and error.
//!
//! The open file description is the caller's: it is never made non-blocking, and its offset moves as
//! the caller would see it. So it is polled before it is used, by `RWF_NOWAIT` where the host offers
//! that; who has to wait is woken by a [`HostPoller`]. A terminal keeps the host's line discipline.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use host::errno;
use host::rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use host::rustix::event::{PollFd, PollFlags, Timespec, poll};
use host::rustix::io::{self, ReadWriteFlags};
use host::rustix::termios::{Winsize, isatty, tcgetwinsize, tcsetwinsize};
use host::tty::{TERMIOS_BYTES, When, set_termios, termios};
use parking_lot::Mutex;

use crate::error::{Result, SyscallResult};
use crate::fs::anon::{Anonymous, new_path};
use crate::fs::pipe::broken_pipe;
use crate::kernel::Kernel;
use crate::kernel::credentials::Credentials;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::syscalls::SyscallArgs;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, Timestamp};
use crate::vfs::dentry::Dentry;
use crate::vfs::file::{File, OpenFile, OpenFlags, Position, Written};
use crate::vfs::inode::{FileSystem, Inode};
use crate::vfs::io::{Sink, Source};
use crate::vfs::path::Path;
use crate::vfs::shared::InodeShared;

/// Most bytes moved by one call: a pipe's usual capacity.
const CHUNK_BYTES: usize = 64 << 10;
/// What a descriptor that polls writable surely takes (`man 7 pipe`, `PIPE_BUF`).
const SURE_BYTES: usize = 4096;

/// Watches donated descriptors for those who wait, on a thread of its own.
#[derive(Debug)]
pub struct HostPoller {
    epoll: OwnedFd,
    streams: Mutex<HashMap<u64, Weak<HostStream>>>,
}

impl HostPoller {
    /// Starts watching.
    ///
    /// # Errors
    /// What `epoll_create1(2)` or the making of a thread report.
    pub fn start() -> Result<Arc<HostPoller>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(errno)?;
        let poller = Arc::new(HostPoller {
            epoll,
            streams: Mutex::default(),
        });
        let watched = poller.clone();
        std::thread::Builder::new()
            .name("host poller".into())
            .stack_size(64 << 10)
            .spawn(move || watched.run())
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(11)))?;
        Ok(poller)
    }

    fn run(&self) {
        let mut events = Vec::with_capacity(16);
        loop {
            events.clear();
            match epoll::wait(
                &self.epoll,
                host::rustix::buffer::spare_capacity(&mut events),
                None,
            ) {
                Ok(_) | Err(io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "donated descriptors are no longer watched");
                    return;
                }
            }
            for event in &events {
                let (token, flags) = (event.data.u64(), event.flags);
                let stream = self.streams.lock().get(&token).and_then(Weak::upgrade);
                if let Some(stream) = stream {
                    stream.queue.wake(Events::from_bits_truncate(flags.bits()));
                }
            }
        }
    }

    /// Has the next change of `stream` told, once.
    fn arm(&self, stream: &HostStream) {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ONESHOT;
        let data = EventData::new_u64(stream.token);
        let mask = match stream.readable_only.load(Ordering::Relaxed) {
            true => interest.difference(EventFlags::OUT),
            false => interest,
        };
        // The descriptor is registered as long as the stream lives.
        let _ = epoll::modify(&self.epoll, &stream.fd, data, mask);
    }
}

/// A donated stream.
#[derive(Debug)]
pub struct HostStream {
    fd: OwnedFd,
    token: u64,
    kind: FileType,
    terminal: bool,
    /// `epoll` takes it: neither a regular file nor a directory.
    watched: bool,
    /// Waiters want input: being writable, as a terminal always is, must not use the one-shot up.
    readable_only: AtomicBool,
    poller: Arc<HostPoller>,
    queue: WaitQueue,
}

/// Opens donated descriptors as the files of a process's standard descriptors.
pub fn open(
    kernel: &Kernel,
    credentials: &Credentials,
    poller: &Arc<HostPoller>,
    fd: OwnedFd,
) -> Result<Arc<OpenFile>> {
    let status = host::rustix::fs::fstat(&fd).map_err(errno)?;
    let kind = FileType::from_mode(status.st_mode).ok_or(Errno::EIO)?;
    let access = host::rustix::fs::fcntl_getfl(&fd).map_err(errno)?;
    let token = kernel.unique_id();
    let inert = EventData::new_u64(token);
    let watched = epoll::add(&poller.epoll, &fd, inert, EventFlags::ONESHOT).is_ok();
    let stream = Arc::new(HostStream {
        terminal: isatty(&fd),
        fd,
        token,
        kind,
        watched,
        readable_only: AtomicBool::new(true),
        poller: poller.clone(),
        queue: WaitQueue::new(),
    });
    poller.streams.lock().insert(token, Arc::downgrade(&stream));
    // Its place is among the pipes; its attributes are the host's.
    let Path { mount, .. } = new_path(kernel, credentials, Anonymous::Pipe);
    let inode = Arc::new(HostInode {
        stream: stream.clone(),
        ino: token,
        fs: mount.fs.clone(),
        owner: (credentials.fsuid, credentials.fsgid),
        shared: InodeShared::default(),
    });
    let name = format!("host:[{token}]").into_bytes();
    let path = Path {
        dentry: Dentry::anonymous(inode.clone(), name),
        mount,
    };
    let flags = OpenFlags::from_bits_retain(access.bits())
        & (OpenFlags::WRONLY | OpenFlags::RDWR | OpenFlags::APPEND);
    Ok(OpenFile::new(path, inode, stream, flags))
}

impl Drop for HostStream {
    fn drop(&mut self) {
        if self.watched {
            let _ = epoll::delete(&self.poller.epoll, &self.fd);
        }
        self.poller.streams.lock().remove(&self.token);
    }
}

impl HostStream {
    fn ready(&self, wanted: PollFlags) -> Result<bool> {
        if !self.watched {
            return Ok(true);
        }
        let mut polled = [PollFd::new(&self.fd, wanted)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&now)).map_err(errno)?;
        Ok(!polled[0].revents().is_empty())
    }

    fn wait_for(&self, readable: bool) -> Errno {
        self.readable_only.store(readable, Ordering::Relaxed);
        self.poller.arm(self);
        Errno::EAGAIN
    }

    fn read_now(&self, buffer: &mut [u8]) -> Result<usize> {
        if self.watched {
            let mut pieces = [IoSliceMut::new(buffer)];
            match io::preadv2(&self.fd, &mut pieces, u64::MAX, ReadWriteFlags::NOWAIT) {
                Ok(len) => return Ok(len),
                Err(io::Errno::AGAIN) => return Err(self.wait_for(true)),
                Err(io::Errno::OPNOTSUPP | io::Errno::INVAL | io::Errno::SPIPE) => {}
                Err(error) => return Err(errno(error)),
            }
            if !self.ready(PollFlags::IN)? {
                return Err(self.wait_for(true));
            }
        }
        loop {
            match io::read(&self.fd, &mut *buffer) {
                Err(io::Errno::INTR) => {}
                Err(io::Errno::AGAIN) => return Err(self.wait_for(true)),
                result => return result.map_err(errno),
            }
        }
    }

    fn write_now(&self, bytes: &[u8]) -> Result<usize> {
        let mut bytes = bytes;
        if self.watched {
            let pieces = [IoSlice::new(bytes)];
            match io::pwritev2(&self.fd, &pieces, u64::MAX, ReadWriteFlags::NOWAIT) {
                Ok(len) => return Ok(len),
                Err(io::Errno::AGAIN) => return Err(self.wait_for(false)),
                Err(io::Errno::OPNOTSUPP | io::Errno::INVAL | io::Errno::SPIPE) => {}
                Err(error) => return Err(errno(error)),
            }
            if !self.ready(PollFlags::OUT)? {
                return Err(self.wait_for(false));
            }
            bytes = bytes.get(..SURE_BYTES).unwrap_or(bytes);
        }
        loop {
            match io::write(&self.fd, bytes) {
                Err(io::Errno::INTR) => {}
                Err(io::Errno::AGAIN) => return Err(self.wait_for(false)),
                result => return result.map_err(errno),
            }
        }
    }

    fn window_size(&self) -> Result<[u16; 4]> {
        let size = tcgetwinsize(&self.fd).map_err(errno)?;
        Ok([size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel])
    }
}

impl File for HostStream {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        let mut buffer = vec![0; sink.remaining().min(CHUNK_BYTES)];
        let len = self.read_now(&mut buffer)?;
        sink.write(buffer.get(..len).unwrap_or_default())
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let bytes = source.read_to_vec(CHUNK_BYTES)?;
        let end = |len: usize| match position {
            Position::At(offset) => offset.saturating_add(len as u64),
            Position::End => 0,
        };
        let mut done = 0;
        // What was taken from the source can't be given back: it is written as far as the host takes it.
        while done < bytes.len() {
            match self.write_now(bytes.get(done..).unwrap_or_default()) {
                Ok(len) => done += len,
                Err(Errno::EPIPE) => return Err(broken_pipe(task)),
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(Written {
            len: done,
            end: end(done),
        })
    }

    fn poll(&self) -> Events {
        if !self.watched {
            return Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM;
        }
        let interest = PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP;
        let mut polled = [PollFd::new(&self.fd, interest)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if poll(&mut polled, Some(&now)).is_err() {
            return Events::ERR;
        }
        let bits = u32::from(polled[0].revents().bits());
        let mut events = Events::from_bits_truncate(bits);
        if events.contains(Events::IN) {
            events |= Events::RDNORM;
        }
        if events.contains(Events::OUT) {
            events |= Events::WRNORM;
        }
        if !events.contains(Events::IN) {
            self.wait_for(events.contains(Events::OUT));
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.watched.then_some(&self.queue)
    }

    fn sync(&self) -> Result<()> {
        match self.kind {
            FileType::Regular => host::rustix::fs::fsync(&self.fd).map_err(errno),
            _ => Err(Errno::EINVAL),
        }
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        args: &SyscallArgs,
    ) -> SyscallResult {
        const TCGETS: u32 = 0x5401;
        const TCSETS: u32 = 0x5402;
        const TCSETSW: u32 = 0x5403;
        const TCSETSF: u32 = 0x5404;
        const TIOCGWINSZ: u32 = 0x5413;
        const TIOCSWINSZ: u32 = 0x5414;
        if !self.terminal {
            return Err(Errno::ENOTTY.into());
        }
        let mm = task.mm();
        let address = args.usize(2);
        let set = |when| -> Result<()> {
            let settings: [u8; TERMIOS_BYTES] = mm.read_value(address)?;
            set_termios(&self.fd, when, &settings)
        };
        match command {
            TCGETS => mm.write_value(address, &termios(&self.fd)?)?,
            TCSETS => set(When::Now)?,
            TCSETSW => set(When::Drained)?,
            TCSETSF => set(When::Flushed)?,
            TIOCGWINSZ => mm.write_value(address, &self.window_size()?)?,
            TIOCSWINSZ => {
                let [ws_row, ws_col, ws_xpixel, ws_ypixel]: [u16; 4] = mm.read_value(address)?;
                let size = Winsize {
                    ws_row,
                    ws_col,
                    ws_xpixel,
                    ws_ypixel,
                };
                tcsetwinsize(&self.fd, size).map_err(errno)?;
            }
            _ => return Err(Errno::ENOTTY.into()),
        }
        Ok(0)
    }
}

/// The inode of a donated stream.
#[derive(Debug)]
struct HostInode {
    stream: Arc<HostStream>,
    ino: u64,
    fs: Arc<dyn FileSystem>,
    owner: (u32, u32),
    shared: InodeShared,
}

impl Inode for HostInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }

    fn attr(&self) -> Result<Attr> {
        let status = host::rustix::fs::fstat(self.stream.fd.as_fd()).map_err(errno)?;
        let time = |seconds: i64, nanoseconds: u64| Timestamp {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
        };
        Ok(Attr {
            ino: self.ino,
            file_type: self.stream.kind,
            permissions: status.st_mode & 0o7777,
            nlink: 1,
            // The host's ids mean nothing inside; the container's first process owns its streams.
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: Device::decode(status.st_rdev),
            size: u64::try_from(status.st_size).unwrap_or(0),
            blocks: u64::try_from(status.st_blocks).unwrap_or(0),
            block_size: 4096,
            atime: time(status.st_atime, status.st_atime_nsec),
            mtime: time(status.st_mtime, status.st_mtime_nsec),
            ctime: time(status.st_ctime, status.st_ctime_nsec),
            btime: None,
        })
    }

    fn kind(&self) -> Result<FileType> {
        Ok(self.stream.kind)
    }

    fn set_attr(&self, _change: &SetAttr) -> Result<()> {
        Err(Errno::EPERM)
    }
}
