//! The virtual machine's memory slots.
#![expect(unsafe_code, reason = "gives KVM addresses of this process")]

use super::region::Region;
use crate::Result;
use abi::Errno;
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use parking_lot::Mutex;
use std::sync::Arc;

/// The slots, by number.
#[derive(Debug)]
pub(super) struct Slots {
    vm: Arc<VmFd>,
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u32,
    free: Vec<u32>,
}

/// A slot: guest-physical memory, and the mapping of this process that it is. Dropping it takes the
/// memory from the guest first.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u32,
    at: u64,
    region: Region,
}

impl Slots {
    pub(super) fn new(vm: &Arc<VmFd>, most: usize) -> Arc<Slots> {
        Arc::new(Slots {
            vm: Arc::clone(vm),
            most: u32::try_from(most).unwrap_or(u32::MAX),
            state: Mutex::default(),
        })
    }

    /// Makes a region guest-physical memory.
    ///
    /// # Errors
    /// `ENOMEM` when there are no more slots, the host's.
    pub(super) fn add(self: &Arc<Slots>, at: u64, region: Region) -> Result<Slot> {
        let number = self.take_number().ok_or(Errno::ENOMEM)?;
        let len = u64::try_from(region.len()).map_err(|_| Errno::EINVAL)?;
        if let Err(error) = self.set(number, at, len, region.address()) {
            self.state.lock().free.push(number);
            return Err(error);
        }
        Ok(Slot {
            slots: Arc::clone(self),
            number,
            at,
            region,
        })
    }

    fn take_number(&self) -> Option<u32> {
        let mut state = self.state.lock();
        if let Some(number) = state.free.pop() {
            return Some(number);
        }
        let number = state.next;
        state.next = (number < self.most).then_some(number + 1)?;
        Some(number)
    }

    fn set(&self, slot: u32, at: u64, len: u64, address: u64) -> Result<()> {
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: at,
            memory_size: len,
            userspace_addr: address,
        };
        // SAFETY: the addresses are a `Region`'s, which the slot owns, and which is unmapped only
        // after the slot is gone; the application can reach only what page tables map to it.
        let set = unsafe { self.vm.set_user_memory_region(region) };
        set.map_err(|error| Errno::from_raw(error.errno()))
    }
}

impl Slot {
    /// Where it is in guest-physical memory.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Where it is in this process.
    pub(super) fn region(&self) -> &Region {
        &self.region
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // An error leaves a slot over addresses that are about to be unmapped: runs then fail there.
        if self.slots.set(self.number, self.at, 0, 0).is_ok() {
            self.slots.state.lock().free.push(self.number);
        }
    }
}
