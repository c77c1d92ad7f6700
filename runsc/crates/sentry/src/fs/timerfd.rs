//! Timers read from a descriptor (`man 2 timerfd_create`).

use std::sync::{Arc, OnceLock, Weak};

use abi::Errno;
use abi::raw::ioctl;
use locks::Mutex;

use crate::error::{Result, SyscallResult};
use crate::kernel::kernel::Kernel;
use crate::kernel::task::Task;
use crate::kernel::timers::timer::{Setting, Start, Timer, TimerClock};
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile};
use crate::vfs::io::Sink;

/// `TFD_IOC_SET_TICKS`
const SET_TICKS: u32 = ioctl::TFD_IOC_SET_TICKS;

/// A timer that is read.
#[derive(Debug)]
pub struct TimerFd {
    clock_id: i32,
    timer: OnceLock<Timer>,
    state: Mutex<State>,
    queue: WaitQueue,
}

#[derive(Debug, Default)]
struct State {
    /// Expiries since the last read or setting.
    ticks: u64,
    absolute: bool,
}

impl TimerFd {
    /// A timer on `clock`, which the application knows as `clock_id`; not armed.
    #[must_use]
    pub fn new(kernel: &Arc<Kernel>, clock: TimerClock, clock_id: i32) -> Arc<TimerFd> {
        let file = Arc::new(TimerFd {
            clock_id,
            timer: OnceLock::new(),
            state: Mutex::default(),
            queue: WaitQueue::new(),
        });
        let myself: Weak<TimerFd> = Arc::downgrade(&file);
        let timer = Timer::new(
            kernel,
            clock,
            Box::new(move |times| {
                if let Some(file) = myself.upgrade() {
                    file.expired(times);
                }
            }),
        );
        // Nobody else has it yet.
        let _ = file.timer.set(timer);
        file
    }

    fn expired(&self, times: u64) {
        let mut state = self.state.lock();
        state.ticks = state.ticks.saturating_add(times);
        drop(state);
        self.queue.wake(Events::IN | Events::RDNORM);
    }

    fn timer(&self) -> &Timer {
        self.timer.get().expect("new() sets the timer")
    }

    /// Arms or disarms it; how it was set.
    pub fn set(&self, setting: Setting, start: Start) -> Setting {
        let before = self.timer().set(setting, start);
        let mut state = self.state.lock();
        state.ticks = 0;
        state.absolute = start == Start::Absolute;
        drop(state);
        // A time in the past has expired before this returns.
        self.timer().check();
        before
    }

    /// How it is set.
    #[must_use]
    pub fn get(&self) -> Setting {
        self.timer().get()
    }
}

impl File for TimerFd {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        if sink.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        self.timer().check();
        let ticks = std::mem::take(&mut self.state.lock().ticks);
        if ticks == 0 {
            return Err(Errno::EAGAIN);
        }
        sink.write(&ticks.to_ne_bytes())
    }

    fn poll(&self) -> Events {
        if self.state.lock().ticks > 0 {
            Events::IN | Events::RDNORM
        } else {
            Events::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        if command != SET_TICKS {
            return Err(Errno::ENOTTY.into());
        }
        let ticks: u64 = task.mm().read_value(argument.address())?;
        if ticks == 0 {
            return Err(Errno::EINVAL.into());
        }
        self.state.lock().ticks = ticks;
        self.queue.wake(Events::IN | Events::RDNORM);
        Ok(0)
    }

    fn fd_info(&self) -> String {
        let setting = self.get();
        let state = self.state.lock();
        let split = |nanos: u64| (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let (value, interval) = (split(setting.value_ns), split(setting.interval_ns));
        format!(
            "clockid: {}\nticks: {}\nsettime flags: 0{}\nit_value: ({}, {})\nit_interval: ({}, {})\n",
            self.clock_id,
            state.ticks,
            u8::from(state.absolute),
            value.0,
            value.1,
            interval.0,
            interval.1,
        )
    }
}
