//! Bytes into a socket and out of it. What programs write is copied once, into a buffer that then travels; no lock is held
//! meanwhile, since the program's memory may have to be fetched.

use std::sync::Arc;

use abi::Errno;

use super::connection::Connection;
use super::{SendFlags, Socket};
use crate::{Payload, Take};

impl Socket {
    /// Takes up to `len` bytes, as many as there is room for, which `fill` writes with no lock held: it is called for one or
    /// more buffers in turn, and fills each but the last one.
    ///
    /// `EAGAIN` without room or while it connects, `ENOTCONN`, `EPIPE` after `shutdown` or once the connection ended, the error
    /// that ended it before, and `fill`'s error if it took nothing.
    pub fn send(
        self: &Arc<Self>,
        len: usize,
        flags: SendFlags,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut sent = 0;
        while sent < len || len == 0 {
            match self.send_some(len - sent, flags, fill) {
                Ok(0) => break,
                Ok(more) => sent += more,
                Err(_) if sent > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        if sent < len && !flags.contains(SendFlags::MORE) {
            // More was to follow in this call, and did not.
            self.with(Connection::end_of_write);
            self.core.flush();
        }
        Ok(sent)
    }

    /// One buffer of what is to be sent.
    fn send_some(
        self: &Arc<Self>,
        len: usize,
        flags: SendFlags,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let room = self.with(|connection, cx| {
            let room = connection.room(cx)?.min(len).min(crate::payload::CHUNK);
            connection.set_aside(room);
            Ok(room)
        });
        let room = room.unwrap_or(Err(Errno::EPIPE))?;
        let mut chunk = self.core.pool.take(room);
        let filled = fill(chunk.bytes_mut());
        chunk.truncate(*filled.as_ref().unwrap_or(&0));
        let count = filled.as_ref().map_or(0, |filled| (*filled).min(room));
        // What follows in the same call is no reason to wait, except that the last buffer decides.
        let how = if count < len && count == room {
            flags | SendFlags::MORE
        } else {
            flags
        };
        let written = self.with(|connection, cx| {
            let written = if count == 0 {
                Ok(())
            } else {
                connection.write(chunk.into_payload(), how, cx)
            };
            connection.take_back(room, cx);
            written
        });
        self.core.flush();
        filled?;
        written.unwrap_or(Err(Errno::EPIPE)).map(|()| count)
    }

    /// Takes up to `max` bytes, which `copy` gets piece by piece, with no lock held. What it does not take stays, and stops it.
    ///
    /// No bytes are the end of the stream. `EAGAIN` if there is nothing, `ENOTCONN`, and the error that ended the connection.
    pub fn receive(
        self: &Arc<Self>,
        max: usize,
        take: Take,
        copy: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut payload = self
            .with(|connection, cx| connection.read(max, take, cx))
            .unwrap_or(Err(Errno::ENOTCONN))?;
        let mut copied = 0;
        let mut failure = None;
        for piece in payload.pieces() {
            match copy(piece) {
                Ok(some) => copied += some.min(piece.len()),
                Err(errno) => failure = Some(errno),
            }
            if failure.is_some() {
                break;
            }
        }
        if take == Take::Remove {
            payload.split_front(copied);
            self.was_read(copied, payload);
        }
        match failure {
            Some(errno) if copied == 0 => Err(errno),
            _ => Ok(copied),
        }
    }

    fn was_read(self: &Arc<Self>, copied: usize, rest: Payload) {
        self.with(|connection, cx| {
            if !rest.is_empty() {
                connection.put_back(rest);
            }
            connection.was_read(copied, cx);
        });
        self.core.flush();
    }

    /// The urgent byte (`MSG_OOB`). `EINVAL` if there is none, it was read, or `SO_OOBINLINE` is set; `EAGAIN` if it only comes.
    pub fn receive_urgent(self: &Arc<Self>, take: Take) -> Result<u8, Errno> {
        if self.inner.lock().options.urgent_inline {
            return Err(Errno::EINVAL);
        }
        self.with(|connection, _| connection.read_urgent(take))
            .unwrap_or(Err(Errno::ENOTCONN))
    }

    /// `SIOCATMARK`
    #[must_use]
    pub fn at_mark(self: &Arc<Self>) -> bool {
        self.with(|connection, _| connection.is_at_mark())
            .unwrap_or(false)
    }
}
