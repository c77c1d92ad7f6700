//! Filters and strict mode (`man 2 seccomp`).

use crate::case::Outcome;
use crate::support::map;
use crate::support::process::{self, in_child};
use crate::support::{proc, signal};
use crate::sys;

cases! {
    strictest_action_wins,
    trap_sends_sigsys,
    arguments_are_compared,
    invalid_programs_are_einval,
    bad_flags_and_addresses,
    available_actions,
    notification_sizes,
    modes_do_not_mix,
    trace_without_tracer_is_enosys,
    kill_thread_ends_the_only_thread_with_sigsys,
    filters_survive_exec,
    proc_counts_filters,
    errno_is_capped,
    chains_have_a_limit,
    strict_mode_allows_exit,
    vsyscall_page_is_filtered,
}

const RET: u16 = 0x06;
const LOAD: u16 = 0x20;
const JEQ: u16 = 0x15;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const TRAP: u32 = 0x0003_0000;

fn word(code: u16, jt: u8, jf: u8, k: u32) -> u64 {
    u64::from(code) | u64::from(jt) << 16 | u64::from(jf) << 24 | u64::from(k) << 32
}

fn install_with(flags: u64, program: &[u64]) -> sys::SysResult {
    let header = [program.len() as u64, program.as_ptr() as u64];
    sys!(SYS_seccomp, 1, flags, &header)
}

fn install(program: &[u64]) -> sys::SysResult {
    install_with(0, program)
}

/// A program that gives `action` for one call and allows the others.
fn one_call(nr: i64, action: u32) -> [u64; 4] {
    [
        word(LOAD, 0, 0, 0),
        word(JEQ, 0, 1, nr as u32),
        word(RET, 0, 0, action),
        word(RET, 0, 0, ALLOW),
    ]
}

fn no_new_privs() -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
    Ok(())
}

fn strictest_action_wins() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        install(&one_call(libc::SYS_getppid, ERRNO | libc::EXDEV as u32))?;
        install(&one_call(libc::SYS_getppid, TRACE))?;
        errno_is!(sys!(SYS_getppid), EXDEV);
        install(&one_call(libc::SYS_getppid, ERRNO | libc::EBADF as u32))?;
        errno_is!(sys!(SYS_getppid), EBADF);
        Ok(())
    })
}

fn trap_sends_sigsys() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        signal::block(signal::bit(libc::SIGUSR1))?;
        signal::handle(libc::SIGSYS, signal::record, libc::SA_SIGINFO)?;
        install(&one_call(libc::SYS_getppid, TRAP | 77))?;
        check_eq!(sys!(SYS_getppid)?, libc::SYS_getppid);
        check_eq!(signal::seen_numbers(), vec![libc::SIGSYS]);
        Ok(())
    })
}

fn arguments_are_compared() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        // dup(77): the low word of the first argument decides.
        install(&[
            word(LOAD, 0, 0, 0),
            word(JEQ, 0, 3, libc::SYS_dup as u32),
            word(LOAD, 0, 0, 16),
            word(JEQ, 0, 1, 77),
            word(RET, 0, 0, ERRNO | libc::EXDEV as u32),
            word(RET, 0, 0, ALLOW),
        ])?;
        for _ in 0..2 {
            errno_is!(sys!(SYS_dup, 78), EBADF);
            errno_is!(sys!(SYS_dup, 77), EXDEV);
        }
        Ok(())
    })
}

fn invalid_programs_are_einval() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        let ret = word(RET, 0, 0, ALLOW);
        errno_is!(install(&[]), EINVAL);
        errno_is!(install(&[word(LOAD, 0, 0, 0)]), EINVAL);
        errno_is!(install(&[word(LOAD, 0, 0, 64), ret]), EINVAL);
        errno_is!(install(&[word(LOAD, 0, 0, 3), ret]), EINVAL);
        errno_is!(install(&[word(JEQ, 1, 0, 0), ret]), EINVAL);
        errno_is!(install(&[word(0x60, 0, 0, 0), ret]), EINVAL);
        errno_is!(install(&[word(0x30, 0, 0, 0), ret]), EINVAL);
        errno_is!(install(&[word(0x34, 0, 0, 0), ret]), EINVAL);
        errno_is!(install(&vec![ret; 4097]), EINVAL);
        install(&vec![ret; 4096])?;
        Ok(())
    })
}

