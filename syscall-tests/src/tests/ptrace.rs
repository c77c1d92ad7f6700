//! Tracing (`man 2 ptrace`).

use crate::case::{Failure, Outcome};
use crate::support::process::{self, Child, Status};
use crate::support::{creds, proc, signal, time};

cases! {
    system_calls_stop_twice,
    a_call_can_be_replaced,
    signals_are_seen_and_suppressed,
    a_signal_can_be_exchanged,
    registers_are_read_and_written,
    register_sets,
    floating_point_registers_are_written,
    steps_one_instruction,
    fork_event_attaches_the_child,
    exec_event_tells_of_the_call,
    exit_event_tells_the_status,
    seize_interrupts_and_listens,
    seize_of_a_stopped_process_hears_of_its_continuation,
    attach_stops_and_detach_goes_on,
    tracer_shows_in_status,
    seccomp_asks_the_tracer,
    exit_kill_kills,
    the_end_of_the_tracer_frees,
    waitid_says_trapped,
    errors,
    strangers_are_eperm,
}

const SYSGOOD: i32 = 0x85;

struct Tracee(Child);

impl Tracee {
    /// A child that asks to be traced, stops, and then runs `body`.
    fn new(body: impl FnOnce() -> i32) -> Result<Self, Failure> {
        let child = process::fork(|| {
            let _ = sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0);
            let _ = signal::raise(libc::SIGSTOP);
            body()
        })?;
        let tracee = Self(child);
        check_eq!(tracee.wait()?.stop(), Some(libc::SIGSTOP));
        Ok(tracee)
    }

    fn wait(&self) -> Result<Status, Failure> {
        let mut status = 0_i32;
        sys!(SYS_wait4, self.0.pid, &mut status, libc::__WALL, 0)?;
        Ok(Status(status))
    }

    fn go(&self, request: u32, signal: i32) -> Outcome {
        sys!(SYS_ptrace, request, self.0.pid, 0, signal)?;
        Ok(())
    }

    /// Lets it go on and waits for the next stop's signal.
    fn next(&self, request: u32, signal: i32) -> Result<Option<i32>, Failure> {
        self.go(request, signal)?;
        Ok(self.wait()?.stop())
    }

    fn options(&self, options: i32) -> Outcome {
        sys!(SYS_ptrace, libc::PTRACE_SETOPTIONS, self.0.pid, 0, options)?;
        Ok(())
    }

    fn registers(&self) -> Result<[u64; 27], Failure> {
        let mut registers = [0_u64; 27];
        sys!(
            SYS_ptrace,
            libc::PTRACE_GETREGS,
            self.0.pid,
            0,
            &mut registers
        )?;
        Ok(registers)
    }

    fn set_registers(&self, registers: &[u64; 27]) -> Outcome {
        sys!(SYS_ptrace, libc::PTRACE_SETREGS, self.0.pid, 0, registers)?;
        Ok(())
    }

    fn message(&self) -> Result<u64, Failure> {
        let mut message = 0_u64;
        sys!(
            SYS_ptrace,
            libc::PTRACE_GETEVENTMSG,
            self.0.pid,
            0,
            &mut message
        )?;
        Ok(message)
    }

    fn event(&self, status: Status) -> i32 {
        status.0 >> 16
    }
}

/// Where `struct user_regs_struct` has them.
const RAX: usize = 10;
const RDI: usize = 14;
const ORIG_RAX: usize = 15;
const RIP: usize = 16;

fn system_calls_stop_twice() -> Outcome {
    let tracee = Tracee::new(|| {
        let _ = sys!(SYS_dup, 777);
        3
    })?;
    tracee.options(libc::PTRACE_O_TRACESYSGOOD)?;
    let mut info = [0_u64; 11];
    let mut seen = false;
    for _ in 0..100 {
        let stop = tracee.next(libc::PTRACE_SYSCALL, 0)?;
        if stop != Some(SYSGOOD) {
            break;
        }
        let len = sys!(
            SYS_ptrace,
            libc::PTRACE_GET_SYSCALL_INFO,
            tracee.0.pid,
            88,
            &mut info
        )?;
        if info[0] & 0xff == 1 && info[3] == libc::SYS_dup as u64 {
            check_eq!(len, 80);
            check_eq!(info[4], 777);
            check_eq!(info[0] >> 32, 0xc000_003e);
            check_eq!(tracee.registers()?[RAX] as i64, -i64::from(libc::ENOSYS));
            check_eq!(tracee.message()?, 1);
            check_eq!(tracee.next(libc::PTRACE_SYSCALL, 0)?, Some(SYSGOOD));
            let len = sys!(
                SYS_ptrace,
                libc::PTRACE_GET_SYSCALL_INFO,
                tracee.0.pid,
                88,
                &mut info
            )?;
            check_eq!((len, info[0] & 0xff), (33, 2));
            check_eq!(info[3] as i64, -i64::from(libc::EBADF));
            check_eq!(info[4] & 0xff, 1);
            check_eq!(tracee.registers()?[ORIG_RAX], libc::SYS_dup as u64);
            seen = true;
            break;
        }
    }
    check!(seen);
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(3));
    tracee.0.forget();
    Ok(())
}

