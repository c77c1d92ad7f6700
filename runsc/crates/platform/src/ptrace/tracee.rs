//! A stub thread that the calling OS thread traces and that is stopped: made to perform host calls
//! on the tracer's behalf.

use super::code::{self, Entry};
use crate::{Result, ThreadState};
use abi::Errno;
use host::ptrace;
use host::wait::{self, Event};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a new process is let run before it has to be asleep: some 20 seconds in all.
const SETTLE_TRIES: u32 = 2_000;
/// After how many of them it is waited for asleep: on a busy processor, yielding may never let it run
/// between being let go and being stopped.
const SETTLE_YIELDS: u32 = 16;
const SETTLE_PAUSE: Duration = Duration::from_micros(50);
const SETTLE_LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// A stopped thread, traced by the OS thread that holds this. It is not bound to a lifetime: it has
/// to be given back with [`Tracee::release`], or ended.
#[derive(Debug)]
pub(super) struct Tracee {
    pid: i32,
    tid: i32,
    /// Its exit status has been taken: the ids may be another's.
    ended: AtomicBool,
}

/// A host call's number and arguments.
pub(super) type Call = (libc::c_long, [u64; 6]);

impl Tracee {
    /// Attaches to a sleeping stub thread and stops it.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, `EPERM` when it may not be traced.
    pub(super) fn attach(pid: i32, tid: i32) -> Result<Tracee> {
        ptrace::seize(tid, ptrace::OPTION_SYSGOOD | ptrace::OPTION_EXITKILL)?;
        let tracee = Tracee {
            pid,
            tid,
            ended: AtomicBool::new(false),
        };
        tracee.stop()?;
        Ok(tracee)
    }

    fn stop(&self) -> Result<()> {
        self.alive(ptrace::interrupt(self.tid))?;
        self.wait().map(drop)
    }

    /// The thread's id on the host.
    pub(super) fn tid(&self) -> i32 {
        self.tid
    }

    /// Lets the thread run until `settled` says so of its instruction address.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, `EAGAIN` when it does not get there.
    pub(super) fn settle(&self, settled: impl Fn(u64) -> bool) -> Result<()> {
        for nr_tries in 0..SETTLE_TRIES {
            if settled(self.registers()?.rip) {
                return Ok(());
            }
            self.alive(ptrace::cont(self.tid))?;
            match nr_tries.checked_sub(SETTLE_YIELDS) {
                None => rustix::thread::sched_yield(),
                Some(nr_pauses) => {
                    let pause = SETTLE_PAUSE * (nr_pauses + 1);
                    std::thread::sleep(pause.min(SETTLE_LONGEST_PAUSE));
                }
            }
            self.stop()?;
        }
        Err(Errno::EAGAIN)
    }

    /// The general registers.
    ///
    /// # Errors
    /// `ESRCH` when the thread is gone.
    pub(super) fn registers(&self) -> Result<ThreadState> {
        self.usable()?;
        let mut state = ThreadState::default();
        self.alive(ptrace::get_registers(
            self.tid,
            zerocopy::transmute_mut!(&mut state),
        ))?;
        Ok(state)
    }

    /// Performs a host call in the stub.
    ///
    /// # Errors
    /// The call's, or `ESRCH` when the thread ended over it.
    pub(super) fn call(&self, call: Call) -> Result<u64> {
        self.call_at(Entry::Call, call)
    }

    /// Performs a clone in the stub; the child sleeps. The child's thread id.
    ///
    /// # Errors
    /// The call's, or `ESRCH` when the thread ended over it.
    pub(super) fn clone_at(&self, entry: Entry, flags: u64) -> Result<i32> {
        let tid = self.call_at(entry, (libc::SYS_clone, [flags, 0, 0, 0, 0, 0]))?;
        i32::try_from(tid).map_err(|_| Errno::EIO)
    }

    /// Performs the calls in the stub's page of commands, up to `len` bytes of it.
    ///
    /// # Errors
    /// The first failed call's, or `ESRCH` when the thread ended over it.
    pub(super) fn call_batch(&self, len: usize) -> Result<()> {
        let (r12, r13) = (address(code::COMMANDS), address(code::COMMANDS + len));
        self.start(ThreadState {
            r12,
            r13,
            ..at(Entry::Batch)
        })?;
        self.result().map(drop)
    }

