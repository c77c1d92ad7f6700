//! A growable ring of bytes: what pipes and sockets queue their data in.
//!
//! It holds no lock of its own. Its owner's lock is held while user memory is copied; that lock is
//! outside the chain of lib.rs and taken before any lock of `mm`, which never calls back into it.

use abi::Errno;

use crate::error::Result;
use crate::vfs::io::{Sink, Source};

const SMALLEST: usize = 4096;
/// An empty ring that is larger than this gives its memory back.
const KEPT: usize = 65_536;

/// Bytes in order of arrival.
#[derive(Debug, Default)]
pub struct Ring {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Ring {
    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends up to `count` bytes of `source`; fewer if it faults, EFAULT if none could be read.
    pub fn fill(&mut self, source: &mut Source<'_>, count: usize) -> Result<usize> {
        let count = count.min(source.remaining());
        self.reserve(count)?;
        let mut done = 0;
        while done < count {
            let at = self.position(self.len);
            let piece = (count - done).min(self.bytes.len() - at);
            let got = match source.read(&mut self.bytes[at..at + piece]) {
                Ok(got) => got,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            };
            self.len += got;
            done += got;
            if got < piece {
                break;
            }
        }
        Ok(done)
    }

    /// Appends exactly `count` bytes of `source` or nothing; EFAULT.
    pub fn fill_whole(&mut self, source: &mut Source<'_>, count: usize) -> Result<()> {
        let got = self.fill(source, count)?;
        if got < count {
            self.len -= got;
            return Err(Errno::EFAULT);
        }
        Ok(())
    }

    /// Copies up to `count` bytes from `skip` on to `sink`, which stay; fewer if it faults, EFAULT if
    /// none could be written.
    pub fn peek(&self, skip: usize, sink: &mut Sink<'_>, count: usize) -> Result<usize> {
        let count = count
            .min(sink.remaining())
            .min(self.len.saturating_sub(skip));
        let mut done = 0;
        while done < count {
            let at = self.position(skip + done);
            let piece = (count - done).min(self.bytes.len() - at);
            let put = match sink.write(&self.bytes[at..at + piece]) {
                Ok(put) => put,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            };
            done += put;
            if put < piece {
                break;
            }
        }
        Ok(done)
    }

    /// Moves up to `count` bytes to `sink`.
    pub fn drain(&mut self, sink: &mut Sink<'_>, count: usize) -> Result<usize> {
        let moved = self.peek(0, sink, count)?;
        self.skip(moved);
        Ok(moved)
    }

    /// Drops up to `count` bytes from the front.
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.len);
        if count == 0 {
            return;
        }
        self.start = self.position(count);
        self.len -= count;
        if self.len == 0 {
            self.start = 0;
            if self.bytes.len() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }

    /// The place of the byte `offset` behind the front; there is room.
    fn position(&self, offset: usize) -> usize {
        (self.start + offset) % self.bytes.len()
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        let needed = self.len.checked_add(more).ok_or(Errno::ENOMEM)?;
        if needed <= self.bytes.len() {
            return Ok(());
        }
        let size = needed.next_power_of_two().max(SMALLEST);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        let tail = self.len.min(self.bytes.len() - self.start);
        bytes.extend_from_slice(&self.bytes[self.start..self.start + tail]);
        bytes.extend_from_slice(&self.bytes[..self.len - tail]);
        bytes.resize(size, 0);
        self.bytes = bytes;
        self.start = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;
    use crate::vfs::io::{Sink, Source};

    fn drain(ring: &mut Ring, count: usize) -> Vec<u8> {
        let mut buffer = vec![0; count];
        let got = ring.drain(&mut Sink::Kernel(&mut buffer), count).unwrap();
        buffer.truncate(got);
        buffer
    }

    #[test]
    fn bytes_come_out_in_order_across_wraps_and_growth() {
        let mut ring = Ring::default();
        let mut next_in = 0u8;
        let mut next_out = 0u8;
        for round in 0..500usize {
            let bytes: Vec<u8> = (0..(round * 37) % 900)
                .map(|_| {
                    next_in = next_in.wrapping_add(1);
                    next_in
                })
                .collect();
            assert_eq!(
                ring.fill(&mut Source::Kernel(&bytes), bytes.len()).unwrap(),
                bytes.len()
            );
            for byte in drain(&mut ring, (round * 53) % 700) {
                next_out = next_out.wrapping_add(1);
                assert_eq!(byte, next_out);
            }
        }
    }

    #[test]
    fn peeking_leaves_the_bytes() {
        let mut ring = Ring::default();
        ring.fill(&mut Source::Kernel(b"hello"), 5).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(ring.peek(1, &mut Sink::Kernel(&mut buffer), 3).unwrap(), 3);
        assert_eq!(&buffer[..3], b"ell");
        assert_eq!(drain(&mut ring, 9), b"hello");
    }
}
