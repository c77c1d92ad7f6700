//! Signals: dispositions, masks, queues, order, siginfo of sent signals, waiting for signals.

use crate::case::Outcome;
use crate::support::process;
use crate::support::signal::{self, Seen, bit};
use crate::support::{fd, time};
use crate::sys;

cases!(
    handler_gets_the_siginfo_of_kill,
    tgkill_and_tkill_codes,
    sigqueue_carries_its_value,
    sigqueueinfo_cannot_forge_the_kernel,
    tgsigqueueinfo_targets_a_thread,
    blocked_signal_stays_pending,
    standard_signals_do_not_queue,
    real_time_signals_queue_in_order,
    lowest_number_is_delivered_first,
    real_time_queue_limit_is_eagain,
    kill_and_stop_cannot_be_caught_or_blocked,
    sigaction_errors,
    sigaction_returns_the_old_action,
    sigprocmask_errors,
    handler_mask_is_in_force_and_restored,
    own_signal_is_blocked_in_its_handler,
    nodefer_allows_nesting,
    resethand_resets_once,
    ignored_pending_signal_is_dropped,
    default_ignored_signals,
    default_actions_kill,
    sigsuspend_waits_with_another_mask,
    pause_returns_eintr,
    sigtimedwait_takes_without_a_handler,
    sigtimedwait_times_out,
    sigtimedwait_is_interrupted_by_another,
    thread_signal_is_not_taken_by_another_thread,
    process_signal_goes_to_a_thread_that_does_not_block_it,
    thread_inherits_the_mask,
    permission_by_user_id,
    sigcont_within_the_session_is_allowed,
    sigkill_ends_a_sleeping_process,
    core_dump_flag_is_in_the_status,
    stop_and_continue_with_all_threads,
    continue_discards_pending_stops,
    continue_handler_runs_after_the_stop,
    sigpipe_kills,
    alarm_kills,
    handler_of_a_signal_during_a_computation,
    many_signals_between_processes,
    pidfd_send_signal_works,
    init_of_the_namespace_is_protected,
);

fn handler_gets_the_siginfo_of_kill() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    sys!(SYS_kill, process::getpid(), libc::SIGUSR1)?;
    let seen = signal::seen();
    check_eq!(seen.len(), 1);
    check_eq!(
        (seen[0].signo, seen[0].code, seen[0].pid),
        (libc::SIGUSR1, libc::SI_USER, process::getpid())
    );
    check_eq!(i64::from(seen[0].uid), sys!(SYS_getuid)?);
    Ok(())
}

fn tgkill_and_tkill_codes() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    sys!(
        SYS_tgkill,
        process::getpid(),
        process::gettid(),
        libc::SIGUSR1
    )?;
    sys!(SYS_tkill, process::gettid(), libc::SIGUSR1)?;
    let codes: Vec<(i32, i32)> = signal::seen()
        .iter()
        .map(|seen| (seen.code, seen.pid))
        .collect();
    check_eq!(codes, [(libc::SI_TKILL, process::getpid()); 2]);
    Ok(())
}

fn sigqueue_carries_its_value() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::queue(process::getpid(), libc::SIGUSR1, 0xdead_beef_cafe)?;
    let Seen {
        code, pid, value, ..
    } = signal::seen()[0];
    check_eq!(
        (code, pid, value),
        (libc::SI_QUEUE, process::getpid(), 0xdead_beef_cafe)
    );
    Ok(())
}

/// `rt_sigqueueinfo(2)`: `si_code` must be negative and not `SI_TKILL`, except towards oneself.
fn sigqueueinfo_cannot_forge_the_kernel() -> Outcome {
    let child = process::fork_sleeper()?;
    for code in [libc::SI_USER, 1, libc::SI_KERNEL, libc::SI_TKILL] {
        let mut info = sys::zeroed::<[i32; 32]>();
        info[0] = libc::SIGUSR1;
        info[2] = code;
        errno_is!(
            sys!(SYS_rt_sigqueueinfo, child.pid, libc::SIGUSR1, &info),
            EPERM
        );
    }
    let mut info = sys::zeroed::<[i32; 32]>();
    info[2] = -60;
    errno_is!(sys!(SYS_rt_sigqueueinfo, child.pid, 65, &info), EINVAL);
    errno_is!(
        sys!(SYS_rt_sigqueueinfo, 4_000_000, libc::SIGUSR1, &info),
        ESRCH
    );
    errno_is!(
        sys!(SYS_rt_sigqueueinfo, child.pid, libc::SIGUSR1, 8),
        EFAULT
    );
    Ok(())
}

