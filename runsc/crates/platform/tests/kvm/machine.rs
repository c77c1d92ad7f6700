//! What the machine adds: page tables, windows, vCPUs that are shared.

use crate::guest::{self, CODE, DATA, Guest, PAGE, unmapped};
use platform::{Access, Exception, Exit, ThreadState};
use std::os::fd::AsFd;
use std::sync::{Arc, Barrier};

fn exception_of(exit: Exit) -> Exception {
    match exit {
        Exit::Exception(exception) => exception,
        other => panic!("{other:?}"),
    }
}

/// Whether the processor is QEMU's emulation, which raises no exceptions of SSE, has no
/// `icebp`, and no stack fault.
fn is_emulated() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0x4000_0000);
    leaf.ebx.to_le_bytes() == *b"TCGT"
}

/// `man 7 signal` numbers, and `si_code`s.
const SIGILL: u8 = 4;
const SIGTRAP: u8 = 5;
const SIGBUS: u8 = 7;
const SIGFPE: u8 = 8;
const SIGSEGV: u8 = 11;
const SI_KERNEL: i32 = 0x80;

#[test]
fn privileged_and_odd_instructions_are_the_signals_that_linux_gives() {
    let cases: [(&str, &[u8], u8, i32); 15] = [
        ("in", &[0xe4, 0x10], SIGSEGV, SI_KERNEL),
        ("cli", &[0xfa], SIGSEGV, SI_KERNEL),
        ("sysret", &[0x48, 0x0f, 0x07], SIGSEGV, SI_KERNEL),
        ("mov to cr3", &[0x0f, 0x22, 0xd8], SIGSEGV, SI_KERNEL),
        ("wrmsr", &[0x0f, 0x30], SIGSEGV, SI_KERNEL),
        ("lgdt", &[0x0f, 0x01, 0x17], SIGSEGV, SI_KERNEL),
        ("icebp", &[0xf1], SIGTRAP, 1),
        ("int 4", &[0xcd, 0x04], SIGSEGV, SI_KERNEL),
        ("monitor", &[0x0f, 0x01, 0xc8], SIGILL, 2),
        ("mwait", &[0x0f, 0x01, 0xc9], SIGILL, 2),
        ("vmrun", &[0x0f, 0x01, 0xd8], SIGILL, 2),
        ("clgi", &[0x0f, 0x01, 0xdd], SIGILL, 2),
        // mov $1 << 47, %rax; jmp *%rax
        (
            "jump to a non-canonical address",
            &[0x48, 0xb8, 0, 0, 0, 0, 0, 0x80, 0, 0, 0xff, 0xe0],
            SIGSEGV,
            SI_KERNEL,
        ),
        // mov $1 << 48, %rsp; push %rax
        (
            "push to a non-canonical address",
            &[0x48, 0xbc, 0, 0, 0, 0, 0, 0, 1, 0, 0x50],
            SIGBUS,
            SI_KERNEL,
        ),
        // idiv of the smallest number by -1
        (
            "overflowing division",
            &[
                0xb8, 0, 0, 0, 0x80, 0x99, 0xb9, 0xff, 0xff, 0xff, 0xff, 0xf7, 0xf9,
            ],
            SIGFPE,
            1,
        ),
    ];
    let platform = guest::platform();
    for (name, code, signal, si_code) in cases {
        let differs = ["icebp", "push to a non-canonical address"].contains(&name);
        if differs && is_emulated() {
            continue;
        }
        let guest = Guest::new(&platform, code);
        let mut context = guest.context(&platform);
        let exit = guest::run(&mut context, &mut guest::start());
        let Exit::Exception(found) = exit else {
            panic!("{name}: {exit:?}");
        };
        assert_eq!((found.signal, found.code), (signal, si_code), "{name}");
    }
}

#[test]
fn a_divide_by_zero_of_floats_tells_its_kind() {
    // ldmxcsr (%rdi); cvtsi2sd %rax(1), %xmm0; xorps %xmm1, %xmm1; divsd %xmm1, %xmm0
    let code = [
        0x0f, 0xae, 0x17, 0xf2, 0x48, 0x0f, 0x2a, 0xc0, 0x0f, 0x57, 0xc9, 0xf2, 0x0f, 0x5e, 0xc1,
    ];
    const NOT_MASKED: u32 = 0x1d80;
    if is_emulated() {
        return;
    }
    let platform = guest::platform();
    let guest = Guest::new(&platform, &code);
    rustix::io::pwrite(&guest.file, &NOT_MASKED.to_le_bytes(), 4096).unwrap();
    guest.map_data(Access::READ);
    let mut context = guest.context(&platform);
    let mut state = ThreadState {
        rax: 1,
        ..guest::start()
    };
    let found = exception_of(guest::run(&mut context, &mut state));
    assert_eq!((found.signal, found.code), (SIGFPE, 3));
}

#[test]
fn changed_segment_bases_are_seen() {
    // wrfsbase %rax; syscall
    let code = [0xf3, 0x48, 0x0f, 0xae, 0xd0, 0x0f, 0x05];
    let platform = guest::platform();
    let guest = Guest::new(&platform, &code);
    let mut context = guest.context(&platform);
    let mut state = ThreadState {
        rax: 0x7777_0000,
        ..guest::start()
    };
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(state.fs_base, 0x7777_0000);
}

#[test]
fn the_time_stamp_counter_is_the_hosts() {
    // rdtsc; syscall
    let platform = guest::platform();
    let guest = Guest::new(&platform, &[0x0f, 0x31, 0x0f, 0x05]);
    let mut context = guest.context(&platform);
    let before = host::tsc::read();
    let mut state = guest::start();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    let after = host::tsc::read();
    let seen = state.rdx << 32 | state.orig_rax;
    assert!((before..after).contains(&seen), "{before} {seen} {after}");
}

