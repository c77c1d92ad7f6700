//! Application threads that store and load while others unmap, protect, discard and fork their memory,
//! on the ptrace platform: no wrong byte, no wrong signal, no lost wake-up.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use memory::MemoryFile;
use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use mm::{AddressSpace, Advice};
use platform::{Access, Exit, Platform, PtraceConfig, ThreadState};
use sentry::fs::shared_memory::SharedMemory;

const PAGE: usize = 4096;
const CODE: usize = 0x40_0000;
const REGION: usize = 0x1000_0000;
const STACK_LIMIT: u64 = 8 << 20;
const RW: Access = Access::READ.union(Access::WRITE);
const LIMITS: MmLimits = MmLimits {
    address_space: u64::MAX,
    data: u64::MAX,
    stack: STACK_LIMIT,
    locked: u64::MAX,
};

/// For each page of `rsi` pages from `rdi` on, in rounds from `r11` to `rdx`: stores the round at offset
/// `r8`, loads it again, and stops at an `int3` unless it is the same or zero; then `syscall`.
const PROGRAM: &[u8] = &[
    0x4d, 0x89, 0xd9, // mov r9, r11
    0x49, 0xff, 0xc1, // round: inc r9
    0x31, 0xc9, // xor ecx, ecx
    0x48, 0x89, 0xc8, // page: mov rax, rcx
    0x48, 0xc1, 0xe0, 0x0c, // shl rax, 12
    0x48, 0x01, 0xf8, // add rax, rdi
    0x4c, 0x01, 0xc0, // add rax, r8
    0x4c, 0x89, 0x08, // mov [rax], r9
    0x4c, 0x8b, 0x10, // mov r10, [rax]
    0x4d, 0x85, 0xd2, // test r10, r10
    0x74, 0x06, // je next
    0x4d, 0x39, 0xca, // cmp r10, r9
    0x74, 0x01, // je next
    0xcc, // int3
    0x48, 0xff, 0xc1, // next: inc rcx
    0x48, 0x39, 0xf1, // cmp rcx, rsi
    0x72, 0xda, // jb page
    0x49, 0x39, 0xd1, // cmp r9, rdx
    0x72, 0xd0, // jb round
    0x0f, 0x05, // syscall
];
/// Rounds between two looks at whether it is over.
const ROUNDS: u64 = 100;
const NEXT: u64 = CODE as u64 + 0x26;

fn request(at: usize, len: usize, access: Access) -> MapRequest {
    MapRequest {
        at: MapAt::Fixed(at),
        len,
        access,
        max_access: Access::all(),
        private: true,
        backing: Backing::Anonymous,
        grows_down: false,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: false,
    }
}

fn shared(memory: &Arc<MemoryFile>, request: MapRequest) -> MapRequest {
    MapRequest {
        private: false,
        backing: Backing::File {
            mappable: SharedMemory::anonymous(memory, request.len).unwrap(),
            offset: 0,
            open: None,
        },
        ..request
    }
}

fn new_mm(memory: &Arc<MemoryFile>, platform: &Arc<Platform>) -> Arc<AddressSpace> {
    memory::install_fault_handler().unwrap();
    let mm = AddressSpace::new(memory, platform).unwrap();
    mm.map(&request(CODE, PAGE, RW), &LIMITS).unwrap();
    mm.write_bytes(CODE, PROGRAM).unwrap();
    mm.protect(CODE, PAGE, Access::READ | Access::EXECUTE, false)
        .unwrap();
    mm
}

