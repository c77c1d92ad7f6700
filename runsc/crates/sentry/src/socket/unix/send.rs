//! Sending.

use std::sync::Arc;

use abi::Errno;

use super::inbox::{OVERHEAD, SegmentHeader};
use super::names;
use super::rights::Rights;
use super::{Connection, UnixSocket};
use crate::error::Result;
use crate::fs::pipe::broken_pipe;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::socket::message::Sender;
use crate::socket::{MessageFlags, Outgoing, Shutdown, SocketType};

/// What a message's header takes from the send buffer (`man 7 unix` leaves it out).
const HEADER: usize = 32;

impl UnixSocket {
    pub(super) fn send_message(&self, task: &Task, message: &mut Outgoing<'_>) -> Result<usize> {
        if message.flags.contains(MessageFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.kind {
            SocketType::Stream => {
                let quiet = message.flags.contains(MessageFlags::NOSIGNAL);
                match self.send_stream(task, message) {
                    Err(Errno::EPIPE) if !quiet => Err(broken_pipe(task)),
                    other => other,
                }
            }
            SocketType::SeqPacket => {
                if !self.is_connected() {
                    return Err(Errno::ENOTCONN);
                }
                self.send_datagram(task, message, None)
            }
            _ => {
                let address = message.address.take();
                self.send_datagram(task, message, address.as_deref())
            }
        }
    }

    fn send_stream(&self, task: &Task, message: &mut Outgoing<'_>) -> Result<usize> {
        if message.address.is_some() {
            return Err(if self.is_connected() {
                Errno::EISCONN
            } else {
                Errno::EOPNOTSUPP
            });
        }
        if !self.is_connected() {
            return Err(Errno::ENOTCONN);
        }
        if self.shut().contains(Shutdown::WRITE) {
            return Err(Errno::EPIPE);
        }
        let Some(peer) = self.peer() else {
            return Err(Errno::EPIPE);
        };
        if message.source.remaining() == 0 {
            return Ok(0);
        }
        let limit = self.common.lock().send_buffer as usize;
        let free = limit.saturating_sub(self.budget.used());
        if free == 0 {
            return Err(Errno::EAGAIN);
        }
        let header = self.header(task, &peer, message)?;
        let outcome = {
            let mut inbox = peer.inbox.lock();
            match inbox.check_open(Errno::EPIPE) {
                Ok(()) => inbox.append(&mut message.source, free, header),
                Err(errno) => Err((errno, header)),
            }
        };
        self.sent(task, &peer, message, outcome)
    }

    fn send_datagram(
        &self,
        task: &Task,
        message: &mut Outgoing<'_>,
        address: Option<&[u8]>,
    ) -> Result<usize> {
        self.name_if_credentials_pass()?;
        let limit = self.common.lock().send_buffer as usize;
        let len = message.source.remaining();
        if len > limit.saturating_sub(HEADER) {
            return Err(Errno::EMSGSIZE);
        }
        if self.shut().contains(Shutdown::WRITE) {
            return Err(Errno::EPIPE);
        }
        let receiver = self.receiver(task, address)?;
        if self.kind == SocketType::Datagram {
            self.check_may_send(&receiver)?;
        }
        if receiver.shut().contains(Shutdown::READ) {
            return Err(Errno::EPIPE);
        }
        if let Some(manager) = receiver.service_manager.get() {
            return manager.tell(message);
        }
        let used = self.budget.used();
        if used > 0 && used + len + OVERHEAD > limit {
            return Err(Errno::EAGAIN);
        }
        let header = self.header(task, &receiver, message)?;
        let mutual = receiver.is_peer(self);
        let outcome = {
            let mut inbox = receiver.inbox.lock();
            let checked = inbox.check_open(Errno::ECONNREFUSED).and_then(|()| {
                if !mutual && inbox.note_if_full(&self.this) {
                    Err(Errno::EAGAIN)
                } else {
                    Ok(())
                }
            });
            match checked {
                Ok(()) => inbox.push(&mut message.source, header),
                Err(errno) => Err((errno, header)),
            }
        };
        self.sent(task, &receiver, message, outcome)
    }

    /// Where a datagram goes: ENOTCONN, ECONNREFUSED.
    fn receiver(&self, task: &Task, address: Option<&[u8]>) -> Result<Arc<UnixSocket>> {
        if let Some(address) = address {
            return names::find(task, self.net_ino, address, self.kind);
        }
        let mut state = self.state.lock();
        let Connection::Peer(peer) = &state.connection else {
            return Err(Errno::ENOTCONN);
        };
        match peer.upgrade() {
            Some(peer) => Ok(peer),
            None if self.kind == SocketType::SeqPacket => Err(Errno::EPIPE),
            None => {
                // The peer is gone: the socket is as if never connected.
                state.connection = Connection::None;
                Err(Errno::ECONNREFUSED)
            }
        }
    }

    /// What goes along with the bytes. The files are under way from here on.
    fn header(
        &self,
        task: &Task,
        receiver: &UnixSocket,
        message: &mut Outgoing<'_>,
    ) -> Result<SegmentHeader> {
        let wanted = self.common.lock().pass_credentials || receiver.common.lock().pass_credentials;
        let wants_pidfd = receiver.common.lock().pass_pidfd;
        let sender = match message.control.sender.clone() {
            Some(claimed) => Some(claimed),
            None => (wanted || wants_pidfd).then(|| Sender::of_message(task)),
        };
        let files = std::mem::take(&mut message.control.files);
        let rights = if files.is_empty() {
            None
        } else {
            Some(task.kernel().sockets.rights.depart(task, files)?)
        };
        Ok(SegmentHeader {
            budget: self.budget.clone(),
            rights,
            sender,
            source: self.name(),
            ends_record: message.flags.contains(MessageFlags::EOR),
        })
    }

    /// After an attempt: wakes the receiver, or takes the files back for the next one.
    fn sent(
        &self,
        task: &Task,
        receiver: &UnixSocket,
        message: &mut Outgoing<'_>,
        outcome: core::result::Result<usize, (Errno, SegmentHeader)>,
    ) -> Result<usize> {
        match outcome {
            Ok(len) => {
                receiver.queue.wake(Events::IN | Events::RDNORM);
                Ok(len)
            }
            Err((errno, header)) => {
                if let Some(rights) = header.rights {
                    message.control.files = take_back(task, rights);
                }
                Err(errno)
            }
        }
    }
}

fn take_back(task: &Task, rights: Rights) -> Vec<Arc<crate::vfs::file::OpenFile>> {
    let table = &task.kernel().sockets.rights;
    table.arrive(&mut table.lock(), rights)
}
