//! Application code that tries to get at the host.

use crate::guest::{self, CODE, DATA, Guest, PAGE};
use platform::{Access, Exception, Exit, Fault, FaultAccess, ThreadState};

const SIGSEGV: u8 = 11;
const SI_KERNEL: i32 = 0x80;

fn exception_of(exit: Exit) -> Exception {
    match exit {
        Exit::Exception(exception) => exception,
        other => panic!("{other:?}"),
    }
}

#[test]
fn int_0x80_is_a_general_protection_fault() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, &[0xcd, 0x80]);
    let mut context = guest.context(&platform);
    let mut state = ThreadState {
        rax: 1,
        ..guest::start()
    }; // exit, to 32-bit code
    let before = state;
    let exception = exception_of(guest::run(&mut context, &mut state));
    assert_eq!(
        (exception.signal, exception.code, exception.address),
        (SIGSEGV, SI_KERNEL, 0)
    );
    state.eflags &= !0x1_0000; // a fault may set the resume flag
    assert_eq!(state, before);
}

#[test]
fn a_call_into_the_vsyscall_page_is_a_fault_there() {
    // call *%rax; syscall
    let platform = guest::platform();
    let guest = Guest::new(&platform, &[0xff, 0xd0, 0x0f, 0x05]);
    let mut context = guest.context(&platform);
    guest.map_data(Access::READ | Access::WRITE);
    for entry in [
        0xffff_ffff_ff60_0000u64,
        0xffff_ffff_ff60_0400,
        0xffff_ffff_ff60_0800,
    ] {
        let stack = u64::try_from(DATA + PAGE).unwrap();
        let mut state = ThreadState {
            rax: entry,
            rsp: stack,
            rdi: 0,
            ..guest::start()
        };
        let fault = Fault {
            address: usize::try_from(entry).unwrap(),
            access: FaultAccess::Execute,
            mapped: false,
            bus: false,
        };
        assert_eq!(guest::run(&mut context, &mut state), Exit::Fault(fault));
        assert_eq!((state.rip, state.rsp), (entry, stack - 8));
        // Emulate: return to behind the call.
        state.rip = u64::try_from(CODE + 2).unwrap();
        state.rsp = stack;
        state.rax = 4321;
        assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
        assert_eq!(state.orig_rax, 4321);
    }
}

#[test]
fn stub_code_cannot_be_written() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    let stub = platform.limits().user_range.end;
    let mut state = ThreadState {
        rdi: u64::try_from(stub).unwrap(),
        ..guest::start()
    };
    let exit = guest::run(&mut context, &mut state);
    assert!(
        matches!(exit, Exit::Fault(fault) if fault.address == stub),
        "{exit:?}"
    );
}

#[test]
fn registers_that_user_code_cannot_have_are_an_exception() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    let cases = [
        (
            "kernel code segment",
            ThreadState {
                cs: 0x10,
                ..guest::start()
            },
        ),
        (
            "kernel stack segment",
            ThreadState {
                ss: 0x18,
                ..guest::start()
            },
        ),
        (
            "kernel fs base",
            ThreadState {
                fs_base: 1 << 63,
                ..guest::start()
            },
        ),
        (
            "kernel instruction",
            ThreadState {
                rip: 0xffff_8000_0000_0000,
                ..guest::start()
            },
        ),
        (
            "not canonical",
            ThreadState {
                rip: 1 << 60,
                ..guest::start()
            },
        ),
    ];
    for (name, mut state) in cases {
        let exit = guest::run(&mut context, &mut state);
        assert!(
            matches!(exit, Exit::Exception(_) | Exit::Fault(_)),
            "{name}: {exit:?}"
        );
        assert_eq!(
            guest::run(&mut context, &mut guest::start()),
            Exit::Syscall,
            "{name}"
        );
    }
}

#[test]
fn odd_flags_change_nothing() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    // Nested task, I/O privilege, virtual 8086, direction.
    for eflags in [0x4202u64, 0x3202, 0x2_0202, 0x602, !0x100] {
        let mut state = ThreadState {
            eflags,
            ..guest::start()
        };
        let exit = guest::run(&mut context, &mut state);
        assert_eq!(exit, Exit::Syscall, "{eflags:x}");
    }
}

#[test]
fn processor_exceptions_are_told_apart() {
    let cases: [(&str, &[u8], u8, i32, u8); 5] = [
        ("ud2", &[0x0f, 0x0b], 4, 2, 6),
        ("int3", &[0xcc], 5, SI_KERNEL, 3),
        ("hlt", &[0xf4], SIGSEGV, SI_KERNEL, 13),
        ("div by zero", &[0x31, 0xc9, 0xf7, 0xf1], 8, 1, 0),
        ("int 0x20", &[0xcd, 0x20], SIGSEGV, SI_KERNEL, 13),
    ];
    let platform = guest::platform();
    for (name, code, signal, si_code, vector) in cases {
        let guest = Guest::new(&platform, code);
        let mut context = guest.context(&platform);
        let found = exception_of(guest::run(&mut context, &mut guest::start()));
        assert_eq!(
            (found.signal, found.code, found.vector),
            (signal, si_code, vector),
            "{name}"
        );
    }
}

#[test]
fn single_stepping_traps() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, &[0x90, 0x90, 0x90]);
    let mut context = guest.context(&platform);
    let mut state = ThreadState {
        eflags: 0x302,
        ..guest::start()
    };
    for step in 1..3u64 {
        let exception = exception_of(guest::run(&mut context, &mut state));
        assert_eq!((exception.signal, exception.vector), (5, 1));
        assert_eq!(state.rip, u64::try_from(CODE).unwrap() + step);
    }
}