fn a_call_can_be_replaced() -> Outcome {
    let tracee = Tracee::new(|| i32::from(sys!(SYS_dup, 777).is_ok_and(|value| value == 55)))?;
    loop {
        check_eq!(tracee.next(libc::PTRACE_SYSCALL, 0)?, Some(libc::SIGTRAP));
        let mut registers = tracee.registers()?;
        if registers[ORIG_RAX] == libc::SYS_dup as u64 {
            // No call at all, and this for its result.
            registers[ORIG_RAX] = u64::MAX;
            tracee.set_registers(&registers)?;
            tracee.next(libc::PTRACE_SYSCALL, 0)?;
            let mut registers = tracee.registers()?;
            registers[RAX] = 55;
            tracee.set_registers(&registers)?;
            break;
        }
    }
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(1));
    tracee.0.forget();
    Ok(())
}

fn signals_are_seen_and_suppressed() -> Outcome {
    let tracee = Tracee::new(|| {
        let _ = signal::raise(libc::SIGTERM);
        let _ = signal::set_disposition(libc::SIGUSR1, libc::SIG_IGN);
        let _ = signal::raise(libc::SIGUSR1);
        4
    })?;
    check_eq!(tracee.next(libc::PTRACE_CONT, 0)?, Some(libc::SIGTERM));
    let mut info = crate::sys::zeroed::<libc::siginfo_t>();
    sys!(
        SYS_ptrace,
        libc::PTRACE_GETSIGINFO,
        tracee.0.pid,
        0,
        &mut info
    )?;
    check_eq!((info.si_signo, info.si_code), (libc::SIGTERM, -6));
    // Even an ignored signal is shown.
    check_eq!(tracee.next(libc::PTRACE_CONT, 0)?, Some(libc::SIGUSR1));
    tracee.go(libc::PTRACE_CONT, libc::SIGUSR1)?;
    check_eq!(tracee.wait()?.code(), Some(4));
    tracee.0.forget();
    Ok(())
}

fn a_signal_can_be_exchanged() -> Outcome {
    let tracee = Tracee::new(|| {
        let _ = signal::raise(libc::SIGUSR1);
        4
    })?;
    check_eq!(tracee.next(libc::PTRACE_CONT, 0)?, Some(libc::SIGUSR1));
    tracee.go(libc::PTRACE_CONT, libc::SIGTERM)?;
    check_eq!(tracee.wait()?.signal(), Some(libc::SIGTERM));
    tracee.0.forget();
    Ok(())
}

fn registers_are_read_and_written() -> Outcome {
    let tracee = Tracee::new(|| {
        let _ = sys!(SYS_exit_group, 1);
        0
    })?;
    loop {
        check_eq!(tracee.next(libc::PTRACE_SYSCALL, 0)?, Some(libc::SIGTRAP));
        let mut registers = tracee.registers()?;
        if registers[ORIG_RAX] == libc::SYS_exit_group as u64 {
            let mut word = 0_u64;
            sys!(
                SYS_ptrace,
                libc::PTRACE_PEEKUSER,
                tracee.0.pid,
                RDI * 8,
                &mut word
            )?;
            check_eq!(word, 1);
            registers[RDI] = 42;
            tracee.set_registers(&registers)?;
            errno_is!(
                sys!(
                    SYS_ptrace,
                    libc::PTRACE_PEEKUSER,
                    tracee.0.pid,
                    3,
                    &mut word
                ),
                EIO
            );
            errno_is!(
                sys!(
                    SYS_ptrace,
                    libc::PTRACE_PEEKUSER,
                    tracee.0.pid,
                    4096,
                    &mut word
                ),
                EIO
            );
            break;
        }
    }
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(42));
    tracee.0.forget();
    Ok(())
}

