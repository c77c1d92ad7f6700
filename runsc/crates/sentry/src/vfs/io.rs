//! Where bytes that are read go, and where bytes that are written come from: user memory or the kernel's.

use abi::Errno;
use mm::user_io::UserIo;

use crate::error::Result;

/// The destination of a read.
#[derive(Debug)]
pub enum Sink<'a> {
    /// The application's buffers.
    User(UserIo<'a>),
    /// A buffer of the kernel's own; what is written is cut off its front.
    Kernel(&'a mut [u8]),
}

/// The source of a write.
#[derive(Debug)]
pub enum Source<'a> {
    /// The application's buffers.
    User(UserIo<'a>),
    /// Bytes of the kernel's own; what is taken is cut off its front.
    Kernel(&'a [u8]),
}

impl Sink<'_> {
    /// Bytes that still fit.
    #[must_use]
    pub fn remaining(&self) -> usize {
        match self {
            Sink::User(io) => io.remaining(),
            Sink::Kernel(buffer) => buffer.len(),
        }
    }

    /// Writes `bytes`, or what fits; EFAULT only if not one byte could be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Sink::User(io) => io.copy_out(bytes),
            Sink::Kernel(buffer) => {
                let len = bytes.len().min(buffer.len());
                let (front, rest) = std::mem::take(buffer).split_at_mut(len);
                front.copy_from_slice(&bytes[..len]);
                *buffer = rest;
                Ok(len)
            }
        }
    }

    /// Writes up to `len` zeroes; EFAULT only if not one could be written.
    pub fn zero(&mut self, len: usize) -> Result<usize> {
        match self {
            Sink::User(io) => io.zero(len),
            Sink::Kernel(buffer) => {
                let len = len.min(buffer.len());
                let (front, rest) = std::mem::take(buffer).split_at_mut(len);
                front.fill(0);
                *buffer = rest;
                Ok(len)
            }
        }
    }

    /// Writes `bytes` from `offset` on: the whole of a small generated file.
    pub fn write_from(&mut self, bytes: &[u8], offset: u64) -> Result<usize> {
        let start = usize::try_from(offset).map_err(|_| Errno::EINVAL)?;
        bytes.get(start..).map_or(Ok(0), |rest| self.write(rest))
    }
}

impl Source<'_> {
    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        match self {
            Source::User(io) => io.remaining(),
            Source::Kernel(bytes) => bytes.len(),
        }
    }

    /// Cuts off what is behind the next `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Source::User(io) => io.truncate(len),
            Source::Kernel(bytes) => *bytes = &bytes[..len.min(bytes.len())],
        }
    }

    /// Moves forward by `len` bytes, or to the end.
    pub fn skip(&mut self, len: usize) {
        match self {
            Source::User(io) => io.skip(len),
            Source::Kernel(bytes) => *bytes = &bytes[len.min(bytes.len())..],
        }
    }

    /// Fills the front of `buffer`; EFAULT only if not one byte could be read.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Source::User(io) => io.copy_in(buffer),
            Source::Kernel(bytes) => {
                let len = buffer.len().min(bytes.len());
                let (front, rest) = bytes.split_at(len);
                buffer[..len].copy_from_slice(front);
                *bytes = rest;
                Ok(len)
            }
        }
    }

    /// All that is left, at most `limit` bytes.
    pub fn read_to_vec(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; self.remaining().min(limit)];
        let len = self.read(&mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }
}
