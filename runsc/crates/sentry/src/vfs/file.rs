//! Open file descriptions, and what a kind of file does with them.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use abi::Errno;
use abi::raw::general;
use bitflags::bitflags;
use locks::Mutex;
use mm::mappable::Mappable;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::user_count::Charge;
use crate::kernel::wait_queue::{Events, Registration, WaitQueue};
use crate::socket::Socket;
use crate::vfs::command::CommandArg;
use crate::vfs::inode::{DirEntry, InodeRef};
use crate::vfs::io::{Sink, Source};
use crate::vfs::locks::{DenyWrite, LockOwner, WriteAccess};
use crate::vfs::notify::{self, FileEvent};
use crate::vfs::offset::Offset;
use crate::vfs::path::Path;

bitflags! {
    /// Flags of `open(2)`, x86-64 numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct OpenFlags: u32 {
        /// O_WRONLY
        const WRONLY = general::O_WRONLY;
        /// O_RDWR
        const RDWR = general::O_RDWR;
        /// O_CREAT
        const CREAT = general::O_CREAT;
        /// O_EXCL
        const EXCL = general::O_EXCL;
        /// O_NOCTTY
        const NOCTTY = general::O_NOCTTY;
        /// O_TRUNC
        const TRUNC = general::O_TRUNC;
        /// O_APPEND
        const APPEND = general::O_APPEND;
        /// O_NONBLOCK
        const NONBLOCK = general::O_NONBLOCK;
        /// O_DSYNC
        const DSYNC = general::O_DSYNC;
        /// O_ASYNC
        const ASYNC = general::FASYNC;
        /// O_DIRECT
        const DIRECT = general::O_DIRECT;
        /// O_LARGEFILE
        const LARGEFILE = general::O_LARGEFILE;
        /// O_DIRECTORY
        const DIRECTORY = general::O_DIRECTORY;
        /// O_NOFOLLOW
        const NOFOLLOW = general::O_NOFOLLOW;
        /// O_NOATIME
        const NOATIME = general::O_NOATIME;
        /// O_CLOEXEC
        const CLOEXEC = general::O_CLOEXEC;
        /// O_SYNC's own bit; O_SYNC is this and O_DSYNC
        const SYNC_BIT = 0o4000000;
        /// O_PATH
        const PATH = general::O_PATH;
        /// O_TMPFILE's own bit; O_TMPFILE is this and O_DIRECTORY
        const TMPFILE_BIT = 0o20000000;
    }
}

impl OpenFlags {
    /// Whether the access mode allows reading.
    #[must_use]
    pub fn readable(self) -> bool {
        !self.contains(OpenFlags::PATH) && self.bits() & general::O_ACCMODE != general::O_WRONLY
    }

    /// Whether the access mode allows writing.
    #[must_use]
    pub fn writable(self) -> bool {
        !self.contains(OpenFlags::PATH)
            && matches!(
                self.bits() & general::O_ACCMODE,
                general::O_WRONLY | general::O_RDWR
            )
    }
}

/// Where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// At this offset. Streams ignore it.
    At(u64),
    /// At the end, found and extended in one step (`O_APPEND`).
    End,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes taken.
    pub len: usize,
    /// The offset behind the last byte.
    pub end: u64,
}

/// How `lseek(2)` reckons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// `SEEK_SET`
    Set,
    /// `SEEK_CUR`
    Current,
    /// `SEEK_END`
    End,
    /// `SEEK_DATA`
    Data,
    /// `SEEK_HOLE`
    Hole,
}

