//! Memory mappings, accessed through raw pointers so that the compiler assumes nothing about them.

#![expect(unsafe_code, reason = "touches mappings at any address")]

use crate::case::Failure;
use crate::support::process::{self, Status};
use crate::sys::{Arg, SysError};

/// The page size.
pub(crate) const PAGE: usize = 4096;
/// Readable and writable.
pub(crate) const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
/// A private anonymous mapping.
pub(crate) const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
/// A shared anonymous mapping.
pub(crate) const SHARED_ANON: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;

/// A mapping, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Map {
    addr: usize,
    len: usize,
}

impl Map {
    /// A mapping anywhere. `fd` is -1 for anonymous memory.
    pub(crate) fn new(
        len: usize,
        prot: i32,
        flags: i32,
        fd: impl Arg,
        offset: i64,
    ) -> Result<Self, SysError> {
        let addr = sys!(SYS_mmap, 0, len, prot, flags, fd.raw(), offset)?;
        Ok(Self {
            addr: addr as usize,
            len,
        })
    }

    /// A private anonymous mapping.
    pub(crate) fn anonymous(len: usize) -> Result<Self, SysError> {
        Self::new(len, RW, ANON, -1, 0)
    }

    /// A shared anonymous mapping.
    pub(crate) fn shared(len: usize) -> Result<Self, SysError> {
        Self::new(len, RW, SHARED_ANON, -1, 0)
    }

    /// Takes over a mapping that a call returned.
    pub(crate) fn own(addr: i64, len: usize) -> Self {
        Self {
            addr: addr as usize,
            len,
        }
    }

    /// Its address.
    pub(crate) fn addr(&self) -> usize {
        self.addr
    }

    /// The mapping is left alone when this goes.
    pub(crate) fn forget(mut self) -> usize {
        self.len = 0;
        self.addr
    }

    /// Reads the byte at this offset.
    pub(crate) fn get(&self, offset: usize) -> u8 {
        peek(self.addr + offset)
    }

    /// Writes the byte at this offset.
    pub(crate) fn set(&self, offset: usize, value: u8) {
        poke(self.addr + offset, value);
    }

    /// Copies bytes in.
    pub(crate) fn fill(&self, offset: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            poke(self.addr + offset + index, *byte);
        }
    }

    /// Copies bytes out.
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        (0..len)
            .map(|index| peek(self.addr + offset + index))
            .collect()
    }

    /// The aligned word at this offset, as an atomic that other processes may share.
    pub(crate) fn atomic(&self, offset: usize) -> &std::sync::atomic::AtomicU32 {
        assert!(
            offset.is_multiple_of(4) && offset + 4 <= self.len,
            "the word lies in the mapping"
        );
        // SAFETY: the word lies in the mapping, aligned; the mapping lives as long as `self`; all access is atomic.
        unsafe { std::sync::atomic::AtomicU32::from_ptr((self.addr + offset) as *mut u32) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.len != 0 {
            // It fails only if the test has made it impossible.
            let _ = sys!(SYS_munmap, self.addr, self.len);
        }
    }
}

impl Arg for &Map {
    fn raw(self) -> usize {
        self.addr
    }
}

/// Reads the byte at an address; faults if it can't be read.
pub(crate) fn peek(addr: usize) -> u8 {
    // SAFETY: a volatile byte access; if nothing is mapped there the signal is what the test waits for.
    unsafe { (addr as *const u8).read_volatile() }
}

/// Writes the byte at an address; faults if it can't be written.
pub(crate) fn poke(addr: usize, value: u8) {
    // SAFETY: as for `peek`; tests write only to mappings that they made.
    unsafe { (addr as *mut u8).write_volatile(value) }
}

/// How a child ends that reads the byte at this address.
pub(crate) fn status_of_read(addr: usize) -> Result<Status, Failure> {
    process::status_of(|| {
        peek(addr);
        0
    })
}

/// How a child ends that writes the byte at this address.
pub(crate) fn status_of_write(addr: usize) -> Result<Status, Failure> {
    process::status_of(|| {
        poke(addr, 1);
        0
    })
}

/// Calls the code at an address; it takes nothing and returns an integer.
pub(crate) fn execute(addr: usize) -> u64 {
    // SAFETY: the test has put a function of this type there.
    let function: extern "C" fn() -> u64 = unsafe { std::mem::transmute(addr) };
    function()
}