    fn call_at(&self, entry: Entry, (number, arguments): Call) -> Result<u64> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let rax = number.cast_unsigned();
        self.start(ThreadState {
            rax,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..at(entry)
        })?;
        self.result()
    }

    /// The result of a call, once the thread has come to the trap behind it.
    fn result(&self) -> Result<u64> {
        self.wait_for_trap()?;
        let result = self.registers()?.rax.cast_signed();
        match u64::try_from(result) {
            Ok(value) => Ok(value),
            Err(_) => Err(i32::try_from(-result).map_or(Errno::EIO, Errno::from_raw)),
        }
    }

    fn start(&self, state: ThreadState) -> Result<()> {
        self.set_registers(&state)?;
        self.alive(ptrace::cont(self.tid))
    }

    fn set_registers(&self, state: &ThreadState) -> Result<()> {
        self.usable()?;
        self.alive(ptrace::set_registers(
            self.tid,
            zerocopy::transmute_ref!(state),
        ))
    }

    /// Waits for the `int3` behind the call, through signals from elsewhere.
    fn wait_for_trap(&self) -> Result<()> {
        loop {
            match self.wait()? {
                Event::Signal(libc::SIGTRAP) => return Ok(()),
                Event::Signal(signal) if super::exit::is_exception(signal) => {
                    if self.alive(ptrace::signal_info(self.tid))?.code > 0 {
                        return Err(self.end()); // the code page itself can't fault
                    }
                }
                Event::Ended => return Err(Errno::ESRCH),
                Event::Signal(_) | Event::Stop | Event::Syscall => {}
            }
            self.alive(ptrace::cont(self.tid))?;
        }
    }

    /// Waits for the thread to stop.
    ///
    /// # Errors
    /// `ESRCH` when it ended instead.
    pub(super) fn wait(&self) -> Result<Event> {
        self.usable()?;
        match self.alive(wait::traced_thread(self.tid))?.event() {
            Event::Ended => {
                self.ended.store(true, Ordering::Relaxed);
                Err(Errno::ESRCH)
            }
            event => Ok(event),
        }
    }

    /// Lets the thread sleep, untraced.
    ///
    /// # Errors
    /// `ESRCH` when it is gone.
    pub(super) fn release(self) -> Result<()> {
        let state = at(Entry::Idle);
        self.set_registers(&state)?;
        self.alive(ptrace::detach(self.tid))
    }

    /// Ends the thread, alone.
    ///
    /// # Errors
    /// `ESRCH` when it was gone already.
    pub(super) fn retire(self) -> Result<()> {
        let rax = libc::SYS_exit.cast_unsigned();
        self.start(ThreadState {
            rax,
            ..at(Entry::Call)
        })?;
        while self.wait().is_ok() {
            self.alive(ptrace::cont(self.tid))?;
        }
        Ok(())
    }

    /// Passes a result on; a thread that can't be used as a tracee any more takes its process along,
    /// so that nobody ever waits for it.
    pub(super) fn alive<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|_| self.end())
    }

    fn usable(&self) -> Result<()> {
        if self.ended.load(Ordering::Relaxed) {
            Err(Errno::ESRCH)
        } else {
            Ok(())
        }
    }

    /// Kills the stub process, and takes this thread's exit status, without which nobody would see
    /// the process's. Always `ESRCH`.
    pub(super) fn end(&self) -> Errno {
        if self.ended.swap(true, Ordering::Relaxed) {
            return Errno::ESRCH;
        }
        // Errors mean that it is dead already, or that this OS thread is not its tracer.
        let _gone = ptrace::kill_process(self.pid);
        while let Ok(status) = wait::traced_thread(self.tid) {
            if status.event() == Event::Ended {
                break;
            }
        }
        Errno::ESRCH
    }
}

/// Registers for running stub code; no register of the application's stays.
fn at(entry: Entry) -> ThreadState {
    ThreadState::initial(address(entry.address()), 0)
}

fn address(address: usize) -> u64 {
    u64::try_from(address).unwrap_or(u64::MAX)
}

impl Tracee {
    /// Reads the extended registers.
    ///
    /// # Errors
    /// `ESRCH` when the thread is gone.
    pub(super) fn get_extended(&self, image: &mut [u8]) -> Result<()> {
        self.usable()?;
        self.alive(ptrace::get_xstate(self.tid, image)).map(drop)
    }

    /// Sets the extended registers.
    ///
    /// # Errors
    /// `ESRCH` when the thread is gone.
    pub(super) fn set_extended(&self, image: &[u8]) -> Result<()> {
        self.usable()?;
        self.alive(ptrace::set_xstate(self.tid, image))
    }
}