/// A file whose offset is kept elsewhere: by the host, for a descriptor shared with whoever started the
/// sandbox.
pub trait OwnOffset {
    /// Reads at the offset, which moves.
    fn read(&self, sink: &mut Sink<'_>) -> Result<usize>;
    /// Writes at the offset, which moves.
    fn write(&self, source: &mut Source<'_>) -> Result<usize>;
    /// `lseek(2)`
    fn seek(&self, whence: Whence, by: i64) -> Result<u64>;
}

/// What a kind of file does. Nothing here blocks without bound: what can't be done now is EAGAIN, and
/// the system call waits on [`File::wait_queue`] (see [`super::blocking`]). The defaults are those of a file
/// without the feature. Access modes have been checked against the open file's flags.
pub trait File: Any + Send + Sync + fmt::Debug {
    /// Reads at `offset` (ignored by streams) into `sink`; 0 is the end of the file.
    fn read(&self, _task: &Task, _sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes what `source` holds, or as much as fits.
    fn write(
        &self,
        _task: &Task,
        _source: &mut Source<'_>,
        _position: Position,
    ) -> Result<Written> {
        Err(Errno::EINVAL)
    }

    /// Whether the file has offsets (else `lseek` and `pread` are ESPIPE).
    fn is_seekable(&self) -> bool {
        false
    }

    /// Its offset, if that is not the open file's.
    fn own_offset(&self) -> Option<&dyn OwnOffset> {
        None
    }

    /// The new offset for `lseek(2)` with `SEEK_END`, `SEEK_DATA` or `SEEK_HOLE`; `offset` is the argument.
    fn seek_special(&self, _whence: Whence, _offset: i64) -> Result<u64> {
        Err(Errno::EINVAL)
    }

    /// What it is ready for now.
    fn poll(&self) -> Events {
        Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM
    }

    /// As [`File::poll`], asked by `task`; differs where readiness is the asker's own (signalfd).
    fn poll_as(&self, _task: &Task) -> Events {
        self.poll()
    }

    /// Where changes of readiness are told; none: it is always ready, and `epoll_ctl` is EPERM.
    fn wait_queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// `ioctl(2)`; ENOTTY for requests that the file does not know.
    fn ioctl(
        &self,
        _task: &Task,
        _open: &Arc<OpenFile>,
        _command: u32,
        _argument: CommandArg,
    ) -> SyscallResult {
        Err(Errno::ENOTTY.into())
    }

    /// What `mmap(2)` maps.
    fn mappable(&self) -> Result<Arc<dyn Mappable>> {
        Err(Errno::ENODEV)
    }

    /// Whether `mmap(2)` of it gives fresh memory rather than a file (`/dev/zero`).
    fn maps_as_memory(&self) -> bool {
        false
    }

    /// Gives directory entries, without `.` and `..`, from cursor `from` (0 at first) to `emit` until it returns false.
    fn read_dir(
        &self,
        _task: &Task,
        _from: u64,
        _emit: &mut dyn FnMut(DirEntry) -> bool,
    ) -> Result<()> {
        Err(Errno::ENOTDIR)
    }

    /// `fsync(2)`, `fdatasync(2)`.
    fn sync(&self) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// `fallocate(2)` with its mode bits.
    fn allocate(&self, _mode: u32, _offset: u64, _len: u64) -> Result<()> {
        Err(Errno::ENODEV)
    }

    /// A descriptor of the file was closed (`close(2)` flushes even when others remain).
    fn flush(&self, _task: &Task) -> Result<()> {
        Ok(())
    }

    /// The last descriptor is gone; drop-like, but with the open file at hand.
    fn release(&self, _open: &OpenFile) {}

    /// The file's status flags changed (`F_SETFL`, `FIONBIO`).
    fn flags_changed(&self, _open: &OpenFile) {}

    /// Extra lines of `/proc/[pid]/fdinfo/[fd]`.
    fn fd_info(&self) -> String {
        String::new()
    }

    /// About how many bytes the kernel holds for it that go when it is closed for the last time, beyond the
    /// open file itself. `depth` says how far files that are in it are followed. Takes no lock that may be
    /// held while user memory is copied: it tries.
    fn held_bytes(&self, _depth: u32) -> u64 {
        0
    }

    /// The socket, if it is one.
    fn socket(&self) -> Option<&dyn Socket> {
        None
    }
}

/// An open file description (`man 2 open`): what descriptors share after dup and fork.
#[derive(Debug)]
pub struct OpenFile {
    path: Path,
    inode: InodeRef,
    file: Arc<dyn File>,
    flags: AtomicU32,
    offset: Offset,
    /// Held as long as it is open for writing.
    _write_access: Option<WriteAccess>,
    /// Held as long as it is the program of a process.
    _deny_write: Option<DenyWrite>,
    /// Who gets SIGIO, and which signal instead (`F_SETOWN`, `F_SETSIG`).
    pub owner: Mutex<crate::vfs::owner::FileOwner>,
    /// Watches its readiness for the owner while `O_ASYNC` is set.
    pub(crate) async_registration: Mutex<Option<Registration>>,
    /// One of those that there are, once it has a descriptor ([`super::file_count`]).
    pub(crate) counted: OnceLock<Charge>,
}

/// Flags that `F_SETFL` may change.
const SETTABLE: OpenFlags = OpenFlags::APPEND
    .union(OpenFlags::NONBLOCK)
    .union(OpenFlags::ASYNC)
    .union(OpenFlags::DIRECT)
    .union(OpenFlags::NOATIME);

/// Flags that only matter while opening.
const OPENING: OpenFlags = OpenFlags::CREAT
    .union(OpenFlags::EXCL)
    .union(OpenFlags::NOCTTY)
    .union(OpenFlags::TRUNC)
    .union(OpenFlags::CLOEXEC);

impl OpenFile {
    /// A new open file description at offset 0.
    #[must_use]
    pub fn new(
        path: Path,
        inode: InodeRef,
        file: Arc<dyn File>,
        flags: OpenFlags,
    ) -> Arc<OpenFile> {
        OpenFile::with_access(path, inode, file, flags, (None, None))
    }

    /// As [`OpenFile::new`], for a program that is being executed: nobody may write it.
    #[must_use]
    pub fn for_execution(
        path: Path,
        inode: InodeRef,
        file: Arc<dyn File>,
        deny_write: DenyWrite,
    ) -> Arc<OpenFile> {
        let access = (None, Some(deny_write));
        OpenFile::with_access(path, inode, file, OpenFlags::empty(), access)
    }

    /// As [`OpenFile::new`], for a file that is open for writing.
    #[must_use]
    pub fn with_write_access(
        path: Path,
        inode: InodeRef,
        file: Arc<dyn File>,
        flags: OpenFlags,
        _write_access: Option<WriteAccess>,
    ) -> Arc<OpenFile> {
        OpenFile::with_access(path, inode, file, flags, (_write_access, None))
    }

    fn with_access(
        path: Path,
        inode: InodeRef,
        file: Arc<dyn File>,
        flags: OpenFlags,
        access: (Option<WriteAccess>, Option<DenyWrite>),
    ) -> Arc<OpenFile> {
        let flags = flags.difference(OPENING);
        Arc::new(OpenFile {
            path,
            inode,
            file,
            flags: AtomicU32::new(flags.bits()),
            offset: Offset::default(),
            _write_access: access.0,
            _deny_write: access.1,
            owner: Mutex::default(),
            async_registration: Mutex::default(),
            counted: OnceLock::new(),
        })
    }

    /// What it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The inode.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        &self.inode
    }

    /// Its behaviour.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Its behaviour as the type `T`, if it is one.
    #[must_use]
    pub fn file_as<T: File>(&self) -> Option<&T> {
        let file: &dyn Any = &*self.file;
        file.downcast_ref::<T>()
    }

    /// Status flags and access mode.
    #[must_use]
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// `F_SETFL`: changes the flags that can change.
    pub fn set_flags(&self, new: OpenFlags) {
        let kept = self.flags().difference(SETTABLE);
        self.flags
            .store((kept | (new & SETTABLE)).bits(), Ordering::Relaxed);
        self.file.flags_changed(self);
    }

    /// Whether calls on it return EAGAIN rather than wait.
    #[must_use]
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// `lseek(2)`: moves the file offset and returns it.
    pub fn seek(&self, whence: Whence, by: i64) -> Result<u64> {
        if !self.file.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        if let Some(own) = self.file.own_offset() {
            return own.seek(whence, by);
        }
        let mut offset = self.offset.lock();
        let new = match whence {
            Whence::Set => u64::try_from(by).map_err(|_| Errno::EINVAL)?,
            Whence::Current => {
                let sum = i128::from(*offset) + i128::from(by);
                if sum < 0 {
                    return Err(Errno::EINVAL);
                }
                u64::try_from(sum).map_err(|_| Errno::EOVERFLOW)?
            }
            Whence::End | Whence::Data | Whence::Hole => self.file.seek_special(whence, by)?,
        };
        if i64::try_from(new).is_err() {
            return Err(Errno::EOVERFLOW);
        }
        *offset = new;
        Ok(new)
    }

    /// To whom its `flock(2)` and open file description locks belong.
    #[must_use]
    pub fn lock_owner(&self) -> LockOwner {
        LockOwner::OpenFile(std::ptr::from_ref(self).addr())
    }

    /// The file offset; held over reads and writes that use it (`man 2 read`, POSIX atomicity).
    pub fn offset(&self) -> &Offset {
        &self.offset
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.inode.shared().locks.release(self.lock_owner());
        if !self.flags().contains(OpenFlags::PATH) {
            let event = if self.flags().writable() {
                FileEvent::CLOSE_WRITE
            } else {
                FileEvent::CLOSE_NOWRITE
            };
            notify::happened(&self.path, event);
        }
        self.file.release(self);
    }
}