fn tgsigqueueinfo_targets_a_thread() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    let mut info = sys::zeroed::<[i32; 32]>();
    info[2] = libc::SI_QUEUE;
    info[6] = 1234;
    sys!(
        SYS_rt_tgsigqueueinfo,
        process::getpid(),
        process::gettid(),
        libc::SIGUSR1,
        &info
    )?;
    check_eq!(
        (signal::seen()[0].code, signal::seen()[0].value),
        (libc::SI_QUEUE, 1234)
    );
    errno_is!(
        sys!(
            SYS_rt_tgsigqueueinfo,
            1,
            process::gettid(),
            libc::SIGUSR1,
            &info
        ),
        ESRCH
    );
    Ok(())
}

fn blocked_signal_stays_pending() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    check_eq!(
        (signal::count(), signal::pending()?),
        (0, bit(libc::SIGUSR1))
    );
    signal::unblock(bit(libc::SIGUSR1))?;
    check_eq!((signal::count(), signal::pending()?), (1, 0));
    Ok(())
}

fn standard_signals_do_not_queue() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(bit(libc::SIGUSR1))?;
    for value in 1..4 {
        signal::queue(process::getpid(), libc::SIGUSR1, value)?;
    }
    signal::unblock(bit(libc::SIGUSR1))?;
    check_eq!(
        signal::seen()
            .iter()
            .map(|seen| seen.value)
            .collect::<Vec<_>>(),
        [1]
    );
    Ok(())
}

fn real_time_signals_queue_in_order() -> Outcome {
    signal::handle(40, signal::record, 0)?;
    signal::block(bit(40))?;
    for value in 1..=20 {
        signal::queue(process::getpid(), 40, value)?;
    }
    sys!(SYS_kill, process::getpid(), 40)?;
    signal::unblock(bit(40))?;
    let values: Vec<i64> = signal::seen()
        .iter()
        .take(20)
        .map(|seen| seen.value)
        .collect();
    check_eq!(values, (1..=20).collect::<Vec<i64>>());
    check_eq!(signal::count(), 21);
    Ok(())
}

fn lowest_number_is_delivered_first() -> Outcome {
    let numbers = [50, libc::SIGTERM, 35, libc::SIGUSR1, libc::SIGHUP, 60];
    let all = numbers.iter().fold(0, |mask, signo| mask | bit(*signo));
    for signo in numbers {
        // Everything is blocked in the handlers: they run one after the other.
        signal::handle_masked(signo, signal::record, 0, &numbers)?;
    }
    signal::block(all)?;
    for signo in numbers {
        signal::raise(signo)?;
    }
    let mut sorted = numbers;
    sorted.sort_unstable();
    for expected in sorted {
        let info = signal::wait_for(all, 0)?;
        check_eq!(info.si_signo, expected);
    }
    // Delivery by handlers: each frame is set up before the first handler runs, so the last one set up runs first.
    for signo in numbers {
        signal::handle_masked(signo, signal::record, 0, &[])?;
        signal::raise(signo)?;
    }
    signal::unblock(all)?;
    let mut seen = signal::seen_numbers();
    check_eq!(seen.first(), Some(&60));
    seen.reverse();
    check_eq!(seen, sorted);
    Ok(())
}

fn real_time_queue_limit_is_eagain() -> Outcome {
    signal::block(bit(40) | bit(libc::SIGUSR1))?;
    let limit = libc::rlimit {
        rlim_cur: 5,
        rlim_max: 5,
    };
    process::in_child(|| {
        crate::support::creds::become_nobody_else()?;
        sys!(SYS_prlimit64, 0, libc::RLIMIT_SIGPENDING, &limit, 0)?;
        for value in 0..5 {
            signal::queue(process::getpid(), 40, value)?;
        }
        errno_is!(signal::queue(process::getpid(), 40, 5), EAGAIN);
        // kill(2) always gets through, for a standard signal.
        sys!(SYS_kill, process::getpid(), libc::SIGUSR1)?;
        check_eq!(signal::pending()?, bit(40) | bit(libc::SIGUSR1));
        Ok(())
    })
}

