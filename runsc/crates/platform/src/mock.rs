//! A platform that runs nothing, for tests of the Sentry: a context plays a script, a space
//! remembers what was mapped.

use crate::{Access, Exit, ExtendedLayout, ExtendedState, Limits, Result, ThreadState, ptrace};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// A page run that was mapped in a mock space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// One behind the last address.
    pub end: usize,
    /// The descriptor's number.
    pub file: i32,
    /// The offset in the file of the first address.
    pub offset: u64,
    /// What application code may do.
    pub access: Access,
}

/// Remembers mappings, cut and merged as the host would cut (but not merge) them.
#[derive(Debug, Default)]
pub struct Space {
    mappings: Mutex<BTreeMap<usize, Mapping>>,
}

impl Space {
    pub(crate) fn map(
        &self,
        at: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
        access: Access,
    ) -> Result<()> {
        let mut mappings = self.mappings.lock();
        cut(&mut mappings, &at);
        let file = file.as_raw_fd();
        mappings.insert(
            at.start,
            Mapping {
                end: at.end,
                file,
                offset,
                access,
            },
        );
        Ok(())
    }

    pub(crate) fn protect(&self, range: Range<usize>, access: Access) -> Result<()> {
        let mut mappings = self.mappings.lock();
        for (start, mapping) in cut(&mut mappings, &range) {
            mappings.insert(start, Mapping { access, ..mapping });
        }
        Ok(())
    }

    pub(crate) fn unmap(&self, range: Range<usize>) -> Result<()> {
        cut(&mut self.mappings.lock(), &range);
        Ok(())
    }

    /// What is mapped: first address and the rest, in order.
    #[must_use]
    pub fn mappings(&self) -> Vec<(usize, Mapping)> {
        self.mappings
            .lock()
            .iter()
            .map(|(&start, &mapping)| (start, mapping))
            .collect()
    }
}

/// Takes the parts within `range` out, leaving the parts around it.
fn cut(mappings: &mut BTreeMap<usize, Mapping>, range: &Range<usize>) -> Vec<(usize, Mapping)> {
    let touched: Vec<(usize, Mapping)> = mappings
        .range(..range.end)
        .filter(|(_, mapping)| mapping.end > range.start)
        .map(|(&start, &mapping)| (start, mapping))
        .collect();
    let mut inside = Vec::new();
    for (start, mapping) in touched {
        mappings.remove(&start);
        let piece = |from: usize, to: usize| {
            let skipped = u64::try_from(from - start).unwrap_or_default();
            (
                from,
                Mapping {
                    end: to,
                    offset: mapping.offset + skipped,
                    ..mapping
                },
            )
        };
        if start < range.start {
            let (at, left) = piece(start, range.start);
            mappings.insert(at, left);
        }
        if mapping.end > range.end {
            let (at, right) = piece(range.end, mapping.end);
            mappings.insert(at, right);
        }
        inside.push(piece(start.max(range.start), mapping.end.min(range.end)));
    }
    inside
}

/// One step of a script: changes the registers as application code would, and says why it stopped.
pub type Step = Box<dyn FnMut(&mut ThreadState) -> Exit + Send>;

/// Plays a script; at its end it waits to be interrupted.
pub struct Context {
    script: VecDeque<Step>,
    interrupter: Interrupter,
    extended: ExtendedState,
}

impl Default for Context {
    fn default() -> Context {
        Context {
            script: VecDeque::new(),
            interrupter: Interrupter::default(),
            extended: ExtendedState::initial(ExtendedLayout::LEGACY),
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("steps", &self.script.len())
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Adds a step to the end of the script.
    pub fn push(&mut self, step: impl FnMut(&mut ThreadState) -> Exit + Send + 'static) {
        self.script.push_back(Box::new(step));
    }

    pub(crate) fn run(&mut self, state: &mut ThreadState) -> Exit {
        if self.interrupter.take() {
            return Exit::Interrupted;
        }
        if let Some(mut step) = self.script.pop_front() {
            return step(state);
        }
        self.interrupter.wait();
        Exit::Interrupted
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    pub(crate) fn extended(&mut self) -> &mut ExtendedState {
        &mut self.extended
    }

    pub(crate) fn reset_extended(&mut self) {
        self.extended = ExtendedState::initial(ExtendedLayout::LEGACY);
    }
}

/// Interrupts a scripted context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupter(Arc<(Mutex<bool>, Condvar)>);

impl Interrupter {
    pub(crate) fn interrupt(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    fn take(&self) -> bool {
        std::mem::take(&mut *self.0.0.lock())
    }

    fn wait(&self) {
        let mut pending = self.0.0.lock();
        while !std::mem::take(&mut *pending) {
            self.0.1.wait(&mut pending);
        }
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        user_range: 0x1_0000..ptrace::USER_END,
        max_vcpus: usize::MAX,
        rseq: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Platform;
    use std::os::fd::AsFd;

    #[test]
    fn unmap_splits_a_mapping() {
        let space = Platform::mock().new_space().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        space
            .map(0x10000..0x14000, file.as_fd(), 0x5000, Access::READ, false)
            .unwrap();
        space.unmap(0x11000..0x12000).unwrap();
        let found = space.as_mock().unwrap().mappings();
        let found: Vec<_> = found.iter().map(|(at, m)| (*at, m.end, m.offset)).collect();
        assert_eq!(
            found,
            [(0x10000, 0x11000, 0x5000), (0x12000, 0x14000, 0x7000)]
        );
    }

    #[test]
    fn script_plays_then_waits_for_an_interruption() {
        let mut context = Platform::mock().new_context();
        let mut state = ThreadState::initial(0, 0);
        context.as_mock().unwrap().push(|state| {
            state.orig_rax = 39;
            Exit::Syscall
        });
        assert_eq!(context.run(&mut state), Ok(Exit::Syscall));
        assert_eq!(state.orig_rax, 39);
        let interrupter = context.interrupter();
        let thread = std::thread::spawn(move || interrupter.interrupt());
        assert_eq!(context.run(&mut state), Ok(Exit::Interrupted));
        thread.join().unwrap();
    }
}
