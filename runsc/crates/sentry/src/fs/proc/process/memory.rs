//! What is read from a process's memory: arguments, environment, maps, and the memory itself.
//!
//! All but the arguments show the memory that the process has when they are opened, whatever program it executes
//! later (`proc_mem_open` of Linux): who may look into one program may not be allowed to look into the next.

use std::ops::Range;
use std::sync::{Arc, Weak};

use abi::Errno;
use mm::AddressSpace;
use mm::address_space::ExecLayout;

use super::super::alive;
use super::{View, maps, may_inspect};
use crate::error::Result;
use crate::fs::synthetic::Content;
use crate::kernel::task::Task;

/// The line of the vsyscall page, as Linux shows it with `vsyscall=xonly`.
const VSYSCALL: &[u8] =
    b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
/// The most that is shown of arguments or environment.
const MAX_STRINGS: usize = 6 << 20;

/// The arguments. A program that overwrote the last NUL has written its title on into the environment
/// (`man 5 proc_pid_cmdline`).
pub(super) fn cmdline(view: &View<'_>) -> Result<Vec<u8>> {
    let Some(mm) = view.task.mm_if_alive() else {
        return Ok(Vec::new());
    };
    let ExecLayout {
        args: range, env, ..
    } = mm.layout();
    let args = strings(&mm, range.clone());
    if args.last().is_none_or(|last| *last == 0) {
        return Ok(args);
    }
    let mut title = strings(&mm, range.start..env.end.max(range.end));
    if let Some(end) = title.iter().position(|byte| *byte == 0) {
        title.truncate(end + 1);
    }
    Ok(title)
}

fn strings(mm: &AddressSpace, range: Range<usize>) -> Vec<u8> {
    let mut bytes = vec![0; range.len().min(MAX_STRINGS)];
    let len = mm.read_forced(range.start, &mut bytes).unwrap_or(0);
    bytes.truncate(len);
    bytes
}

/// What a file shows of an address space.
#[derive(Clone, Copy, Debug)]
enum Aspect {
    /// A text; the second argument is who reads.
    Text(fn(&AddressSpace, &Task) -> Vec<u8>),
    /// A text that stays as it was at the open.
    Kept(fn(&AddressSpace) -> Vec<u8>),
    /// `/proc/[pid]/pagemap`
    PageMap,
    /// `/proc/[pid]/mem`
    Memory,
}

/// A file that shows an address space, before it is opened.
#[derive(Debug)]
struct Unopened {
    task: Weak<Task>,
    aspect: Aspect,
}

/// The same, opened: it does not keep the address space, and reads as empty when that is gone.
#[derive(Debug)]
struct Opened {
    mm: Weak<AddressSpace>,
    kept: Vec<u8>,
    aspect: Aspect,
}

fn unopened(task: &Arc<Task>, aspect: Aspect) -> Arc<dyn Content> {
    Arc::new(Unopened {
        task: Arc::downgrade(task),
        aspect,
    })
}

pub(super) fn environ(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(task, Aspect::Text(|mm, _| strings(mm, mm.layout().env)))
}

/// It is kept with what remains of an address space while a file of it is open.
pub(super) fn auxv(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(task, Aspect::Kept(|mm| mm.layout().auxv))
}

pub(super) fn maps(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(
        task,
        Aspect::Text(|mm, viewer| {
            let mut text = maps::maps_text(mm, viewer);
            // Calls into it are answered (`kernel::vsyscall`), though nothing is mapped there.
            text.extend_from_slice(VSYSCALL);
            text
        }),
    )
}

pub(super) fn smaps(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(task, Aspect::Text(maps::smaps_text))
}

pub(super) fn smaps_rollup(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(task, Aspect::Text(|mm, _| maps::smaps_rollup_text(mm)))
}

pub(super) fn pagemap(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(task, Aspect::PageMap)
}

pub(super) fn mem(task: &Arc<Task>) -> Arc<dyn Content> {
    unopened(task, Aspect::Memory)
}

impl Content for Unopened {
    fn read(&self, _task: &Task) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    fn open(&self, viewer: &Task) -> Result<Option<Arc<dyn Content>>> {
        let task = alive(&self.task)?;
        let current = || {
            let mm = task.mm_if_alive();
            mm.map_or_else(Weak::new, |mm| Arc::downgrade(&mm))
        };
        let mm = current();
        may_inspect(viewer, &task)?;
        // A program was executed between the two looks.
        if !Weak::ptr_eq(&mm, &current()) {
            return Err(Errno::EACCES);
        }
        let kept = match (self.aspect, mm.upgrade()) {
            (Aspect::Kept(make), Some(mm)) => make(&mm),
            _ => Vec::new(),
        };
        Ok(Some(Arc::new(Opened {
            mm,
            kept,
            aspect: self.aspect,
        })))
    }
}

impl Content for Opened {
    fn read(&self, viewer: &Task) -> Result<Vec<u8>> {
        match (self.aspect, self.mm.upgrade()) {
            (Aspect::Text(make), Some(mm)) => Ok(make(&mm, viewer)),
            (Aspect::Text(_), None) => Ok(Vec::new()),
            (Aspect::Kept(_), _) => Ok(self.kept.clone()),
            (Aspect::PageMap, _) => Err(Errno::EINVAL),
            (Aspect::Memory, _) => Err(Errno::EIO),
        }
    }

    fn read_at(&self, _task: &Task, offset: u64, len: usize) -> Option<Result<Vec<u8>>> {
        let read: fn(&AddressSpace, u64, usize) -> Result<Vec<u8>> = match self.aspect {
            Aspect::Text(_) | Aspect::Kept(_) => return None,
            Aspect::PageMap => page_entries,
            Aspect::Memory => bytes_at,
        };
        let mm = self.mm.upgrade();
        Some(mm.map_or(Ok(Vec::new()), |mm| read(&mm, offset, len)))
    }

    fn write(&self, _task: &Task, bytes: &[u8], offset: u64) -> Result<usize> {
        if !matches!(self.aspect, Aspect::Memory) {
            return Err(Errno::EINVAL);
        }
        let address = usize::try_from(offset).map_err(|_| Errno::EIO)?;
        let mm = self.mm.upgrade();
        mm.map_or(Ok(0), |mm| mm.write_forced(address, bytes))
            .map_err(|_| Errno::EIO)
    }
}

/// Whole entries only (`man 5 proc_pid_pagemap`).
fn page_entries(mm: &AddressSpace, offset: u64, len: usize) -> Result<Vec<u8>> {
    if !offset.is_multiple_of(8) || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let first = usize::try_from(offset / 8).map_err(|_| Errno::EINVAL)?;
    let entries = mm.pagemap(first, len.min(1 << 20) / 8);
    Ok(entries.into_iter().flat_map(u64::to_ne_bytes).collect())
}

fn bytes_at(mm: &AddressSpace, offset: u64, len: usize) -> Result<Vec<u8>> {
    let address = usize::try_from(offset).map_err(|_| Errno::EIO)?;
    let mut bytes = vec![0; len.min(1 << 20)];
    let len = mm
        .read_forced(address, &mut bytes)
        .map_err(|_| Errno::EIO)?;
    bytes.truncate(len);
    Ok(bytes)
}
