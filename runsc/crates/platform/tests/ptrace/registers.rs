//! Registers cross in both directions, whole.

use crate::guest::{self, CODE, Guest};
use platform::{Exit, ThreadState};

/// `movq %rax, %xmm0; syscall; movq %xmm0, %rax; syscall`.
const XMM: &[u8] = &[
    0x66, 0x48, 0x0f, 0x6e, 0xc0, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xc0, 0x0f, 0x05,
];
/// Where `xmm0` is in the image.
const XMM0_AT: usize = 160;

#[test]
fn all_general_registers_arrive() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    let sent = ThreadState {
        r15: 15,
        r14: 14,
        r13: 13,
        r12: 12,
        rbp: 5,
        rbx: 3,
        r10: 10,
        r9: 9,
        r8: 8,
        rax: 1234,
        rdx: 2,
        rsi: 6,
        rdi: 7,
        rsp: 0x1000,
        fs_base: 0x1234_5000,
        gs_base: 0x5678_9000,
        ..guest::at(CODE)
    };
    let mut state = sent;
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    let rip = u64::try_from(CODE + 2).unwrap();
    let expected = ThreadState {
        rip,
        rcx: rip,
        r11: sent.eflags,
        orig_rax: 1234,
        rax: (-38i64).cast_unsigned(),
        ..sent
    };
    assert_eq!(state, expected);
    state.rax = 77;
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(state.orig_rax, 77);
}

#[test]
fn a_result_that_looks_like_a_restart_is_only_a_number() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    for number in 512..517i64 {
        let mut state = guest::start();
        assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
        state.rax = (-number).cast_unsigned();
        context.interrupter().interrupt();
        assert_eq!(guest::run(&mut context, &mut state), Exit::Interrupted);
        assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
        assert_eq!(state.orig_rax, (-number).cast_unsigned());
    }
}

#[test]
fn extended_registers_are_read_changed_and_reset() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, XMM);
    let mut context = guest.context(&platform);
    let mut state = ThreadState {
        rax: 0x1122_3344,
        ..guest::start()
    };
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    let extended = context.extended().unwrap();
    let mut image = extended.as_bytes().to_vec();
    assert_eq!(image[XMM0_AT..XMM0_AT + 4], 0x1122_3344u32.to_le_bytes());
    image[XMM0_AT] = 0x55;
    extended.set(&image).unwrap();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(state.orig_rax, 0x1122_3355);
    context.reset_extended();
    state.rip = u64::try_from(CODE + 7).unwrap();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(state.orig_rax, 0);
}

#[test]
fn extended_registers_survive_a_change_of_space() {
    let platform = guest::platform();
    let (first, second) = (Guest::new(&platform, XMM), Guest::new(&platform, XMM));
    let mut context = first.context(&platform);
    let mut state = ThreadState {
        rax: 0x99,
        ..guest::start()
    };
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    context.switch_to(&second.space).unwrap();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(state.orig_rax, 0x99);
}

#[test]
fn nothing_of_an_earlier_thread_is_left_in_a_new_context() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, XMM);
    let mut state = ThreadState {
        rax: 0x99,
        ..guest::start()
    };
    let mut context = guest.context(&platform);
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    drop(context);
    let mut context = guest.context(&platform);
    let mut state = guest::at(CODE + 7);
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(state.orig_rax, 0);
}
