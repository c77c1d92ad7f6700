//! Mapping calls that are put off until the application runs again, and then performed in one stop.
//!
//! A stop costs ten times what the call itself does, and the Sentry often has several for one exit:
//! fork lowers every private area, a fault maps what lies around it. While a single context is in a
//! space, and stopped, nothing can tell when its calls are performed, as long as that is before it
//! runs again; so they are queued ([`Queue`]).
//!
//! They reach the stub through a page of their own ([`Commands`]), which the stub can only read, so
//! that application code, which may run in other threads, can't change them under way.

use super::code;
use super::tracee::{Call, Tracee};
use crate::Result;
use abi::{Errno, PAGE_SIZE};
use parking_lot::Mutex;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Bytes of one call in the page: its number, six arguments, and nothing.
const COMMAND_BYTES: usize = 64;
/// How many calls are put off at most.
const MOST: usize = PAGE_SIZE / COMMAND_BYTES;
/// Bytes of a thread's name, with the zero at its end (`man 2 PR_SET_NAME`).
const NAME_BYTES: usize = 16;
/// The file's length: sparse, a page per stub.
const FILE_BYTES: u64 = 1 << 32;
/// Position of the file descriptor among mmap's arguments.
const MMAP_FILE: usize = 4;

/// The file that all stubs' pages are of.
#[derive(Debug)]
pub(super) struct CommandFile {
    file: OwnedFd,
    free: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    returned: Vec<u64>,
    next: u64,
}

impl CommandFile {
    /// Makes the file.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn new() -> Result<Arc<CommandFile>> {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("runsc-stub-calls", flags).map_err(host::errno)?;
        rustix::fs::ftruncate(&file, FILE_BYTES).map_err(host::errno)?;
        let free = Mutex::default();
        Ok(Arc::new(CommandFile { file, free }))
    }
}

/// One stub's page of calls.
#[derive(Debug)]
pub(super) struct Commands {
    of: Arc<CommandFile>,
    offset: u64,
    /// The stub has mapped it.
    mapped: bool,
}

impl Commands {
    /// Takes a page of the file; `None` when there are no more.
    pub(super) fn new(of: &Arc<CommandFile>) -> Option<Commands> {
        let mut slots = of.free.lock();
        let offset = slots.returned.pop().unwrap_or(slots.next);
        if offset == slots.next {
            slots.next = offset + u64::try_from(PAGE_SIZE).ok()?;
        }
        let of = Arc::clone(of);
        (offset < FILE_BYTES).then_some(Commands {
            of,
            offset,
            mapped: false,
        })
    }

    /// Performs calls in the stub of a stopped thread, until one fails.
    ///
    /// # Errors
    /// The failed call's.
    fn perform(&mut self, tracee: &Tracee, calls: &[Operation]) -> Result<()> {
        let bytes: Vec<u8> = calls.iter().flat_map(Operation::encoded).collect();
        self.fill(tracee, &bytes)?;
        tracee.call_batch(bytes.len())
    }

    /// Puts bytes where the stub sees them, at the beginning of its page.
    fn fill(&mut self, tracee: &Tracee, bytes: &[u8]) -> Result<()> {
        if !self.mapped {
            tracee.call(self.mapping_call())?;
            self.mapped = true;
        }
        let written = rustix::io::pwrite(&self.of.file, bytes, self.offset);
        if written.map_err(host::errno)? != bytes.len() {
            return Err(Errno::EIO);
        }
        Ok(())
    }

    fn mapping_call(&self) -> Call {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let file = self.of.file.as_raw_fd();
        let [address, len] = [code::COMMANDS, PAGE_SIZE].map(|word| word as u64);
        let arguments = [
            address,
            len,
            u64::from(libc::PROT_READ.cast_unsigned()),
            u64::from(flags.cast_unsigned()),
            u64::from(file.cast_unsigned()),
            self.offset,
        ];
        (libc::SYS_mmap, arguments)
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.of.free.lock().returned.push(self.offset);
    }
}

/// A call that was put off, with the file that it maps.
#[derive(Debug)]
struct Operation {
    call: Call,
    /// A descriptor of our own: the caller may close his.
    _file: Option<OwnedFd>,
}

