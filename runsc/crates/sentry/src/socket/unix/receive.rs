//! Receiving.

use abi::Errno;

use super::inbox::{Freed, Inbox, Segment};
use super::rights::Guard;
use super::{Connection, UnixSocket};
use crate::error::Result;
use crate::kernel::task::Task;
use crate::socket::{Incoming, MessageFlags, Shutdown, Socket, SocketType};
use crate::vfs::io::Sink;

impl UnixSocket {
    pub(super) fn receive_message(
        &self,
        task: &Task,
        sink: &mut Sink<'_>,
        flags: MessageFlags,
    ) -> Result<Incoming> {
        if flags.contains(MessageFlags::OOB) {
            return Err(if self.kind == SocketType::Stream {
                Errno::EINVAL
            } else {
                Errno::EOPNOTSUPP
            });
        }
        self.check_may_receive()?;
        let mut reader = Reader {
            socket: self,
            peeks: flags.contains(MessageFlags::PEEK),
            rights: None,
            incoming: Incoming::default(),
            freed: Freed::default(),
        };
        let common = *self.common.lock();
        reader.incoming.wants_credentials = common.pass_credentials;
        reader.incoming.wants_pidfd = common.pass_pidfd;
        let skip = peek_offset(&reader, common.peek_offset);
        let mut inbox = self.inbox.lock();
        if inbox.files() > 0 {
            // The lock of files under way comes first.
            drop(inbox);
            reader.rights = Some(task.kernel().sockets.rights.lock());
            inbox = self.inbox.lock();
        }
        let outcome = if self.kind == SocketType::Stream {
            reader.stream(task, &mut inbox, sink, skip)
        } else {
            reader.message(task, &mut inbox, sink, skip)
        };
        drop(inbox);
        drop(reader.rights.take());
        std::mem::take(&mut reader.freed).tell();
        outcome?;
        self.move_peek_offset(common.peek_offset, &reader);
        Ok(reader.incoming)
    }

    /// EINVAL or ENOTCONN: it has no connection to receive from.
    fn check_may_receive(&self) -> Result<()> {
        let connected = matches!(self.state.lock().connection, Connection::Peer(_));
        match self.kind {
            SocketType::Stream if !connected => Err(Errno::EINVAL),
            SocketType::SeqPacket if !connected => Err(Errno::ENOTCONN),
            _ => Ok(()),
        }
    }

    /// `SO_PEEK_OFF` moves on with what is peeked and back with what is read.
    fn move_peek_offset(&self, offset: i32, reader: &Reader<'_>) {
        if offset < 0 {
            return;
        }
        let len = i32::try_from(reader.incoming.stored).unwrap_or(i32::MAX);
        let mut common = self.common.lock();
        common.peek_offset = if reader.peeks {
            offset.saturating_add(len)
        } else {
            offset.saturating_sub(len).max(0)
        };
    }

    /// Nothing is there: the pending error, the end, or EAGAIN.
    fn nothing(&self) -> Result<()> {
        if let Some(errno) = self.take_error() {
            return Err(errno);
        }
        if self.shut().contains(Shutdown::READ) {
            return Ok(());
        }
        Err(Errno::EAGAIN)
    }
}

fn peek_offset(reader: &Reader<'_>, offset: i32) -> usize {
    if reader.peeks {
        usize::try_from(offset).unwrap_or(0)
    } else {
        0
    }
}

/// One call that receives.
struct Reader<'a> {
    socket: &'a UnixSocket,
    peeks: bool,
    /// Held if files may be taken.
    rights: Option<Guard<'a>>,
    incoming: Incoming,
    freed: Freed,
}