#[test]
fn ring_0_is_out_of_reach() {
    const RING0: u64 = 0xffff_ffff_8000_0000;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    for page in 0..8 {
        let mut state = ThreadState {
            rdi: RING0 + page * 4096,
            ..guest::start()
        };
        let exit = guest::run(&mut context, &mut state);
        assert!(
            matches!(exit, Exit::Fault(fault) if !fault.mapped && fault.address as u64 == state.rdi),
            "{exit:?}"
        );
    }
    for vector in 0..40 {
        let mut state = ThreadState {
            rip: RING0 + vector * 16,
            ..guest::start()
        };
        let exit = guest::run(&mut context, &mut state);
        assert!(matches!(exit, Exit::Fault(_) | Exit::Syscall), "{exit:?}");
    }
    assert_eq!(
        guest::run(&mut context, &mut guest::start()),
        unmapped(DATA)
    );
}

#[test]
fn a_mapping_across_windows_and_tables_is_whole() {
    const LEN: usize = 5 << 20;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let file = guest::file(&[]);
    rustix::fs::ftruncate(&file, LEN as u64 + 4096).unwrap();
    for page in 1..=LEN / PAGE {
        let byte = [u8::try_from(page % 251).unwrap()];
        rustix::io::pwrite(&file, &byte, (page * PAGE) as u64).unwrap();
    }
    // Neither the addresses nor the offsets are aligned to windows.
    let at = 0x7f00_0010_3000;
    guest
        .space
        .map(at..at + LEN, file.as_fd(), 4096, Access::READ, false)
        .unwrap();
    let mut context = guest.context(&platform);
    for page in 0..LEN / PAGE {
        let mut state = ThreadState {
            rdi: (at + page * PAGE) as u64,
            ..guest::start()
        };
        assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
        assert_eq!(state.orig_rax & 0xff, ((page + 1) % 251) as u64, "{page}");
    }
    guest.space.unmap(at..at + LEN).unwrap();
    for page in [0, 1, 511, 512, LEN / PAGE - 1] {
        let address = at + page * PAGE;
        let mut state = ThreadState {
            rdi: address as u64,
            ..guest::start()
        };
        assert_eq!(guest::run(&mut context, &mut state), unmapped(address));
    }
}

#[test]
fn more_windows_than_are_kept_come_and_go() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    for round in 0..1_200u64 {
        let file = guest::file(&[]);
        let byte = [u8::try_from(round % 251).unwrap()];
        rustix::io::pwrite(&file, &byte, 4096).unwrap();
        guest
            .space
            .map(DATA..DATA + PAGE, file.as_fd(), 4096, Access::READ, false)
            .unwrap();
        if round % 16 == 0 {
            let mut state = guest::start();
            assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
            assert_eq!(state.orig_rax & 0xff, round % 251);
        }
    }
}

/// However much of a file is mapped, it takes one descriptor of the host's.
#[test]
fn windows_of_a_file_share_a_descriptor() {
    const WINDOW: u64 = 2 << 20;
    if !std::path::Path::new("/dev/kvm").exists() {
        return;
    }
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let file = guest::file(&[]);
    rustix::fs::ftruncate(&file, 100 * WINDOW).unwrap();
    for index in 0..100 {
        let at = DATA + index * PAGE;
        let offset = index as u64 * WINDOW;
        let access = Access::READ | Access::WRITE;
        guest
            .space
            .map(at..at + PAGE, file.as_fd(), offset, access, false)
            .unwrap();
    }
    let of_file = |entry: &std::fs::DirEntry| {
        let (Ok(found), Ok(stat)) = (rustix::fs::stat(entry.path()), rustix::fs::fstat(&file))
        else {
            return false;
        };
        (found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino)
    };
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let count = || all.flatten().filter(of_file).count();
    assert_eq!(count(), 2, "the caller's and one more");
}

#[test]
fn a_space_begins_again_while_a_thread_runs_in_it() {
    let platform = guest::platform();
    let guest = Arc::new(Guest::new(&platform, guest::LOAD_LOOP));
    guest.map_data(Access::READ);
    for index in 0..600 {
        let at = 0x10_0000_0000 + index * (2 << 20);
        guest
            .space
            .map(at..at + PAGE, guest.file.as_fd(), 0, Access::READ, false)
            .unwrap();
    }
    let ready = Barrier::new(2);
    std::thread::scope(|scope| {
        let (platform, guest, ready) = (&platform, &guest, &ready);
        let runner = scope.spawn(move || {
            let mut context = guest.context(platform);
            ready.wait();
            guest::run(&mut context, &mut guest::start())
        });
        ready.wait();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let group = guest.space.group();
        guest
            .space
            .unmap(0x10_0000_0000..0x10_0000_0000 + PAGE)
            .unwrap();
        guest.space.unmap(platform.limits().user_range).unwrap();
        group.close().unwrap();
        let exit = runner.join().unwrap();
        assert!([CODE, CODE + 2].map(unmapped).contains(&exit), "{exit:?}");
    });
}

#[test]
fn more_threads_than_vcpus_take_turns() {
    const THREADS: usize = 700;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let all = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for index in 0..THREADS as u64 {
            let (platform, guest, all) = (&platform, &guest, &all);
            let run = move || {
                let mut context = guest.context(platform);
                let mut state = guest::start();
                all.wait();
                for round in 0..3 {
                    state.rax = index << 8 | round;
                    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
                    assert_eq!(state.orig_rax, index << 8 | round);
                }
                all.wait(); // each keeps what it has
            };
            std::thread::Builder::new()
                .stack_size(128 << 10)
                .spawn_scoped(scope, run)
                .unwrap();
        }
    });
}
