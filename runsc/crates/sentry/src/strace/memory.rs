//! What the printer reads user memory through.

use mm::AddressSpace;

/// Memory that may not be there.
pub(crate) trait Memory {
    /// Copies bytes in up to the first that can't be read; returns how many.
    fn read(&self, address: usize, buffer: &mut [u8]) -> usize;
}

impl Memory for AddressSpace {
    fn read(&self, address: usize, buffer: &mut [u8]) -> usize {
        self.read_some(address, buffer)
    }
}

/// No memory at all: that of a task which has given up its own.
struct Nothing;

impl Memory for Nothing {
    fn read(&self, _address: usize, _buffer: &mut [u8]) -> usize {
        0
    }
}

/// The memory of a task.
pub(crate) fn of(mm: Option<&AddressSpace>) -> &dyn Memory {
    match mm {
        Some(mm) => mm,
        None => &Nothing,
    }
}
