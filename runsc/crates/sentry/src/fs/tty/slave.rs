//! The end of a terminal that programs use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abi::Errno;
use abi::termios::{LocalFlags, cc};
use locks::Mutex;

use super::control::Access;
use super::{State, Tty, ioctl};
use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::timers::timer::Start;
use crate::kernel::timers::{Setting, Timer, TimerClock};
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, OpenFlags, Position, Written};
use crate::vfs::io::{Sink, Source};

/// Most bytes taken from or given to a program at a time.
const CHUNK: usize = 4096;
/// VTIME counts these.
const TENTH: Duration = Duration::from_millis(100);

/// An open slave end.
#[derive(Debug)]
pub struct SlaveFile {
    tty: Arc<Tty>,
    /// The terminal's hang-ups when it was opened.
    hangups: u64,
    nonblocking: AtomicBool,
    wait: Mutex<TimedWait>,
}

/// A read with VTIME that is under way.
#[derive(Debug, Default)]
struct TimedWait {
    since: Option<std::time::Instant>,
    timer: Option<Timer>,
}

impl SlaveFile {
    /// Opens the slave end. EIO: locked, or the master end is closed; EBUSY: TIOCEXCL.
    pub fn open(tty: &Arc<Tty>, task: &Task, flags: OpenFlags) -> Result<Arc<SlaveFile>> {
        {
            let state = tty.state.lock();
            if state.locked || !state.master_open {
                return Err(Errno::EIO);
            }
            if state.exclusive && !task.has_capability(Capability::SysAdmin) {
                return Err(Errno::EBUSY);
            }
        }
        let file = SlaveFile::attach(tty, flags);
        if !flags.contains(OpenFlags::NOCTTY) {
            tty.adopt(task);
        }
        Ok(file)
    }

    /// An open slave end for whoever has the right to one anyway.
    #[must_use]
    pub fn attach(tty: &Arc<Tty>, flags: OpenFlags) -> Arc<SlaveFile> {
        let hangups = {
            let mut state = tty.state.lock();
            state.slaves += 1;
            state.had_slave = true;
            state.hangups
        };
        Arc::new(SlaveFile {
            tty: tty.clone(),
            hangups,
            nonblocking: AtomicBool::new(flags.contains(OpenFlags::NONBLOCK)),
            wait: Mutex::default(),
        })
    }

    /// The terminal.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    fn is_dead(&self, state: &State) -> bool {
        state.hangups != self.hangups
    }

    /// Takes what a read gets, none if it has to wait.
    fn take(&self, task: &Task, count: usize) -> Option<Vec<u8>> {
        let mut state = self.tty.state.lock();
        if self.is_dead(&state) {
            return Some(Vec::new());
        }
        let canonical = state.is_canonical();
        if canonical {
            return state
                .line
                .has_input(canonical)
                .then(|| state.line.take(count, canonical));
        }
        let available = state.line.readable();
        let (min, time) = (
            usize::from(state.termios.cc[cc::VMIN]),
            u32::from(state.termios.cc[cc::VTIME]),
        );
        let impatient = self.nonblocking.load(Ordering::Relaxed) && available > 0;
        if available >= min.clamp(1, count) || impatient || (min == 0 && time == 0) {
            self.wait.lock().since = None;
            return Some(state.line.take(count, canonical));
        }
        if time == 0 {
            return None;
        }
        let last_input = state.last_input.filter(|_| min > 0);
        drop(state);
        if min > 0 && available == 0 {
            return None;
        }
        let expired = self.has_expired(task, TENTH * time, last_input);
        expired.then(|| self.tty.state.lock().line.take(count, canonical))
    }

    /// Whether VTIME has passed: since the last byte, or since the read began.
    fn has_expired(
        &self,
        task: &Task,
        time: Duration,
        last_input: Option<std::time::Instant>,
    ) -> bool {
        /// A wait that ended this long ago was another read's.
        const STALE: Duration = Duration::from_millis(50);
        let mut wait = self.wait.lock();
        let began = wait.since.filter(|since| since.elapsed() < time + STALE);
        let since = *wait
            .since
            .insert(began.unwrap_or_else(std::time::Instant::now));
        let passed = last_input.unwrap_or(since).elapsed();
        if passed >= time {
            wait.since = None;
            return true;
        }
        let tty = Arc::downgrade(&self.tty);
        let timer = wait.timer.get_or_insert_with(|| {
            let wake = move |_| {
                if let Some(tty) = tty.upgrade() {
                    tty.slave_queue.wake(Events::IN | Events::RDNORM);
                }
            };
            Timer::new(task.kernel(), TimerClock::Monotonic, Box::new(wake))
        });
        let left = time.saturating_sub(passed);
        let setting = Setting {
            value_ns: u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1),
            interval_ns: 0,
        };
        timer.set(setting, Start::Relative);
        false
    }
}