fn bad_flags_and_addresses() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        let ret = [word(RET, 0, 0, ALLOW)];
        errno_is!(install_with(1 << 20, &ret), EINVAL);
        errno_is!(sys!(SYS_seccomp, 1, 0, 8), EFAULT);
        let header = [1_u64, 8];
        errno_is!(sys!(SYS_seccomp, 1, 0, &header), EFAULT);
        errno_is!(sys!(SYS_seccomp, 0, 1, 0), EINVAL);
        errno_is!(sys!(SYS_seccomp, 0, 0, &header), EINVAL);
        errno_is!(sys!(SYS_prctl, libc::PR_SET_SECCOMP, 3, 0, 0, 0), EINVAL);
        // Of a single thread, TSYNC changes nothing but succeeds.
        check_eq!(install_with(1, &ret)?, 0);
        Ok(())
    })
}

fn available_actions() -> Outcome {
    for action in [0x8000_0000_u32, 0, TRAP, ERRNO, TRACE, 0x7ffc_0000, ALLOW] {
        check_eq!(sys!(SYS_seccomp, 2, 0, &action)?, 0);
    }
    let unknown = 0x1234_0000_u32;
    errno_is!(sys!(SYS_seccomp, 2, 0, &unknown), EOPNOTSUPP);
    errno_is!(sys!(SYS_seccomp, 2, 1, &unknown), EINVAL);
    errno_is!(sys!(SYS_seccomp, 2, 0, 8), EFAULT);
    Ok(())
}

fn notification_sizes() -> Outcome {
    let mut sizes = [0_u16; 3];
    sys!(SYS_seccomp, 3, 0, &mut sizes)?;
    check_eq!(sizes, [80, 24, 64]);
    Ok(())
}

fn modes_do_not_mix() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        install(&[word(RET, 0, 0, ALLOW)])?;
        check_eq!(sys!(SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0)?, 2);
        errno_is!(sys!(SYS_prctl, libc::PR_SET_SECCOMP, 1, 0, 0, 0), EINVAL);
        errno_is!(sys!(SYS_seccomp, 0, 0, 0), EINVAL);
        Ok(())
    })
}

fn trace_without_tracer_is_enosys() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        install(&one_call(libc::SYS_getppid, TRACE))?;
        errno_is!(sys!(SYS_getppid), ENOSYS);
        Ok(())
    })
}

fn kill_thread_ends_the_only_thread_with_sigsys() -> Outcome {
    let status = process::status_of(|| {
        let _ = no_new_privs();
        let _ = install(&one_call(libc::SYS_getppid, 0));
        let _ = sys!(SYS_getppid);
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGSYS));
    Ok(())
}

fn filters_survive_exec() -> Outcome {
    let program = super::execve::program()?;
    let status = process::status_of(|| {
        let _ = no_new_privs();
        let _ = install(&one_call(libc::SYS_exit_group, 0x8000_0000));
        let _ = super::execve::exec(&program, &["helper", "exit", "9"]);
        200
    })?;
    check_eq!(status.signal(), Some(libc::SIGSYS));
    Ok(())
}

fn proc_counts_filters() -> Outcome {
    in_child(|| {
        check_eq!(proc::field("/proc/self/status", "Seccomp")?, "0");
        no_new_privs()?;
        install(&[word(RET, 0, 0, ALLOW)])?;
        install(&[word(RET, 0, 0, ALLOW)])?;
        check_eq!(proc::field("/proc/self/status", "Seccomp")?, "2");
        check_eq!(proc::field("/proc/self/status", "Seccomp_filters")?, "2");
        Ok(())
    })
}

