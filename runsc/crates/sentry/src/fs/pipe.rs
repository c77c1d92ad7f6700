//! Pipes (`man 7 pipe`). Skeleton for its owner.

use std::sync::Arc;

/// A pipe.
#[derive(Debug, Default)]
pub struct Pipe {}

impl Pipe {
    /// An empty pipe.
    #[must_use]
    pub fn new() -> Arc<Pipe> {
        Arc::new(Pipe {})
    }
}

/// Opens a fifo (`man 7 fifo`): a reader waits for a writer and the other way round.
pub fn open_fifo(
    _task: &crate::kernel::Task,
    _pipe: &Arc<Pipe>,
    _flags: crate::vfs::file::OpenFlags,
) -> Result<Arc<dyn crate::vfs::file::File>, crate::error::SysError> {
    // Skeleton: no fifo can be opened until pipes are there.
    Err(abi::Errno::ENXIO.into())
}
