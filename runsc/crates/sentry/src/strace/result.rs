//! A whole call as text: name, arguments, result.

use crate::error::{Restart, SysError, SyscallResult};
use crate::strace::printer::{Printer, put};
use crate::strace::show::{self, ShowResult};

use abi::raw::general as nr;

/// The text of a call that has returned; `before` are its arguments as printed before it, of which
/// `unfinished` are in the log already, and `register` fetches what `rax` is now.
pub(super) fn call(
    printer: &mut Printer<'_>,
    number: u64,
    before: Vec<Option<String>>,
    unfinished: Option<usize>,
    result: &SyscallResult,
    register: impl FnOnce() -> u64,
) -> String {
    let parameters = show::parameters(number);
    printer.set_result(result.ok());
    let begun = unfinished.unwrap_or(0);
    let mut text = match unfinished {
        Some(_) => format!("<... {} resumed>", name(number)),
        None => format!("{}(", name(number)),
    };
    let mut first = true;
    for (n, (early, parameter)) in before.into_iter().zip(parameters).enumerate().skip(begun) {
        let argument = early.unwrap_or_else(|| parameter.after(printer, n));
        separate(&mut text, &argument, &mut first);
    }
    text.push_str(") = ");
    text.push_str(&outcome(printer, number, result, register));
    text
}

/// The text of a call that does not return for now, and how many of its arguments are in it: those that
/// are known before it does.
pub(super) fn begun(number: u64, before: &[Option<String>]) -> (String, usize) {
    let mut text = format!("{}(", name(number));
    let mut first = true;
    let known = before.iter().map_while(Option::as_deref);
    let shown = known
        .map(|argument| separate(&mut text, argument, &mut first))
        .count();
    if shown > 0 && shown < before.len() {
        text.push(',');
    }
    let gap = if shown == 0 { "" } else { " " };
    text.push_str(gap);
    text.push_str("<unfinished ...>");
    (text, shown)
}

fn name(number: u64) -> String {
    super::name(number).map_or_else(|| format!("syscall_{number:#x}"), ToOwned::to_owned)
}

/// One more argument; one that is not there has no text.
fn separate(text: &mut String, argument: &str, first: &mut bool) {
    if argument.is_empty() {
        return;
    }
    if !std::mem::replace(first, false) {
        text.push_str(", ");
    }
    text.push_str(argument);
}

fn outcome(
    printer: &mut Printer<'_>,
    number: u64,
    result: &SyscallResult,
    register: impl FnOnce() -> u64,
) -> String {
    match result {
        Ok(value) => {
            value_text(printer, show::result(number), *value);
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

fn value_text(printer: &mut Printer<'_>, show: ShowResult, value: u64) {
    match show {
        ShowResult::Decimal => put!(printer, "{}", value.cast_signed()),
        ShowResult::Hex => put!(printer, "{value:#x}"),
        ShowResult::Octal => printer.mode(value),
        ShowResult::Print(print) => print(printer, value),
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
