//! Measures KVM's bare mechanism: the microseconds of one empty call, from user code through `syscall` to an exit and
//! back, with nothing done in between. The platform's own code has no part in it.
#![expect(clippy::print_stdout, reason = "a measuring program prints")]
#![expect(clippy::unwrap_used, reason = "nothing to do but stop")]
#![expect(unsafe_code, reason = "gives a virtual machine memory")]

use kvm_bindings::{Msrs, kvm_dtable, kvm_msr_entry, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, SyncReg, VcpuExit, VcpuFd};
use std::time::Instant;

const ROUNDS: u32 = 5_000;
const REPETITIONS: usize = 5;

// The machine's memory, a page each. The lower table leads from the top to the user's page, the upper one to ring 0's.
const TOP: usize = 0;
const LOWER: [usize; 3] = [1, 2, 3];
const UPPER: [usize; 3] = [4, 5, 6];
const USER_CODE: usize = 7;
const RING0_CODE: usize = 8;
const IDT: usize = 9;
const GDT: usize = 10;
const TASK: usize = 11;
const NR_PAGES: usize = 12;
const PAGE: usize = 4096;

/// Where the pages are in the machine's physical memory.
const PHYSICAL: u64 = 0x1_0000_0000;
/// Where the user's page is, and ring 0's four.
const USER: u64 = 0x40_0000;
const RING0: u64 = 0xffff_ffff_8000_0000;
/// The place that `syscall` goes to, and where an exception goes: `hlt`, as everything in that page.
const SYSCALL_ENTRY: u64 = RING0 + 1024;

/// Bits of page table entries: present, writable, for users, accessed and dirty; no-execute.
const PRESENT: u64 = 1;
const USABLE: u64 = PRESENT | 2 | 4 | 1 << 5 | 1 << 6;
const READ_ONLY: u64 = PRESENT | 1 << 5;
const NO_EXECUTE: u64 = 1 << 63;

fn main() {
    let kvm = Kvm::new().unwrap();
    let vm = kvm.create_vm().unwrap();
    let memory = memory();
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: PHYSICAL,
        memory_size: u64::try_from(NR_PAGES * PAGE).unwrap(),
        userspace_addr: u64::try_from(memory.as_ptr().expose_provenance()).unwrap(),
    };
    // SAFETY: the memory is leaked, so it outlives the machine; nothing else uses it from here on.
    unsafe { vm.set_user_memory_region(region) }.unwrap();
    let mut vcpu = vm.create_vcpu(0).unwrap();
    set_up(&kvm, &mut vcpu);
    let mut times: Vec<f64> = (0..REPETITIONS).map(|_| calls(&mut vcpu)).collect();
    times.sort_by(f64::total_cmp);
    println!("{:.3}", times[REPETITIONS / 2]);
}

/// The microseconds of one call.
fn calls(vcpu: &mut VcpuFd) -> f64 {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        call(vcpu);
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

/// Enters user code, and comes back with its call.
fn call(vcpu: &mut VcpuFd) {
    let sync = vcpu.sync_regs_mut();
    (sync.regs.rip, sync.regs.rsp, sync.regs.rflags) = (USER, USER + 0x800, 0x202);
    (sync.sregs.cs, sync.sregs.ss) = (user_segment(0x33, 11), user_segment(0x2b, 3));
    vcpu.set_sync_dirty_reg(SyncReg::Register);
    vcpu.set_sync_dirty_reg(SyncReg::SystemRegister);
    match vcpu.run().unwrap() {
        VcpuExit::Hlt => {}
        other => panic!("stopped for {other:?}"),
    }
    let sync = vcpu.sync_regs();
    assert_eq!(sync.regs.rcx, USER + 2, "not the call: {:?}", sync.regs);
}

/// A page.
#[repr(align(4096))]
#[derive(Clone, Copy)]
struct Page([u64; 512]);

/// Page tables, code, and descriptor tables, in memory that is never given back.
fn memory() -> &'static mut [Page] {
    let pages = vec![Page([0; 512]); NR_PAGES].leak();
    walk(pages, LOWER, USER, &[(USER_CODE, USABLE)]);
    let ring0 = [
        (RING0_CODE, READ_ONLY),
        (IDT, READ_ONLY | NO_EXECUTE),
        (GDT, READ_ONLY | NO_EXECUTE),
        (TASK, PRESENT | 2 | 1 << 5 | 1 << 6 | NO_EXECUTE),
    ];
    walk(pages, UPPER, RING0, &ring0);
    // syscall; hlt everywhere in ring 0.
    pages[USER_CODE].0[0] = 0x050f;
    pages[RING0_CODE].0.fill(0xf4f4_f4f4_f4f4_f4f4);
    for vector in 0..32 {
        // An interrupt gate on the first stack of the task-state segment.
        let target = RING0 + 16 * u64::try_from(vector).unwrap();
        pages[IDT].0[2 * vector] =
            target & 0xffff | 0x10 << 16 | 1 << 32 | 0x8e00 << 32 | (target >> 16 & 0xffff) << 48;
        pages[IDT].0[2 * vector + 1] = target >> 32;
    }
    // Ring 0's code and data, the user's data and code.
    pages[GDT].0[2] = 0x00af_9b00_0000_ffff;
    pages[GDT].0[3] = 0x00cf_9300_0000_ffff;
    pages[GDT].0[5] = 0x00cf_f300_0000_ffff;
    pages[GDT].0[6] = 0x00af_fb00_0000_ffff;
    // Ring 0's stack at 4, and the first interrupt stack at 0x24: the end of the page.
    let stack = RING0 + u64::try_from(4 * PAGE).unwrap();
    pages[TASK].0[0] = stack << 32;
    pages[TASK].0[1] = stack >> 32;
    pages[TASK].0[4] = stack << 32;
    pages[TASK].0[5] = stack >> 32;
    pages
}

