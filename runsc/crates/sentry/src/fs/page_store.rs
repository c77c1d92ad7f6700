//! [`PageStore`]: the contents of a regular file in the guest's memory, for tmpfs, memfd and overlays.
//!
//! Contents are runs of frames of the memory file, by offset; what has none is a hole and reads as zero.
//! The frames are what `mmap(2)` maps. The lock is never held while user memory is copied: frames are
//! pinned, the lock is dropped, and the bytes move between user memory and the frames.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, PAGE_SIZE};
use locks::RwLock;
use memory::{FrameRange, GuestBytes, Kind, MemoryFile, Placement};
use mm::mappable::Extent;

use crate::error::Result;
use crate::vfs::io::{Sink, Source};

const PAGE: u64 = PAGE_SIZE as u64;
/// Most bytes that are pinned, or made by one fault, at a time.
const STEP: u64 = 1 << 20;
const FAULT_AROUND: u64 = 64 << 10;
/// Most zeroes written at a time.
const BOUNCE: usize = 64 << 10;
/// The largest size of a file (`MAX_LFS_FILESIZE`).
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// `FALLOC_FL_KEEP_SIZE`, the mode bit of `fallocate(2)` that says nothing of contents.
pub(crate) const KEEP_SIZE: u32 = 0x1;
/// Other modes of `fallocate(2)`.
const PUNCH_HOLE: u32 = 0x2;
const ZERO_RANGE: u32 = 0x10;
const UNSHARE_RANGE: u32 = 0x40;

/// How many bytes a file system instance may hold.
#[derive(Debug)]
pub struct Quota {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Quota {
    /// At most `limit` bytes; none: as much as there is memory.
    #[must_use]
    pub fn new(limit: Option<u64>) -> Arc<Quota> {
        Arc::new(Quota {
            limit: AtomicU64::new(limit.unwrap_or(u64::MAX)),
            used: AtomicU64::new(0),
        })
    }

    /// The limit in bytes, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != u64::MAX)
    }

