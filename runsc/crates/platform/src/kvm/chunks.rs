//! Memory for page tables, in chunks of 4096 tables that are one memory slot each.
//!
//! A table's place in guest-physical memory is used once in the life of its chunk (the header of
//! [`super`] says why); when all tables of a full chunk are gone, so is the chunk.

use super::layout::{CHUNK, Layout, PAGE};
use super::region::Region;
use super::slots::{Slot, Slots};
use crate::Result;
use abi::Errno;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Where tables come from.
#[derive(Debug)]
pub(super) struct Chunks {
    layout: Layout,
    slots: Arc<Slots>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<(Arc<Chunk>, u64)>,
    numbers: Numbers,
}

/// Numbers of chunks, lowest free ones first.
#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    free: Arc<Mutex<Vec<u64>>>,
}

#[derive(Debug)]
struct Chunk {
    number: u64,
    returned: Arc<Mutex<Vec<u64>>>,
    // An option so that the slot goes before the number is free again.
    slot: Option<Slot>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        drop(self.slot.take());
        self.returned.lock().push(self.number);
    }
}

/// One page table, zeroed.
#[derive(Debug)]
pub(super) struct Table {
    chunk: Arc<Chunk>,
    offset: u64,
}

impl Chunks {
    pub(super) fn new(layout: Layout, slots: &Arc<Slots>) -> Chunks {
        Chunks {
            layout,
            slots: Arc::clone(slots),
            state: Mutex::default(),
        }
    }

    /// A new table.
    ///
    /// # Errors
    /// `ENOMEM`, or what the host reports.
    pub(super) fn table(&self) -> Result<Table> {
        let mut state = self.state.lock();
        if state
            .current
            .as_ref()
            .is_none_or(|(_, next)| *next >= CHUNK)
        {
            let chunk = self.chunk(&mut state.numbers)?;
            state.current = Some((Arc::new(chunk), 0));
        }
        let (chunk, next) = state.current.as_mut().ok_or(Errno::ENOMEM)?;
        let offset = *next;
        *next += PAGE;
        Ok(Table {
            chunk: Arc::clone(chunk),
            offset,
        })
    }

    fn chunk(&self, numbers: &mut Numbers) -> Result<Chunk> {
        let returned = numbers.free.lock().pop();
        let number = returned.unwrap_or_else(|| {
            numbers.next += 1;
            numbers.next - 1
        });
        let make = || {
            let at = self.layout.chunk(number).ok_or(Errno::ENOMEM)?;
            let len = usize::try_from(CHUNK).map_err(|_| Errno::ENOMEM)?;
            self.slots.add(at, Region::anonymous(len)?)
        };
        match make() {
            Ok(slot) => Ok(Chunk {
                number,
                returned: Arc::clone(&numbers.free),
                slot: Some(slot),
            }),
            Err(error) => {
                numbers.free.lock().push(number);
                Err(error)
            }
        }
    }
}

impl Table {
    /// Its guest-physical address.
    pub(super) fn address(&self) -> u64 {
        self.chunk.slot.as_ref().map_or(0, Slot::at) + self.offset
    }

    /// Entry `index` of 512.
    pub(super) fn entry(&self, index: usize) -> &AtomicU64 {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let region = self.chunk.slot.as_ref().map(Slot::region);
        region
            .and_then(|region| region.word(offset.checked_add(index % 512 * 8)?))
            .unwrap_or(&NOWHERE)
    }

    /// Gives the memory of several tables back together. They must not be in use by a vCPU again.
    pub(super) fn give_back(tables: Vec<Table>) {
        let mut pending: Option<(Arc<Chunk>, Range<u64>)> = None;
        for table in tables {
            let end = table.offset + PAGE;
            match &mut pending {
                Some((chunk, range))
                    if Arc::ptr_eq(chunk, &table.chunk) && range.end == table.offset =>
                {
                    range.end = end;
                }
                _ => {
                    drop_pages(pending.take());
                    pending = Some((table.chunk, table.offset..end));
                }
            }
        }
        drop_pages(pending);
    }
}

fn drop_pages(pages: Option<(Arc<Chunk>, Range<u64>)>) {
    let Some((chunk, range)) = pages else { return };
    let (Ok(offset), Ok(len)) = (
        usize::try_from(range.start),
        usize::try_from(range.end - range.start),
    ) else {
        return;
    };
    if let Some(slot) = &chunk.slot {
        slot.region().drop_pages(offset, len);
    }
}
