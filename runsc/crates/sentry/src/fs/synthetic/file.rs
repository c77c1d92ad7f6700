//! Open made-up files.

use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use super::{Content, Directory, SyntheticInode};
use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::file::{File, Position, Whence, Written};
use crate::vfs::inode::DirEntry;
use crate::vfs::io::{Sink, Source};

/// The most that one write may hold, as for Linux's sysctl files.
const MAX_WRITE: usize = 64 * 1024;

/// An open file: its text is made anew by each read from the start, and kept for those that go on.
#[derive(Debug)]
pub(super) struct SyntheticFile {
    content: Arc<dyn Content>,
    text: Mutex<Option<Arc<Vec<u8>>>>,
}

impl SyntheticFile {
    pub(super) fn new(content: Arc<dyn Content>) -> SyntheticFile {
        SyntheticFile {
            content,
            text: Mutex::new(None),
        }
    }

    fn text(&self, task: &Task, offset: u64) -> Result<Arc<Vec<u8>>> {
        if offset > 0
            && let Some(text) = &*self.text.lock()
        {
            return Ok(text.clone());
        }
        let text = Arc::new(self.content.read(task)?);
        *self.text.lock() = Some(text.clone());
        Ok(text)
    }
}

impl File for SyntheticFile {
    fn read(&self, task: &Task, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        if let Some(part) = self.content.read_at(task, offset, sink.remaining()) {
            return sink.write(&part?);
        }
        sink.write_from(&self.text(task, offset)?, offset)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let offset = match position {
            Position::At(offset) => offset,
            Position::End => 0,
        };
        let bytes = source.read_to_vec(MAX_WRITE)?;
        let len = self.content.write(task, &bytes, offset)?;
        Ok(Written {
            len,
            end: offset.saturating_add(len as u64),
        })
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek_special(&self, whence: Whence, offset: i64) -> Result<u64> {
        match whence {
            Whence::End => u64::try_from(offset).map_err(|_| Errno::EINVAL),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// An open directory: the names are taken when reading starts.
#[derive(Debug)]
pub(super) struct DirectoryFile {
    inode: Arc<SyntheticInode>,
    directory: Arc<dyn Directory>,
    names: Mutex<Vec<DirEntry>>,
}

impl DirectoryFile {
    pub(super) fn new(inode: Arc<SyntheticInode>, directory: Arc<dyn Directory>) -> DirectoryFile {
        DirectoryFile {
            inode,
            directory,
            names: Mutex::default(),
        }
    }

    fn list(&self) -> Result<Vec<DirEntry>> {
        let names = self.directory.names()?;
        let entries = names
            .into_iter()
            .enumerate()
            .map(|(index, (name, file_type))| DirEntry {
                ino: self.inode.child_ino(&name, 0),
                name,
                file_type,
                next: index as u64 + 1,
            });
        Ok(entries.collect())
    }
}

impl File for DirectoryFile {
    fn is_seekable(&self) -> bool {
        true
    }

    fn read_dir(
        &self,
        _task: &Task,
        from: u64,
        emit: &mut dyn FnMut(DirEntry) -> bool,
    ) -> Result<()> {
        if from == 0 {
            *self.names.lock() = self.list()?;
        }
        let names = self.names.lock().clone();
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        for entry in names.into_iter().skip(start) {
            if !emit(entry) {
                break;
            }
        }
        Ok(())
    }
}
