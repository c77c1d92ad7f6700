//! [`GuestBytes`]: addresses of memory that may change or vanish at any moment.

#![expect(
    unsafe_code,
    reason = "passes raw addresses to the fallible access routines"
)]

use std::fmt;
use std::marker::PhantomData;

use crate::access::{self, Search};

/// An access failed: the page is gone (SIGBUS) or does not allow it (SIGSEGV).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faulted {
    /// How many bytes were done before.
    pub done: usize,
}

/// A range of addresses in the Sentry that maps guest memory or a host file.
///
/// Holding one proves that the mapping stays in place for `'a`. It proves nothing about the
/// contents: other processes change them at any time, and a truncated file takes pages away. So no
/// Rust reference to the bytes exists, and every access can fail with [`Faulted`]. All of them need
/// [`install_fault_handler`](crate::install_fault_handler) to have been called.
#[derive(Clone, Copy)]
pub struct GuestBytes<'a> {
    start: usize,
    len: usize,
    mapping: PhantomData<&'a ()>,
}

impl fmt::Debug for GuestBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x}", self.len, self.start)
    }
}

impl<'a> GuestBytes<'a> {
    /// No bytes.
    pub const EMPTY: Self = Self {
        start: 0,
        len: 0,
        mapping: PhantomData,
    };

