//! Faults.

use abi::Errno;
use platform::{Access, Fault, FaultAccess};

use super::{NO_LIMITS, PAGE, RW, anonymous, fault, mapped_access, new_mm, request, store_faults};
use crate::address_space::{Backing, MapAt};

#[test]
fn nothing_mapped_is_maperr_and_denied_is_accerr() {
    let mm = new_mm();
    let signal = fault(&mm, 0x5000_0000).unwrap_err();
    assert_eq!(
        (signal.signal, signal.code, signal.address),
        (11, 1, 0x5000_0000)
    );
    let at = mm
        .map(&anonymous(PAGE, Access::empty()), &NO_LIMITS)
        .unwrap();
    let signal = fault(&mm, at + 5).unwrap_err();
    assert_eq!(
        (signal.signal, signal.code, signal.address),
        (11, 2, at as u64 + 5)
    );
}

#[test]
fn small_memory_is_mapped_with_the_call() {
    let mm = new_mm();
    let at = mm.map(&anonymous(3 * PAGE, RW), &NO_LIMITS).unwrap();
    assert_eq!(mapped_access(&mm, at + 2 * PAGE), Some(RW));
}

#[test]
fn one_fault_serves_a_block() {
    let mm = new_mm();
    let at = mm.map(&anonymous(64 << 20, RW), &NO_LIMITS).unwrap();
    assert_eq!(mapped_access(&mm, at), None);
    let block = (at + PAGE).next_multiple_of(64 << 10);
    assert_eq!(store_faults(&mm, block + 5 * PAGE), 1);
    assert_eq!(store_faults(&mm, block), 0);
    assert_eq!(store_faults(&mm, block + 15 * PAGE), 0);
}

#[test]
fn memory_that_is_filled_upwards_takes_few_faults_and_one_host_mapping_per_slot() {
    let mm = new_mm();
    let len = 16 << 20;
    let at = mm.map(&anonymous(len, RW), &NO_LIMITS).unwrap();
    let faults: usize = (at..at + len)
        .step_by(PAGE)
        .map(|address| store_faults(&mm, address))
        .sum();
    assert!(faults < 40, "{faults} faults");
    let mappings = mm.space().as_mock().unwrap().mappings();
    let merged = mappings.windows(2).filter(|pair| {
        let (start, first) = pair[0];
        first.end == pair[1].0 && first.offset + (first.end - start) as u64 == pair[1].1.offset
    });
    assert!(mappings.len() - merged.count() <= 10, "{mappings:x?}");
}

#[test]
fn a_store_to_read_only_memory_is_accerr() {
    let mm = new_mm();
    let at = mm.map(&anonymous(PAGE, Access::READ), &NO_LIMITS).unwrap();
    fault(&mm, at).unwrap();
    assert_eq!(mapped_access(&mm, at), Some(Access::READ));
    assert_eq!(fault(&mm, at).unwrap_err().code, 2);
}

#[test]
fn a_fault_that_another_thread_has_resolved_is_no_error() {
    let mm = new_mm();
    let at = mm.map(&anonymous(PAGE, Access::READ), &NO_LIMITS).unwrap();
    fault(&mm, at).unwrap();
    let late = Fault {
        address: at,
        access: FaultAccess::Unknown,
        mapped: false,
        bus: false,
    };
    mm.handle_fault(&late, 0x1000, 0, NO_LIMITS.stack).unwrap();
}

#[test]
fn execution_needs_permission() {
    let mm = new_mm();
    let at = mm.map(&anonymous(PAGE, RW), &NO_LIMITS).unwrap();
    let fetch = Fault {
        address: at,
        access: FaultAccess::Unknown,
        mapped: true,
        bus: false,
    };
    let signal = mm
        .handle_fault(&fetch, at as u64, 0, NO_LIMITS.stack)
        .unwrap_err();
    assert_eq!(signal.code, 2);
    mm.protect(at, PAGE, RW | Access::EXECUTE, false).unwrap();
    mm.handle_fault(&fetch, at as u64, 0, NO_LIMITS.stack)
        .unwrap();
    assert_eq!(mapped_access(&mm, at), Some(Access::all()));
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_a_gap() {
    let mm = new_mm();
    let top = 0x7000_0000_0000;
    let mut stack = request(
        MapAt::Fixed(top - 4 * PAGE),
        4 * PAGE,
        RW,
        Backing::Anonymous,
    );
    stack.stack = true;
    mm.map(&stack, &NO_LIMITS).unwrap();
    fault(&mm, top - 100 * PAGE).unwrap();
    mm.write_bytes(top - 200 * PAGE, &[1; 50]).unwrap();
    let limit = usize::try_from(NO_LIMITS.stack).unwrap();
    assert_eq!(fault(&mm, top - limit - 1).unwrap_err().code, 1);
    // Something below keeps its distance of 256 pages.
    let low = top - 600 * PAGE;
    mm.map(
        &request(MapAt::Fixed(low), PAGE, RW, Backing::Anonymous),
        &NO_LIMITS,
    )
    .unwrap();
    assert!(fault(&mm, low + 200 * PAGE).is_err());
    fault(&mm, low + 258 * PAGE).unwrap();
}

#[test]
fn the_end_of_memory_kills_and_is_enomem() {
    memory::install_fault_handler().unwrap();
    let memory = memory::MemoryFile::new(Some(64 << 10)).unwrap();
    let mm = crate::AddressSpace::new(&memory, &platform::Platform::mock()).unwrap();
    let large = anonymous(1 << 20, RW);
    let more_than_the_machine_has = anonymous(1 << 46, RW);
    assert_eq!(
        mm.map(&more_than_the_machine_has, &NO_LIMITS),
        Err(Errno::ENOMEM)
    );
    let at = mm.map(&large, &NO_LIMITS).unwrap();
    let done = mm.write_some(at, &vec![1; 1 << 20]);
    assert!((32 << 10..=128 << 10).contains(&done), "{done}");
    assert_eq!(fault(&mm, at + (1 << 20) - 1).unwrap_err().signal, 9);
}