fn kill_and_stop_cannot_be_caught_or_blocked() -> Outcome {
    for signo in [libc::SIGKILL, libc::SIGSTOP] {
        let action = [libc::SIG_IGN as u64, 0, 0, 0];
        errno_is!(
            sys!(SYS_rt_sigaction, signo, &action, 0, signal::SET_SIZE),
            EINVAL
        );
        // The old action may be asked for.
        let mut old = [1_u64; 4];
        sys!(SYS_rt_sigaction, signo, 0, &mut old, signal::SET_SIZE)?;
        check_eq!(old[0], 0);
    }
    signal::block(u64::MAX)?;
    check_eq!(signal::mask()?, !bit(libc::SIGKILL) & !bit(libc::SIGSTOP));
    Ok(())
}

fn sigaction_errors() -> Outcome {
    let action = [0_u64; 4];
    errno_is!(sys!(SYS_rt_sigaction, 0, &action, 0, 8), EINVAL);
    errno_is!(sys!(SYS_rt_sigaction, 65, &action, 0, 8), EINVAL);
    errno_is!(
        sys!(SYS_rt_sigaction, libc::SIGUSR1, &action, 0, 16),
        EINVAL
    );
    errno_is!(sys!(SYS_rt_sigaction, libc::SIGUSR1, 8, 0, 8), EFAULT);
    errno_is!(sys!(SYS_rt_sigaction, libc::SIGUSR1, 0, 8, 8), EFAULT);
    Ok(())
}

fn sigaction_returns_the_old_action() -> Outcome {
    signal::handle_masked(
        libc::SIGUSR1,
        signal::record,
        libc::SA_RESTART,
        &[libc::SIGUSR2, 50],
    )?;
    let old = signal::set_disposition(libc::SIGUSR1, libc::SIG_IGN)?;
    check_eq!(old.sa_sigaction, signal::record as signal::Action as usize);
    check_eq!(
        old.sa_flags & (libc::SA_RESTART | libc::SA_SIGINFO),
        libc::SA_RESTART | libc::SA_SIGINFO
    );
    // SIGKILL in a mask is dropped silently; unknown flags are cleared.
    let action = [
        libc::SIG_IGN as u64,
        0x1_0000_0000 | libc::SA_RESTART as u64,
        0,
        u64::MAX,
    ];
    sys!(SYS_rt_sigaction, libc::SIGUSR1, &action, 0, 8)?;
    let mut back = [0_u64; 4];
    sys!(SYS_rt_sigaction, libc::SIGUSR1, 0, &mut back, 8)?;
    check_eq!(back[3], !bit(libc::SIGKILL) & !bit(libc::SIGSTOP));
    check_eq!(back[1], libc::SA_RESTART as u64);
    Ok(())
}

fn sigprocmask_errors() -> Outcome {
    let set = 0_u64;
    errno_is!(sys!(SYS_rt_sigprocmask, 3, &set, 0, 8), EINVAL);
    errno_is!(
        sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &set, 0, 4),
        EINVAL
    );
    errno_is!(sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 8, 0, 8), EFAULT);
    errno_is!(sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, 8, 8), EFAULT);
    // Without a new set the operation is not looked at.
    sys!(SYS_rt_sigprocmask, 99, 0, 0, 8)?;
    errno_is!(sys!(SYS_rt_sigpending, 8, 8), EFAULT);
    errno_is!(sys!(SYS_rt_sigpending, &set, 16), EINVAL);
    Ok(())
}

static MASK_IN_HANDLER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

extern "C" fn note_mask(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    MASK_IN_HANDLER.store(
        signal::mask().unwrap_or(0),
        std::sync::atomic::Ordering::SeqCst,
    );
    signal::record(signo, info, context);
}

