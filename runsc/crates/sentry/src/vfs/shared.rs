//! What the kernel keeps with every inode, whatever its file system: locks, mappings, the pipe of a
//! fifo, the socket behind a name.

use std::sync::{Arc, Weak};

use locks::Mutex;
use mm::mapping_set::MappingSet;

use crate::fs::pipe::Pipe;
use crate::socket::unix::BoundSocket;
use crate::vfs::locks::FileLocks;

/// The file-system-independent state of an inode. Everything is made on first use.
#[derive(Debug, Default)]
pub struct InodeShared {
    /// `flock(2)` and `fcntl(2)` record locks.
    pub locks: FileLocks,
    /// The address spaces that map the file.
    pub mappings: MappingSet,
    /// The pipe of a fifo that is open.
    pub pipe: Mutex<Weak<Pipe>>,
    /// The unix socket bound to this name.
    pub socket: Mutex<Weak<BoundSocket>>,
    /// Who watches it (inotify).
    pub watches: crate::vfs::notify::Watches,
    /// Processes that execute the file, minus writers that have it open: `ETXTBSY`.
    pub writers: crate::vfs::locks::WriteCount,
}

impl InodeShared {
    /// The fifo's pipe, made if nobody has it open.
    #[must_use]
    pub fn fifo(&self) -> Arc<Pipe> {
        let mut pipe = self.pipe.lock();
        pipe.upgrade().unwrap_or_else(|| {
            let new = Pipe::new();
            *pipe = Arc::downgrade(&new);
            new
        })
    }
}
