//! The ptrace platform: application code runs in stub processes, whose every system call stops
//! them (`PTRACE_SYSEMU`) instead of being performed by the host.
//!
//! **Stubs.** A stub process is one address space. It holds nothing but one page of code
//! ([`code`]), which neither the Sentry nor the application can change, just above what the
//! application may map. The *master* is made before the lockdown, by fork, is emptied and filtered
//! ([`master`]), and never runs application code; all others are cloned from it, share the
//! sandbox's descriptor table, and come back to a pool once they are empty again ([`machine`]).
//!
//! **Threads.** A stub's first thread sleeps in the code page, traced by nobody, and so does its
//! *helper*: whoever needs something done in the space while he has no stopped thread of his own
//! there attaches to that for a moment, under the stub's lock ([`stub`]). A [`Context`] that enters
//! the space takes another sleeping thread, or has the helper clone one, and traces it until it
//! leaves; then the thread sleeps again. A tracer always lets go of his threads before he ends,
//! since with `PTRACE_O_EXITKILL` his end kills the whole stub.
//!
//! **Mapping** is a call that a stopped stub thread is made to perform ([`tracee`]): its registers
//! are pointed at a `syscall; int3` in the code page. A Sentry thread uses its own stopped thread
//! if that is in the space ([`own`]), else the helper. If it is the only one in the space, its calls
//! are put off until it runs, and performed in one stop ([`batch`]).
//!
//! **Running** ([`context`]) costs one stop per system call: set registers, `SYSEMU`, wait, get
//! registers, and ask for the entry's architecture. The stub thread follows its tracer's processor
//! ([`affinity`]).
//!
//! **Ends.** A *keeper* thread is the parent of all stub processes: it reaps those that are done
//! with; its own end, that is the sandbox's, kills all of them (`PR_SET_PDEATHSIG`). A
//! thread that was killed from outside shows as `ESRCH` or an exit status wherever it is touched:
//! the stub is then killed as a whole and the context reports a lost space.
//!
//! Lock order: master > stub > pool. None is held while application code runs.

mod affinity;
mod batch;
mod code;
mod context;
mod exit;
mod filter;
mod interrupt;
mod keeper;
mod machine;
mod master;
mod own;
mod space;
mod stub;
mod title;
mod tracee;

pub(crate) use context::Context;
pub(crate) use interrupt::Interrupter;
pub use machine::Config;
pub(crate) use machine::Machine;
pub(crate) use space::{Group, Space};

/// One behind the last address that application code may map: the stub's code page is here.
pub(crate) const USER_END: usize = code::BASE;