    /// The range of `len` bytes from `start`.
    ///
    /// # Safety
    /// For all of `'a` the range lies in one or several mappings of shared memory, to whose bytes
    /// no Rust reference exists, and which are not replaced by another mapping.
    pub(crate) const unsafe fn new(start: usize, len: usize) -> Self {
        Self {
            start,
            len,
            mapping: PhantomData,
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Address of the first byte, for `struct iovec`.
    pub(crate) const fn address(self) -> usize {
        self.start
    }

    /// The first `at` bytes and the others; `at` is clamped to the length.
    #[must_use]
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let at = at.min(self.len);
        let tail = Self {
            start: self.start + at,
            len: self.len - at,
            ..self
        };
        (Self { len: at, ..self }, tail)
    }

    /// At most `len` bytes, from `from` on.
    #[must_use]
    pub fn slice(self, from: usize, len: usize) -> Self {
        self.split_at(from).1.split_at(len).0
    }

    /// Joins two ranges that follow each other in the Sentry's address space, as frames that are
    /// neighbours do.
    #[must_use]
    pub fn join(self, next: Self) -> Option<Self> {
        // Both ranges stay in place for 'a, so their union does.
        (self.start.checked_add(self.len)? == next.start).then(|| Self {
            len: self.len + next.len,
            ..self
        })
    }

    /// Copies from here into `into`, as much as both hold; returns how much.
    ///
    /// # Errors
    /// [`Faulted`] with the number of bytes that were copied.
    pub fn read(self, into: &mut [u8]) -> Result<usize, Faulted> {
        let len = self.len.min(into.len());
        // SAFETY: 1. the source is in a mapping as `new` asks for; 2. the target is the caller's
        // exclusively borrowed buffer of at least `len` bytes.
        done(len, unsafe {
            access::copy(into.as_mut_ptr().addr(), self.start, len)
        })
    }

    /// Copies from `from` to here, as much as both hold; returns how much.
    ///
    /// # Errors
    /// [`Faulted`] with the number of bytes that were copied.
    pub fn write(self, from: &[u8]) -> Result<usize, Faulted> {
        let len = self.len.min(from.len());
        // SAFETY: 1. the target is in a mapping as `new` asks for; 2. the source is the caller's
        // borrowed buffer of at least `len` bytes.
        done(len, unsafe {
            access::copy(self.start, from.as_ptr().addr(), len)
        })
    }

    /// Copies from here to `target`, as much as both hold; returns how much. Where they overlap,
    /// the outcome is some mix of both.
    ///
    /// # Errors
    /// [`Faulted`] with the number of bytes that were copied.
    pub fn copy_to(self, target: GuestBytes<'_>) -> Result<usize, Faulted> {
        let len = self.len.min(target.len);
        // SAFETY: both ranges are in mappings as `new` asks for.
        done(len, unsafe { access::copy(target.start, self.start, len) })
    }

    /// Sets all bytes to zero.
    ///
    /// # Errors
    /// [`Faulted`] with the number of bytes that were zeroed.
    pub fn zero(self) -> Result<(), Faulted> {
        // SAFETY: the range is in a mapping as `new` asks for.
        done(self.len, unsafe { access::zero(self.start, self.len) }).map(drop)
    }

    /// Where the first NUL byte is, if there is one.
    ///
    /// # Errors
    /// [`Faulted`] with the number of bytes that were looked at and are not NUL.
    pub fn find_nul(self) -> Result<Option<usize>, Faulted> {
        // SAFETY: the range is in a mapping as `new` asks for.
        match unsafe { access::find_nul(self.start, self.len) } {
            Search::Found(at) => Ok(Some(at)),
            Search::Absent => Ok(None),
            Search::Fault(done) => Err(Faulted { done }),
        }
    }

    /// Reads the first four bytes at once, as an atomic load does.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be read, are too few or not aligned.
    pub fn load_u32(self) -> Result<u32, Faulted> {
        let at = self.word::<4>()?;
        // SAFETY: the aligned word is in a mapping as `new` asks for.
        unsafe { access::load32(at) }.ok_or(Faulted { done: 0 })
    }

    /// Reads the first eight bytes at once, as an atomic load does.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be read, are too few or not aligned.
    pub fn load_u64(self) -> Result<u64, Faulted> {
        let at = self.word::<8>()?;
        // SAFETY: the aligned word is in a mapping as `new` asks for.
        unsafe { access::load64(at) }.ok_or(Faulted { done: 0 })
    }

    /// Writes the first four bytes at once, as an atomic store does.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be written, are too few or not aligned.
    pub fn store_u32(self, value: u32) -> Result<(), Faulted> {
        let at = self.word::<4>()?;
        // SAFETY: the aligned word is in a mapping as `new` asks for.
        unsafe { access::store32(at, value) }.ok_or(Faulted { done: 0 })
    }

    /// Writes the first eight bytes at once, as an atomic store does.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be written, are too few or not aligned.
    pub fn store_u64(self, value: u64) -> Result<(), Faulted> {
        let at = self.word::<8>()?;
        // SAFETY: the aligned word is in a mapping as `new` asks for.
        unsafe { access::store64(at, value) }.ok_or(Faulted { done: 0 })
    }

    /// Replaces `old` by `new` in the first four bytes atomically; returns what was there.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be written, are too few or not aligned.
    pub fn compare_exchange_u32(self, old: u32, new: u32) -> Result<u32, Faulted> {
        let at = self.word::<4>()?;
        // SAFETY: the aligned word is in a mapping as `new` asks for.
        unsafe { access::compare_exchange32(at, old, new) }.ok_or(Faulted { done: 0 })
    }

    /// Replaces `old` by `new` in the first eight bytes atomically; returns what was there.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be written, are too few or not aligned.
    pub fn compare_exchange_u64(self, old: u64, new: u64) -> Result<u64, Faulted> {
        let at = self.word::<8>()?;
        // SAFETY: the aligned word is in a mapping as `new` asks for.
        unsafe { access::compare_exchange64(at, old, new) }.ok_or(Faulted { done: 0 })
    }

    /// Changes the first four bytes atomically; returns what was there before. `change` may be
    /// called several times.
    ///
    /// # Errors
    /// [`Faulted`] if they can't be written, are too few or not aligned.
    pub fn fetch_update_u32(self, change: impl Fn(u32) -> u32) -> Result<u32, Faulted> {
        let mut old = self.load_u32()?;
        loop {
            let found = self.compare_exchange_u32(old, change(old))?;
            if found == old {
                return Ok(old);
            }
            old = found;
        }
    }

    /// The address, if an aligned word of `N` bytes is there.
    const fn word<const N: usize>(self) -> Result<usize, Faulted> {
        if self.len >= N && self.start.is_multiple_of(N) {
            Ok(self.start)
        } else {
            Err(Faulted { done: 0 })
        }
    }
}

const fn done(len: usize, left: usize) -> Result<usize, Faulted> {
    if left == 0 {
        Ok(len)
    } else {
        Err(Faulted {
            done: len.saturating_sub(left),
        })
    }
}