/// Runs the program as application thread `index`, again and again until `done`; how many faults were
/// signals.
fn run_thread(
    platform: &Platform,
    mm: &AddressSpace,
    index: usize,
    pages: usize,
    done: &AtomicBool,
) -> usize {
    let mut context = platform.new_context();
    context.switch_to(mm.space()).unwrap();
    let first = (index as u64) << 32;
    let start = ThreadState {
        rdi: REGION as u64,
        rsi: pages as u64,
        r8: index as u64 * 8,
        ..ThreadState::initial(CODE as u64, 0)
    };
    let mut state = ThreadState {
        r11: first,
        rdx: first + ROUNDS,
        ..start
    };
    let mut signals = 0;
    loop {
        match context.run(&mut state).unwrap() {
            Exit::Syscall if done.load(Ordering::Relaxed) => return signals,
            Exit::Syscall => {
                state = ThreadState {
                    r11: state.r9,
                    rdx: state.r9 + ROUNDS,
                    ..start
                }
            }
            Exit::Fault(fault) => {
                if let Err(signal) = mm.handle_fault(&fault, state.rip, state.rsp, STACK_LIMIT) {
                    assert_eq!(signal.signal, 11, "thread {index}: {signal:?}");
                    signals += 1;
                    state.rip = NEXT;
                }
            }
            Exit::Interrupted => {}
            Exit::MappingFailed => panic!("thread {index}: a mapping failed"),
            other => panic!("thread {index}: {other:?} with {state:x?}"),
        }
    }
}

/// Runs `threads` application threads on `pages` pages while `disturb` is called so many `times`; how many
/// signals they got.
fn race(
    threads: usize,
    pages: usize,
    private: bool,
    times: usize,
    disturb: impl Fn(&AddressSpace, usize) + Sync,
) -> usize {
    let platform = Platform::ptrace(PtraceConfig::default()).unwrap();
    let memory = MemoryFile::new(None).unwrap();
    let mm = new_mm(&memory, &platform);
    let region = request(REGION, pages * PAGE, RW);
    let region = if private {
        region
    } else {
        shared(&memory, region)
    };
    mm.map(&region, &LIMITS).unwrap();
    let (done, signals) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for index in 0..threads {
            let (platform, mm, done, signals) = (&platform, &mm, &done, &signals);
            scope.spawn(move || {
                signals.fetch_add(
                    run_thread(platform, mm, index, pages, done),
                    Ordering::Relaxed,
                );
            });
        }
        for step in 0..times {
            disturb(&mm, step);
            std::thread::sleep(Duration::from_micros(200));
        }
        done.store(true, Ordering::Relaxed);
    });
    mm.release();
    signals.load(Ordering::Relaxed)
}

/// What is in the region.
fn snapshot(mm: &AddressSpace) -> Vec<u8> {
    let mut bytes = vec![0; 40 * PAGE];
    mm.read_bytes(REGION, &mut bytes).unwrap();
    bytes
}

#[test]
fn quiet_threads_get_no_signal() {
    assert_eq!(race(8, 64, true, 20, |_, _| {}), 0);
}

#[test]
fn discarding_forking_and_protecting_lose_no_byte_and_raise_no_signal() {
    let signals = race(16, 40, true, 300, |mm, step| {
        let at = REGION + step % 40 * PAGE;
        match step % 3 {
            0 => mm.advise(at, PAGE, Advice::DontNeed).unwrap(),
            1 => {
                let child = mm.fork().unwrap();
                assert!(child.write_some(REGION, &[0xff; 3 * PAGE]) > 0);
                // What the parent goes on to store stays with the parent.
                let before = snapshot(&child);
                std::thread::sleep(Duration::from_micros(500));
                assert!(before == snapshot(&child));
                child.release();
            }
            _ => mm.protect(at, PAGE, RW | Access::EXECUTE, false).unwrap(),
        }
    });
    assert_eq!(signals, 0);
}

#[test]
fn two_hundred_threads_race_with_munmap_and_mprotect() {
    let signals = race(200, 16, true, 300, |mm, step| {
        let at = REGION + step % 16 * PAGE;
        match step % 4 {
            0 => mm.unmap(at, 2 * PAGE).unwrap(),
            1 => drop(mm.map(&request(at, 2 * PAGE, RW), &LIMITS).unwrap()),
            2 => drop(mm.protect(at, PAGE, Access::READ, false)),
            _ => drop(mm.protect(REGION, 16 * PAGE, RW, false)),
        }
    });
    assert!(signals > 0);
}

#[test]
fn shared_memory_is_discarded_without_loss() {
    let signals = race(8, 40, false, 300, |mm, step| {
        mm.advise(REGION + step % 40 * PAGE, PAGE, Advice::DontNeed)
            .unwrap();
    });
    assert_eq!(signals, 0);
}
