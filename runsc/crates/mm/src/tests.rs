//! Tests of address spaces on the mock platform, which remembers what was mapped.

mod calls;
mod copies;
mod faults;
mod forks;

use std::sync::Arc;

use memory::MemoryFile;
use platform::{Access, Fault, FaultAccess, Platform};

use super::AddressSpace;
use super::address_space::{Backing, FaultSignal, MapAt, MapRequest, MmLimits};

const PAGE: usize = 4096;
const RW: Access = Access::READ.union(Access::WRITE);
const NO_LIMITS: MmLimits = MmLimits {
    address_space: u64::MAX,
    data: u64::MAX,
    stack: 8 << 20,
    locked: u64::MAX,
};

fn new_mm() -> Arc<AddressSpace> {
    memory::install_fault_handler().unwrap();
    AddressSpace::new(&MemoryFile::new(None).unwrap(), &Platform::mock()).unwrap()
}

fn request(at: MapAt, len: usize, access: Access, backing: Backing) -> MapRequest {
    MapRequest {
        at,
        len,
        access,
        max_access: Access::all(),
        private: true,
        backing,
        grows_down: false,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: false,
    }
}

fn anonymous(len: usize, access: Access) -> MapRequest {
    request(MapAt::Hint(0), len, access, Backing::Anonymous)
}

/// A fault as the ptrace platform reports it: from what the mock has mapped.
fn fault(mm: &AddressSpace, address: usize) -> Result<(), FaultSignal> {
    let mapped = mapped_access(mm, address).is_some();
    let fault = Fault {
        address,
        access: FaultAccess::Unknown,
        mapped,
        bus: false,
    };
    mm.handle_fault(&fault, 0x1000, 0, NO_LIMITS.stack)
}

/// What the mock lets application code do at an address.
fn mapped_access(mm: &AddressSpace, address: usize) -> Option<Access> {
    let mappings = mm.space().as_mock().unwrap().mappings();
    mappings
        .iter()
        .find(|(start, mapping)| (*start..mapping.end).contains(&address))
        .map(|(_, m)| m.access)
}

/// Faults until a store to an address is possible; how many it took.
fn store_faults(mm: &AddressSpace, address: usize) -> usize {
    let mut faults = 0;
    while !mapped_access(mm, address).is_some_and(|access| access.contains(Access::WRITE)) {
        fault(mm, address).unwrap();
        faults += 1;
        assert!(faults < 4, "a store never succeeds");
    }
    faults
}

fn read(mm: &AddressSpace, address: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    mm.read_bytes(address, &mut bytes).unwrap();
    bytes
}
