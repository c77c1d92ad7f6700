//! [`SharedMemory`]: the contents of shared anonymous mappings, tmpfs files, memfds and System V
//! segments: pages of the memory file, made when they are touched.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use memory::{FrameRange, GuestBytes, Kind, MemoryFile, Placement};
use parking_lot::Mutex;
use platform::Access;

use super::areas::{PAGE, page_down, page_up};
use super::mappable::{Extent, Mappable};
use super::mapping_set::{Invalidate, MappingSet};
use super::range_map::{RangeMap, Segment};
use crate::error::Result;

/// Unit in which pages are made.
const CHUNK: usize = 64 << 10;
/// Longest content (`MAX_LFS_FILESIZE`), so that offsets fit into an address.
const LONGEST: u64 = i64::MAX as u64 & !(PAGE as u64 - 1);

/// Offset of a run in the memory file; the run owns a reference on its frames.
#[derive(Clone, Debug)]
struct Frames(u64);

impl Segment for Frames {
    fn split_off(&mut self, at: usize) -> Self {
        Frames(self.0 + at as u64)
    }

    fn continues_in(&self, len: usize, next: &Self) -> bool {
        self.0 + len as u64 == next.0
    }
}

/// A growable, sparse array of bytes that can be mapped.
pub struct SharedMemory {
    memory: Arc<MemoryFile>,
    mappings: MappingSet,
    contents: Mutex<Contents>,
    description: Option<String>,
}

#[derive(Debug, Default)]
struct Contents {
    size: u64,
    frames: RangeMap<Frames>,
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMemory({} bytes)", self.size())
    }
}

impl SharedMemory {
    /// Empty contents of size 0.
    #[must_use]
    pub fn new(memory: &Arc<MemoryFile>) -> Arc<SharedMemory> {
        SharedMemory::build(memory, 0, None)
    }

    /// `size` zero bytes behind a mapping that no file names, shown as `description` in
    /// `/proc/[pid]/maps` (device, inode and path).
    #[must_use]
    pub fn described(
        memory: &Arc<MemoryFile>,
        size: u64,
        description: String,
    ) -> Arc<SharedMemory> {
        SharedMemory::build(memory, size, Some(description))
    }

    /// What a shared anonymous mapping of `size` bytes maps.
    #[must_use]
    pub fn anonymous(memory: &Arc<MemoryFile>, size: u64) -> Arc<SharedMemory> {
        let memory_file = SharedMemory::build(memory, size, None);
        let description = format!("00:01 {} /dev/zero (deleted)", memory_file.id() % 1_000_000);
        match Arc::try_unwrap(memory_file) {
            Ok(mut own) => {
                own.description = Some(description);
                Arc::new(own)
            }
            Err(shared) => shared,
        }
    }

    fn build(
        memory: &Arc<MemoryFile>,
        size: u64,
        description: Option<String>,
    ) -> Arc<SharedMemory> {
        let contents = Contents {
            size: size.min(LONGEST),
            frames: RangeMap::default(),
        };
        Arc::new(SharedMemory {
            memory: Arc::clone(memory),
            mappings: MappingSet::default(),
            contents: Mutex::new(contents),
            description,
        })
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.contents.lock().size
    }