impl Reader<'_> {
    /// Bytes of a stream: across segments of the same sender, up to the end of one with files.
    fn stream(
        &mut self,
        task: &Task,
        inbox: &mut Inbox,
        sink: &mut Sink<'_>,
        mut skip: usize,
    ) -> Result<()> {
        if inbox.is_empty() {
            return self.socket.nothing();
        }
        let mut at = 0;
        let mut passed = 0;
        while let Some(segment) = inbox.segments.get(at) {
            if skip >= segment.len {
                // Peeking beyond this one.
                skip -= segment.len;
                passed += segment.len;
                at += 1;
                continue;
            }
            if self.incoming.stored > 0 && !self.goes_on(segment) {
                break;
            }
            if segment.rights.is_some() && self.rights.is_none() {
                // Files came while no lock was held for them: they are for the next call.
                if self.incoming.stored > 0 {
                    break;
                }
                return Err(Errno::EAGAIN);
            }
            let wanted = (segment.len - skip).min(sink.remaining());
            let from = if self.peeks { passed + skip } else { 0 };
            let moved = match inbox.ring.peek(from, sink, wanted) {
                Ok(moved) => moved,
                Err(errno) if self.incoming.stored == 0 => return Err(errno),
                Err(_) => break,
            };
            self.incoming.stored += moved;
            let takes_files = self.take_along(task, inbox, at);
            let whole = moved + skip == inbox.segments.get(at).map_or(0, |segment| segment.len);
            if self.peeks {
                passed += moved + skip;
                skip = 0;
                at += 1;
            } else {
                inbox.take_bytes(moved, &mut self.freed);
                if whole {
                    inbox.pop(&mut self.freed);
                }
            }
            if !whole || takes_files || sink.remaining() == 0 {
                break;
            }
        }
        self.incoming.len = self.incoming.stored;
        if self.incoming.stored == 0 && skip > 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    /// Whether bytes of `segment` may follow those that were stored.
    fn goes_on(&self, segment: &Segment) -> bool {
        if !self.incoming.wants_credentials {
            return true;
        }
        match (&self.incoming.control.sender, &segment.sender) {
            (Some(one), Some(other)) => one.same(other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Takes sender and files of a segment along; whether there were files.
    fn take_along(&mut self, task: &Task, inbox: &mut Inbox, at: usize) -> bool {
        let Some(segment) = inbox.segments.get_mut(at) else {
            return false;
        };
        if self.incoming.control.sender.is_none() {
            self.incoming.control.sender.clone_from(&segment.sender);
        }
        let Some(guard) = &mut self.rights else {
            return false;
        };
        let table = &task.kernel().sockets.rights;
        if self.peeks {
            let files = segment
                .rights
                .as_ref()
                .map(|rights| rights.files().to_vec());
            let any = files.is_some();
            self.incoming
                .control
                .files
                .extend(files.into_iter().flatten());
            return any;
        }
        let Some(rights) = segment.rights.take() else {
            return false;
        };
        self.incoming
            .control
            .files
            .extend(table.arrive(guard, rights));
        true
    }

    /// One message; what does not fit of it is lost.
    fn message(
        &mut self,
        task: &Task,
        inbox: &mut Inbox,
        sink: &mut Sink<'_>,
        skip: usize,
    ) -> Result<()> {
        let Some(first) = inbox.segments.front() else {
            return self.socket.nothing();
        };
        if first.rights.is_some() && self.rights.is_none() {
            return Err(Errno::EAGAIN);
        }
        let len = first.len;
        let skip = skip.min(len);
        self.incoming.len = len - skip;
        let wanted = self.incoming.len.min(sink.remaining());
        if wanted > 0 {
            self.incoming.stored = inbox.ring.peek(skip, sink, wanted)?;
            if self.incoming.stored < wanted {
                return Err(Errno::EFAULT);
            }
        }
        if self.incoming.len > wanted {
            self.incoming.flags |= MessageFlags::TRUNC;
        }
        if self.socket.kind == SocketType::SeqPacket && first.ends_record {
            self.incoming.flags |= MessageFlags::EOR;
        }
        if self.socket.kind == SocketType::Datagram {
            let source = first.source.clone();
            // Without a name the address is empty, not even a family (`man 7 unix`).
            self.incoming.address = Some(source.map_or_else(Vec::new, |name| name.encode()));
        }
        self.take_along(task, inbox, 0);
        if !self.peeks {
            inbox.pop(&mut self.freed);
        }
        Ok(())
    }
}
