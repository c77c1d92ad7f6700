//! A terminal of the host as the container's own: its bytes go in and out of the master end of a pseudo
//! terminal. The host's side is raw, so that the line discipline, the foreground process group and job
//! control are all this kernel's.
//!
//! One host thread per terminal moves the bytes. The open file description is the caller's and is never
//! made non-blocking: it is polled first, and writes are short enough not to wait.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abi::Errno;
use abi::termios::Winsize;
use locks::{Condvar, Mutex};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io;

use super::Tty;
use crate::error::Result;
use crate::kernel::wait_queue::{Events, Registration, Waiter, Wakeup};

/// What a terminal that is ready takes without waiting (`WAKEUP_CHARS`).
const STEP: usize = 256;
/// Bytes read at a time.
const CHUNK: usize = 4096;

/// The host's terminal and the pseudo terminal that stands for it.
#[derive(Debug)]
pub struct HostTerminal {
    tty: Arc<Tty>,
    fd: OwnedFd,
    kick: Arc<Kick>,
    closed: AtomicBool,
    shown: Mutex<()>,
    all_shown: Condvar,
    registration: Mutex<Option<Registration>>,
}

/// Wakes the thread.
#[derive(Debug)]
struct Kick(OwnedFd);

impl Waiter for Kick {
    fn notify(&self, _events: Events) -> bool {
        // A counter that is full has woken the thread already.
        let _ = io::write(&self.0, &1u64.to_ne_bytes());
        true
    }
}

impl HostTerminal {
    /// Connects `tty`, whose master end nobody else has, with the host's terminal `fd`, and starts the
    /// thread. The size of the window is the host's.
    ///
    /// # Errors
    /// EAGAIN if the host has no thread or descriptor to give.
    pub fn start(tty: Arc<Tty>, fd: OwnedFd) -> Result<Arc<HostTerminal>> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let kick = Arc::new(Kick(eventfd(0, flags).map_err(host::errno)?));
        let terminal = Arc::new(HostTerminal {
            tty,
            fd,
            kick: kick.clone(),
            closed: AtomicBool::new(false),
            shown: Mutex::new(()),
            all_shown: Condvar::new(),
            registration: Mutex::new(None),
        });
        let events = Events::IN | Events::OUT;
        let registration = terminal
            .tty
            .master_queue
            .register(kick, events, Wakeup::Shared);
        *terminal.registration.lock() = Some(registration);
        terminal.take_size();
        let worker = terminal.clone();
        std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || worker.run())
            .map_err(|_| Errno::EAGAIN)?;
        Ok(terminal)
    }

    /// The pseudo terminal.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    /// The host's window has another size (SIGWINCH).
    pub fn take_size(&self) {
        if let Ok(size) = rustix::termios::tcgetwinsize(&self.fd) {
            self.tty.set_size(Winsize {
                row: size.ws_row,
                col: size.ws_col,
                xpixel: size.ws_xpixel,
                ypixel: size.ws_ypixel,
            });
        }
    }

    /// Sets the size of the window from outside (a resize request).
    pub fn set_size(&self, size: Winsize) {
        self.tty.set_size(size);
    }

    /// Waits until everything that was written is shown, for `at_most`; whether it is.
    #[must_use]
    pub fn drain(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        let mut shown = self.shown.lock();
        while self.tty.output_len() > 0 && !self.closed.load(Ordering::Acquire) {
            if self.all_shown.wait_until(&mut shown, end).timed_out() {
                return false;
            }
        }
        true
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.kick.notify(Events::IN);
    }

    fn run(&self) {
        while !self.closed.load(Ordering::Acquire) {
            if self.turn().is_err() {
                self.closed.store(true, Ordering::Release);
                self.tty.state.lock().master_open = false;
                self.tty.hang_up();
            }
        }
        self.registration.lock().take();
        self.tell_shown();
    }

    fn tell_shown(&self) {
        drop(self.shown.lock());
        self.all_shown.notify_all();
    }

    /// Waits for something to do and does it. An error: the host's terminal is gone.
    fn turn(&self) -> Result<()> {
        let room = self.tty.input_room();
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, room > 0);
        wanted.set(PollFlags::OUT, self.tty.output_len() > 0);
        let mut fds = [
            PollFd::from_borrowed_fd(self.fd.as_fd(), wanted),
            PollFd::new(&self.kick.0, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(io::Errno::INTR) => return Ok(()),
            Err(errno) => return Err(host::errno(errno)),
        }
        let (terminal, kicked) = (fds[0].revents(), fds[1].revents());
        if !kicked.is_empty() {
            let mut count = [0; 8];
            // Only the wake-up matters.
            let _ = io::read(&self.kick.0, &mut count);
        }
        if terminal.contains(PollFlags::OUT) {
            self.show()?;
        }
        if terminal.contains(PollFlags::IN) && room > 0 {
            self.read(room)
        } else if terminal.intersects(PollFlags::HUP | PollFlags::ERR) {
            Err(Errno::EIO)
        } else {
            Ok(())
        }
    }

    fn show(&self) -> Result<()> {
        let bytes = self.tty.take_output(STEP);
        if !bytes.is_empty() {
            let done = match io::write(&self.fd, &bytes) {
                Ok(done) => done,
                Err(io::Errno::INTR | io::Errno::AGAIN) => 0,
                Err(errno) => return Err(host::errno(errno)),
            };
            self.tty.return_output(&bytes[done..]);
        }
        if self.tty.output_len() == 0 {
            self.tell_shown();
        }
        Ok(())
    }

    fn read(&self, room: usize) -> Result<()> {
        let mut buffer = [0; CHUNK];
        let len = room.min(CHUNK);
        match io::read(&self.fd, &mut buffer[..len]) {
            Ok(0) => Err(Errno::EIO),
            Ok(len) => {
                self.tty.type_in(&buffer[..len]);
                Ok(())
            }
            Err(io::Errno::INTR | io::Errno::AGAIN) => Ok(()),
            Err(errno) => Err(host::errno(errno)),
        }
    }
}
