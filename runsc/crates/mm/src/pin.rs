//! [`Pinned`]: user memory that stays where it is while the host reads or writes it.

use std::ops::Range;
use std::sync::Arc;

use memory::{FrameRange, GuestBytes, MemoryFile, WindowPin};
use platform::Access;

use super::access::{frames_of, window_access};
use super::address_space::AddressSpace;
use super::pages::{Active, Source, allows};

/// Pieces of user memory that can be used without any lock until this is dropped. What the application
/// unmaps meanwhile stays allocated; what it forks is copied for the child.
#[derive(Debug)]
pub struct Pinned {
    memory: Arc<MemoryFile>,
    pieces: Vec<Piece>,
    len: usize,
}

#[derive(Debug)]
enum Piece {
    Frames {
        frames: FrameRange,
        from: usize,
        len: usize,
    },
    Window(WindowPin),
}

impl Pinned {
    /// The bytes in order.
    #[must_use]
    pub fn pieces(&self) -> Vec<GuestBytes<'_>> {
        let bytes = |piece| match piece {
            &Piece::Frames { frames, from, len } => self.memory.view(frames).slice(from, len),
            Piece::Window(pin) => pin.bytes(),
        };
        self.pieces.iter().map(bytes).collect()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        for piece in &self.pieces {
            if let Piece::Frames { frames, .. } = piece {
                self.memory.unpin(*frames);
            }
        }
    }
}

impl AddressSpace {
    /// Pins the ranges for loads or stores, up to the first byte that can't be had, to `most` pieces.
    #[must_use]
    pub fn pin(&self, ranges: &[Range<usize>], need: Access, most: usize) -> Pinned {
        let mut pinned = Pinned {
            memory: Arc::clone(&self.memory),
            pieces: Vec::new(),
            len: 0,
        };
        for range in ranges {
            if !self.pin_range(&mut pinned, range.clone(), need, most) {
                break;
            }
        }
        pinned
    }

    /// Whether all of the range was pinned.
    fn pin_range(
        &self,
        pinned: &mut Pinned,
        range: Range<usize>,
        need: Access,
        most: usize,
    ) -> bool {
        let mut at = range.start;
        while at < range.end {
            if pinned.pieces.len() >= most {
                return false;
            }
            let here = at;
            at = self.pin_present(&self.active.read(), pinned, at..range.end, need, most);
            if at == here && self.make_present(at..range.end, need).is_err() {
                return false;
            }
        }
        true
    }

    /// Pins what is present from the start of the range on; returns how far that was.
    fn pin_present(
        &self,
        active: &Active,
        pinned: &mut Pinned,
        range: Range<usize>,
        need: Access,
        most: usize,
    ) -> usize {
        let mut at = range.start;
        for (run, pages) in active.pages.overlapping(range.clone()) {
            if run.start > at || !allows(pages.access, need) {
                break;
            }
            let end = run.end.min(range.end);
            while at < end && pinned.pieces.len() < most {
                let (piece, len) = match &pages.source {
                    Source::Memory(_) => {
                        let Some((frames, from)) = frames_of(&run, pages, &(at..end)) else {
                            return at;
                        };
                        self.memory.pin(frames);
                        (
                            Piece::Frames {
                                frames,
                                from,
                                len: end - at,
                            },
                            end - at,
                        )
                    }
                    Source::Host(file, offset) => {
                        let offset = offset.saturating_add((at - run.start) as u64);
                        let wanted = (end - at) as u64;
                        let pin =
                            self.memory
                                .windows()
                                .pin(file, offset, wanted, window_access(need));
                        let Ok(pin) = pin else { return at };
                        let len = pin.bytes().len();
                        (Piece::Window(pin), len)
                    }
                };
                pinned.pieces.push(piece);
                pinned.len += len;
                at += len;
            }
        }
        at
    }
}
