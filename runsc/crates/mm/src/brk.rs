//! `brk(2)`.

use platform::Access;

use super::address_space::{AddressSpace, MmLimits};
use super::areas::page_up;
use super::map::{check_limits, is_eager};
use super::vma::{Vma, VmaFlags, VmaName};

impl AddressSpace {
    /// Sets where the heap starts: behind the program's data.
    pub fn set_brk(&self, start: usize) {
        self.areas.write().brk = start..start;
    }

    /// Moves the end of the heap to `address`; returns where it is then: unchanged if it can't be moved.
    pub fn brk(&self, address: usize, limits: &MmLimits) -> usize {
        self.remember_stack_limit(limits.stack);
        let mut areas = self.areas.write();
        let brk = areas.brk.clone();
        let (Some(old_end), Some(new_end)) = (page_up(brk.end), page_up(address)) else {
            return brk.end;
        };
        if address < brk.start || (address - brk.start) as u64 > limits.data {
            return brk.end;
        }
        if new_end < old_end {
            drop(self.cut(&mut areas, new_end..old_end));
        } else if new_end > old_end {
            let mut vma = heap();
            vma.flags.set(VmaFlags::LOCKED, areas.lock_future);
            let range = old_end..new_end;
            let refused = !areas.is_usable(&range)
                || check_limits(&areas, &vma, range.len(), 0, limits).is_err()
                || self.check_commit(&vma, range.len()).is_err()
                || areas.room_for(1).is_err();
            if refused {
                return brk.end;
            }
            let populate = areas.lock_future;
            let eager = is_eager(&vma, range.len());
            areas.add(range.clone(), vma);
            if populate || eager {
                self.map_at_once(&areas, &range, populate);
            }
        }
        areas.brk.end = address;
        address
    }

    /// Where the heap starts and ends.
    #[must_use]
    pub fn heap(&self) -> std::ops::Range<usize> {
        self.areas.read().brk.clone()
    }
}

fn heap() -> Vma {
    Vma {
        access: Access::READ | Access::WRITE,
        flags: VmaFlags::MAY_READ | VmaFlags::MAY_WRITE | VmaFlags::MAY_EXEC,
        file: None,
        name: VmaName::Heap,
    }
}
