//! Writers of a file, or those who execute it: `ETXTBSY` for whoever comes second.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use abi::Errno;

use crate::error::Result;
use crate::vfs::inode::InodeRef;
use crate::vfs::mount::Mount;

/// Writers of an inode if positive, those who execute it if negative.
#[derive(Debug, Default)]
pub struct WriteCount(AtomicI64);

impl WriteCount {
    fn add(&self, step: i64) -> Result<()> {
        let change = |count: i64| (count.signum() != -step.signum()).then_some(count + step);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
            .map_err(|_| Errno::ETXTBSY)?;
        Ok(())
    }

    fn remove(&self, step: i64) {
        self.0.fetch_sub(step, Ordering::AcqRel);
    }
}

/// Proof that an inode may be written through a mount: while it lives, `execve` of the file is ETXTBSY
/// and the mount can't become read-only.
#[derive(Debug)]
pub struct WriteAccess {
    inode: InodeRef,
    mount: Arc<Mount>,
}

impl WriteAccess {
    /// Takes it. ETXTBSY: the file is being executed.
    pub fn take(inode: &InodeRef, mount: &Arc<Mount>) -> Result<WriteAccess> {
        inode.shared().writers.add(1)?;
        mount.writer_added();
        Ok(WriteAccess {
            inode: inode.clone(),
            mount: mount.clone(),
        })
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        self.inode.shared().writers.remove(1);
        self.mount.writer_removed();
    }
}

/// Proof that nobody writes an inode: held for a running program.
#[derive(Debug)]
pub struct DenyWrite {
    inode: InodeRef,
}

impl DenyWrite {
    /// Takes it. ETXTBSY: someone has the file open for writing.
    pub fn take(inode: &InodeRef) -> Result<DenyWrite> {
        inode.shared().writers.add(-1)?;
        Ok(DenyWrite {
            inode: inode.clone(),
        })
    }
}

impl Drop for DenyWrite {
    fn drop(&mut self) {
        self.inode.shared().writers.remove(-1);
    }
}