fn register_sets() -> Outcome {
    let tracee = Tracee::new(|| 0)?;
    let mut bytes = [0_u64; 2048];
    let mut set = |kind: u32, len: u64| -> Result<u64, Failure> {
        let mut buffer = [bytes.as_mut_ptr() as u64, len];
        sys!(
            SYS_ptrace,
            libc::PTRACE_GETREGSET,
            tracee.0.pid,
            kind,
            &mut buffer
        )?;
        Ok(buffer[1])
    };
    check_eq!(set(1, 16_384)?, 216);
    check_eq!(set(1, 16)?, 16);
    check_eq!(set(2, 16_384)?, 512);
    check!(set(0x202, 16_384)? >= 576);
    // The mask of components: x87 and SSE at least.
    check_eq!(bytes[58] & 3, 3);
    let mut buffer = [bytes.as_mut_ptr() as u64, 512];
    errno_is!(
        sys!(
            SYS_ptrace,
            libc::PTRACE_GETREGSET,
            tracee.0.pid,
            0x7777,
            &mut buffer
        ),
        EINVAL
    );
    Ok(())
}

fn floating_point_registers_are_written() -> Outcome {
    let tracee = Tracee::new(|| 0)?;
    let mut image = [0_u64; 64];
    sys!(
        SYS_ptrace,
        libc::PTRACE_GETFPREGS,
        tracee.0.pid,
        0,
        &mut image
    )?;
    // xmm5 begins at byte 160 + 5 * 16.
    image[30] = 0x1234;
    sys!(SYS_ptrace, libc::PTRACE_SETFPREGS, tracee.0.pid, 0, &image)?;
    let mut again = [0_u64; 64];
    sys!(
        SYS_ptrace,
        libc::PTRACE_GETFPREGS,
        tracee.0.pid,
        0,
        &mut again
    )?;
    check_eq!(again[30], 0x1234);
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(0));
    tracee.0.forget();
    Ok(())
}

fn steps_one_instruction() -> Outcome {
    let tracee = Tracee::new(|| 6)?;
    let mut last = tracee.registers()?[RIP];
    for _ in 0..20 {
        check_eq!(
            tracee.next(libc::PTRACE_SINGLESTEP, 0)?,
            Some(libc::SIGTRAP)
        );
        let now = tracee.registers()?[RIP];
        check!(now != last, "the instruction pointer stays at {now:#x}");
        last = now;
    }
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(6));
    tracee.0.forget();
    Ok(())
}

fn fork_event_attaches_the_child() -> Outcome {
    let tracee = Tracee::new(|| {
        process::status_of(|| 7)
            .ok()
            .and_then(Status::code)
            .unwrap_or(99)
    })?;
    // fork(3) is clone(2) with SIGCHLD: the kernel calls that a fork.
    tracee.options(libc::PTRACE_O_TRACEFORK)?;
    tracee.go(libc::PTRACE_CONT, 0)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGTRAP), libc::PTRACE_EVENT_FORK)
    );
    let grandchild = tracee.message()? as i32;
    let mut status = 0_i32;
    sys!(SYS_wait4, grandchild, &mut status, libc::__WALL, 0)?;
    check_eq!(Status(status).stop(), Some(libc::SIGSTOP));
    sys!(SYS_ptrace, libc::PTRACE_CONT, grandchild, 0, 0)?;
    tracee.go(libc::PTRACE_CONT, 0)?;
    sys!(SYS_wait4, grandchild, &mut status, libc::__WALL, 0)?;
    check_eq!(Status(status).code(), Some(7));
    check_eq!(tracee.wait()?.stop(), Some(libc::SIGCHLD));
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(7));
    tracee.0.forget();
    Ok(())
}

fn exec_event_tells_of_the_call() -> Outcome {
    let program = super::execve::program()?;
    let tracee = Tracee::new(|| {
        let _ = super::execve::exec(&program, &["helper", "exit", "9"]);
        200
    })?;
    tracee.options(libc::PTRACE_O_TRACEEXEC)?;
    tracee.go(libc::PTRACE_CONT, 0)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGTRAP), libc::PTRACE_EVENT_EXEC)
    );
    check_eq!(tracee.message()?, tracee.0.pid as u64);
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(9));
    tracee.0.forget();
    Ok(())
}

