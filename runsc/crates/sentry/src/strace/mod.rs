//! Prints system calls as `strace(1)` does: one line in the log for each, once it has returned; two for
//! one that sleeps, so that one that never returns is seen.
//!
//! [`enter`] and [`exit`] stand around the dispatch of a call, [`sleeps`] is called before its task sleeps. What goes into the kernel is read from user
//! memory and printed before the call, what comes out of it after. The table of calls says what the
//! arguments of each are ([`show`]), [`decode`] prints structures, [`names`] is about flags and constants. User memory is read
//! as any hostile input: what can't be read is printed as its address.
//!
//! Nothing happens but one test of a flag while tracing is off.

pub(crate) mod decode;
mod line;
mod memory;
pub(crate) mod names;
mod printer;
mod result;
pub(crate) mod show;
#[cfg(test)]
mod tests;

use std::time::Instant;

use crate::error::SyscallResult;
use crate::kernel::Task;
use crate::kernel::signal::SignalInfo;
use crate::kernel::thread_group::ExitStatus;
use crate::strace::printer::Printer;
use crate::syscalls::{SyscallArgs, table};

/// What is traced.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Any call is traced at all.
    pub enabled: bool,
    /// The names of the calls; all if empty.
    pub calls: Vec<String>,
    /// How many bytes of a string or buffer are shown.
    pub max_string: usize,
}

impl Settings {
    /// The names in `calls` that no call has.
    pub fn unknown_calls(&self) -> impl Iterator<Item = &str> {
        let known = |name: &str| abi::syscall_names::number(name).is_some();
        self.calls
            .iter()
            .map(String::as_str)
            .filter(move |name| !known(name))
    }

    fn wants(&self, number: u64) -> bool {
        if self.calls.is_empty() {
            return true;
        }
        let name = name(number);
        self.calls.iter().any(|call| Some(call.as_str()) == name)
    }
}

/// The name of a call, also of one that the table does not have.
fn name(number: u64) -> Option<&'static str> {
    let number = u32::try_from(number).ok()?;
    table::lookup(number.into())
        .map_or_else(|| abi::syscall_names::name(number), |call| Some(call.name))
}

/// A call that is being traced.
#[derive(Debug)]
pub struct Traced {
    number: u64,
    /// The arguments as far as they are printed before the call.
    arguments: Vec<Option<String>>,
    /// How many of them are in the log, if its line was begun.
    unfinished: Option<usize>,
    started: Instant,
}

/// Before a call: notes what its arguments point to, if it is traced.
pub fn enter(task: &Task, args: &SyscallArgs) {
    if task.kernel().strace.enabled {
        begin(task, args);
    }
}

#[cold]
fn begin(task: &Task, args: &SyscallArgs) {
    let settings = &task.kernel().strace;
    if !settings.wants(args.number) {
        return;
    }
    let mm = task.mm_if_alive();
    let stack = task.registers.lock().rsp;
    let mut printer = Printer::new(memory::of(mm.as_deref()), args.raw, settings.max_string);
    printer.set_stack(stack);
    let arguments = (show::parameters(args.number).iter().enumerate())
        .map(|(n, parameter)| parameter.before(&mut printer, n))
        .collect();
    *task.strace_call.lock() = Some(Traced {
        number: args.number,
        arguments,
        unfinished: None,
        started: Instant::now(),
    });
}

/// Within a call whose task is about to sleep: begins its line.
pub fn sleeps(task: &Task) {
    if !task.kernel().strace.enabled {
        return;
    }
    let mut traced = task.strace_call.lock();
    let Some(traced) = traced.as_mut().filter(|traced| traced.unfinished.is_none()) else {
        return;
    };
    let (text, shown) = result::begun(traced.number, &traced.arguments);
    traced.unfinished = Some(shown);
    line::write(task.tid(), &text, None);
}

/// After a call: prints it.
pub fn exit(task: &Task, args: &SyscallArgs, result: &SyscallResult) {
    if task.kernel().strace.enabled {
        let traced = task.strace_call.lock().take();
        if let Some(traced) = traced {
            end(task, traced, args, result);
        }
    }
}

#[cold]
fn end(task: &Task, traced: Traced, args: &SyscallArgs, result: &SyscallResult) {
    let took = traced.started.elapsed();
    let mm = task.mm_if_alive();
    let max = task.kernel().strace.max_string;
    let mut printer = Printer::new(memory::of(mm.as_deref()), args.raw, max);
    let (before, begun) = (traced.arguments, traced.unfinished);
    let text = result::call(&mut printer, args.number, before, begun, result, || {
        task.registers.lock().rax
    });
    line::write(task.tid(), &text, Some(took));
}

/// A signal is delivered.
pub fn signal(task: &Task, info: &SignalInfo) {
    if task.kernel().strace.enabled {
        let text = decode::siginfo::text(info);
        line::write(
            task.tid(),
            &format!("--- {} {text} ---", info.signal.name()),
            None,
        );
    }
}

/// The kernel itself starts a program, as if the process had asked for it.
pub fn starts(task: &Task, argv: &[Vec<u8>], variables: usize) {
    let settings = &task.kernel().strace;
    if !settings.enabled || !settings.wants(u64::from(abi::raw::general::__NR_execve)) {
        return;
    }
    let mut printer = Printer::new(memory::of(None), [0; 6], settings.max_string);
    let mut quoted = argv.iter().map(|argument| {
        printer.quoted(argument);
        printer.take()
    });
    let program = quoted.next().unwrap_or_default();
    let arguments: Vec<String> = std::iter::once(program.clone()).chain(quoted).collect();
    let arguments = arguments.join(", ");
    let text = format!("execve({program}, [{arguments}], /* {variables} vars */) = ?");
    line::write(task.tid(), &text, None);
}

/// A thread ends.
pub fn exited(task: &Task) {
    if !task.kernel().strace.enabled {
        return;
    }
    let of_group = task.group().links.lock().exiting;
    let status = of_group.or(*task.exit_status.lock());
    let text = match status.unwrap_or(ExitStatus::Exited(0)) {
        ExitStatus::Exited(code) => format!("+++ exited with {code} +++"),
        ExitStatus::Killed { signal, core } => {
            let dumped = if core { " (core dumped)" } else { "" };
            format!("+++ killed by {}{dumped} +++", signal.name())
        }
    };
    line::write(task.tid(), &text, None);
}
