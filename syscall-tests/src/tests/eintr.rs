//! Interruption and restart: signal(7), "Interruption of system calls and library functions by signal handlers".

use crate::case::{Failure, Outcome};
use crate::support::process::{self, Child};
use crate::support::{fd, signal, time};
use crate::sys::{self, SysResult};

cases!(
    read_of_a_pipe_is_eintr,
    read_of_a_pipe_restarts,
    write_to_a_full_pipe_is_eintr,
    write_interrupted_after_some_bytes,
    wait4_is_eintr_and_restarts,
    futex_wait_is_eintr_without_restart,
    futex_wait_restarts,
    never_restarted_even_with_the_flag,
    nanosleep_reports_the_rest,
    nanosleep_continues_after_stop_and_continue,
    poll_continues_after_stop_and_continue,
    epoll_wait_continues_not_after_stop,
    ignored_signal_does_not_interrupt,
    accept_and_recv_restart,
    flock_is_eintr_and_restarts,
    sigpending_signal_interrupts_at_once,
    restarted_call_is_not_lost_with_two_signals,
    kernel_numbers_never_escape,
);

/// Sends SIGUSR1 to the caller every 30 ms, three times.
fn disturb() -> Result<Child, Failure> {
    let target = process::getpid();
    process::fork(move || {
        for _ in 0..3 {
            time::sleep_ms(30);
            let _ = sys!(SYS_kill, target, libc::SIGUSR1);
        }
        0
    })
}

/// Makes the call with SIGUSR1 arriving, its handler installed without `SA_RESTART`.
fn interrupted(call: impl FnOnce() -> SysResult) -> Result<SysResult, Failure> {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    let _child = disturb()?;
    Ok(call())
}

/// Makes the call with SIGUSR1 arriving, its handler installed with `SA_RESTART`.
fn restarted(call: impl FnOnce() -> SysResult) -> Result<SysResult, Failure> {
    signal::handle(libc::SIGUSR1, signal::record, libc::SA_RESTART)?;
    let _child = disturb()?;
    Ok(call())
}

fn read_of_a_pipe_is_eintr() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    let mut byte = 0_u8;
    errno_is!(
        interrupted(|| sys!(SYS_read, &reader, &mut byte, 1))?,
        EINTR
    );
    check_eq!(signal::count(), 1);
    Ok(())
}

fn read_of_a_pipe_restarts() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut helper = process::fork(|| {
        time::sleep_ms(150);
        let _ = writer.write(b"x");
        0
    })?;
    let mut byte = 0_u8;
    check_eq!(restarted(|| sys!(SYS_read, &reader, &mut byte, 1))??, 1);
    check_eq!(byte, b'x');
    check!(signal::count() >= 2, "{} signals", signal::count());
    helper.wait()?;
    Ok(())
}

fn write_to_a_full_pipe_is_eintr() -> Outcome {
    let (_reader, writer) = fd::pipe(0)?;
    sys!(SYS_fcntl, &writer, libc::F_SETPIPE_SZ, 4096)?;
    writer.write(&[0; 4096])?;
    errno_is!(
        interrupted(|| sys!(SYS_write, &writer, &[0_u8; 10], 10))?,
        EINTR
    );
    Ok(())
}

fn write_interrupted_after_some_bytes() -> Outcome {
    let (_reader, writer) = fd::pipe(0)?;
    sys!(SYS_fcntl, &writer, libc::F_SETPIPE_SZ, 4096)?;
    let bytes = vec![0_u8; 100_000];
    check_eq!(
        interrupted(|| sys!(SYS_write, &writer, bytes.as_slice(), bytes.len()))??,
        4096
    );
    Ok(())
}

fn wait4_is_eintr_and_restarts() -> Outcome {
    let sleeper = process::fork_sleeper()?;
    errno_is!(
        interrupted(|| sys!(SYS_wait4, sleeper.pid, 0, 0, 0))?,
        EINTR
    );
    let child = process::fork(|| {
        time::sleep_ms(150);
        3
    })?;
    check_eq!(
        restarted(|| sys!(SYS_wait4, child.pid, 0, 0, 0))??,
        i64::from(child.pid)
    );
    child.forget();
    Ok(())
}

