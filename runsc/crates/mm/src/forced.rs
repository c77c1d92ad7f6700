//! Access past the protection, as debuggers have it (`PTRACE_POKEDATA`, `/proc/[pid]/mem`; `FOLL_FORCE` in
//! Linux): whatever mprotect could allow may be read, and private memory may be written, as a copy.

use std::ops::Range;

use abi::Errno;
use platform::Access;

use super::address_space::AddressSpace;
use super::fault::PageRequest;
use super::pages::Pages;
use super::vma::Vma;
use crate::Result;

impl AddressSpace {
    /// Copies bytes in whatever the protection; returns how many.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be read.
    pub fn read_forced(&self, address: usize, buffer: &mut [u8]) -> Result<usize> {
        let len = buffer.len();
        let make = |range: Range<usize>| self.make_forced(&range, Access::READ);
        let done = self.visit_with(
            address,
            len,
            Access::READ,
            |_| true,
            make,
            |done, bytes| bytes.read(&mut buffer[done..]),
        );
        if done == 0 && len > 0 {
            Err(Errno::EFAULT)
        } else {
            Ok(done)
        }
    }

    /// Copies bytes out whatever the protection; returns how many.
    ///
    /// # Errors
    /// EFAULT, only if not one byte could be written.
    pub fn write_forced(&self, address: usize, bytes: &[u8]) -> Result<usize> {
        let usable = |pages: &Pages| pages.limit.contains(Access::WRITE);
        let make = |range: Range<usize>| self.make_forced(&range, Access::WRITE);
        let done = self.visit_with(
            address,
            bytes.len(),
            Access::WRITE,
            usable,
            make,
            |done, target| target.write(&bytes[done..]),
        );
        if done == 0 && !bytes.is_empty() {
            Err(Errno::EFAULT)
        } else {
            Ok(done)
        }
    }

    fn make_forced(&self, range: &Range<usize>, need: Access) -> Result<()> {
        let areas = self.areas.read();
        let mut active = self.active.write();
        let (area, vma) = areas.vmas.at(range.start).ok_or(Errno::EFAULT)?;
        let store = need.contains(Access::WRITE);
        let allowed = vma.most_access().contains(need)
            && (!store || vma.is_private() || vma.access.contains(need));
        if !allowed {
            return Err(Errno::EFAULT);
        }
        let request = PageRequest {
            upto: range.end,
            ..PageRequest::at(range.start, need)
        };
        let lenient = Vma {
            access: vma.access | need,
            ..vma.clone()
        };
        let made = self.provide_in(&areas, &mut active, &area, &lenient, &request);
        // What was made allows the application no more than before.
        self.change_access(&mut active, area, vma.access);
        Ok(made?)
    }
}