fn exit_event_tells_the_status() -> Outcome {
    let tracee = Tracee::new(|| 5)?;
    tracee.options(libc::PTRACE_O_TRACEEXIT)?;
    tracee.go(libc::PTRACE_CONT, 0)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGTRAP), libc::PTRACE_EVENT_EXIT)
    );
    check_eq!(tracee.message()?, 5 << 8);
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(5));
    tracee.0.forget();
    Ok(())
}

fn seize_interrupts_and_listens() -> Outcome {
    const STOP: i32 = 128;
    let tracee = Tracee(process::fork_sleeper()?);
    let pid = tracee.0.pid;
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 1, 0), EIO);
    sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0)?;
    sys!(SYS_ptrace, libc::PTRACE_INTERRUPT, pid, 0, 0)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGTRAP), STOP)
    );
    tracee.go(libc::PTRACE_CONT, 0)?;
    tracee.0.kill(libc::SIGSTOP)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGSTOP), 0)
    );
    tracee.go(libc::PTRACE_CONT, libc::SIGSTOP)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGSTOP), STOP)
    );
    sys!(SYS_ptrace, libc::PTRACE_LISTEN, pid, 0, 0)?;
    check!(time::wait_until(
        || proc::state(pid).is_ok_and(|state| "Tt".contains(state))
    ));
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_CONT, pid, 0, 0), ESRCH);
    tracee.0.kill(libc::SIGCONT)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGTRAP), STOP)
    );
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.stop(), Some(libc::SIGCONT));
    Ok(())
}

/// Stopped before it is seized, continued while it is stopped for its tracer: it is told of the stop, then of the
/// stop's end, then of the signal.
fn seize_of_a_stopped_process_hears_of_its_continuation() -> Outcome {
    const STOP: i32 = 128;
    for _ in 0..40 {
        let tracee = Tracee(process::fork_sleeper()?);
        let pid = tracee.0.pid;
        tracee.0.kill(libc::SIGSTOP)?;
        check!(time::wait_until(
            || proc::state(pid).is_ok_and(|state| state == 'T')
        ));
        sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0)?;
        let status = tracee.wait()?;
        check_eq!(
            (status.stop(), tracee.event(status)),
            (Some(libc::SIGSTOP), STOP)
        );
        tracee.0.kill(libc::SIGCONT)?;
        tracee.go(libc::PTRACE_CONT, 0)?;
        let status = tracee.wait()?;
        check_eq!(
            (status.stop(), tracee.event(status)),
            (Some(libc::SIGTRAP), STOP)
        );
        tracee.go(libc::PTRACE_CONT, 0)?;
        let status = tracee.wait()?;
        check_eq!(
            (status.stop(), tracee.event(status)),
            (Some(libc::SIGCONT), 0)
        );
        tracee.go(libc::PTRACE_CONT, libc::SIGCONT)?;
        check!(time::wait_until(
            || proc::state(pid).is_ok_and(|state| state == 'S')
        ));
    }
    Ok(())
}

fn attach_stops_and_detach_goes_on() -> Outcome {
    let tracee = Tracee(process::fork_sleeper()?);
    let pid = tracee.0.pid;
    sys!(SYS_ptrace, libc::PTRACE_ATTACH, pid, 0, 0)?;
    check_eq!(tracee.wait()?.stop(), Some(libc::SIGSTOP));
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_ATTACH, pid, 0, 0), EPERM);
    check_eq!(proc::state(pid)?, 't');
    sys!(SYS_ptrace, libc::PTRACE_DETACH, pid, 0, 0)?;
    check!(time::wait_until(
        || proc::state(pid).is_ok_and(|state| state == 'S')
    ));
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_CONT, pid, 0, 0), ESRCH);
    Ok(())
}

fn tracer_shows_in_status() -> Outcome {
    let tracee = Tracee::new(|| 0)?;
    let path = format!("/proc/{}/status", tracee.0.pid);
    check_eq!(
        proc::field(&path, "TracerPid")?,
        process::getpid().to_string()
    );
    check_eq!(proc::field(&path, "State")?, "t (tracing stop)");
    check_eq!(proc::field("/proc/self/status", "TracerPid")?, "0");
    Ok(())
}

