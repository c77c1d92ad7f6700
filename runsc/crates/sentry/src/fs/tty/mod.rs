//! Terminals (`man 7 pty`, `man 3 termios`, `man 2 ioctl_tty`): pseudo terminals with a line discipline, and
//! the terminal of the host that a container may have been given.
//!
//! A [`Tty`] is the pair: programs have its slave end, whoever shows it has the master end. The host's
//! terminal is a pair too, whose master end [`host`] moves bytes for.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`mod@line`], [`output`] | the line discipline: state machines without locks |
//! | [`slave`], [`master`] | the ends, as files |
//! | [`control`] | sessions, the foreground process group, hanging up |
//! | [`ioctl`] | `man 2 ioctl_tty` |
//! | [`host`] | the host's terminal |
//!
//! Numbers and names are the business of [`super::devpts`].
//!
//! # Locks
//! `Tty::state` is held for a moment only: nothing is signalled, woken or copied from user memory under it.

pub mod control;
pub mod host;
mod ioctl;
mod line;
pub mod master;
mod output;
pub mod slave;

use std::sync::{Arc, Weak};

use abi::termios::{LocalFlags, Termios, Winsize};
use locks::Mutex;

use crate::kernel::job_control;
use crate::kernel::pids::{ProcessGroup, Session};
use crate::kernel::signal::{Signal, SignalInfo, state};
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::attr::Device;

pub use control::session_leader_exited;

/// A terminal that can control a session.
#[derive(Debug)]
pub struct Tty {
    /// The number of its slave end.
    pub device: Device,
    state: Mutex<State>,
    slave_queue: WaitQueue,
    master_queue: WaitQueue,
}

#[derive(Debug, Default)]
struct State {
    termios: Termios,
    size: Winsize,
    line: line::Line,
    output: output::Output,
    session: Weak<Session>,
    foreground: Weak<ProcessGroup>,
    /// Counts hang-ups: a slave end that was opened before one is dead.
    hangups: u64,
    master_open: bool,
    /// Slave ends that are open and alive.
    slaves: usize,
    /// There was one, ever.
    had_slave: bool,
    /// TIOCSPTLCK: the slave end can't be opened yet.
    locked: bool,
    /// TIOCEXCL
    exclusive: bool,
    /// TIOCPKT: what the master is to be told of.
    packet: Option<u8>,
    /// When a byte was typed last, in nanoseconds of the host's monotonic clock.
    last_input: Option<std::time::Instant>,
}

impl State {
    fn is_canonical(&self) -> bool {
        self.termios.local().contains(LocalFlags::ICANON)
    }
}

/// Packet mode's status bits (`man 2 ioctl_tty`, TIOCPKT).
mod packet {
    pub(super) const FLUSH_READ: u8 = 1;
    pub(super) const FLUSH_WRITE: u8 = 2;
    pub(super) const STOP: u8 = 4;
    pub(super) const START: u8 = 8;
}

impl Tty {
    /// A pair whose master end is open, and whose slave end is locked.
    #[must_use]
    pub fn new(device: Device) -> Arc<Tty> {
        Arc::new(Tty {
            device,
            state: Mutex::new(State {
                master_open: true,
                locked: true,
                ..State::default()
            }),
            slave_queue: WaitQueue::new(),
            master_queue: WaitQueue::new(),
        })
    }

    /// TIOCSPTLCK
    pub fn set_locked(&self, locked: bool) {
        self.state.lock().locked = locked;
    }

    /// The size of the window.
    #[must_use]
    pub fn size(&self) -> Winsize {
        self.state.lock().size
    }

    /// Changes the size of the window; the foreground process group gets SIGWINCH if that is news.
    pub fn set_size(&self, size: Winsize) {
        let before = std::mem::replace(&mut self.state.lock().size, size);
        if before != size {
            self.signal_foreground(Signal::SIGWINCH);
        }
    }

    /// Bytes arrive at the master end: they are typed. Returns how many were taken.
    pub fn type_in(&self, bytes: &[u8]) -> usize {
        let mut signals = Vec::new();
        let taken = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            let canonical = state.is_canonical();
            let was_stopped = state.output.is_stopped();
            let mut taken = 0;
            for byte in bytes {
                if state.line.room(canonical) == 0 {
                    break;
                }
                signals.extend(state.line.receive(*byte, &state.termios, &mut state.output));
                taken += 1;
            }
            state.last_input = Some(std::time::Instant::now());
            let is_stopped = state.output.is_stopped();
            if let Some(status) = &mut state.packet
                && was_stopped != is_stopped
            {
                *status |= if is_stopped {
                    packet::STOP
                } else {
                    packet::START
                };
            }
            taken
        };
        for signal in signals {
            self.signal_foreground(signal);
        }
        if taken > 0 {
            self.slave_queue
                .wake(Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM);
            self.master_queue.wake(Events::IN | Events::RDNORM);
        }
        taken
    }

    /// How many bytes [`Tty::type_in`] would take now.
    #[must_use]
    pub fn input_room(&self) -> usize {
        let state = self.state.lock();
        state.line.room(state.is_canonical())
    }

    /// Up to `count` bytes that programs have written, for the master end.
    #[must_use]
    pub fn take_output(&self, count: usize) -> Vec<u8> {
        let bytes = self.state.lock().output.take(count);
        if !bytes.is_empty() {
            self.slave_queue.wake(Events::OUT | Events::WRNORM);
        }
        bytes
    }

    /// Gives back output that could not be shown yet.
    fn return_output(&self, bytes: &[u8]) {
        self.state.lock().output.put_back(bytes);
    }

    /// Bytes that programs have written and nobody has shown.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.state.lock().output.len()
    }

    fn signal_foreground(&self, signal: Signal) {
        let foreground = self.state.lock().foreground.upgrade();
        if let Some(foreground) = foreground {
            signal_process_group(&foreground, signal);
        }
    }
}

fn signal_process_group(process_group: &Arc<ProcessGroup>, signal: Signal) {
    for member in job_control::members(process_group) {
        state::send_to_group(&member, SignalInfo::kernel(signal));
    }
}