fn handler_mask_is_in_force_and_restored() -> Outcome {
    signal::block(bit(libc::SIGHUP))?;
    signal::handle_masked(libc::SIGUSR1, note_mask, 0, &[libc::SIGUSR2])?;
    signal::raise(libc::SIGUSR1)?;
    let inside = MASK_IN_HANDLER.load(std::sync::atomic::Ordering::SeqCst);
    check_eq!(
        inside,
        bit(libc::SIGHUP) | bit(libc::SIGUSR1) | bit(libc::SIGUSR2)
    );
    check_eq!(signal::mask()?, bit(libc::SIGHUP));
    Ok(())
}

extern "C" fn raise_again(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    signal::record(signo, info, context);
    if signal::count() < 3 {
        let _ = signal::raise(signo);
        MASK_IN_HANDLER.fetch_max(signal::count() as u64, std::sync::atomic::Ordering::SeqCst);
    }
}

fn own_signal_is_blocked_in_its_handler() -> Outcome {
    signal::handle(libc::SIGUSR1, raise_again, 0)?;
    signal::raise(libc::SIGUSR1)?;
    check_eq!(signal::count(), 3);
    // Right after raising, inside the handler, no further signal had been seen.
    check_eq!(MASK_IN_HANDLER.load(std::sync::atomic::Ordering::SeqCst), 2);
    Ok(())
}

fn nodefer_allows_nesting() -> Outcome {
    signal::handle(libc::SIGUSR1, raise_again, libc::SA_NODEFER)?;
    signal::raise(libc::SIGUSR1)?;
    check_eq!(signal::count(), 3);
    check_eq!(MASK_IN_HANDLER.load(std::sync::atomic::Ordering::SeqCst), 3);
    Ok(())
}

fn resethand_resets_once() -> Outcome {
    signal::handle(libc::SIGURG, signal::record, libc::SA_RESETHAND)?;
    signal::raise(libc::SIGURG)?;
    // SIGURG is ignored by default.
    signal::raise(libc::SIGURG)?;
    check_eq!(signal::count(), 1);
    check_eq!(
        signal::set_disposition(libc::SIGURG, libc::SIG_IGN)?.sa_sigaction,
        libc::SIG_DFL
    );
    Ok(())
}

fn ignored_pending_signal_is_dropped() -> Outcome {
    signal::block(bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    signal::set_disposition(libc::SIGUSR1, libc::SIG_IGN)?;
    check_eq!(signal::pending()?, 0);
    // A blocked signal is kept although it is ignored: the disposition may change.
    signal::raise(libc::SIGUSR1)?;
    check_eq!(signal::pending()?, bit(libc::SIGUSR1));
    Ok(())
}

fn default_ignored_signals() -> Outcome {
    for signo in [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT] {
        signal::set_disposition(signo, libc::SIG_DFL)?;
        signal::raise(signo)?;
    }
    Ok(())
}

fn default_actions_kill() -> Outcome {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_CORE, &limit, 0)?;
    for signo in 1..=64 {
        let ignored = [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT];
        let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        if ignored.contains(&signo) || stops.contains(&signo) {
            continue;
        }
        let status = process::status_of(|| {
            // The C library keeps the first two real-time signals for itself.
            let _ = sys!(SYS_rt_sigaction, signo, &[0_u64; 4], 0, 8);
            let _ = signal::raise(signo);
            0
        })?;
        check_eq!(status.signal(), Some(signo));
    }
    Ok(())
}

fn sigsuspend_waits_with_another_mask() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    errno_is!(sys!(SYS_rt_sigsuspend, &0_u64, 8), EINTR);
    check_eq!((signal::count(), signal::mask()?), (1, bit(libc::SIGUSR1)));
    errno_is!(sys!(SYS_rt_sigsuspend, &0_u64, 7), EINVAL);
    Ok(())
}

/// Sends a signal to the caller after so many milliseconds, from a child.
fn signal_later(signo: i32, delay_ms: i64) -> Result<process::Child, crate::case::Failure> {
    let target = process::getpid();
    process::fork(move || {
        time::sleep_ms(delay_ms);
        let _ = sys!(SYS_kill, target, signo);
        0
    })
}

fn pause_returns_eintr() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, libc::SA_RESTART)?;
    let _child = signal_later(libc::SIGUSR1, 50)?;
    errno_is!(sys!(SYS_pause), EINTR);
    check_eq!(signal::count(), 1);
    Ok(())
}

