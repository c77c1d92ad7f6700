//! Waiting for several files: what `poll(2)` and `select(2)` share.

use std::sync::Arc;

use crate::kernel::blocking::Unslept;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::time::Deadline;
use crate::vfs::file::OpenFile;

/// One file that is looked at.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The file; none: the descriptor is not open, or the entry is to be skipped.
    pub file: Option<Arc<OpenFile>>,
    /// What is asked for.
    pub wanted: Events,
    /// What there is.
    pub found: Events,
}

impl Polled {
    /// An entry for `file`.
    #[must_use]
    pub fn new(file: Arc<OpenFile>, wanted: Events) -> Polled {
        Polled {
            file: Some(file),
            wanted: wanted | Events::ALWAYS,
            found: Events::empty(),
        }
    }

    /// An entry that has its answer.
    #[must_use]
    pub fn settled(found: Events) -> Polled {
        Polled {
            file: None,
            wanted: Events::empty(),
            found,
        }
    }
}

/// Looks at every entry; how many have something.
fn look(task: &Task, entries: &mut [Polled]) -> usize {
    let mut ready = 0;
    for entry in entries {
        if let Some(file) = &entry.file {
            entry.found = file.file().poll_as(task) & entry.wanted;
        }
        ready += usize::from(!entry.found.is_empty());
    }
    ready
}

/// Waits until an entry has something, at most until `deadline` (none: for ever); how many have.
pub fn wait(
    task: &Task,
    entries: &mut [Polled],
    deadline: Option<Deadline>,
) -> Result<usize, Unslept> {
    let ready = look(task, entries);
    if ready > 0 || deadline.is_some_and(|deadline| is_past(task, deadline)) {
        return Ok(ready);
    }
    let files: Vec<(Arc<OpenFile>, Events)> = entries
        .iter()
        .filter_map(|entry| Some((entry.file.clone()?, entry.wanted)))
        .collect();
    let queues: Vec<(&WaitQueue, Events)> = files
        .iter()
        .filter_map(|(file, wanted)| Some((file.file().wait_queue()?, *wanted)))
        .collect();
    let slept = task.wait_for(&queues, deadline, || {
        let ready = look(task, entries);
        (ready > 0).then_some(ready)
    });
    match slept {
        Err(Unslept::TimedOut) => Ok(0),
        other => other,
    }
}

fn is_past(task: &Task, deadline: Deadline) -> bool {
    task.kernel().clock().until(deadline).is_zero()
}
