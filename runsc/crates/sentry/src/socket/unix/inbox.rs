//! What was sent to a socket and not read yet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;

use super::UnixSocket;
use super::names::Name;
use super::rights::Rights;
use crate::error::Result;
use crate::fs::ring::Ring;
use crate::kernel::oom::holdings;
use crate::kernel::wait_queue::Events;
use crate::socket::message::Sender;
use crate::vfs::io::Source;

/// What a message costs its sender beyond its bytes, about what Linux's buffers do.
pub(super) const OVERHEAD: usize = 768;

/// What a socket has sent and nobody has read: bounded by its send buffer.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    owner: Weak<UnixSocket>,
}

impl Budget {
    pub(super) fn new(owner: Weak<UnixSocket>) -> Budget {
        Budget {
            used: AtomicUsize::new(0),
            owner,
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    pub(super) fn charge(&self, len: usize) {
        self.used.fetch_add(len, Ordering::AcqRel);
    }

    /// Gives back `len`; the owner, if it has come to be writable and is to be told.
    fn give_back(&self, len: usize) -> Option<Arc<UnixSocket>> {
        let before = self.used.fetch_sub(len, Ordering::AcqRel);
        let owner = self.owner.upgrade()?;
        let limit = owner.common.lock().send_buffer as usize;
        let crossed = before * 4 > limit && (before - len) * 4 <= limit;
        crossed.then_some(owner)
    }
}

/// A message, or a run of a stream's bytes that belong together.
#[derive(Debug)]
pub(super) struct Segment {
    /// Bytes of it that are still in the ring.
    pub(super) len: usize,
    /// What is charged to the sender beyond these bytes.
    overhead: usize,
    budget: Arc<Budget>,
    pub(super) rights: Option<Rights>,
    pub(super) sender: Option<Sender>,
    pub(super) source: Option<Arc<Name>>,
    /// `MSG_EOR`: the sender's record ends here.
    pub(super) ends_record: bool,
}

/// What goes into an inbox with the bytes of a segment.
#[derive(Debug)]
pub(super) struct SegmentHeader {
    pub(super) budget: Arc<Budget>,
    pub(super) rights: Option<Rights>,
    pub(super) sender: Option<Sender>,
    pub(super) source: Option<Arc<Name>>,
    pub(super) ends_record: bool,
}

impl SegmentHeader {
    fn into_segment(self, len: usize) -> Segment {
        Segment {
            len,
            overhead: OVERHEAD,
            budget: self.budget,
            rights: self.rights,
            sender: self.sender,
            source: self.source,
            ends_record: self.ends_record,
        }
    }
}

/// Whom to tell after bytes have left an inbox, with no lock held.
#[derive(Debug, Default)]
pub(super) struct Freed {
    writable: Vec<Arc<UnixSocket>>,
}

impl Freed {
    pub(super) fn tell(self) {
        for socket in self.writable {
            socket.queue.wake(Events::OUT | Events::WRNORM);
        }
    }
}

/// The queue of one socket.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) ring: Ring,
    pub(super) segments: VecDeque<Segment>,
    /// The socket is closed.
    pub(super) closed: bool,
    /// Datagrams that may wait here from others than the socket's own peer: `net.unix.max_dgram_qlen` when it was made.
    most_waiting: usize,
    /// Those who found it full.
    blocked: Vec<Weak<UnixSocket>>,
}

impl Inbox {
    pub(super) fn new(most_waiting: usize) -> Inbox {
        Inbox {
            most_waiting,
            ..Inbox::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Files that are in it.
    pub(super) fn files(&self) -> usize {
        let rights = self
            .segments
            .iter()
            .filter_map(|segment| segment.rights.as_ref());
        rights.map(Rights::count).sum()
    }

    /// What the messages in it take, with the files in them, which are followed to `depth`.
    pub(super) fn held_bytes(&self, depth: u32) -> u64 {
        let segments = (self.segments.len() * size_of::<Segment>()) as u64;
        let rights = || {
            self.segments
                .iter()
                .filter_map(|segment| segment.rights.as_ref())
        };
        let files = match depth.checked_sub(1) {
            None => 0,
            Some(depth) => rights()
                .flat_map(Rights::files)
                .map(|file| holdings::of_file(file, depth))
                .sum(),
        };
        self.ring.allocated() as u64 + segments + files
    }

    /// Bytes that FIONREAD reports: all, or those of the first message.
    pub(super) fn readable(&self, messages: bool) -> usize {
        if messages {
            self.segments.front().map_or(0, |segment| segment.len)
        } else {
            self.ring.len()
        }
    }

    /// Whether datagrams of strangers have to wait; remembers `sender` to be told when not.
    pub(super) fn note_if_full(&mut self, sender: &Weak<UnixSocket>) -> bool {
        if self.segments.len() <= self.most_waiting {
            return false;
        }
        if !self.blocked.iter().any(|known| known.ptr_eq(sender)) {
            self.blocked.push(sender.clone());
        }
        true
    }

    /// Appends up to `count` bytes of a stream.
    pub(super) fn append(
        &mut self,
        source: &mut Source<'_>,
        count: usize,
        header: SegmentHeader,
    ) -> core::result::Result<usize, (Errno, SegmentHeader)> {
        let len = match self.ring.fill(source, count) {
            Ok(len) => len,
            Err(errno) => return Err((errno, header)),
        };
        match self.segments.back_mut() {
            Some(back) if joins(back, &header) => {
                back.len += len;
                header.budget.charge(len);
            }
            _ => {
                header.budget.charge(len + OVERHEAD);
                self.segments.push_back(header.into_segment(len));
            }
        }
        Ok(len)
    }

    /// Appends a whole message.
    pub(super) fn push(
        &mut self,
        source: &mut Source<'_>,
        header: SegmentHeader,
    ) -> core::result::Result<usize, (Errno, SegmentHeader)> {
        let len = source.remaining();
        if let Err(errno) = self.ring.fill_whole(source, len) {
            return Err((errno, header));
        }
        header.budget.charge(len + OVERHEAD);
        self.segments.push_back(header.into_segment(len));
        Ok(len)
    }

    /// Drops `len` bytes of the first segment, which has them.
    pub(super) fn take_bytes(&mut self, len: usize, freed: &mut Freed) {
        self.ring.skip(len);
        self.took_bytes(len, freed);
    }

    /// As [`Inbox::take_bytes`] for what has left the ring already.
    pub(super) fn took_bytes(&mut self, len: usize, freed: &mut Freed) {
        if let Some(front) = self.segments.front_mut() {
            front.len -= len;
            freed.writable.extend(front.budget.give_back(len));
        }
    }

    /// Removes the first segment with what is left of it.
    pub(super) fn pop(&mut self, freed: &mut Freed) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        self.ring.skip(segment.len);
        let back = segment.len + segment.overhead;
        freed.writable.extend(segment.budget.give_back(back));
        if self.segments.len() == self.most_waiting {
            let blocked = std::mem::take(&mut self.blocked);
            freed
                .writable
                .extend(blocked.iter().filter_map(Weak::upgrade));
        }
        Some(segment)
    }

    /// Throws everything away: the files to be buried, and who waited for room.
    pub(super) fn close(&mut self) -> (Vec<Rights>, Vec<Weak<UnixSocket>>) {
        self.closed = true;
        let mut freed = Freed::default();
        let mut rights = Vec::new();
        while let Some(segment) = self.pop(&mut freed) {
            rights.extend(segment.rights);
        }
        let mut waiting = std::mem::take(&mut self.blocked);
        waiting.extend(freed.writable.iter().map(Arc::downgrade));
        (rights, waiting)
    }

    /// Takes the files out and leaves the bytes, for the collector.
    pub(super) fn strip_rights(&mut self) -> Vec<Rights> {
        let segments = self.segments.iter_mut();
        segments
            .filter_map(|segment| segment.rights.take())
            .collect()
    }

    /// EPIPE or ECONNREFUSED for a sender, if the socket is closed.
    pub(super) fn check_open(&self, errno: Errno) -> Result<()> {
        if self.closed { Err(errno) } else { Ok(()) }
    }
}

/// Whether bytes of a stream go on in `back`.
fn joins(back: &Segment, header: &SegmentHeader) -> bool {
    let same_sender = match (&back.sender, &header.sender) {
        (None, None) => true,
        (Some(one), Some(other)) => one.same(other),
        _ => false,
    };
    back.rights.is_none()
        && header.rights.is_none()
        && same_sender
        && Arc::ptr_eq(&back.budget, &header.budget)
}