fn sigtimedwait_takes_without_a_handler() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(bit(libc::SIGUSR1) | bit(40))?;
    signal::queue(process::getpid(), 40, 99)?;
    let info = signal::wait_for(bit(40), 1000)?;
    check_eq!(
        (info.si_signo, info.si_code, signal::sender(&info).2),
        (40, libc::SI_QUEUE, 99)
    );
    let _child = signal_later(libc::SIGUSR1, 50)?;
    check_eq!(
        signal::wait_for(bit(libc::SIGUSR1), 5000)?.si_signo,
        libc::SIGUSR1
    );
    check_eq!((signal::count(), signal::pending()?), (0, 0));
    Ok(())
}

fn sigtimedwait_times_out() -> Outcome {
    signal::block(bit(libc::SIGUSR1))?;
    errno_is!(signal::wait_for(bit(libc::SIGUSR1), 0), EAGAIN);
    let start = time::monotonic_ns();
    errno_is!(signal::wait_for(bit(libc::SIGUSR1), 50), EAGAIN);
    check!(time::monotonic_ns() - start >= 50 * time::MS);
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    errno_is!(
        sys!(SYS_rt_sigtimedwait, &bit(libc::SIGUSR1), 0, &bad, 8),
        EINVAL
    );
    errno_is!(
        sys!(SYS_rt_sigtimedwait, &bit(libc::SIGUSR1), 0, 0, 4),
        EINVAL
    );
    Ok(())
}

fn sigtimedwait_is_interrupted_by_another() -> Outcome {
    signal::handle(libc::SIGUSR2, signal::record, libc::SA_RESTART)?;
    signal::block(bit(libc::SIGUSR1))?;
    let _child = signal_later(libc::SIGUSR2, 50)?;
    errno_is!(signal::wait_for(bit(libc::SIGUSR1), 5000), EINTR);
    Ok(())
}

fn thread_signal_is_not_taken_by_another_thread() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    let thread = std::thread::spawn(|| {
        let pending = signal::pending();
        let unblocked = signal::unblock(bit(libc::SIGUSR1));
        (pending.unwrap_or(1), unblocked.is_ok(), signal::count())
    });
    check_eq!(thread.join().ok(), Some((0, true, 0)));
    signal::unblock(bit(libc::SIGUSR1))?;
    check_eq!(signal::count(), 1);
    Ok(())
}

fn process_signal_goes_to_a_thread_that_does_not_block_it() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    let (reader, writer) = fd::pipe(0)?;
    let thread = std::thread::spawn(move || {
        let _ = writer.write(b"r");
        time::wait_until(|| signal::count() == 1)
    });
    reader.read(1)?;
    signal::block(bit(libc::SIGUSR1))?;
    sys!(SYS_kill, process::getpid(), libc::SIGUSR1)?;
    check_eq!(thread.join().ok(), Some(true));
    check_eq!(signal::pending()?, 0);
    Ok(())
}

fn thread_inherits_the_mask() -> Outcome {
    signal::block(bit(libc::SIGUSR1))?;
    let mask = std::thread::spawn(|| signal::mask().unwrap_or(0)).join();
    check_eq!(mask.ok(), Some(bit(libc::SIGUSR1)));
    Ok(())
}