fn futex_wait_is_eintr_without_restart() -> Outcome {
    let word = 5_u32;
    errno_is!(
        interrupted(|| sys!(SYS_futex, &word, libc::FUTEX_WAIT, 5, 0, 0, 0))?,
        EINTR
    );
    Ok(())
}

fn futex_wait_restarts() -> Outcome {
    let word = crate::support::map::Map::shared(4096)?;
    let mut waker = process::fork(|| {
        time::sleep_ms(150);
        word.atomic(0).store(1, std::sync::atomic::Ordering::SeqCst);
        let _ = sys!(SYS_futex, &word, libc::FUTEX_WAKE, 1, 0, 0, 0);
        0
    })?;
    check_eq!(
        restarted(|| sys!(SYS_futex, &word, libc::FUTEX_WAIT, 0, 0, 0, 0))??,
        0
    );
    check!(signal::count() >= 2);
    waker.wait()?;
    // With a timeout the call is restarted only where no handler runs.
    let timeout = time::timespec(5000 * time::MS);
    errno_is!(
        restarted(|| sys!(SYS_futex, &word, libc::FUTEX_WAIT, 1, &timeout, 0, 0))?,
        EINTR
    );
    Ok(())
}

/// poll, select, `epoll_wait`, nanosleep, semop, sigtimedwait and others end with EINTR even with `SA_RESTART`.
fn never_restarted_even_with_the_flag() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    let mut poll = [libc::pollfd {
        fd: reader.number(),
        events: libc::POLLIN,
        revents: 0,
    }];
    errno_is!(restarted(|| sys!(SYS_poll, &mut poll, 1, 5000))?, EINTR);
    errno_is!(restarted(|| sys!(SYS_ppoll, &mut poll, 1, 0, 0, 8))?, EINTR);
    errno_is!(restarted(|| sys!(SYS_select, 0, 0, 0, 0, 0))?, EINTR);
    let epoll = fd::Fd::own(sys!(SYS_epoll_create1, 0)?);
    let mut events = [libc::epoll_event { events: 0, u64: 0 }];
    errno_is!(
        restarted(|| sys!(SYS_epoll_wait, &epoll, &mut events, 1, 5000))?,
        EINTR
    );
    errno_is!(restarted(|| time::nanosleep(5000 * time::MS))?, EINTR);
    errno_is!(
        restarted(|| sys!(
            SYS_clock_nanosleep,
            libc::CLOCK_MONOTONIC,
            0,
            &time::timespec(5000 * time::MS),
            0
        ))?,
        EINTR
    );
    errno_is!(restarted(|| sys!(SYS_pause))?, EINTR);
    errno_is!(restarted(|| sys!(SYS_rt_sigsuspend, &0_u64, 8))?, EINTR);
    Ok(())
}

fn nanosleep_reports_the_rest() -> Outcome {
    let mut rest = sys::zeroed::<libc::timespec>();
    let (request, start) = (time::timespec(20_000 * time::MS), time::monotonic_ns());
    errno_is!(
        interrupted(|| sys!(SYS_nanosleep, &request, &mut rest))?,
        EINTR
    );
    let spent = time::monotonic_ns() - start;
    let rest = time::nanoseconds(&rest);
    let whole = 20_000 * time::MS;
    check!(
        (whole - spent..whole - 10 * time::MS).contains(&rest),
        "{rest} ns are left after {spent}"
    );
    // An absolute sleep reports nothing.
    let until = time::timespec(time::monotonic_ns() + 2000 * time::MS);
    let mut untouched = libc::timespec {
        tv_sec: 77,
        tv_nsec: 88,
    };
    errno_is!(
        interrupted(|| sys!(
            SYS_clock_nanosleep,
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &until,
            &mut untouched
        ))?,
        EINTR
    );
    check_eq!((untouched.tv_sec, untouched.tv_nsec), (77, 88));
    Ok(())
}

