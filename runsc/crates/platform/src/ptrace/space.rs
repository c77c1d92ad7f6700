//! An address space: a stub process, and mapping in it.

use super::machine::Machine;
use super::own::Own;
use super::stub::Stub;
use crate::{Access, Result};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// A space of the ptrace platform.
#[derive(Debug)]
pub(crate) struct Space {
    machine: Arc<Machine>,
    stub: Arc<Stub>,
}

impl Space {
    pub(crate) fn new(machine: &Arc<Machine>) -> Result<Space> {
        let stub = machine.take_stub()?;
        Ok(Space {
            machine: Arc::clone(machine),
            stub,
        })
    }

    pub(super) fn stub(&self) -> &Arc<Stub> {
        &self.stub
    }

    pub(crate) fn host_pid(&self) -> i32 {
        self.stub.pid()
    }

    pub(crate) fn name_host_process(&self, name: &[u8], command_line: &[u8]) {
        self.stub.name(name, command_line);
    }

    pub(crate) fn group(&self) -> Group {
        let own = self.stub.open_group();
        Group(own)
    }

    pub(crate) fn map(
        &self,
        at: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
        access: Access,
        populate: bool,
    ) -> Result<()> {
        let populate = if populate { libc::MAP_POPULATE } else { 0 };
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | populate;
        let arguments = [
            word(at.start),
            word(at.len()),
            protection(access),
            u64::from(flags.cast_unsigned()),
            u64::from(file.as_raw_fd().cast_unsigned()),
            offset,
        ];
        self.stub.change((libc::SYS_mmap, arguments), Some(file))
    }

    pub(crate) fn protect(&self, range: Range<usize>, access: Access) -> Result<()> {
        let arguments = [
            word(range.start),
            word(range.len()),
            protection(access),
            0,
            0,
            0,
        ];
        self.stub.change((libc::SYS_mprotect, arguments), None)
    }

    pub(crate) fn unmap(&self, range: Range<usize>) -> Result<()> {
        if self.machine.is_everything(&range) {
            return self.stub.unmap_all();
        }
        let arguments = [word(range.start), word(range.len()), 0, 0, 0, 0];
        self.stub.change((libc::SYS_munmap, arguments), None)
    }
}

/// An open group of mapping calls: of the thread that makes them, if the calling OS thread has one
/// of its own in the space.
#[derive(Debug)]
pub(crate) struct Group(Option<Arc<Own>>);

impl Group {
    pub(crate) fn close(&mut self) -> Result<()> {
        let own = self.0.take();
        own.map_or(Ok(()), |own| own.stub().close_group(&own))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.machine.give_back_stub(&self.stub);
    }
}

fn word(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// `PROT_…` of an access: the bits are the same.
fn protection(access: Access) -> u64 {
    u64::from(access.bits())
}