fn permission_by_user_id() -> Outcome {
    let child = process::fork_sleeper()?;
    process::in_child(|| {
        sys!(SYS_setresuid, 1000, 2000, 3000)?;
        errno_is!(sys!(SYS_kill, child.pid, 0), EPERM);
        errno_is!(sys!(SYS_kill, child.pid, libc::SIGKILL), EPERM);
        let own = process::fork(|| {
            let _ = sys!(SYS_pause);
            0
        })?;
        sys!(SYS_kill, own.pid, 0)?;
        Ok(())
    })?;
    // The sender's real or effective id against the target's real or saved id.
    let (reader, writer) = fd::pipe(0)?;
    let target = process::fork(|| {
        let _ = sys!(SYS_setresuid, 11, 12, 13);
        let _ = writer.write(b"r");
        let _ = sys!(SYS_pause);
        0
    })?;
    reader.read(1)?;
    for (real, effective, allowed) in [
        (11, 99, true),
        (99, 11, true),
        (13, 99, true),
        (99, 13, true),
        (12, 12, false),
    ] {
        process::in_child(|| {
            sys!(SYS_setresuid, real, effective, effective)?;
            match sys!(SYS_kill, target.pid, 0) {
                Ok(_) => check!(allowed, "{real}/{effective} was allowed"),
                Err(error) => check!(
                    !allowed && error.errno == libc::EPERM,
                    "{real}/{effective}: {error}"
                ),
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn sigcont_within_the_session_is_allowed() -> Outcome {
    let child = process::fork_sleeper()?;
    process::in_child(|| {
        crate::support::creds::become_user(54_324, 54_324)?;
        sys!(SYS_kill, child.pid, libc::SIGCONT)?;
        errno_is!(sys!(SYS_kill, child.pid, libc::SIGTERM), EPERM);
        sys!(SYS_setsid)?;
        errno_is!(sys!(SYS_kill, child.pid, libc::SIGCONT), EPERM);
        Ok(())
    })
}

fn sigkill_ends_a_sleeping_process() -> Outcome {
    let mut child = process::fork(|| {
        let _ = signal::block(u64::MAX);
        let _ = time::nanosleep(100_000 * time::MS);
        0
    })?;
    time::sleep_ms(20);
    child.kill(libc::SIGKILL)?;
    check_eq!(child.wait()?.signal(), Some(libc::SIGKILL));
    Ok(())
}

/// The 0x80 bit of the wait status tells of a core dump, which needs the limit to allow one.
fn core_dump_flag_is_in_the_status() -> Outcome {
    let dir = crate::support::file::TempDir::new()?;
    sys!(SYS_chdir, &crate::support::file::cstring(dir.path()))?;
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: libc::RLIM_INFINITY,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_CORE, &none, 0)?;
    let abort = || {
        let _ = signal::set_disposition(libc::SIGABRT, libc::SIG_DFL);
        let _ = signal::raise(libc::SIGABRT);
        0
    };
    check_eq!(process::status_of(abort)?.0, libc::SIGABRT);
    let mut child = process::fork(abort)?;
    let mut info = [0_i32; 32];
    sys!(
        SYS_waitid,
        libc::P_PID,
        child.pid,
        &mut info,
        libc::WEXITED | libc::WNOWAIT,
        0
    )?;
    check_eq!((info[2], info[6]), (libc::CLD_KILLED, libc::SIGABRT));
    child.wait()?;
    Ok(())
}

fn stop_and_continue_with_all_threads() -> Outcome {
    let memory = crate::support::map::Map::shared(4096)?;
    let beat = memory.atomic(0);
    let mut child = process::fork(|| {
        let spin = || loop {
            beat.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            time::sleep_ms(1);
        };
        std::thread::scope(|scope| {
            scope.spawn(spin);
            scope.spawn(spin);
            spin();
        });
        0
    })?;
    let now = || beat.load(std::sync::atomic::Ordering::SeqCst);
    check!(time::wait_until(|| now() > 10));
    child.kill(libc::SIGSTOP)?;
    let mut status = 0_i32;
    sys!(SYS_wait4, child.pid, &mut status, libc::WUNTRACED, 0)?;
    check_eq!(crate::support::proc::state(child.pid)?, 'T');
    let stopped_at = now();
    time::sleep_ms(50);
    check_eq!(now(), stopped_at);
    child.kill(libc::SIGCONT)?;
    check!(time::wait_until(|| now() > stopped_at + 5));
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn continue_discards_pending_stops() -> Outcome {
    signal::block(bit(libc::SIGTSTP) | bit(libc::SIGCONT))?;
    signal::raise(libc::SIGTSTP)?;
    check_eq!(signal::pending()?, bit(libc::SIGTSTP));
    signal::raise(libc::SIGCONT)?;
    check_eq!(signal::pending()?, bit(libc::SIGCONT));
    // And the other way round.
    signal::raise(libc::SIGTSTP)?;
    check_eq!(signal::pending()?, bit(libc::SIGTSTP));
    Ok(())
}

fn continue_handler_runs_after_the_stop() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        let _ = signal::handle(libc::SIGCONT, signal::record, 0);
        let _ = writer.write(b"r");
        let woken = sys!(SYS_pause);
        i32::from(woken.is_err() && signal::count() == 1)
    })?;
    reader.read(1)?;
    check!(time::wait_until(|| crate::support::proc::is_asleep(
        child.pid
    )));
    child.kill(libc::SIGSTOP)?;
    sys!(SYS_wait4, child.pid, 0, libc::WUNTRACED, 0)?;
    child.kill(libc::SIGCONT)?;
    check_eq!(child.wait()?.code(), Some(1));
    Ok(())
}

fn sigpipe_kills() -> Outcome {
    let status = process::status_of(|| {
        let _ = signal::set_disposition(libc::SIGPIPE, libc::SIG_DFL);
        if let Ok((reader, writer)) = fd::pipe(0) {
            drop(reader);
            let _ = writer.write(b"x");
        }
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGPIPE));
    Ok(())
}

fn alarm_kills() -> Outcome {
    let status = process::status_of(|| {
        let timer = libc::itimerval {
            it_interval: libc::timeval {
                tv_sec: 0,
                tv_usec: 0,
            },
            it_value: libc::timeval {
                tv_sec: 0,
                tv_usec: 20_000,
            },
        };
        let _ = sys!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
        let _ = sys!(SYS_pause);
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGALRM));
    Ok(())
}

fn handler_of_a_signal_during_a_computation() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    let _child = signal_later(libc::SIGUSR1, 20)?;
    let (mut value, end) = (1_u64, time::monotonic_ns() + 5000 * time::MS);
    let mut rounds = 0_u64;
    while signal::count() == 0 && time::monotonic_ns() < end {
        for _ in 0..1000 {
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
        }
        rounds += 1;
    }
    check_eq!(signal::count(), 1);
    let mut again = 1_u64;
    for _ in 0..rounds * 1000 {
        again = again
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
    }
    check_eq!(value, again);
    Ok(())
}

fn many_signals_between_processes() -> Outcome {
    let target = process::getpid();
    signal::block(bit(40))?;
    let mut child = process::fork(move || {
        for value in 0..500 {
            while signal::queue(target, 40, value).is_err() {
                time::sleep_ms(1);
            }
        }
        0
    })?;
    for expected in 0..500 {
        check_eq!(
            signal::sender(&signal::wait_for(bit(40), 5000)?).2,
            expected
        );
    }
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn pidfd_send_signal_works() -> Outcome {
    let mut child = process::fork_sleeper()?;
    let pidfd = fd::Fd::own(sys!(SYS_pidfd_open, child.pid, 0)?);
    sys!(SYS_pidfd_send_signal, &pidfd, 0, 0, 0)?;
    errno_is!(sys!(SYS_pidfd_send_signal, &pidfd, 65, 0, 0), EINVAL);
    sys!(SYS_pidfd_send_signal, &pidfd, libc::SIGTERM, 0, 0)?;
    check_eq!(child.wait()?.signal(), Some(libc::SIGTERM));
    errno_is!(sys!(SYS_pidfd_open, child.pid, 0), ESRCH);
    errno_is!(sys!(SYS_pidfd_open, 0, 0), EINVAL);
    errno_is!(sys!(SYS_pidfd_open, -1, 0), EINVAL);
    errno_is!(sys!(SYS_pidfd_open, process::getpid(), 1), EINVAL);
    Ok(())
}

/// `pid_namespaces(7)`: a signal from inside without a handler is not delivered to the first process.
fn init_of_the_namespace_is_protected() -> Outcome {
    let text = crate::support::proc::field("/proc/self/status", "NSpid")?;
    if text.split_ascii_whitespace().count() == 1
        && crate::support::proc::read("/proc/1/comm")?.trim() != "syscall-tests"
    {
        skip!("not the only program of its pid namespace");
    }
    sys!(SYS_kill, 1, libc::SIGKILL)?;
    sys!(SYS_kill, 1, libc::SIGTERM)?;
    time::sleep_ms(20);
    sys!(SYS_kill, 1, 0)?;
    Ok(())
}
