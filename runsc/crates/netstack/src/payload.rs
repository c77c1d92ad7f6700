//! Bytes on their way: pieces of shared buffers, so that what a program wrote is copied once on its way in and once on its
//! way out.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use locks::Mutex;

/// Buffers of this size are used again.
pub(crate) const CHUNK: usize = 64 << 10;

/// How many of them are kept.
const KEPT: usize = 32;

/// Buffers that are free.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// A buffer of `len` bytes whose content is anything.
    pub(crate) fn take(self: &Arc<Pool>, len: usize) -> Chunk {
        if len > CHUNK || len <= CHUNK / 8 {
            return Chunk::from(vec![0; len]);
        }
        let bytes = self.free.lock().pop().unwrap_or_else(|| vec![0; CHUNK]);
        let pool = Arc::downgrade(self);
        Chunk { bytes, len, pool }
    }
}

/// A buffer that goes back to its pool when nobody reads it any more.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    len: usize,
    pool: Weak<Pool>,
}

impl Chunk {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// A copy of `bytes`, with room for more up to `room` bytes.
    pub(crate) fn with_room(bytes: &[u8], room: usize) -> Chunk {
        let len = bytes.len();
        let mut copy = Vec::with_capacity(room.max(len));
        copy.extend_from_slice(bytes);
        copy.resize(room.max(len), 0);
        Chunk {
            bytes: copy,
            len,
            pool: Weak::new(),
        }
    }

    /// Only the first `len` bytes of it count.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Room behind what counts.
    fn spare(&self) -> usize {
        self.bytes.len() - self.len
    }

    pub(crate) fn into_payload(self) -> Payload {
        let end = self.len;
        Payload::from(Piece {
            chunk: Arc::new(self),
            start: 0,
            end,
        })
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Chunk {
        let len = bytes.len();
        Chunk {
            bytes,
            len,
            pool: Weak::new(),
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        let mut free = pool.free.lock();
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Consecutive bytes of one buffer.
#[derive(Clone, Debug)]
struct Piece {
    chunk: Arc<Chunk>,
    start: usize,
    end: usize,
}

impl Piece {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn bytes(&self) -> &[u8] {
        self.chunk
            .bytes()
            .get(self.start..self.end)
            .unwrap_or_default()
    }
}

/// A string of bytes in pieces. Cloning it copies no bytes.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    first: Option<Piece>,
    rest: VecDeque<Piece>,
    len: usize,
}

impl Payload {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its bytes, piece by piece.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.first.iter().chain(&self.rest).map(Piece::bytes)
    }

    /// Copies what fits, and says how many bytes that was.
    pub fn copy_to(&self, mut to: &mut [u8]) -> usize {
        let mut copied = 0;
        for piece in self.pieces() {
            let len = piece.len().min(to.len());
            let (now, later) = to.split_at_mut(len);
            now.copy_from_slice(piece.get(..len).unwrap_or_default());
            copied += len;
            to = later;
        }
        copied
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        self.pieces()
            .for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// The memory that it keeps, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.len + OVERHEAD
    }

    /// Adds `more` behind it.
    pub(crate) fn append(&mut self, more: Payload) {
        for piece in more.first.into_iter().chain(more.rest) {
            self.push(piece);
        }
    }

    fn push(&mut self, piece: Piece) {
        if piece.len() == 0 {
            return;
        }
        self.len += piece.len();
        let last = self.rest.back_mut().or(self.first.as_mut());
        match last {
            Some(last) if Arc::ptr_eq(&last.chunk, &piece.chunk) && last.end == piece.start => {
                last.end = piece.end;
            }
            Some(_) => self.rest.push_back(piece),
            None => self.first = Some(piece),
        }
    }

    /// The part of it from `from` on, at most `len` bytes.
    pub(crate) fn slice(&self, from: usize, len: usize) -> Payload {
        let mut part = Payload::default();
        let (mut skip, mut left) = (from, len);
        for piece in self.first.iter().chain(&self.rest) {
            if left == 0 {
                break;
            }
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            let start = piece.start + skip;
            let end = piece.end.min(start.saturating_add(left));
            skip = 0;
            left -= end - start;
            part.push(Piece {
                chunk: Arc::clone(&piece.chunk),
                start,
                end,
            });
        }
        part
    }

    /// Takes the first `len` bytes off.
    pub(crate) fn split_front(&mut self, len: usize) -> Payload {
        let mut front = Payload::default();
        while front.len < len {
            let Some(mut piece) = self.first.take() else {
                break;
            };
            let wanted = len - front.len;
            if piece.len() > wanted {
                let mut head = piece.clone();
                head.end = head.start + wanted;
                piece.start = head.end;
                self.first = Some(piece);
                self.len -= wanted;
                front.push(head);
            } else {
                self.len -= piece.len();
                self.first = self.rest.pop_front();
                front.push(piece);
            }
        }
        front
    }

    /// Drops what is behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len < self.len {
            *self = self.split_front(len);
        }
    }

    /// Copies `bytes` behind the last ones if they fit into the last buffer and nobody else looks at it.
    pub(crate) fn extend_in_place(&mut self, bytes: &[u8]) -> usize {
        let Some(last) = self.rest.back_mut().or(self.first.as_mut()) else {
            return 0;
        };
        let at = last.end;
        let Some(chunk) = Arc::get_mut(&mut last.chunk) else {
            return 0;
        };
        let len = bytes.len().min(chunk.spare());
        if at != chunk.len || len == 0 {
            return 0;
        }
        chunk.len += len;
        if let Some(room) = chunk.bytes.get_mut(at..at + len) {
            room.copy_from_slice(bytes.get(..len).unwrap_or_default());
        }
        last.end += len;
        self.len += len;
        len
    }
}

/// What a message costs beside its bytes.
pub(crate) const OVERHEAD: usize = 512;

impl From<Piece> for Payload {
    fn from(piece: Piece) -> Payload {
        let mut payload = Payload::default();
        payload.push(piece);
        payload
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Chunk::from(bytes).into_payload()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CHUNK, Payload, Pool};

    #[test]
    fn parts_are_what_the_whole_says() {
        let mut whole = Payload::from(b"hello ".to_vec());
        whole.append(Payload::from(b"wide ".to_vec()));
        whole.append(Payload::from(b"world".to_vec()));
        assert_eq!(whole.slice(4, 5).to_vec(), b"o wid");
        assert_eq!(whole.split_front(8).to_vec(), b"hello wi");
        assert_eq!(whole.to_vec(), b"de world");
        whole.truncate(4);
        assert_eq!((whole.len(), whole.to_vec().as_slice()), (4, &b"de w"[..]));
    }

    #[test]
    fn a_buffer_is_used_again() {
        let pool = Arc::new(Pool::default());
        let chunk = pool.take(CHUNK);
        let place = chunk.bytes().as_ptr();
        drop(chunk);
        assert_eq!(pool.take(CHUNK - 1).bytes().as_ptr(), place);
    }

    #[test]
    fn bytes_that_somebody_reads_stay() {
        let pool = Arc::new(Pool::default());
        let mut chunk = pool.take(CHUNK / 2);
        chunk.truncate(3);
        chunk.bytes_mut().copy_from_slice(b"abc");
        let mut payload = chunk.into_payload();
        assert_eq!(payload.extend_in_place(b"de"), 2);
        let reader = payload.clone();
        assert_eq!(payload.extend_in_place(b"f"), 0);
        assert_eq!(reader.to_vec(), b"abcde");
    }
}
