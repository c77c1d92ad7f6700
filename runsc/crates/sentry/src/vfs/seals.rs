//! Seals of files in memory (`man 2 memfd_create`, `man 2 fcntl`, *File Sealing*).

use std::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use bitflags::bitflags;
use mm::mapping_set::MappingSet;

use crate::error::Result;

bitflags! {
    /// `F_SEAL_*`
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SealFlags: u32 {
        /// `F_SEAL_SEAL`: no further seals.
        const SEAL = 1;
        /// `F_SEAL_SHRINK`
        const SHRINK = 2;
        /// `F_SEAL_GROW`
        const GROW = 4;
        /// `F_SEAL_WRITE`
        const WRITE = 8;
        /// `F_SEAL_FUTURE_WRITE`: as `WRITE`, but writable mappings that exist stay.
        const FUTURE_WRITE = 16;
        /// `F_SEAL_EXEC`: the execute bits stay as they are.
        const EXEC = 32;
    }
}

/// The seals of one inode.
#[derive(Debug)]
pub struct Seals(AtomicU32);

impl Seals {
    /// With these seals.
    #[must_use]
    pub const fn new(flags: SealFlags) -> Seals {
        Seals(AtomicU32::new(flags.bits()))
    }

    /// The seals now.
    #[must_use]
    pub fn get(&self) -> SealFlags {
        SealFlags::from_bits_retain(self.0.load(Ordering::Acquire))
    }

    /// `F_ADD_SEALS`: EPERM once sealed against it, EBUSY for `WRITE` while the file is mapped writable.
    pub fn add(&self, new: SealFlags, mappings: &MappingSet) -> Result<()> {
        if self.get().contains(SealFlags::SEAL) {
            return Err(Errno::EPERM);
        }
        let seals_writes = new.contains(SealFlags::WRITE) && !self.get().contains(SealFlags::WRITE);
        if seals_writes && mappings.has_writable() {
            return Err(Errno::EBUSY);
        }
        self.0.fetch_or(new.bits(), Ordering::AcqRel);
        Ok(())
    }

    /// Whether the content may be written and the size changed from `old` to `new`; EPERM.
    pub fn check_write(&self, old: u64, new: u64) -> Result<()> {
        let seals = self.get();
        let against_writing = SealFlags::WRITE | SealFlags::FUTURE_WRITE;
        if seals.intersects(against_writing) {
            return Err(Errno::EPERM);
        }
        self.check_resize(old, old.max(new))
    }

    /// Whether the size may change from `old` to `new`; EPERM.
    pub fn check_resize(&self, old: u64, new: u64) -> Result<()> {
        let seals = self.get();
        let shrinks = new < old && seals.contains(SealFlags::SHRINK);
        let grows = new > old && seals.contains(SealFlags::GROW);
        if shrinks || grows {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}
