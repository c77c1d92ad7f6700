//! How much is measured: the more, the longer it takes and the less chance has a part in it.

use std::time::Duration;

use crate::rows::Stage;

/// How often and how long to measure, and how much the programs are given to do.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How often everything is measured.
    pub repetitions: u32,
    /// How long a row is measured in each repetition, in milliseconds.
    pub row_ms: u64,
    /// How long a sandbox is left alone before its memory is read, and again while its CPU time is counted.
    pub(crate) settle: Duration,
    /// What the programs are given to do.
    pub(crate) work: Work,
    /// Whether the programs of Debian are measured, whose root file system may have to be made first.
    pub(crate) with_debian: bool,
}

/// What the programs are given to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// The size of the text.
    pub(crate) text_mib: u32,
    /// How many files are unpacked.
    pub(crate) nr_files: u32,
    /// How many processes the shell's loop makes.
    pub(crate) nr_processes: u32,
    /// How often a program is run in a repetition, after a first run that fills the caches.
    pub(crate) nr_runs: u32,
}

impl Effort {
    /// What medians and quartiles need.
    pub fn thorough(repetitions: u32, row_ms: u64) -> Self {
        Self {
            repetitions,
            row_ms,
            settle: Duration::from_secs(1),
            work: Work {
                text_mib: 16,
                nr_files: 200,
                nr_processes: 50,
                nr_runs: 3,
            },
            with_debian: true,
        }
    }

    /// Once and briefly: shows that everything can be measured, and not what it costs.
    pub fn quick() -> Self {
        Self {
            repetitions: 1,
            row_ms: 5,
            settle: Duration::from_millis(200),
            work: Work {
                text_mib: 1,
                nr_files: 20,
                nr_processes: 5,
                nr_runs: 1,
            },
            with_debian: false,
        }
    }

    /// What is measured one after the other.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let wanted = |stage: &Stage| self.with_debian || *stage != Stage::Debian;
        Stage::ALL.into_iter().filter(wanted).collect()
    }
}
