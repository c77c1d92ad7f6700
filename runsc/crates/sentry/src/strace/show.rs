//! How the arguments and the result of a call are printed, as the call's declaration says.

use abi::raw::general as nr;

use crate::strace::decode;
use crate::strace::names::Names;
use crate::strace::printer::{Printer, put, size};
use crate::syscalls::table;

/// Prints what is at an address, or an argument by its index.
type Print = fn(&mut Printer<'_>, usize);

/// How an argument is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Show {
    /// `int`; a descriptor or an id.
    Int,
    /// `unsigned int`
    Unsigned,
    /// `long`, `off_t`
    Long,
    /// `size_t`
    Size,
    /// A number best read in hexadecimal.
    Hex,
    /// An address that is printed as such.
    Pointer,
    /// A descriptor of a directory, or `AT_FDCWD`.
    Directory,
    /// Permissions.
    Mode,
    /// A path.
    Path,
    /// A string that is not a path.
    Text,
    /// A buffer that the call reads; the argument of this index is its length.
    Buffer(usize),
    /// A buffer that the call fills with as many bytes as it returns.
    Filled,
    /// A signal's number.
    Signal,
    /// Flags.
    Flags(&'static Names),
    /// One constant.
    OneOf(&'static Names),
    /// A structure that the call reads.
    In(Print),
    /// A structure that the call stores if it succeeds.
    Out(Print),
    /// Something else, printed before the call; by index.
    Before(Print),
    /// Something else, printed after the call; by index.
    After(Print),
}

/// How a result is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShowResult {
    Decimal,
    Hex,
    Octal,
    /// Something else.
    Print(fn(&mut Printer<'_>, u64)),
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: &'static str,
    /// How it is printed.
    pub(crate) show: Show,
}

/// The arguments of a call of which nothing is known.
const UNKNOWN: [Parameter; 6] = [Parameter {
    name: "",
    show: Show::Hex,
}; 6];

/// The arguments of a call.
pub(super) fn parameters(number: u64) -> &'static [Parameter] {
    table::lookup(number).map_or(&UNKNOWN, |call| call.parameters)
}

/// The result of a call.
pub(super) fn result(number: u64) -> ShowResult {
    table::lookup(number).map_or(ShowResult::Decimal, |call| call.result)
}

impl Parameter {
    /// The text of argument `n` before the call; none if it is to be printed after it.
    pub(super) fn before(&self, printer: &mut Printer<'_>, n: usize) -> Option<String> {
        match self.show {
            Show::Out(_) | Show::After(_) | Show::Filled => return None,
            Show::Before(print) => print(printer, n),
            Show::In(print) => in_memory(printer, n, print),
            Show::Path => printer.path(printer.address(n)),
            Show::Text => printer.short_string(printer.address(n)),
            Show::Buffer(len) => printer.buffer(printer.address(n), printer.address(len)),
            other => number(printer, n, other),
        }
        Some(printer.take())
    }

    /// The text of argument `n` after the call.
    pub(super) fn after(&self, printer: &mut Printer<'_>, n: usize) -> String {
        match (self.show, printer.result()) {
            (Show::After(print), _) => print(printer, n),
            (Show::Out(print), Some(_)) => in_memory(printer, n, print),
            (Show::Filled, Some(len)) => printer.buffer(printer.address(n), size(len)),
            _ => printer.pointer(printer.arg(n)),
        }
        printer.take()
    }
}

fn in_memory(printer: &mut Printer<'_>, n: usize, print: Print) {
    match printer.address(n) {
        0 => printer.text("NULL"),
        address => print(printer, address),
    }
}

/// Prints an argument that is its register's value.
fn number(printer: &mut Printer<'_>, n: usize, show: Show) {
    let (whole, low) = (printer.arg(n), printer.arg32(n));
    match show {
        Show::Int => printer.int(low),
        Show::Unsigned => put!(printer, "{low}"),
        Show::Long => put!(printer, "{}", whole.cast_signed()),
        Show::Size => put!(printer, "{whole}"),
        Show::Hex => put!(printer, "{whole:#x}"),
        Show::Mode => printer.mode(u64::from(low)),
        Show::Signal => decode::signal::print(printer, u64::from(low)),
        Show::Directory if low.cast_signed() == nr::AT_FDCWD => printer.text("AT_FDCWD"),
        Show::Directory => printer.int(low),
        Show::Flags(names) => printer.flags(names, u64::from(low)),
        Show::OneOf(names) => printer.one_of(names, u64::from(low)),
        _ => printer.pointer(whole),
    }
}