fn seccomp_asks_the_tracer() -> Outcome {
    let tracee = Tracee::new(|| {
        let word = |code: u64, jf: u64, k: u64| code | jf << 24 | k << 32;
        let program = [
            word(0x20, 0, 0),
            word(0x15, 1, libc::SYS_getppid as u64),
            word(0x06, 0, 0x7ff0_0000 | 99),
            word(0x06, 0, 0x7fff_0000),
        ];
        let header = [4_u64, program.as_ptr() as u64];
        let _ = sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let _ = sys!(SYS_seccomp, 1, 0, &header);
        i32::from(sys!(SYS_getppid).is_ok_and(|pid| pid > 0))
    })?;
    tracee.options(libc::PTRACE_O_TRACESECCOMP)?;
    tracee.go(libc::PTRACE_CONT, 0)?;
    let status = tracee.wait()?;
    check_eq!(
        (status.stop(), tracee.event(status)),
        (Some(libc::SIGTRAP), 7)
    );
    check_eq!(tracee.message()?, 99);
    check_eq!(tracee.registers()?[ORIG_RAX], libc::SYS_getppid as u64);
    tracee.go(libc::PTRACE_CONT, 0)?;
    check_eq!(tracee.wait()?.code(), Some(1));
    tracee.0.forget();
    Ok(())
}

/// Runs a tracer of a sleeper with `options` that ends at once; gives the sleeper, which is the caller's.
fn orphaned(options: i32) -> Result<Child, Failure> {
    let sleeper = process::fork_sleeper()?;
    let pid = sleeper.pid;
    process::in_child(|| {
        sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, options)?;
        sys!(SYS_ptrace, libc::PTRACE_INTERRUPT, pid, 0, 0)?;
        let mut status = 0_i32;
        sys!(SYS_wait4, pid, &mut status, libc::__WALL, 0)?;
        check_eq!(Status(status).stop(), Some(libc::SIGTRAP));
        Ok(())
    })?;
    Ok(sleeper)
}

fn exit_kill_kills() -> Outcome {
    let mut sleeper = orphaned(libc::PTRACE_O_EXITKILL)?;
    check_eq!(sleeper.wait()?.signal(), Some(libc::SIGKILL));
    Ok(())
}

fn the_end_of_the_tracer_frees() -> Outcome {
    let sleeper = orphaned(0)?;
    check!(time::wait_until(
        || proc::state(sleeper.pid).is_ok_and(|state| state == 'S')
    ));
    check_eq!(
        proc::field(&format!("/proc/{}/status", sleeper.pid), "TracerPid")?,
        "0"
    );
    Ok(())
}

fn waitid_says_trapped() -> Outcome {
    let tracee = Tracee::new(|| {
        let _ = signal::raise(libc::SIGUSR1);
        0
    })?;
    tracee.go(libc::PTRACE_CONT, 0)?;
    let mut info = crate::sys::zeroed::<libc::siginfo_t>();
    sys!(
        SYS_waitid,
        libc::P_PID,
        tracee.0.pid,
        &mut info,
        libc::WSTOPPED,
        0
    )?;
    let (_, _, value) = signal::sender(&info);
    check_eq!(
        (info.si_signo, info.si_code),
        (libc::SIGCHLD, libc::CLD_TRAPPED)
    );
    check_eq!(value as i32, libc::SIGUSR1);
    Ok(())
}

fn errors() -> Outcome {
    let own = process::getpid();
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_ATTACH, own, 0, 0), EPERM);
    errno_is!(
        sys!(SYS_ptrace, libc::PTRACE_ATTACH, 4_000_000, 0, 0),
        ESRCH
    );
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_CONT, own, 0, 0), ESRCH);
    let tracee = Tracee::new(|| 0)?;
    let pid = tracee.0.pid;
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_CONT, pid, 0, 99), EIO);
    errno_is!(
        sys!(SYS_ptrace, libc::PTRACE_SETOPTIONS, pid, 0, 0x4000_0000),
        EINVAL
    );
    errno_is!(sys!(SYS_ptrace, 0x4fff, pid, 0, 0), EIO);
    let mut word = 0_u64;
    errno_is!(
        sys!(SYS_ptrace, libc::PTRACE_PEEKDATA, pid, 8, &mut word),
        EIO
    );
    errno_is!(sys!(SYS_ptrace, libc::PTRACE_INTERRUPT, pid, 0, 0), EIO);
    process::in_child(|| {
        errno_is!(sys!(SYS_ptrace, libc::PTRACE_CONT, pid, 0, 0), ESRCH);
        sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0)?;
        errno_is!(sys!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0), EPERM);
        Ok(())
    })
}

fn strangers_are_eperm() -> Outcome {
    let sleeper = process::fork_sleeper()?;
    let pid = sleeper.pid;
    process::in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_ptrace, libc::PTRACE_ATTACH, pid, 0, 0), EPERM);
        errno_is!(sys!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0), EPERM);
        Ok(())
    })
}
