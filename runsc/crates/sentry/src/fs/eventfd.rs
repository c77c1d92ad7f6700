//! Event counters (`man 2 eventfd`).

use std::sync::Arc;

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::file::{File, Position, Written};
use crate::vfs::io::{Sink, Source};

/// The largest value a counter may hold.
const MAX: u64 = u64::MAX - 1;

/// How a read takes from the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// All of it.
    All,
    /// One (`EFD_SEMAPHORE`).
    One,
}

/// An event counter.
#[derive(Debug)]
pub struct EventFd {
    id: u64,
    taking: Taking,
    count: Mutex<u64>,
    queue: WaitQueue,
}

impl EventFd {
    /// A counter at `count`; `id` is for `/proc/[pid]/fdinfo`.
    #[must_use]
    pub fn new(id: u64, count: u64, taking: Taking) -> Arc<EventFd> {
        Arc::new(EventFd {
            id,
            taking,
            count: Mutex::new(count),
            queue: WaitQueue::new(),
        })
    }

    /// Adds one without waiting, as the kernel does to tell of a completion.
    pub fn signal(&self) {
        let mut count = self.count.lock();
        *count = count.saturating_add(1);
        drop(count);
        self.queue.wake(Events::IN | Events::RDNORM);
    }

    fn take(&self) -> Result<u64> {
        let mut count = self.count.lock();
        if *count == 0 {
            return Err(Errno::EAGAIN);
        }
        let taken = match self.taking {
            Taking::All => *count,
            Taking::One => 1,
        };
        *count -= taken;
        drop(count);
        self.queue.wake(Events::OUT | Events::WRNORM);
        Ok(taken)
    }

    fn add(&self, value: u64) -> Result<()> {
        if value > MAX {
            return Err(Errno::EINVAL);
        }
        let mut count = self.count.lock();
        let sum = count.checked_add(value).filter(|sum| *sum <= MAX);
        *count = sum.ok_or(Errno::EAGAIN)?;
        drop(count);
        self.queue.wake(Events::IN | Events::RDNORM);
        Ok(())
    }
}

impl File for EventFd {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        if sink.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        sink.write(&self.take()?.to_ne_bytes())
    }

    fn write(&self, _task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        const LEN: usize = size_of::<u64>();
        if source.remaining() < LEN {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; LEN];
        if source.read(&mut bytes)? < LEN {
            return Err(Errno::EFAULT);
        }
        self.add(u64::from_ne_bytes(bytes))?;
        Ok(Written { len: LEN, end: 0 })
    }

    fn poll(&self) -> Events {
        let count = *self.count.lock();
        let mut events = Events::empty();
        if count > 0 {
            events |= Events::IN | Events::RDNORM;
        }
        if count < MAX {
            events |= Events::OUT | Events::WRNORM;
        }
        if count == u64::MAX {
            events |= Events::ERR;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn fd_info(&self) -> String {
        let semaphore = u8::from(self.taking == Taking::One);
        format!(
            "eventfd-count: {:16x}\neventfd-id: {}\neventfd-semaphore: {semaphore}\n",
            *self.count.lock(),
            self.id
        )
    }
}

#[cfg(test)]
mod tests {
    use abi::Errno;

    use super::{EventFd, Taking};

    #[test]
    fn counts_add_up_and_a_semaphore_gives_one_at_a_time() {
        let counter = EventFd::new(1, 2, Taking::All);
        counter.add(3).unwrap();
        assert_eq!(counter.take(), Ok(5));
        assert_eq!(counter.take(), Err(Errno::EAGAIN));
        let semaphore = EventFd::new(2, 2, Taking::One);
        assert_eq!(semaphore.take(), Ok(1));
        assert_eq!(semaphore.take(), Ok(1));
        assert_eq!(semaphore.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn the_largest_count_is_one_below_the_largest_number() {
        let counter = EventFd::new(1, 0, Taking::All);
        assert_eq!(counter.add(u64::MAX), Err(Errno::EINVAL));
        counter.add(u64::MAX - 1).unwrap();
        assert_eq!(counter.add(1), Err(Errno::EAGAIN));
    }
}