fn errno_is_capped() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        install(&one_call(libc::SYS_getppid, ERRNO | 0xffff))?;
        match sys!(SYS_getppid) {
            Err(error) => check_eq!(error.errno, 4095),
            Ok(value) => fail!("the call gave {value}"),
        }
        install(&one_call(libc::SYS_getpid, ERRNO))?;
        check_eq!(sys!(SYS_getpid)?, 0);
        Ok(())
    })
}

fn chains_have_a_limit() -> Outcome {
    in_child(|| {
        no_new_privs()?;
        let long = vec![word(RET, 0, 0, ALLOW); 4096];
        // Linux counts instructions of its own form, of which there are more.
        let fits = (0..10).take_while(|_| install(&long).is_ok()).count();
        check!((3..8).contains(&fits), "{fits} filters fit");
        errno_is!(install(&long), ENOMEM);
        Ok(())
    })
}

fn strict_mode_allows_exit() -> Outcome {
    let status = process::status_of(|| {
        let _ = sys!(SYS_seccomp, 0, 0, 0);
        let _ = sys!(SYS_exit, 7);
        0
    })?;
    check_eq!(status.code(), Some(7));
    Ok(())
}

const VSYSCALL: usize = 0xffff_ffff_ff60_0000;

/// `time(0)` through the page: the calling convention leaves the argument in rdi, which is 0 here.
fn vsyscall_time() -> Result<u64, crate::case::Failure> {
    let code = map::Map::new(4096, map::RW, map::ANON, -1, 0)?;
    // xor edi, edi; mov rax, ADDRESS; call rax; ret, with the stack as a call finds it.
    let address = (VSYSCALL + 0x400).to_ne_bytes();
    let text = [&[0x31, 0xff, 0x48, 0xb8][..], &address, &[0xff, 0xd0, 0xc3]].concat();
    code.fill(0, &text);
    sys!(SYS_mprotect, &code, 4096, libc::PROT_READ | libc::PROT_EXEC)?;
    Ok(map::execute(code.addr()))
}

/// Calls through the vsyscall page are calls: filters see them, at the address of the entry.
fn vsyscall_page_is_filtered() -> Outcome {
    if !proc::maps()?.iter().any(|area| area.start == VSYSCALL) {
        skip!("no vsyscall page");
    }
    in_child(|| {
        check!(vsyscall_time()? > 1_000_000_000);
        no_new_privs()?;
        install(&one_call(libc::SYS_time, ERRNO | libc::EXDEV as u32))?;
        check_eq!(vsyscall_time()?.cast_signed(), -i64::from(libc::EXDEV));
        Ok(())
    })?;
    in_child(|| {
        no_new_privs()?;
        // The high and the low half of the instruction pointer are the entry's.
        install(&[
            word(LOAD, 0, 0, 12),
            word(JEQ, 0, 3, 0xffff_ffff),
            word(LOAD, 0, 0, 8),
            word(JEQ, 0, 1, 0xff60_0400),
            word(RET, 0, 0, ERRNO | 77),
            word(RET, 0, 0, ALLOW),
        ])?;
        check_eq!(vsyscall_time()?.cast_signed(), -77);
        Ok(())
    })?;
    in_child(|| {
        no_new_privs()?;
        signal::handle(libc::SIGSYS, signal::record, libc::SA_SIGINFO)?;
        install(&one_call(libc::SYS_time, TRAP | 5))?;
        // As after SIGSYS anywhere: the result is the number.
        check_eq!(vsyscall_time()?.cast_signed(), libc::SYS_time);
        check_eq!(signal::seen_numbers(), vec![libc::SIGSYS]);
        Ok(())
    })?;
    let killed = process::status_of(|| {
        let _ = no_new_privs();
        let _ = install(&one_call(libc::SYS_time, 0x8000_0000));
        let _ = vsyscall_time();
        0
    })?;
    check_eq!(killed.signal(), Some(libc::SIGSYS));
    Ok(())
}
