//! An address space of application code.

use crate::{Access, Result, kvm, mock, ptrace};
use abi::{Errno, PAGE_SIZE};
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// One address space. Every method may be called from any thread, while contexts run in it.
///
/// A call may be put off until application code runs next in the space, where nothing can tell the
/// difference; its error then shows as [`Exit::MappingFailed`](crate::Exit::MappingFailed). Unmapping
/// the whole user range is never put off, and makes up for all calls before.
///
/// Ranges are page-aligned, not empty and within [`Limits::user_range`](crate::Limits): others are
/// `EINVAL`. `ESRCH` from any method says that the host process behind the space is gone; contexts
/// in it report [`Exit::SpaceLost`](crate::Exit::SpaceLost).
#[derive(Debug)]
pub struct Space {
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Ptrace(ptrace::Space),
    Kvm(kvm::Space),
    Mock(mock::Space),
}

impl From<ptrace::Space> for Space {
    fn from(space: ptrace::Space) -> Space {
        Space {
            kind: Kind::Ptrace(space),
        }
    }
}

impl From<kvm::Space> for Space {
    fn from(space: kvm::Space) -> Space {
        Space {
            kind: Kind::Kvm(space),
        }
    }
}

impl From<mock::Space> for Space {
    fn from(space: mock::Space) -> Space {
        Space {
            kind: Kind::Mock(space),
        }
    }
}

impl Space {
    /// Maps a range of a host file, shared, in place of whatever was there. With `populate` the
    /// pages that the file has are entered in the page tables at once.
    ///
    /// # Errors
    /// `ENOMEM` when the host has no memory or the space no room for another mapping: drop
    /// mappings and try again. `EACCES` where the descriptor does not allow the access, and what
    /// else `man 2 mmap` lists.
    pub fn map(
        &self,
        at: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
        access: Access,
        populate: bool,
    ) -> Result<()> {
        let at = checked(at)?;
        match &self.kind {
            Kind::Ptrace(space) => space.map(at, file, offset, access, populate),
            Kind::Kvm(space) => space.map(at, file, offset, access, populate),
            Kind::Mock(space) => space.map(at, file, offset, access),
        }
    }

    /// Changes what application code may do with mapped pages. On return no thread of the space
    /// can use them otherwise.
    ///
    /// # Errors
    /// `ENOMEM` when part of the range is not mapped (what comes before has changed) or the space
    /// has no room for another mapping.
    pub fn protect(&self, range: Range<usize>, access: Access) -> Result<()> {
        let range = checked(range)?;
        match &self.kind {
            Kind::Ptrace(space) => space.protect(range, access),
            Kind::Kvm(space) => space.protect(range, access),
            Kind::Mock(space) => space.protect(range, access),
        }
    }

    /// Removes what is mapped in the range, if anything. On return no thread of the space can use
    /// the pages.
    ///
    /// # Errors
    /// `ENOMEM` when the space has no room for another mapping (the hole splits one).
    pub fn unmap(&self, range: Range<usize>) -> Result<()> {
        let range = checked(range)?;
        match &self.kind {
            Kind::Ptrace(space) => space.unmap(range),
            Kind::Kvm(space) => space.unmap(range),
            Kind::Mock(space) => space.unmap(range),
        }
    }

    /// Opens a group: until it is closed, the calling thread's calls on this space may be put off
    /// even though other threads run in it, to be made together. For calls whose time does not
    /// matter within the group: what an unmapping or lowering gives free may be used again only
    /// after the group.
    pub fn group(&self) -> CallGroup<'_> {
        CallGroup(match &self.kind {
            Kind::Ptrace(space) => Open::Ptrace(space.group()),
            Kind::Kvm(space) => {
                space.open_group();
                Open::Kvm(space)
            }
            Kind::Mock(_) => Open::Nothing,
        })
    }

    /// The host process in which the application's code runs, if there is one.
    #[must_use]
    pub fn host_pid(&self) -> Option<i32> {
        match &self.kind {
            Kind::Ptrace(space) => Some(space.host_pid()),
            Kind::Kvm(_) | Kind::Mock(_) => None,
        }
    }

    /// Names that process for whoever lists the host's: at most 15 bytes, and a command line in one
    /// piece, which may be cut.
    pub fn name_host_process(&self, name: &[u8], command_line: &[u8]) {
        match &self.kind {
            Kind::Ptrace(space) => space.name_host_process(name, command_line),
            Kind::Kvm(_) | Kind::Mock(_) => {}
        }
    }

    /// The mock behind the space, for tests that look at what was mapped.
    #[must_use]
    pub fn as_mock(&self) -> Option<&mock::Space> {
        match &self.kind {
            Kind::Mock(space) => Some(space),
            Kind::Ptrace(_) | Kind::Kvm(_) => None,
        }
    }
}

/// Mapping calls that are made together (see [`Space::group`]). Dropping it closes it too. It belongs
/// to the thread that opened it.
#[derive(Debug)]
#[must_use]
pub struct CallGroup<'space>(Open<'space>);

/// What is to be closed.
#[derive(Debug)]
enum Open<'space> {
    Ptrace(ptrace::Group),
    Kvm(&'space kvm::Space),
    Nothing,
}

impl CallGroup<'_> {
    /// Makes the group's calls, or leaves them to be made before application code runs where nothing
    /// else can run in the space.
    ///
    /// # Errors
    /// `EAGAIN` when one of them, or one before them, has failed: every run in the space then ends as
    /// [`Exit::MappingFailed`](crate::Exit::MappingFailed) until the whole user range is unmapped.
    /// `ESRCH` when the space is lost.
    pub fn close(mut self) -> Result<()> {
        self.close_now()
    }

    fn close_now(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.0, Open::Nothing) {
            Open::Ptrace(mut group) => group.close(),
            Open::Kvm(space) => {
                space.close_group();
                Ok(())
            }
            Open::Nothing => Ok(()),
        }
    }
}

impl Drop for CallGroup<'_> {
    fn drop(&mut self) {
        // A failure also shows in the next run.
        let _shown_later = self.close_now();
    }
}

fn checked(range: Range<usize>) -> Result<Range<usize>> {
    let aligned = range.start.is_multiple_of(PAGE_SIZE) && range.end.is_multiple_of(PAGE_SIZE);
    let within = range.end <= ptrace::USER_END;
    if aligned && within && range.start < range.end {
        Ok(range)
    } else {
        Err(Errno::EINVAL)
    }
}