impl File for SlaveFile {
    fn read(&self, task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        match self.tty.access(task, Signal::SIGTTIN) {
            Access::Granted => {}
            Access::Refused => return Err(Errno::EIO),
            // The signal ends the wait.
            Access::Signalled => return Err(Errno::EAGAIN),
        }
        let count = sink.remaining().min(CHUNK);
        if count == 0 {
            return Ok(0);
        }
        let bytes = self.take(task, count).ok_or(Errno::EAGAIN)?;
        if !bytes.is_empty() {
            self.tty.master_queue.wake(Events::OUT | Events::WRNORM);
        }
        sink.write(&bytes)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        let stops = {
            let state = self.tty.state.lock();
            if self.is_dead(&state) {
                return Err(Errno::EIO);
            }
            state.termios.local().contains(LocalFlags::TOSTOP)
        };
        if stops {
            match self.tty.access(task, Signal::SIGTTOU) {
                Access::Granted => {}
                Access::Refused => return Err(Errno::EIO),
                Access::Signalled => return Err(Errno::EAGAIN),
            }
        }
        let mut done = 0;
        while source.remaining() > 0 {
            if !self.tty.state.lock().output.has_room() {
                break;
            }
            let bytes = source.read_to_vec(CHUNK)?;
            let mut state = self.tty.state.lock();
            let state = &mut *state;
            // Once taken from the program they can't be given back: the queue may run over a little.
            state.output.post_all(&bytes, &state.termios);
            done += bytes.len();
        }
        if done == 0 && source.remaining() > 0 {
            return Err(Errno::EAGAIN);
        }
        self.tty.master_queue.wake(Events::IN | Events::RDNORM);
        Ok(Written { len: done, end: 0 })
    }

    fn poll(&self) -> Events {
        let state = self.tty.state.lock();
        let (input, output) = (Events::IN | Events::RDNORM, Events::OUT | Events::WRNORM);
        if self.is_dead(&state) {
            return input | output | Events::HUP | Events::ERR;
        }
        let enough = if state.is_canonical() {
            state.line.has_input(true)
        } else {
            let min = usize::from(state.termios.cc[cc::VMIN]);
            let least = if state.termios.cc[cc::VTIME] == 0 {
                min.max(1)
            } else {
                1
            };
            state.line.readable() >= least
        };
        let mut events = Events::empty();
        events.set(input, enough);
        events.set(output, state.output.has_room());
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.slave_queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        if self.is_dead(&self.tty.state.lock()) {
            return Err(Errno::EIO.into());
        }
        ioctl::slave(&self.tty, task, command, argument)
    }

    fn release(&self, _open: &OpenFile) {
        let last = {
            let mut state = self.tty.state.lock();
            if self.is_dead(&state) {
                return;
            }
            state.slaves = state.slaves.saturating_sub(1);
            state.slaves == 0
        };
        if last {
            self.tty.master_queue.wake(Events::IN | Events::HUP);
        }
    }

    fn flags_changed(&self, open: &OpenFile) {
        self.nonblocking
            .store(open.is_nonblocking(), Ordering::Relaxed);
    }
}
