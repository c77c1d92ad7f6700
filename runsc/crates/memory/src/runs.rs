//! [`Runs`]: reference and pin counts of the allocated frames, kept per run of equal counts.

use std::collections::BTreeMap;

use crate::allocator::Kind;
use crate::frame::FrameRange;

/// The counts of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How many owners (address spaces, page caches) hold the frame.
    pub(crate) refs: u32,
    /// How many I/O operations use the frame at the moment; they do not count as sharing.
    pub(crate) pins: u32,
    /// What the frame is used for.
    pub(crate) kind: Kind,
}

impl Counts {
    const fn is_unused(self) -> bool {
        self.refs == 0 && self.pins == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    end: u64,
    counts: Counts,
}

/// The allocated part of the file, as maximal runs of frames with equal counts.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: BTreeMap<u64, Run>,
}

impl Runs {
    /// Adds frames that were in no run, with one reference.
    pub(crate) fn insert(&mut self, range: FrameRange, kind: Kind) {
        let counts = Counts {
            refs: 1,
            pins: 0,
            kind,
        };
        self.runs.insert(
            range.start(),
            Run {
                end: range.end(),
                counts,
            },
        );
        self.merge_at(range.start());
        self.merge_at(range.end());
    }

    /// Changes the counts of every frame of `range`; frames that are unused then are removed and
    /// reported to `freed`.
    ///
    /// Panics if a frame of the range is not allocated: a reference was counted wrongly, and going
    /// on would hand one guest's memory to another.
    pub(crate) fn update(
        &mut self,
        range: FrameRange,
        mut change: impl FnMut(&mut Counts),
        mut freed: impl FnMut(FrameRange, Kind),
    ) {
        self.split_at(range.start());
        self.split_at(range.end());
        let mut at = range.start();
        while at < range.end() {
            let run = self
                .runs
                .get_mut(&at)
                .expect("a counted frame range is allocated");
            change(&mut run.counts);
            let Run { end, counts } = *run;
            if counts.is_unused() {
                self.runs.remove(&at);
                freed(FrameRange::trusted(at, end), counts.kind);
            } else {
                self.merge_at(at);
            }
            at = end;
        }
        self.merge_at(range.end());
    }

    /// The counts at the first frame of `range`, and for how many bytes of it they hold.
    pub(crate) fn prefix(&self, range: FrameRange) -> Option<(Counts, u64)> {
        let (_, run) = self.runs.range(..=range.start()).next_back()?;
        let len = run.end.min(range.end()).checked_sub(range.start())?;
        (len > 0).then_some((run.counts, len))
    }

    /// Splits the run that has `at` in its middle.
    fn split_at(&mut self, at: u64) {
        let Some((_, run)) = self.runs.range_mut(..at).next_back() else {
            return;
        };
        if run.end > at {
            let tail = *run;
            run.end = at;
            self.runs.insert(at, tail);
        }
    }

    /// Joins the runs that meet at `at` if their counts are equal.
    fn merge_at(&mut self, at: u64) {
        let Some(&right) = self.runs.get(&at) else {
            return;
        };
        let Some((_, left)) = self.runs.range_mut(..at).next_back() else {
            return;
        };
        if left.end == at && left.counts == right.counts {
            left.end = right.end;
            self.runs.remove(&at);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }
}