    /// How many bytes have pages.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.contents
            .lock()
            .frames
            .iter()
            .map(|(range, _)| range.len() as u64)
            .sum()
    }

    /// Changes the length. What is cut off disappears from mappings; what is added is zero. No lock from
    /// *mm mappings* rightwards may be held.
    ///
    /// # Errors
    /// EFBIG
    pub fn set_size(&self, size: u64) -> Result<()> {
        if size > LONGEST {
            return Err(Errno::EFBIG);
        }
        let removed = {
            let mut contents = self.contents.lock();
            let old = std::mem::replace(&mut contents.size, size);
            if size >= old {
                return Ok(());
            }
            self.zero_tail(&contents, size);
            contents.frames.remove(page_up_offset(size)..usize::MAX)
        };
        self.mappings.invalidate(
            page_up_offset(size) as u64..u64::MAX & !(PAGE as u64 - 1),
            Invalidate::CopiesToo,
        );
        self.release(removed);
        Ok(())
    }

    /// Makes a range zero and gives its whole pages back (`FALLOC_FL_PUNCH_HOLE`). The size stays. No lock
    /// from *mm mappings* rightwards may be held.
    pub fn punch(&self, offsets: Range<u64>) {
        let (start, end) = (address(offsets.start), address(offsets.end));
        if start >= end {
            return;
        }
        let (whole_start, whole_end) = (page_up(start).unwrap_or(end), page_down(end));
        let removed = {
            let mut contents = self.contents.lock();
            let parts = if whole_start >= whole_end {
                vec![start..end]
            } else {
                vec![start..whole_start, whole_end..end]
            };
            for part in parts {
                self.visit_frames(&contents, part, |bytes| drop(bytes.zero()));
            }
            if whole_start < whole_end {
                contents.frames.remove(whole_start..whole_end)
            } else {
                Vec::new()
            }
        };
        if whole_start < whole_end {
            self.mappings
                .invalidate(whole_start as u64..whole_end as u64, Invalidate::CopiesToo);
        }
        self.release(removed);
    }

    /// Makes all pages of a range (`fallocate(2)` with mode 0 or `KEEP_SIZE`).
    ///
    /// # Errors
    /// ENOSPC if there is no memory.
    pub fn reserve(&self, offsets: Range<u64>) -> Result<()> {
        let (start, end) = (
            page_down(address(offsets.start)),
            page_up_offset(offsets.end),
        );
        let mut contents = self.contents.lock();
        for gap in contents.frames.gaps(start..end.max(start)) {
            self.fill(&mut contents, gap).map_err(|_| Errno::ENOSPC)?;
        }
        Ok(())
    }

    /// Reads from `offset` on: calls `take` with the bytes of each run, zeroes for holes, until it takes
    /// less than it is given, `len` bytes are done, or the end is reached. No lock is held meanwhile.
    ///
    /// # Errors
    /// What `take` reports, if nothing was done before.
    pub fn read(
        &self,
        offset: u64,
        len: usize,
        mut take: impl FnMut(Piece<'_>) -> Result<usize>,
    ) -> Result<usize> {
        let mut done = 0;
        while done < len {
            let at = offset.saturating_add(done as u64);
            let Some((frames, part_len)) = self.hold(at, len - done) else {
                break;
            };
            let outcome = match frames {
                None => take(Piece::Zeroes(part_len)),
                Some(frames) => {
                    let from = address(at) % PAGE;
                    let outcome =
                        take(Piece::Bytes(self.memory.view(frames).slice(from, part_len)));
                    self.memory.unpin(frames);
                    outcome
                }
            };
            match outcome {
                Ok(taken) => {
                    done += taken;
                    if taken < part_len {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes from `offset` on: calls `give` with the bytes of each run until it fills less than it is
    /// given or `len` bytes are done; makes pages as needed and extends the size. No lock is held
    /// meanwhile.
    ///
    /// # Errors
    /// ENOSPC, EFBIG, or what `give` reports, if nothing was done before.
    pub fn write(
        &self,
        offset: u64,
        len: usize,
        mut give: impl FnMut(GuestBytes<'_>) -> Result<usize>,
    ) -> Result<usize> {
        if offset >= LONGEST && len > 0 {
            return Err(Errno::EFBIG);
        }
        let mut done = 0;
        while done < len {
            let at = offset.saturating_add(done as u64);
            let outcome = self
                .hold_for_write(at, len - done)
                .and_then(|(frames, part_len)| {
                    let from = address(at) % PAGE;
                    let outcome = give(self.memory.view(frames).slice(from, part_len));
                    if let Ok(given) = outcome {
                        let mut contents = self.contents.lock();
                        contents.size = contents.size.max(at.saturating_add(given as u64));
                    }
                    self.memory.unpin(frames);
                    outcome.map(|given| (given, part_len))
                });
            match outcome {
                Ok((given, part_len)) => {
                    done += given;
                    if given < part_len {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// The first byte at or behind `offset` that has a page, below the size (`SEEK_DATA`).
    #[must_use]
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        let contents = self.contents.lock();
        let at = address(offset);
        let found = match contents.frames.at(at) {
            Some(_) => at,
            None => contents.frames.after(at)?.0.start,
        };
        ((found as u64) < contents.size).then_some(found as u64)
    }

    /// The first byte at or behind `offset` that has no page; the size at the latest (`SEEK_HOLE`).
    #[must_use]
    pub fn next_hole(&self, offset: u64) -> u64 {
        let contents = self.contents.lock();
        let mut at = address(offset);
        while let Some((run, _)) = contents.frames.at(at) {
            at = run.end;
        }
        (at as u64)
            .min(contents.size)
            .max(offset.min(contents.size))
    }

    /// Pins the run at an offset: its frames (none for a hole) and how many bytes from the offset on it
    /// has; nothing at the end.
    fn hold(&self, offset: u64, len: usize) -> Option<(Option<FrameRange>, usize)> {
        let contents = self.contents.lock();
        let left = usize::try_from(contents.size.checked_sub(offset)?).unwrap_or(usize::MAX);
        let (at, len) = (address(offset), len.min(left));
        if len == 0 {
            return None;
        }
        let end = at.saturating_add(len);
        if let Some((run, frames)) = contents.frames.at(at) {
            let end = end.min(run.end);
            let range = part_frames(&run, frames, page_down(at)..page_up(end)?)?;
            self.memory.pin(range);
            return Some((Some(range), end - at));
        }
        let gap_end = contents
            .frames
            .after(at)
            .map_or(end, |(next, _)| next.start.min(end));
        Some((None, gap_end - at))
    }

    fn hold_for_write(&self, offset: u64, len: usize) -> Result<(FrameRange, usize)> {
        let mut contents = self.contents.lock();
        let at = address(offset);
        let end = address(offset.saturating_add(len as u64).min(LONGEST));
        if contents.frames.at(at).is_none() {
            let page = page_down(at);
            let next = contents
                .frames
                .after(page)
                .map_or(usize::MAX, |(next, _)| next.start);
            let gap = page..page_up(end)
                .ok_or(Errno::EFBIG)?
                .min(next)
                .min(page.saturating_add(CHUNK * 16));
            self.fill(&mut contents, gap).map_err(|_| Errno::ENOSPC)?;
        }
        let (run, frames) = contents.frames.at(at).ok_or(Errno::ENOSPC)?;
        let end = end.min(run.end);
        let range = part_frames(
            &run,
            frames,
            page_down(at)..page_up(end).ok_or(Errno::EFBIG)?,
        )
        .ok_or(Errno::EFBIG)?;
        self.memory.pin(range);
        Ok((range, end - at))
    }

    /// Makes the pages of a gap.
    fn fill(&self, contents: &mut Contents, gap: Range<usize>) -> Result<()> {
        let follows = contents
            .frames
            .before(gap.start)
            .filter(|(before, _)| before.end == gap.start);
        let placement = match follows {
            Some((before, frames)) => Placement::At(frames.0 + before.len() as u64),
            None if gap.len() < CHUNK => Placement::Packed,
            None => Placement::Growing(gap.start as u64),
        };
        let frames = self
            .memory
            .allocate(gap.len() as u64, Kind::Shared, placement)?;
        contents.frames.insert(gap, Frames(frames.start()));
        Ok(())
    }

    /// Zeroes what is behind the end in its last page.
    fn zero_tail(&self, contents: &Contents, size: u64) {
        let start = address(size);
        if let Some(end) = page_up(start) {
            self.visit_frames(contents, start..end, |bytes| drop(bytes.zero()));
        }
    }

    fn visit_frames(
        &self,
        contents: &Contents,
        range: Range<usize>,
        mut visit: impl FnMut(GuestBytes<'_>),
    ) {
        if range.is_empty() {
            return;
        }
        for (run, frames) in contents.frames.overlapping(range.clone()) {
            let (start, end) = (run.start.max(range.start), run.end.min(range.end));
            let Some(aligned_end) = page_up(end) else {
                continue;
            };
            if let Some(part) = part_frames(&run, frames, page_down(start)..aligned_end) {
                visit(self.memory.view(part).slice(start % PAGE, end - start));
            }
        }
    }

    fn release(&self, removed: Vec<(Range<usize>, Frames)>) {
        for (range, frames) in removed {
            if let Some(frames) = FrameRange::new(frames.0, frames.0 + range.len() as u64) {
                self.memory.release(frames);
            }
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let removed = self.contents.get_mut().frames.remove(0..usize::MAX);
        self.release(removed);
    }
}

/// A part of the contents.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// Bytes of the memory file.
    Bytes(GuestBytes<'a>),
    /// So many zeroes of a hole.
    Zeroes(usize),
}

impl Mappable for SharedMemory {
    fn extent(&self, offsets: Range<u64>, _access: Access) -> Result<(Extent, u64)> {
        let mut contents = self.contents.lock();
        let start = address(offsets.start);
        let end = address(offsets.end).min(page_up_offset(contents.size));
        if start >= end {
            return Err(Errno::EFAULT);
        }
        if contents.frames.at(start).is_none() {
            let next = contents
                .frames
                .after(start)
                .map_or(end, |(next, _)| next.start.min(end));
            let gap = start..next.min(start.saturating_add(CHUNK));
            self.fill(&mut contents, gap)?;
        }
        let (run, frames) = contents.frames.at(start).ok_or(Errno::EFAULT)?;
        let part = part_frames(&run, frames, start..end.min(run.end)).ok_or(Errno::EFAULT)?;
        self.memory.retain(part);
        Ok((Extent::Memory(part), part.len()))
    }

    fn mappings(&self) -> Option<&MappingSet> {
        Some(&self.mappings)
    }

    fn punch_hole(&self, offsets: Range<u64>) -> Result<()> {
        self.punch(offsets);
        Ok(())
    }

    fn id(&self) -> u64 {
        std::ptr::from_ref(self).addr() as u64
    }

    fn describe(&self) -> Option<String> {
        self.description.clone()
    }
}

/// The frames of `part` of a run, all page-aligned.
fn part_frames(run: &Range<usize>, frames: &Frames, part: Range<usize>) -> Option<FrameRange> {
    let start = frames.0 + part.start.checked_sub(run.start)? as u64;
    FrameRange::new(
        start,
        start + part.end.min(run.end).checked_sub(part.start)? as u64,
    )
}

/// An offset as an address, which it is clamped to.
fn address(offset: u64) -> usize {
    usize::try_from(offset.min(LONGEST)).unwrap_or(usize::MAX)
}

fn page_up_offset(offset: u64) -> usize {
    page_up(address(offset)).unwrap_or(usize::MAX)
}
