//! What a pipe's lock guards: the bytes, their boundaries, the counts of ends.

use std::collections::VecDeque;

use abi::Errno;

use super::{DEFAULT_CAPACITY, MAX_CAPACITY, PIPE_BUF, Reading, pages};
use crate::error::Result;
use crate::fs::ring::Ring;
use crate::kernel::task::Task;
use crate::kernel::user_count::Charge;
use crate::vfs::io::{Sink, Source};

/// A run of bytes that reads treat alike.
#[derive(Clone, Copy, Debug)]
struct Segment {
    len: usize,
    /// Written with `O_DIRECT`: a read takes from this one only, and all of it.
    packet: bool,
}

/// A pipe's state.
#[derive(Debug)]
pub(super) struct State {
    ring: Ring,
    segments: VecDeque<Segment>,
    capacity: usize,
    /// The capacity, counted for the user who made the pipe or first set its size.
    charge: Option<Charge>,
    /// Open reading ends.
    pub(super) readers: usize,
    /// Open writing ends.
    pub(super) writers: usize,
    /// Reading ends ever opened.
    pub(super) reader_opens: u64,
    /// Writing ends ever opened.
    pub(super) writer_opens: u64,
}

impl State {
    pub(super) fn new() -> State {
        State {
            ring: Ring::default(),
            segments: VecDeque::new(),
            capacity: DEFAULT_CAPACITY,
            charge: None,
            readers: 0,
            writers: 0,
            reader_opens: 0,
            writer_opens: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// What the bytes in it take.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.ring.allocated()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a write of `PIPE_BUF` bytes fits: what POLLOUT means.
    pub(super) fn is_writable(&self) -> bool {
        self.ring.len() + PIPE_BUF <= self.capacity && self.has_slot()
    }

    /// Packets take a page each, however short they are.
    fn has_slot(&self) -> bool {
        self.segments.len() < self.capacity / PIPE_BUF
    }

    pub(super) fn read(&mut self, sink: &mut Sink<'_>, reading: Reading) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        if self.ring.is_empty() {
            return if self.writers == 0 {
                Ok(0)
            } else {
                Err(Errno::EAGAIN)
            };
        }
        match reading {
            Reading::Consume => self.take(sink),
            Reading::Peek => self.ring.peek(0, sink, self.ring.len()),
        }
    }

    fn take(&mut self, sink: &mut Sink<'_>) -> Result<usize> {
        let mut done = 0;
        while let Some(front) = self.segments.front_mut() {
            let wanted = front.len.min(sink.remaining());
            let moved = match self.ring.drain(sink, wanted) {
                Ok(moved) => moved,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            };
            done += moved;
            front.len -= moved;
            if front.packet {
                self.ring.skip(front.len);
                self.segments.pop_front();
                break;
            }
            if front.len > 0 {
                break;
            }
            self.segments.pop_front();
            if sink.remaining() == 0 {
                break;
            }
        }
        Ok(done)
    }

    pub(super) fn write(&mut self, source: &mut Source<'_>, packets: bool) -> Result<usize> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        if self.readers == 0 {
            return Err(Errno::EPIPE);
        }
        if packets {
            return self.write_packets(source);
        }
        let wanted = source.remaining();
        let free = self.capacity.saturating_sub(self.ring.len());
        if free == 0 || (wanted <= PIPE_BUF && free < wanted) {
            return Err(Errno::EAGAIN);
        }
        if wanted <= PIPE_BUF {
            self.ring.fill_whole(source, wanted)?;
            self.added(wanted, false);
            return Ok(wanted);
        }
        let got = self.ring.fill(source, free)?;
        self.added(got, false);
        Ok(got)
    }

    fn write_packets(&mut self, source: &mut Source<'_>) -> Result<usize> {
        let mut done = 0;
        while source.remaining() > 0 {
            let len = source.remaining().min(PIPE_BUF);
            let fits = self.has_slot() && self.ring.len() + len <= self.capacity;
            let outcome = if fits {
                self.ring.fill_whole(source, len)
            } else {
                Err(Errno::EAGAIN)
            };
            match outcome {
                Ok(()) => self.added(len, true),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            done += len;
        }
        Ok(done)
    }

    fn added(&mut self, len: usize, packet: bool) {
        match self.segments.back_mut() {
            Some(back) if !packet && !back.packet => back.len += len,
            _ => self.segments.push_back(Segment { len, packet }),
        }
    }

    /// Sets the capacity of a pipe in which nothing is yet, and what is charged for it.
    pub(super) fn limit(&mut self, capacity: usize, charge: Charge) {
        self.capacity = capacity;
        self.charge = Some(charge);
    }

    /// The capacity that a wish for `bytes` comes to.
    pub(super) fn check_capacity(&self, bytes: usize, privileged: bool) -> Result<usize> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let capacity = bytes.max(PIPE_BUF).next_power_of_two();
        if capacity > MAX_CAPACITY && capacity > self.capacity && !privileged {
            return Err(Errno::EPERM);
        }
        if self.ring.len() > capacity {
            return Err(Errno::EBUSY);
        }
        Ok(capacity)
    }

    /// Charges the user for a change of the capacity: whoever makes the first one pays for a fifo.
    pub(super) fn recharge(&mut self, task: &Task, old: usize, new: usize) -> Result<()> {
        let first = || {
            let uid = task.credentials().uid;
            task.kernel().pipe_pages.of(uid).charge(0)
        };
        let charge = self.charge.get_or_insert_with(first);
        pages::recharge(task, charge, old, new)
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }
}