/// A child that makes a timed call is stopped for a while and continued; the call must take its full time and succeed.
fn over_a_stop(call: impl FnOnce() -> SysResult, expected: Result<i64, i32>) -> Outcome {
    let mut child = process::fork(|| {
        let start = time::monotonic_ns();
        let result = call().map_err(|error| error.errno);
        let spent = (time::monotonic_ns() - start) / time::MS;
        match result {
            result if result != expected => 100 + result.err().unwrap_or(0),
            _ if (200..200 + time::LATE / time::MS).contains(&spent) => 1,
            _ => 2,
        }
    })?;
    time::sleep_ms(40);
    child.kill(libc::SIGSTOP)?;
    time::sleep_ms(40);
    child.kill(libc::SIGCONT)?;
    check_eq!(child.wait()?.code(), Some(1));
    Ok(())
}

fn nanosleep_continues_after_stop_and_continue() -> Outcome {
    over_a_stop(|| time::nanosleep(200 * time::MS), Ok(0))?;
    over_a_stop(
        || {
            sys!(
                SYS_clock_nanosleep,
                libc::CLOCK_BOOTTIME,
                0,
                &time::timespec(200 * time::MS),
                0
            )
        },
        Ok(0),
    )
}

fn poll_continues_after_stop_and_continue() -> Outcome {
    over_a_stop(|| sys!(SYS_poll, 0, 0, 200), Ok(0))?;
    over_a_stop(
        || {
            sys!(
                SYS_futex,
                &5_u32,
                libc::FUTEX_WAIT,
                5,
                &time::timespec(200 * time::MS),
                0,
                0
            )
        },
        Err(libc::ETIMEDOUT),
    )
}

/// signal(7): on Linux, `epoll_wait(2)` and some others fail with EINTR after SIGCONT even without a handler.
fn epoll_wait_continues_not_after_stop() -> Outcome {
    let epoll = fd::Fd::own(sys!(SYS_epoll_create1, 0)?);
    let mut child = process::fork(|| {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }];
        sys!(SYS_epoll_wait, &epoll, &mut events, 1, 2000).map_or_else(|error| error.errno, |_| 0)
    })?;
    time::sleep_ms(40);
    child.kill(libc::SIGSTOP)?;
    sys!(SYS_wait4, child.pid, 0, libc::WUNTRACED, 0)?;
    child.kill(libc::SIGCONT)?;
    check_eq!(child.wait()?.code(), Some(libc::EINTR));
    Ok(())
}

fn ignored_signal_does_not_interrupt() -> Outcome {
    signal::set_disposition(libc::SIGUSR1, libc::SIG_IGN)?;
    let mut child = disturb()?;
    let start = time::monotonic_ns();
    time::nanosleep(150 * time::MS)?;
    check!(time::monotonic_ns() - start >= 150 * time::MS);
    child.wait()?;
    // A blocked one does not either.
    signal::set_disposition(libc::SIGUSR1, libc::SIG_DFL)?;
    signal::block(signal::bit(libc::SIGUSR1))?;
    let mut child = disturb()?;
    time::nanosleep(150 * time::MS)?;
    child.wait()?;
    Ok(())
}

fn accept_and_recv_restart() -> Outcome {
    let (left, right) = fd::socketpair(libc::SOCK_STREAM)?;
    let mut byte = 0_u8;
    errno_is!(
        interrupted(|| sys!(SYS_recvfrom, &left, &mut byte, 1, 0, 0, 0))?,
        EINTR
    );
    let mut helper = process::fork(|| {
        time::sleep_ms(150);
        let _ = right.write(b"y");
        0
    })?;
    check_eq!(
        restarted(|| sys!(SYS_recvfrom, &left, &mut byte, 1, 0, 0, 0))??,
        1
    );
    helper.wait()?;
    // With a receive timeout there is no restart.
    let timeout = libc::timeval {
        tv_sec: 5,
        tv_usec: 0,
    };
    sys!(
        SYS_setsockopt,
        &left,
        libc::SOL_SOCKET,
        libc::SO_RCVTIMEO,
        &timeout,
        size_of::<libc::timeval>()
    )?;
    errno_is!(
        restarted(|| sys!(SYS_recvfrom, &left, &mut byte, 1, 0, 0, 0))?,
        EINTR
    );
    Ok(())
}

