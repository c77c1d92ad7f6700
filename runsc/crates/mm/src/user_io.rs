//! Moving bulk data in and out of user memory.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use abi::Errno;
use memory::GuestBytes;
use memory::io::{self, MAX_PIECES, Position};
use platform::Access;

use super::pin::Pinned;
use crate::AddressSpace;
use crate::Result;

/// Most bytes that one read or write moves (`MAX_RW_COUNT`).
pub const MAX_BYTES: usize = 0x7fff_f000;
/// Most entries of an iovec (`UIO_MAXIOV`).
const MAX_VECTORS: usize = 1024;
/// Most bytes that are pinned at once.
const PIN_BYTES: usize = 4 << 20;

/// A list of user ranges (an iovec) with a position in it.
#[derive(Debug)]
pub struct UserIo<'a> {
    mm: &'a AddressSpace,
    /// What is left, in order; no range is empty.
    ranges: Vec<Range<usize>>,
    /// Index of the first range that is left.
    next: usize,
    remaining: usize,
}

impl<'a> UserIo<'a> {
    /// One buffer. More than [`MAX_BYTES`] are cut off, as Linux does.
    #[must_use]
    pub fn single(mm: &'a AddressSpace, address: usize, len: usize) -> UserIo<'a> {
        let mut io = UserIo {
            mm,
            ranges: Vec::with_capacity(1),
            next: 0,
            remaining: 0,
        };
        io.push(address, len);
        io
    }

    /// The buffers of a `struct iovec` array of `count` entries.
    ///
    /// # Errors
    /// EINVAL for more than 1024 entries or a length that is negative, EFAULT.
    pub fn from_iovec(mm: &'a AddressSpace, address: usize, count: usize) -> Result<UserIo<'a>> {
        if count > MAX_VECTORS {
            return Err(Errno::EINVAL);
        }
        let mut raw = vec![0_u8; count * 16];
        mm.read_bytes(address, &mut raw)?;
        let mut io = UserIo {
            mm,
            ranges: Vec::with_capacity(count),
            next: 0,
            remaining: 0,
        };
        for entry in raw.chunks_exact(16) {
            let (base, len) = entry.split_at(8);
            let (base, len) = (word(base), word(len));
            if isize::try_from(len).is_err() {
                return Err(Errno::EINVAL);
            }
            io.push(base, len);
        }
        Ok(io)
    }

    /// Several buffers that were copied in already: address and length of each.
    #[must_use]
    pub fn from_ranges(mm: &'a AddressSpace, ranges: &[(usize, usize)]) -> UserIo<'a> {
        let mut io = UserIo {
            mm,
            ranges: Vec::with_capacity(ranges.len()),
            next: 0,
            remaining: 0,
        };
        for &(address, len) in ranges {
            io.push(address, len);
        }
        io
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Cuts off what is behind the next `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        let mut left = len;
        for range in &mut self.ranges[self.next..] {
            let keep = range.len().min(left);
            range.end = range.start + keep;
            left -= keep;
        }
        self.ranges.retain(|range| !range.is_empty());
        self.remaining = self.remaining.min(len);
    }

    /// Fills the front of `buffer` from user memory.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be read.
    pub fn copy_in(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        self.advance_by(buffer.len(), |mm, address, len| {
            let part = mm.read_some(address, &mut buffer[done..done + len]);
            done += part;
            part
        })
    }

    /// Writes bytes to user memory, or what fits.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be written.
    pub fn copy_out(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut done = 0;
        self.advance_by(bytes.len(), |mm, address, len| {
            let part = mm.write_some(address, &bytes[done..done + len]);
            done += part;
            part
        })
    }

    /// Writes up to `len` zeroes.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be written.
    pub fn zero(&mut self, len: usize) -> Result<usize> {
        self.advance_by(len, AddressSpace::zero_some)
    }

    /// Fills `target`, pages of the kernel's, from user memory without a copy in between.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be read.
    pub fn copy_to_guest(&mut self, target: GuestBytes<'_>) -> Result<usize> {
        let mut done = 0;
        self.advance_by(target.len(), |mm, address, len| {
            let part = mm.visit(address, len, Access::READ, |before, bytes| {
                bytes.copy_to(target.slice(done + before, bytes.len()))
            });
            done += part;
            part
        })
    }

    /// Writes `source`, pages of the kernel's, to user memory without a copy in between.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be written.
    pub fn copy_from_guest(&mut self, source: GuestBytes<'_>) -> Result<usize> {
        let mut done = 0;
        self.advance_by(source.len(), |mm, address, len| {
            let part = mm.visit(address, len, Access::WRITE, |before, bytes| {
                source.slice(done + before, bytes.len()).copy_to(bytes)
            });
            done += part;
            part
        })
    }

    /// Moves bytes to other user memory, perhaps of another address space (`process_vm_readv(2)`).
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be moved.
    pub fn copy_to(&mut self, target: &mut UserIo<'_>) -> Result<usize> {
        let mut buffer = vec![0; self.remaining.min(target.remaining).min(64 << 10)];
        let mut done = 0;
        while self.remaining > 0 && target.remaining > 0 {
            let len = buffer.len().min(target.remaining);
            let outcome = self.copy_in(&mut buffer[..len]).and_then(|read| {
                let written = target.copy_out(&buffer[..read])?;
                if written < read {
                    Err(Errno::EFAULT)
                } else {
                    Ok(written)
                }
            });
            match outcome {
                Ok(len) => done += len,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Reads from a host descriptor straight into user memory, at `offset` or, for streams, at the
    /// descriptor's own position; returns how many bytes came. A stream is read once; a file is read
    /// until its end or the end of the buffers.
    ///
    /// # Errors
    /// What the host reports, or EFAULT, only if not one byte came.
    pub fn read_host(&mut self, fd: BorrowedFd<'_>, offset: Option<u64>) -> Result<usize> {
        self.host(Access::WRITE, offset, |pinned, position| {
            io::read(fd, &pinned.pieces(), position)
        })
    }

    /// Writes user memory to a host descriptor, at `offset` or, for streams, at the descriptor's own
    /// position; returns how many bytes went.
    ///
    /// # Errors
    /// What the host reports, or EFAULT, only if not one byte went.
    pub fn write_host(&mut self, fd: BorrowedFd<'_>, offset: Option<u64>) -> Result<usize> {
        self.host(Access::READ, offset, |pinned, position| {
            io::write(fd, &pinned.pieces(), position)
        })
    }

    /// Pins the next bytes for use by the host; [`skip`](Self::skip) says afterwards how many were used.
    #[must_use]
    pub fn pin(&self, need: Access, most_bytes: usize) -> Pinned {
        let mut left = most_bytes;
        let mut ranges = Vec::new();
        for range in &self.ranges[self.next..] {
            if left == 0 {
                break;
            }
            let len = range.len().min(left);
            ranges.push(range.start..range.start + len);
            left -= len;
        }
        self.mm.pin(&ranges, need, MAX_PIECES)
    }

    /// Moves the position forward by `len` bytes, or to the end.
    pub fn skip(&mut self, len: usize) {
        let mut left = len.min(self.remaining);
        self.remaining -= left;
        while left > 0 {
            let range = &mut self.ranges[self.next];
            let part = range.len().min(left);
            range.start += part;
            left -= part;
            if range.start == range.end {
                self.next += 1;
            }
        }
    }

    fn push(&mut self, address: usize, len: usize) {
        let len = len.min(MAX_BYTES - self.remaining);
        if len > 0 {
            // What wraps around the end of the address space can't be accessed, and neither can its end.
            let address = address.min(usize::MAX - len);
            self.ranges.push(address..address + len);
            self.remaining += self.ranges.last().map_or(0, |range| range.len());
        }
    }

    /// Applies `step` to the next `len` bytes, range by range, until it does less than asked.
    fn advance_by(
        &mut self,
        len: usize,
        mut step: impl FnMut(&AddressSpace, usize, usize) -> usize,
    ) -> Result<usize> {
        let wanted = len.min(self.remaining);
        let mut done = 0;
        while done < wanted {
            let range = &self.ranges[self.next];
            let part = range.len().min(wanted - done);
            let moved = step(self.mm, range.start, part);
            done += moved;
            self.skip(moved);
            if moved < part {
                break;
            }
        }
        if done == 0 && wanted > 0 {
            Err(Errno::EFAULT)
        } else {
            Ok(done)
        }
    }

    fn host(
        &mut self,
        need: Access,
        offset: Option<u64>,
        call: impl Fn(&Pinned, Position) -> Result<usize>,
    ) -> Result<usize> {
        let mut done = 0;
        loop {
            let position = match offset {
                None => Position::Current,
                Some(offset) => Position::At(offset.checked_add(done as u64).ok_or(Errno::EINVAL)?),
            };
            let pinned = self.pin(need, PIN_BYTES);
            let outcome = if pinned.is_empty() && self.remaining > 0 {
                Err(Errno::EFAULT)
            } else {
                call(&pinned, position)
            };
            match outcome {
                Ok(len) => {
                    self.skip(len);
                    done += len;
                    if offset.is_none() || len < pinned.len() || self.remaining == 0 {
                        return Ok(done);
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }
}

fn word(bytes: &[u8]) -> usize {
    bytes.try_into().map_or(0, usize::from_le_bytes)
}
