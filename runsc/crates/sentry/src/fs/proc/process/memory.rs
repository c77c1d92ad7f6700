//! What is read from a process's memory: arguments, environment, maps, and the memory itself.

use std::ops::Range;
use std::sync::{Arc, Weak};

use abi::Errno;

use super::super::alive;
use super::{View, may_inspect};
use crate::error::Result;
use crate::fs::synthetic::Content;
use crate::kernel::task::Task;
use crate::mm::AddressSpace;
use crate::mm::address_space::ExecLayout;

/// The line of the vsyscall page, as Linux shows it with `vsyscall=xonly`.
const VSYSCALL: &[u8] =
    b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
/// The most that is shown of arguments or environment.
const MAX_STRINGS: usize = 6 << 20;

fn strings(view: &View<'_>, range: fn(&ExecLayout) -> Range<usize>) -> Result<Vec<u8>> {
    let Some(mm) = view.task.mm_if_alive() else {
        return Ok(Vec::new());
    };
    let range = range(&mm.layout());
    let mut bytes = vec![0; range.len().min(MAX_STRINGS)];
    let len = mm.read_forced(range.start, &mut bytes).unwrap_or(0);
    bytes.truncate(len);
    Ok(bytes)
}

pub(super) fn environ(view: &View<'_>) -> Result<Vec<u8>> {
    strings(view, |layout| layout.env.clone())
}

/// The arguments. A program that overwrote the last NUL has written its title on into the environment
/// (`man 5 proc_pid_cmdline`).
pub(super) fn cmdline(view: &View<'_>) -> Result<Vec<u8>> {
    let args = strings(view, |layout| layout.args.clone())?;
    if args.last().is_none_or(|last| *last == 0) {
        return Ok(args);
    }
    let mut title = strings(view, |layout| {
        layout.args.start..layout.env.end.max(layout.args.end)
    })?;
    if let Some(end) = title.iter().position(|byte| *byte == 0) {
        title.truncate(end + 1);
    }
    Ok(title)
}

pub(super) fn auxv(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(view
        .task
        .mm_if_alive()
        .map(|mm| mm.layout().auxv)
        .unwrap_or_default())
}

pub(super) fn maps(view: &View<'_>) -> Result<Vec<u8>> {
    let Some(mm) = view.task.mm_if_alive() else {
        return Ok(Vec::new());
    };
    let mut text = mm.maps_text(view.viewer);
    // Calls into it are answered (`kernel::vsyscall`), though nothing is mapped there.
    text.extend_from_slice(VSYSCALL);
    Ok(text)
}

pub(super) fn smaps(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(view
        .task
        .mm_if_alive()
        .map(|mm| mm.smaps_text(view.viewer))
        .unwrap_or_default())
}

pub(super) fn smaps_rollup(view: &View<'_>) -> Result<Vec<u8>> {
    Ok(view
        .task
        .mm_if_alive()
        .map(|mm| mm.smaps_rollup_text())
        .unwrap_or_default())
}

/// `/proc/[pid]/pagemap`
#[derive(Debug)]
struct PageMap {
    task: Weak<Task>,
}

pub(super) fn pagemap(task: &Arc<Task>) -> Arc<dyn Content> {
    Arc::new(PageMap {
        task: Arc::downgrade(task),
    })
}

impl Content for PageMap {
    fn read(&self, _task: &Task) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// Whole entries only (`man 5 proc_pid_pagemap`).
    fn read_at(&self, _task: &Task, offset: u64, len: usize) -> Option<Result<Vec<u8>>> {
        let read = || {
            if !offset.is_multiple_of(8) || !len.is_multiple_of(8) {
                return Err(Errno::EINVAL);
            }
            let Some(mm) = alive(&self.task)?.mm_if_alive() else {
                return Ok(Vec::new());
            };
            let first = usize::try_from(offset / 8).map_err(|_| Errno::EINVAL)?;
            let entries = mm.pagemap(first, len.min(1 << 20) / 8);
            Ok(entries.into_iter().flat_map(u64::to_ne_bytes).collect())
        };
        Some(read())
    }

    fn check_open(&self, viewer: &Task) -> Result<()> {
        alive(&self.task).and_then(|task| may_inspect(viewer, &task))
    }
}

/// `/proc/[pid]/mem`
#[derive(Debug)]
struct Memory {
    task: Weak<Task>,
}

pub(super) fn mem(task: &Arc<Task>) -> Arc<dyn Content> {
    Arc::new(Memory {
        task: Arc::downgrade(task),
    })
}

impl Memory {
    fn space(&self) -> Result<Arc<AddressSpace>> {
        alive(&self.task)?.mm_if_alive().ok_or(Errno::ESRCH)
    }
}

impl Content for Memory {
    fn read(&self, _task: &Task) -> Result<Vec<u8>> {
        Err(Errno::EIO)
    }

    fn read_at(&self, _task: &Task, offset: u64, len: usize) -> Option<Result<Vec<u8>>> {
        let read = || {
            let address = usize::try_from(offset).map_err(|_| Errno::EIO)?;
            let mut bytes = vec![0; len.min(1 << 20)];
            let len = self
                .space()?
                .read_forced(address, &mut bytes)
                .map_err(|_| Errno::EIO)?;
            bytes.truncate(len);
            Ok(bytes)
        };
        Some(read())
    }

    fn write(&self, _task: &Task, bytes: &[u8], offset: u64) -> Result<usize> {
        let address = usize::try_from(offset).map_err(|_| Errno::EIO)?;
        self.space()?
            .write_forced(address, bytes)
            .map_err(|_| Errno::EIO)
    }

    fn check_open(&self, viewer: &Task) -> Result<()> {
        alive(&self.task).and_then(|task| may_inspect(viewer, &task))
    }
}