fn flock_is_eintr_and_restarts() -> Outcome {
    let dir = crate::support::file::TempDir::new()?;
    let path = dir.file("f", b"")?;
    let (one, two) = (
        fd::open(&path, libc::O_RDWR, 0)?,
        fd::open(&path, libc::O_RDWR, 0)?,
    );
    sys!(SYS_flock, &one, libc::LOCK_EX)?;
    errno_is!(interrupted(|| sys!(SYS_flock, &two, libc::LOCK_EX))?, EINTR);
    let mut lock = sys::zeroed::<libc::flock>();
    lock.l_type = libc::F_WRLCK as i16;
    let (reader, writer) = fd::pipe(0)?;
    let mut holder = process::fork(|| {
        let _ = sys!(SYS_fcntl, &one, libc::F_SETLK, &lock);
        let _ = writer.write(b"r");
        time::sleep_ms(250);
        0
    })?;
    reader.read(1)?;
    errno_is!(
        interrupted(|| sys!(SYS_fcntl, &two, libc::F_SETLKW, &lock))?,
        EINTR
    );
    check_eq!(
        restarted(|| sys!(SYS_fcntl, &two, libc::F_SETLKW, &lock))??,
        0
    );
    holder.wait()?;
    Ok(())
}

/// A signal that is pending when a call starts to wait ends it at once.
fn sigpending_signal_interrupts_at_once() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(signal::bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    let start = time::monotonic_ns();
    errno_is!(
        sys!(SYS_ppoll, 0, 0, &time::timespec(2 * time::LATE), &0_u64, 8),
        EINTR
    );
    check!(time::monotonic_ns() - start < time::LATE);
    check_eq!(
        (signal::count(), signal::mask()?),
        (1, signal::bit(libc::SIGUSR1))
    );
    Ok(())
}

fn restarted_call_is_not_lost_with_two_signals() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, libc::SA_RESTART)?;
    signal::handle(libc::SIGUSR2, signal::record, libc::SA_RESTART)?;
    let (reader, writer) = fd::pipe(0)?;
    let (pid, tid) = (process::getpid(), process::gettid());
    let sender = std::thread::spawn(move || {
        // Two at a time, the next two when both have arrived: on a busy host that takes as long as it takes.
        for arrived in (0..40).step_by(2) {
            let _ = sys!(SYS_tgkill, pid, tid, libc::SIGUSR1);
            let _ = sys!(SYS_tgkill, pid, tid, libc::SIGUSR2);
            while signal::count() < arrived + 2 {
                time::sleep_ms(1);
            }
        }
        writer.write(b"z").is_ok()
    });
    let mut byte = 0_u8;
    check_eq!(sys!(SYS_read, &reader, &mut byte, 1)?, 1);
    check!(sender.join().is_ok_and(|wrote| wrote));
    check_eq!((byte, signal::count()), (b'z', 40));
    Ok(())
}

/// ERESTARTSYS and its relatives (512 to 516) are the kernel's own.
fn kernel_numbers_never_escape() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    signal::handle(libc::SIGALRM, signal::record, 0)?;
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: 3000,
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    sys!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0)?;
    let mut byte = 0_u8;
    for _ in 0..10 {
        errno_is!(sys!(SYS_read, &reader, &mut byte, 1), EINTR);
        errno_is!(time::nanosleep(1000 * time::MS), EINTR);
        errno_is!(sys!(SYS_poll, 0, 0, 1000), EINTR);
    }
    Ok(())
}