impl Operation {
    /// `None` when the descriptor can't be kept.
    fn new((number, mut arguments): Call, file: Option<BorrowedFd<'_>>) -> Option<Operation> {
        let file = match file {
            Some(file) => Some(rustix::io::fcntl_dupfd_cloexec(file, 0).ok()?),
            None => None,
        };
        if let Some(file) = &file {
            arguments[MMAP_FILE] = u64::from(file.as_raw_fd().cast_unsigned());
        }
        let call = (number, arguments);
        Some(Operation { call, _file: file })
    }

    fn encoded(&self) -> [u8; COMMAND_BYTES] {
        let mut bytes = [0; COMMAND_BYTES];
        let (number, arguments) = self.call;
        let words = [number.cast_unsigned()].into_iter().chain(arguments);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

/// The calls that were put off in one space, in order.
#[derive(Debug)]
pub(super) struct Queue {
    calls: Vec<Operation>,
    commands: Option<Commands>,
}

impl Queue {
    /// Without a page, calls are performed one by one.
    pub(super) fn new(commands: Option<Commands>) -> Queue {
        let calls = Vec::new();
        Queue { calls, commands }
    }

    /// Puts a call off; false if that is not possible now.
    #[must_use]
    pub(super) fn push(&mut self, call: Call, file: Option<BorrowedFd<'_>>) -> bool {
        if self.calls.len() >= MOST {
            return false;
        }
        match Operation::new(call, file) {
            Some(operation) => self.calls.push(operation),
            None => return false,
        }
        true
    }

    /// Whether nothing is put off.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Forgets what was put off, because it no longer matters.
    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }

    /// Gives the thread this name; `None` of a page: it keeps its own.
    ///
    /// # Errors
    /// The failed call's.
    pub(super) fn name(&mut self, tracee: &Tracee, name: &[u8]) -> Result<()> {
        let Some(commands) = &mut self.commands else {
            return Ok(());
        };
        let mut bytes = [0; NAME_BYTES];
        for (to, from) in bytes.iter_mut().zip(name.iter().take(NAME_BYTES - 1)) {
            *to = *from;
        }
        commands.fill(tracee, &bytes)?;
        let set_name = u64::from(libc::PR_SET_NAME.cast_unsigned());
        let at = u64::try_from(code::COMMANDS).unwrap_or(0);
        tracee
            .call((libc::SYS_prctl, [set_name, at, 0, 0, 0, 0]))
            .map(drop)
    }

    /// Performs what was put off, on a stopped thread of the stub; nothing is left in any case.
    ///
    /// # Errors
    /// The first failed call's; those behind it were not performed.
    pub(super) fn perform(&mut self, tracee: &Tracee) -> Result<()> {
        let calls = std::mem::take(&mut self.calls);
        match (calls.as_slice(), &mut self.commands) {
            ([_, _, ..], Some(commands)) => commands.perform(tracee, &calls),
            (few, _) => few
                .iter()
                .try_for_each(|one| tracee.call(one.call).map(drop)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn pages_are_used_again() {
        let file = CommandFile::new().unwrap();
        let first = Commands::new(&file).unwrap();
        let second = Commands::new(&file).unwrap();
        assert_ne!(first.offset, second.offset);
        let offset = first.offset;
        drop(first);
        assert_eq!(Commands::new(&file).unwrap().offset, offset);
    }

    #[test]
    fn a_queue_has_an_end_and_keeps_files_open() {
        let mut queue = Queue::new(None);
        let file = std::fs::File::open("/dev/null").unwrap();
        let call = (libc::SYS_mmap, [0, 0, 0, 0, u64::MAX, 0]);
        assert!(queue.push(call, Some(file.as_fd())));
        let kept = queue.calls[0].call.1[MMAP_FILE];
        assert_ne!(kept, u64::from(file.as_raw_fd().cast_unsigned()));
        assert!((1..MOST).all(|_| queue.push((libc::SYS_munmap, [0; 6]), None)));
        assert!(!queue.push((libc::SYS_munmap, [0; 6]), None));
    }
}
