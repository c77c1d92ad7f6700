//! Seccomp of the application's own (`man 2 seccomp`): strict mode, and filters in classic BPF.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`program`] | a filter program: checked as Linux checks it, and run |
//! | [`filter`] | filters stacked by installation and fork, and what they say of a call |
//! | [`install`] | who may install, and on which threads |
//! | [`enforce`] | what happens to a call |
//!
//! A task's [`State`] only ever grows stricter. It changes under the task set lock, so that threads which
//! are being made do not miss a `SECCOMP_FILTER_FLAG_TSYNC`.

pub(crate) mod enforce;
pub mod filter;
pub mod install;
pub mod program;

use std::sync::Arc;

use filter::Filter;

/// `AUDIT_ARCH_X86_64`: the architecture that filters see.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

/// What restricts a task's calls.
#[derive(Clone, Debug, Default)]
pub enum State {
    /// Nothing.
    #[default]
    Disabled,
    /// `SECCOMP_SET_MODE_STRICT`: read, write, exit and `rt_sigreturn` only.
    Strict,
    /// Filters, the one installed last in front.
    Filter(Arc<Filter>),
}

impl State {
    /// The mode as `PR_GET_SECCOMP` and `/proc/[pid]/status` tell it.
    #[must_use]
    pub fn mode(&self) -> u32 {
        match self {
            State::Disabled => 0,
            State::Strict => 1,
            State::Filter(_) => 2,
        }
    }

    /// How many filters there are (`Seccomp_filters` of `/proc/[pid]/status`).
    #[must_use]
    pub fn filters(&self) -> usize {
        match self {
            State::Disabled | State::Strict => 0,
            State::Filter(filter) => filter.chain().count(),
        }
    }
}