/// Leads from the top table to pages that lie one after another from `at`.
fn walk(pages: &mut [Page], tables: [usize; 3], at: u64, leaves: &[(usize, u64)]) {
    let index = |level: u32| usize::try_from(at >> (12 + 9 * level) & 511).unwrap();
    let mut table = TOP;
    for (level, next) in [3, 2, 1].into_iter().zip(tables) {
        pages[table].0[index(level)] = physical(next) | USABLE;
        table = next;
    }
    for (offset, (page, bits)) in leaves.iter().enumerate() {
        pages[table].0[index(0) + offset] = physical(*page) | bits;
    }
}

fn physical(page: usize) -> u64 {
    PHYSICAL + u64::try_from(page * PAGE).unwrap()
}

/// A flat segment of ring 3; code has the type 11, data 3.
fn user_segment(selector: u16, kind: u8) -> kvm_segment {
    let is_code = u8::from(kind == 11);
    kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_: kind,
        present: 1,
        dpl: 3,
        db: 1 - is_code,
        s: 1,
        l: is_code,
        g: 1,
        ..kvm_segment::default()
    }
}

/// Long mode, and what `syscall` and exceptions lead to.
fn set_up(kvm: &Kvm, vcpu: &mut VcpuFd) {
    let cpuid = kvm.get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES);
    vcpu.set_cpuid2(&cpuid.unwrap()).unwrap();
    let table = |base, limit| kvm_dtable {
        base,
        limit,
        ..kvm_dtable::default()
    };
    let page = |number: u64| RING0 + number * 4096;
    let mut sregs = vcpu.get_sregs().unwrap();
    (sregs.cr0, sregs.cr4, sregs.efer) = (0x8005_0033, 0x4_0620, 0xd01);
    sregs.cr3 = physical(TOP);
    (sregs.idt, sregs.gdt) = (table(page(1), 0xfff), table(page(2), 0x3f));
    sregs.tr = kvm_segment {
        base: page(3),
        limit: 0x67,
        selector: 0x38,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    sregs.ldt = kvm_segment {
        unusable: 1,
        ..kvm_segment::default()
    };
    sregs.cs = user_segment(0x33, 11);
    let data = user_segment(0x2b, 3);
    (sregs.ss, sregs.ds, sregs.es, sregs.fs, sregs.gs) = (data, data, data, data, data);
    vcpu.set_sregs(&sregs).unwrap();
    let msr = |index, data| kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    };
    let star = 0x23 << 48 | 0x10 << 32;
    let msrs = [
        msr(0xc000_0081, star),
        msr(0xc000_0082, SYSCALL_ENTRY),
        msr(0xc000_0084, 0x4_7700),
    ];
    let set = vcpu.set_msrs(&Msrs::from_entries(&msrs).unwrap()).unwrap();
    assert_eq!(set, msrs.len(), "KVM did not take all registers");
    vcpu.set_sync_valid_reg(SyncReg::Register);
    vcpu.set_sync_valid_reg(SyncReg::SystemRegister);
    let sregs = vcpu.get_sregs().unwrap();
    vcpu.sync_regs_mut().sregs = sregs;
}
