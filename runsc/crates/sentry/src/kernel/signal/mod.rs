//! Signals (`man 7 signal`): sets, information, pending queues, dispositions, delivery.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`set`], [`info`], [`wire`] | numbers, sets, `siginfo_t` |
//! | [`action`] | dispositions and default actions |
//! | [`queue`] | pending signals |
//! | [`state`] | what a task and a thread group remember |
//! | [`send`] | sending: to a task, to a group, faults |
//! | [`permission`] | who may send to whom, and to many at once |
//! | [`mask`] | blocked signals |
//! | [`take`] | taking pending signals: `sigtimedwait`, signalfd |
//! | [`stop`] | stops, continuation, and what the parent hears of them |
//! | [`deliver`] | what happens before a task goes back to the application |
//! | [`frame`] | handlers' stack frames, and `rt_sigreturn` |
//! | [`alt_stack`] | alternate stacks |
//!
//! # Locks
//! `ThreadGroup::signals` is what Linux calls `siglock`: pending signals of the group *and of its tasks*
//! change under it. `Task::signals` nests inside it, dispositions inside that. The group's links (thread
//! group lock) are to their left: lists of tasks are fetched before.

pub mod action;
pub mod alt_stack;
pub mod deliver;
pub mod frame;
pub mod info;
pub mod mask;
pub mod permission;
pub mod queue;
mod report;
pub mod send;
pub mod set;
pub mod state;
pub mod stop;
pub mod take;
pub mod wire;

pub use action::{Action, Dispositions, Handler};
pub use deliver::Flow;
pub use info::SignalInfo;
pub use set::{Signal, SignalSet};
