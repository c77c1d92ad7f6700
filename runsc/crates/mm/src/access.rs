//! Copies to and from user memory, and atomic operations on it.
//!
//! The common case takes the *mm active* lock for reading: the pages are there, and copying is a walk
//! over their runs. Where pages are missing they are made as by a fault, up to the end of what is to be
//! copied.

use std::ops::Range;

use abi::Errno;
use memory::{Faulted, FrameRange, GuestBytes, WindowAccess};
use platform::Access;

use super::address_space::{AddressSpace, FutexKey};
use super::areas::{PAGE, page_down};
use super::fault::{Disk, PageRequest, Refusal};
use super::pages::{Active, Pages, Source, allows, cut};
use super::vma::VmaFlags;
use crate::Result;

impl AddressSpace {
    /// Copies bytes in.
    ///
    /// # Errors
    /// EFAULT; the front of the buffer may have been filled.
    pub fn read_bytes(&self, address: usize, buffer: &mut [u8]) -> Result<()> {
        if self.read_some(address, buffer) == buffer.len() {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies bytes in up to the first that can't be read; returns how many.
    pub fn read_some(&self, address: usize, buffer: &mut [u8]) -> usize {
        let len = buffer.len();
        self.visit(address, len, Access::READ, |done, bytes| {
            bytes.read(&mut buffer[done..])
        })
    }

    /// Writes zeroes.
    ///
    /// # Errors
    /// EFAULT; the front may have been written.
    pub fn zero(&self, address: usize, len: usize) -> Result<()> {
        if self.zero_some(address, len) == len {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// EFAULT; the front may have been written.
    pub fn write_bytes(&self, address: usize, bytes: &[u8]) -> Result<()> {
        if self.write_some(address, bytes) == bytes.len() {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies bytes out up to the first that can't be written; returns how many.
    pub fn write_some(&self, address: usize, bytes: &[u8]) -> usize {
        self.visit(address, bytes.len(), Access::WRITE, |done, target| {
            target.write(&bytes[done..])
        })
    }

    /// Writes zeroes up to the first byte that can't be written; returns how many.
    pub fn zero_some(&self, address: usize, len: usize) -> usize {
        self.visit(address, len, Access::WRITE, |_, target| {
            target.zero().map(|()| target.len())
        })
    }

    /// Copies a plain value in.
    ///
    /// # Errors
    /// EFAULT
    pub fn read_value<T: zerocopy::FromBytes>(&self, address: usize) -> Result<T> {
        // Most values fit on the stack.
        let (mut small, mut large) = ([0; 256], Vec::new());
        let bytes = match small.get_mut(..size_of::<T>()) {
            Some(bytes) => bytes,
            None => {
                large.resize(size_of::<T>(), 0);
                &mut large[..]
            }
        };
        self.read_bytes(address, bytes)?;
        T::read_from_bytes(bytes).map_err(|_| Errno::EFAULT)
    }

    /// Copies a plain value out.
    ///
    /// # Errors
    /// EFAULT
    pub fn write_value<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &self,
        address: usize,
        value: &T,
    ) -> Result<()> {
        self.write_bytes(address, value.as_bytes())
    }

    /// Copies a string in, without the NUL that ends it.
    ///
    /// # Errors
    /// EFAULT; ENAMETOOLONG if there is no NUL among the first `max` bytes.
    pub fn read_string(&self, address: usize, max: usize) -> Result<Vec<u8>> {
        let mut string = Vec::new();
        let mut ended = false;
        while !ended && string.len() < max {
            let at = address.checked_add(string.len()).ok_or(Errno::EFAULT)?;
            // Not beyond the page: what follows may not exist, and must not be needed.
            let len = (PAGE - at % PAGE).min(max - string.len());
            let read = self.visit(at, len, Access::READ, |_, bytes| {
                let found = bytes.find_nul()?;
                let part = bytes.slice(0, found.unwrap_or(bytes.len()));
                let start = string.len();
                string.resize(start + part.len(), 0);
                part.read(&mut string[start..])?;
                ended = found.is_some();
                // A NUL ends the walk: what is reported as done no longer matters.
                Ok(bytes.len())
            });
            if read < len && !ended {
                return Err(Errno::EFAULT);
            }
        }
        if !ended {
            return Err(Errno::ENAMETOOLONG);
        }
        // Another thread may have written a NUL after the search.
        if let Some(early) = string.iter().position(|&byte| byte == 0) {
            string.truncate(early);
        }
        Ok(string)
    }

    /// Loads a word at once.
    ///
    /// # Errors
    /// EFAULT; also if the address is not aligned.
    pub fn load_u32(&self, address: usize) -> Result<u32> {
        self.word(address, Access::READ, |bytes| bytes.load_u32())
    }

    /// Stores a word at once.
    ///
    /// # Errors
    /// EFAULT; also if the address is not aligned.
    pub fn store_u32(&self, address: usize, value: u32) -> Result<()> {
        self.word(address, Access::WRITE, |bytes| bytes.store_u32(value))
    }

    /// Replaces `old` by `new` atomically; returns what was there.
    ///
    /// # Errors
    /// EFAULT; also if the address is not aligned.
    pub fn compare_exchange_u32(&self, address: usize, old: u32, new: u32) -> Result<u32> {
        self.word(address, Access::WRITE, |bytes| {
            bytes.compare_exchange_u32(old, new)
        })
    }

    /// Changes a word atomically; returns what was there before.
    ///
    /// # Errors
    /// EFAULT; also if the address is not aligned.
    pub fn fetch_update_u32(&self, address: usize, change: impl Fn(u32) -> u32) -> Result<u32> {
        self.word(address, Access::WRITE, |bytes| {
            bytes.fetch_update_u32(&change)
        })
    }

    /// What identifies the futex at an address; `private` is `FUTEX_PRIVATE_FLAG`.
    ///
    /// # Errors
    /// EINVAL if the address is not aligned, EFAULT if nothing is mapped there.
    pub fn futex_key(&self, address: usize, private: bool) -> Result<FutexKey> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if private {
            return Ok(FutexKey::Private {
                mm: self.id(),
                address,
            });
        }
        let areas = self.areas.read();
        let (area, vma) = areas.vmas.at(address).ok_or(Errno::EFAULT)?;
        Ok(match &vma.file {
            Some(file) if vma.flags.contains(VmaFlags::SHARED) => FutexKey::Shared {
                object: file.mappable.id(),
                offset: vma.file_offset(address - area.start),
            },
            _ => FutexKey::Private {
                mm: self.id(),
                address,
            },
        })
    }

    fn word<T>(
        &self,
        address: usize,
        need: Access,
        operation: impl Fn(GuestBytes<'_>) -> core::result::Result<T, Faulted>,
    ) -> Result<T> {
        let mut value = None;
        self.visit(address, 4, need, |_, bytes| {
            value = Some(operation(bytes)?);
            Ok(bytes.len())
        });
        value.ok_or(Errno::EFAULT)
    }

    /// Calls `visit` with the bytes of user memory, run by run, and how many came before; makes pages as
    /// needed. Returns how many bytes were done before one could not be had, or `visit` did less than all.
    pub(crate) fn visit(
        &self,
        address: usize,
        len: usize,
        need: Access,
        visit: impl FnMut(usize, GuestBytes<'_>) -> core::result::Result<usize, Faulted>,
    ) -> usize {
        let usable = |pages: &Pages| allows(pages.access, need);
        let make = |range| self.make_present(range, need);
        self.visit_with(address, len, need, usable, make, visit)
    }

    /// As [`visit`](Self::visit), where `usable` tells which pages will do and `make` makes others.
    pub(crate) fn visit_with(
        &self,
        address: usize,
        len: usize,
        need: Access,
        usable: impl Fn(&Pages) -> bool,
        make: impl Fn(Range<usize>) -> Result<()>,
        mut visit: impl FnMut(usize, GuestBytes<'_>) -> core::result::Result<usize, Faulted>,
    ) -> usize {
        locks::assert_may_fault();
        let end = address.saturating_add(len);
        let mut at = address;
        while at < end {
            let step =
                self.visit_present(&self.active.read(), at..end, need, &usable, |at, bytes| {
                    visit(at - address, bytes)
                });
            at = match step {
                Ok(reached) => reached,
                Err(reached) => return reached - address,
            };
            if at < end && make(at..end).is_err() {
                break;
            }
        }
        at - address
    }

    /// Visits what is present from the start of `range` on; how far that was, as an error if it is no
    /// use to go on.
    fn visit_present(
        &self,
        active: &Active,
        range: Range<usize>,
        need: Access,
        usable: impl Fn(&Pages) -> bool,
        mut visit: impl FnMut(usize, GuestBytes<'_>) -> core::result::Result<usize, Faulted>,
    ) -> core::result::Result<usize, usize> {
        let mut at = range.start;
        for (run, pages) in active.pages.overlapping(range.clone()) {
            if run.start > at || !usable(pages) {
                break;
            }
            let end = run.end.min(range.end);
            while at < end {
                let outcome = self.with_bytes(&run, pages, at..end, need, |bytes| {
                    let len = bytes.len();
                    (visit(at, bytes), len)
                });
                let Some((outcome, len)) = outcome else {
                    return Err(at);
                };
                match outcome {
                    Ok(done) if done == len => at += len,
                    Ok(done) | Err(Faulted { done }) => return Err(at + done),
                }
            }
        }
        Ok(at)
    }

    /// Calls `f` with the Sentry's view of the front of `part`, which lies in `run`.
    fn with_bytes<T>(
        &self,
        run: &Range<usize>,
        pages: &Pages,
        part: Range<usize>,
        need: Access,
        f: impl FnOnce(GuestBytes<'_>) -> T,
    ) -> Option<T> {
        match &pages.source {
            Source::Memory(_) => {
                let (frames, from) = frames_of(run, pages, &part)?;
                Some(f(self.memory.view(frames).slice(from, part.len())))
            }
            Source::Host(file, offset) => {
                let offset = offset.checked_add((part.start - run.start) as u64)?;
                let access = window_access(need);
                let pin = self
                    .memory
                    .windows()
                    .pin(file, offset, part.len() as u64, access)
                    .ok()?;
                Some(f(pin.bytes()))
            }
        }
    }

    /// Makes the first page of `range` present, and more of it where that is easy.
    pub(crate) fn make_present(&self, range: Range<usize>, need: Access) -> Result<()> {
        Ok(self.with_room(|| self.try_present(range.clone(), need))?)
    }

    fn try_present(&self, range: Range<usize>, need: Access) -> core::result::Result<(), Refusal> {
        let mut areas = self.areas.read();
        if areas.vmas.at(range.start).is_none() {
            drop(areas);
            // A call that writes just below a stack extends it, as a store would.
            self.grow_stack(range.start, self.stack_limit())?;
            areas = self.areas.read();
        }
        let request = PageRequest {
            upto: range.end,
            ..PageRequest::at(range.start, need)
        };
        let refuse = PageRequest {
            disk: Disk::Refuse,
            ..request.clone()
        };
        let outcome = self.provide(&areas, &mut self.active.write(), &refuse);
        drop(areas);
        let Err(Refusal::Cold(part)) = outcome else {
            return outcome;
        };
        part.warm_up();
        let areas = self.areas.read();
        self.provide(&areas, &mut self.active.write(), &request)
    }
}

/// What a window of a host file has to allow.
pub(crate) fn window_access(need: Access) -> WindowAccess {
    if need.contains(Access::WRITE) {
        WindowAccess::ReadWrite
    } else {
        WindowAccess::Read
    }
}

/// The frames that hold `part` of a run in the memory file, and where in them it starts.
pub(crate) fn frames_of(
    run: &Range<usize>,
    pages: &Pages,
    part: &Range<usize>,
) -> Option<(FrameRange, usize)> {
    let start = page_down(part.start);
    let end = part.end.checked_next_multiple_of(PAGE)?;
    let (aligned, source) = cut(run, pages, start..end);
    Some((source.frames(aligned.len())?, part.start - start))
}