    /// Changes the limit (`mount -o remount,size=`); EINVAL below what is used.
    pub fn set_limit(&self, limit: Option<u64>) -> Result<()> {
        let limit = limit.unwrap_or(u64::MAX);
        if limit < self.used() {
            return Err(Errno::EINVAL);
        }
        self.limit.store(limit, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, or as many whole pages as there is room for; ENOSPC if there is room for none.
    fn charge(&self, bytes: u64) -> Result<u64> {
        let limit = self.limit.load(Ordering::Relaxed);
        let fitting = |used: u64| bytes.min(limit.saturating_sub(used) / PAGE * PAGE);
        let add = |used: u64| {
            Some(fitting(used))
                .filter(|bytes| *bytes > 0)
                .map(|bytes| used + bytes)
        };
        let before = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        before.map(fitting).map_err(|_| Errno::ENOSPC)
    }

    fn refund(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The contents of one file.
#[derive(Debug)]
pub struct PageStore {
    memory: Arc<MemoryFile>,
    quota: Arc<Quota>,
    pages: RwLock<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    size: u64,
    /// Runs of frames by the offset of their first byte; runs that follow each other in both are one.
    runs: BTreeMap<u64, FrameRange>,
    /// Bytes of all runs.
    bytes: u64,
}

/// Frames that stay while they are copied to or from.
struct Pinned<'a> {
    memory: &'a MemoryFile,
    frames: FrameRange,
}

impl<'a> Pinned<'a> {
    fn new(memory: &'a MemoryFile, frames: FrameRange) -> Pinned<'a> {
        memory.pin(frames);
        Pinned { memory, frames }
    }

    fn bytes(&self) -> GuestBytes<'_> {
        self.memory.view(self.frames)
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.memory.unpin(self.frames);
    }
}

impl PageStore {
    /// No contents, size 0.
    #[must_use]
    pub fn new(memory: Arc<MemoryFile>, quota: Arc<Quota>) -> PageStore {
        PageStore {
            memory,
            quota,
            pages: RwLock::default(),
        }
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.pages.read().size
    }

    /// Bytes of memory that the contents take.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.pages.read().bytes
    }

    /// Reads from `offset` on; 0 at the end of the file.
    pub fn read(&self, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        let mut done = 0;
        loop {
            let at = offset.saturating_add(done as u64);
            let pages = self.pages.read();
            let left = to_usize(pages.size.saturating_sub(at).min(STEP)).min(sink.remaining());
            if left == 0 {
                return Ok(done);
            }
            let moved = match pages.piece(at) {
                Piece::Frames(frames) => {
                    let pinned = Pinned::new(&self.memory, frames);
                    drop(pages);
                    let from = to_usize(at % PAGE);
                    copy_out(pinned.bytes().slice(from, left), sink)
                }
                Piece::Hole(len) => {
                    drop(pages);
                    zero_out(to_usize(len).min(left), sink)
                }
            };
            match moved {
                Ok(0) => return Ok(done),
                Ok(len) => done += len,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes from `offset` on, extending the file; returns how many bytes. ENOSPC or ENOMEM only if
    /// there was no room for the first.
    pub fn write(&self, source: &mut Source<'_>, offset: u64) -> Result<usize> {
        let end = offset.checked_add(source.remaining() as u64);
        if end.is_none_or(|end| end > SIZE_MAX) {
            return Err(Errno::EFBIG);
        }
        let mut done = 0;
        while source.remaining() > 0 {
            let at = offset.saturating_add(done as u64);
            let want = (source.remaining() as u64).min(STEP);
            match self.write_some(source, at, want) {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_some(&self, source: &mut Source<'_>, at: u64, want: u64) -> Result<usize> {
        let mut pages = self.pages.write();
        let frames = self.make(&mut pages, at, want)?;
        let pinned = Pinned::new(&self.memory, frames);
        drop(pages);
        let from = to_usize(at % PAGE);
        let len = copy_in(source, pinned.bytes().slice(from, to_usize(want)))?;
        let mut pages = self.pages.write();
        pages.size = pages.size.max(at.saturating_add(len as u64));
        Ok(len)
    }

    /// The frames behind the bytes from `at` on, made if there are none: one run that covers at least
    /// the first of `len` bytes, and no more than all of them.
    fn make(&self, pages: &mut Pages, at: u64, len: u64) -> Result<FrameRange> {
        let start = at - at % PAGE;
        let end = at.saturating_add(len).next_multiple_of(PAGE);
        if let Piece::Frames(frames) = pages.piece(at) {
            return Ok(frames.slice(0, end - start));
        }
        let gap_end = pages.next_run(start).map_or(end, |next| next.min(end));
        self.fill(pages, start..gap_end)?;
        match pages.piece(at) {
            Piece::Frames(frames) => Ok(frames.slice(0, end - start)),
            Piece::Hole(_) => Err(Errno::ENOMEM),
        }
    }

    /// Makes frames for a hole, or for as much of its front as the quota allows; returns how many bytes.
    fn fill(&self, pages: &mut Pages, hole: Range<u64>) -> Result<u64> {
        let len = self.quota.charge(hole.end - hole.start)?;
        let before = pages.runs.range(..hole.start).next_back();
        let placement = match before {
            Some((start, frames)) if start + frames.len() == hole.start => {
                Placement::At(frames.end())
            }
            _ => Placement::Packed,
        };
        let found = self.memory.allocate(len, Kind::Shared, placement);
        // Where there is little memory left, a page may still be had.
        let found = found.or_else(|_| self.memory.allocate(PAGE, Kind::Shared, placement));
        match found {
            Ok(frames) => {
                pages.insert(hole.start, frames);
                self.quota.refund(len - frames.len());
                Ok(frames.len())
            }
            Err(error) => {
                self.quota.refund(len);
                Err(error)
            }
        }
    }

    /// Sets the size. What is behind it is gone for good: growing again shows zeroes. The caller
    /// invalidates mappings afterwards.
    pub fn resize(&self, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let mut pages = self.pages.write();
        if size < pages.size {
            self.clear(&mut pages, size..u64::MAX);
        }
        pages.size = size;
        Ok(())
    }

    /// Makes a range a hole (`FALLOC_FL_PUNCH_HOLE`); the size stays.
    pub fn punch(&self, range: Range<u64>) {
        self.clear(&mut self.pages.write(), range);
    }

    /// Makes frames for a range (`fallocate(2)`); the size stays.
    pub fn reserve(&self, range: Range<u64>) -> Result<()> {
        let end = range
            .end
            .checked_next_multiple_of(PAGE)
            .ok_or(Errno::EFBIG)?;
        let mut at = range.start - range.start % PAGE;
        let mut pages = self.pages.write();
        while at < end {
            at += match pages.piece(at) {
                Piece::Frames(frames) => frames.len(),
                Piece::Hole(len) => {
                    let len = len.min(end - at).min(STEP);
                    self.fill(&mut pages, at..at + len)?
                }
            };
        }
        Ok(())
    }

    /// `fallocate(2)`. The caller invalidates mappings of the range afterwards (not private copies).
    ///
    /// # Errors
    /// EOPNOTSUPP for what would move contents; ENOSPC, ENOMEM, EFBIG.
    pub fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= SIZE_MAX)
            .ok_or(Errno::EFBIG)?;
        let keeps_size = mode & KEEP_SIZE != 0;
        match mode & !KEEP_SIZE {
            PUNCH_HOLE if keeps_size => self.punch(offset..end),
            ZERO_RANGE => self.punch(offset..end),
            0 | UNSHARE_RANGE => self.reserve(offset..end)?,
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if !keeps_size {
            let mut pages = self.pages.write();
            pages.size = pages.size.max(end);
        }
        Ok(())
    }

    /// Zeroes a range: whole pages are given back, parts of pages overwritten.
    fn clear(&self, pages: &mut Pages, range: Range<u64>) {
        let inner_start = range
            .start
            .checked_next_multiple_of(PAGE)
            .unwrap_or(u64::MAX);
        let inner_end = range.end - range.end % PAGE;
        if inner_start > inner_end {
            self.zero_part(pages, range);
            return;
        }
        self.zero_part(pages, range.start..inner_start);
        for frames in pages.take(inner_start..inner_end) {
            self.quota.refund(frames.len());
            self.memory.release(frames);
        }
        if range.end != u64::MAX {
            self.zero_part(pages, inner_end..range.end);
        }
    }

    /// Zeroes bytes within one page.
    fn zero_part(&self, pages: &Pages, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if let Piece::Frames(frames) = pages.piece(range.start) {
            let page = self.memory.view(frames.slice(0, PAGE));
            let part = page.slice(
                to_usize(range.start % PAGE),
                to_usize(range.end - range.start),
            );
            // The memory file is never truncated: its pages cannot be taken away.
            let _ = part.zero();
        }
    }

    /// The next offset from `offset` on that is not in a hole; ENXIO if there is none.
    pub fn seek_data(&self, offset: u64) -> Result<u64> {
        let pages = self.pages.read();
        let found = match pages.piece(offset) {
            Piece::Frames(_) => Some(offset),
            Piece::Hole(_) => pages.next_run(offset),
        };
        found.filter(|at| *at < pages.size).ok_or(Errno::ENXIO)
    }

    /// The next offset from `offset` on that is in a hole; the end of the file is one. ENXIO behind it.
    pub fn seek_hole(&self, offset: u64) -> Result<u64> {
        let pages = self.pages.read();
        if offset >= pages.size {
            return Err(Errno::ENXIO);
        }
        let mut at = offset;
        while let Piece::Frames(frames) = pages.piece(at) {
            at = at - at % PAGE + frames.len();
        }
        Ok(at.min(pages.size))
    }

    /// What `Mappable::extent` answers: frames for the start of the page-aligned `offsets`, made if
    /// there are none, with a reference for the caller. EFAULT behind the end of the file.
    pub fn extent(&self, offsets: Range<u64>) -> Result<(Extent, u64)> {
        let mut pages = self.pages.write();
        let end = offsets.end.min(pages.size.next_multiple_of(PAGE));
        if offsets.start >= end {
            return Err(Errno::EFAULT);
        }
        let around = match pages.piece(offsets.start) {
            Piece::Frames(_) => end,
            Piece::Hole(_) => end.min(offsets.start.saturating_add(FAULT_AROUND)),
        };
        let frames = self.make(&mut pages, offsets.start, around - offsets.start)?;
        self.memory.retain(frames);
        Ok((Extent::Memory(frames), frames.len()))
    }

    /// Fills the store from a host file: its first `size` bytes, holes left out. For copying up.
    pub(crate) fn fill_from_host(&self, fd: std::os::fd::BorrowedFd<'_>, size: u64) -> Result<()> {
        let mut at = 0;
        while at < size {
            let data = match ::gofer::file::seek_data(fd, at) {
                Ok(data) => data - data % PAGE,
                Err(Errno::ENXIO) => break,
                // A file system without holes.
                Err(_) => at,
            };
            at = at.max(data);
            if at >= size {
                break;
            }
            let mut pages = self.pages.write();
            let frames = self.make(&mut pages, at, (size - at).min(STEP))?;
            let piece = [self.memory.view(frames)];
            let len = memory::io::read(fd, &piece, memory::io::Position::At(at))?;
            if len == 0 {
                break;
            }
            // Until a page is full, or the rest of it would be lost.
            at = if (len as u64) < frames.len() && at + (len as u64) < size {
                at + self.complete(fd, frames, at, len)?
            } else {
                at + len as u64
            };
        }
        // What was read behind the size, into the last page, must not show.
        let mut pages = self.pages.write();
        self.clear(&mut pages, size..u64::MAX);
        pages.size = size;
        Ok(())
    }

    /// Goes on reading into `frames` after a short read of `done` bytes; returns how many there are.
    fn complete(
        &self,
        fd: std::os::fd::BorrowedFd<'_>,
        frames: FrameRange,
        at: u64,
        done: usize,
    ) -> Result<u64> {
        let mut done = done;
        while (done as u64) < frames.len() {
            let rest = [self.memory.view(frames).split_at(done).1];
            let len = memory::io::read(fd, &rest, memory::io::Position::At(at + done as u64))?;
            if len == 0 {
                break;
            }
            done += len;
        }
        // A page that the host has cut short ends in zeroes.
        Ok((done as u64).next_multiple_of(PAGE).min(frames.len()))
    }
}

impl Drop for PageStore {
    fn drop(&mut self) {
        let pages = self.pages.get_mut();
        self.quota.refund(pages.bytes);
        for frames in std::mem::take(&mut pages.runs).into_values() {
            self.memory.release(frames);
        }
    }
}

/// What is at an offset.
enum Piece {
    /// Frames, from the page of the offset to the end of their run.
    Frames(FrameRange),
    /// Nothing for this many bytes.
    Hole(u64),
}

impl Pages {
    fn piece(&self, offset: u64) -> Piece {
        let page = offset - offset % PAGE;
        if let Some((start, frames)) = self.runs.range(..=page).next_back()
            && page < start + frames.len()
        {
            return Piece::Frames(frames.slice(page - start, frames.len()));
        }
        Piece::Hole(self.next_run(page).unwrap_or(u64::MAX) - offset)
    }

    fn next_run(&self, offset: u64) -> Option<u64> {
        self.runs.range(offset..).next().map(|(start, _)| *start)
    }

    fn insert(&mut self, at: u64, frames: FrameRange) {
        self.bytes += frames.len();
        let (mut start, mut whole) = (at, frames);
        if let Some((&before, &other)) = self.runs.range(..at).next_back()
            && before + other.len() == at
            && other.is_followed_by(frames)
            && let Some(joined) = FrameRange::new(other.start(), frames.end())
        {
            (start, whole) = (before, joined);
        }
        if let Some((&after, &other)) = self.runs.range(at..).next()
            && at + frames.len() == after
            && frames.is_followed_by(other)
            && let Some(joined) = FrameRange::new(whole.start(), other.end())
        {
            self.runs.remove(&after);
            whole = joined;
        }
        self.runs.insert(start, whole);
    }

    /// Takes out the frames of a page-aligned range.
    fn take(&mut self, range: Range<u64>) -> Vec<FrameRange> {
        let first = self
            .runs
            .range(..=range.start)
            .next_back()
            .map_or(range.start, |(start, _)| *start);
        let touched: Vec<(u64, FrameRange)> = self
            .runs
            .range(first..range.end)
            .map(|(start, frames)| (*start, *frames))
            .collect();
        let mut taken = Vec::new();
        for (start, frames) in touched {
            let (from, to) = (
                range.start.max(start) - start,
                range.end.min(start + frames.len()).saturating_sub(start),
            );
            if from >= to {
                continue;
            }
            self.runs.remove(&start);
            if from > 0 {
                self.runs.insert(start, frames.slice(0, from));
            }
            if to < frames.len() {
                self.runs.insert(start + to, frames.slice(to, frames.len()));
            }
            taken.push(frames.slice(from, to));
            self.bytes -= to - from;
        }
        taken
    }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Moves bytes from frames to where they are wanted; EFAULT only if not one byte could be moved.
fn copy_out(bytes: GuestBytes<'_>, sink: &mut Sink<'_>) -> Result<usize> {
    match sink {
        Sink::User(io) => io.copy_from_guest(bytes),
        Sink::Kernel(buffer) => {
            let len = bytes.read(buffer).map_err(|_| Errno::EFAULT)?;
            let rest = std::mem::take(buffer);
            *buffer = rest.get_mut(len..).unwrap_or_default();
            Ok(len)
        }
    }
}

fn zero_out(len: usize, sink: &mut Sink<'_>) -> Result<usize> {
    let zeroes = vec![0; len.min(BOUNCE)];
    let mut done = 0;
    while done < len {
        let part = zeroes.len().min(len - done);
        let taken = match sink.write(&zeroes[..part]) {
            Err(error) if done == 0 => return Err(error),
            taken => taken.unwrap_or(0),
        };
        done += taken;
        if taken < part {
            break;
        }
    }
    Ok(done)
}

/// Moves bytes from where they are to frames; EFAULT only if not one byte could be moved.
fn copy_in(source: &mut Source<'_>, bytes: GuestBytes<'_>) -> Result<usize> {
    match source {
        Source::User(io) => io.copy_to_guest(bytes),
        Source::Kernel(from) => {
            let len = bytes.write(from).map_err(|_| Errno::EFAULT)?;
            *from = from.get(len..).unwrap_or_default();
            Ok(len)
        }
    }
}

#[cfg(test)]
mod tests;
