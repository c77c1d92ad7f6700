//! Prints system calls as `strace(1)` does, from the table that dispatches them.

/// What is traced.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether anything is.
    pub enabled: bool,
    /// The names of the calls; all if empty.
    pub calls: Vec<String>,
    /// How many bytes of a string or buffer are shown.
    pub max_string: usize,
}

/// A call that is being traced.
#[derive(Debug)]
pub struct Traced {}

/// Before a call: notes what its arguments point to, if it is traced.
pub fn enter(task: &crate::kernel::Task, _args: &crate::syscalls::SyscallArgs) -> Option<Traced> {
    task.kernel().strace.enabled.then_some(Traced {})
}

/// After a call: prints it.
pub fn exit(
    task: &crate::kernel::Task,
    _traced: Traced,
    args: &crate::syscalls::SyscallArgs,
    result: &crate::SyscallResult,
) {
    let name = crate::syscalls::table::lookup(args.number).map_or("?", |call| call.name);
    tracing::info!(target: "strace", tid = task.tid(), "{name}({:#x?}) = {result:?}", args.raw);
}
