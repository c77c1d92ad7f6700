//! A whole call as text: name, arguments, result.

use crate::error::{Restart, SysError, SyscallResult};
use crate::strace::formats::{Format, Ret};
use crate::strace::names;
use crate::strace::printer::{Printer, put};

use abi::raw::general as nr;

/// The text of a call that has returned; `before` are its arguments as printed before it, and
/// `register` fetches what `rax` is now.
pub(super) fn call(
    printer: &mut Printer<'_>,
    number: u64,
    before: Vec<Option<String>>,
    result: &SyscallResult,
    register: impl FnOnce() -> u64,
) -> String {
    let format = Format::of(number);
    printer.set_result(result.ok());
    let mut text = match names::call(number) {
        Some(name) => format!("{name}("),
        None => format!("syscall_{number:#x}("),
    };
    let mut first = true;
    for (n, early) in before.into_iter().enumerate() {
        let argument = early.unwrap_or_else(|| format.after(printer, n));
        if argument.is_empty() {
            continue;
        }
        if !first {
            text.push_str(", ");
        }
        first = false;
        text.push_str(&argument);
    }
    text.push_str(") = ");
    text.push_str(&outcome(printer, format, number, result, register));
    text
}

fn outcome(
    printer: &mut Printer<'_>,
    format: &Format,
    number: u64,
    result: &SyscallResult,
    register: impl FnOnce() -> u64,
) -> String {
    match result {
        Ok(value) => {
            value_text(printer, format.ret, *value);
            printer.take()
        }
        Err(SysError::Errno(errno)) if errno.name() == "E?" => {
            format!("-1 (errno {})", errno.raw())
        }
        Err(SysError::Errno(errno)) => format!("-1 {} ({})", errno.name(), errno.message()),
        Err(SysError::Restart(restart)) => restart_text(*restart).to_owned(),
        Err(SysError::NoReturn) => no_return(number, register),
    }
}

fn value_text(printer: &mut Printer<'_>, ret: Ret, value: u64) {
    match ret {
        Ret::Decimal => put!(printer, "{}", value.cast_signed()),
        Ret::Hex => put!(printer, "{value:#x}"),
        Ret::Octal => printer.octal(value),
        Ret::Print(print) => print(printer, value),
    }
}

/// Calls that leave their result in the registers themselves, or never return.
fn no_return(number: u64, register: impl FnOnce() -> u64) -> String {
    match u32::try_from(number) {
        Ok(nr::__NR_execve | nr::__NR_execveat) => "0".to_owned(),
        Ok(nr::__NR_rt_sigreturn) => register().cast_signed().to_string(),
        _ => "?".to_owned(),
    }
}

fn restart_text(restart: Restart) -> &'static str {
    match restart {
        Restart::Sys => "? ERESTARTSYS (To be restarted if SA_RESTART is set)",
        Restart::Always => "? ERESTARTNOINTR (To be restarted)",
        Restart::NoHandler => "? ERESTARTNOHAND (To be restarted if no handler)",
        Restart::Block => "? ERESTART_RESTARTBLOCK (Interrupted by signal)",
    }
}
