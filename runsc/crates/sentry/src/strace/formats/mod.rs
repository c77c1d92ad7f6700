//! What the arguments and results of each call are, a file for each subject.

mod event;
mod file;
mod memory;
mod name;
mod process;
mod signal;
mod socket;
mod system;
mod time;

use abi::raw::general as nr;

use crate::strace::decode;
use crate::strace::names::Names;
use crate::strace::printer::{Printer, put, size};

/// Prints what is at an address, or an argument by its index.
type Print = fn(&mut Printer<'_>, usize);

/// What an argument is.
#[derive(Clone, Copy)]
pub(super) enum Arg {
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

/// What a result is.
#[derive(Clone, Copy)]
pub(super) enum Ret {
    Decimal,
    Hex,
    Octal,
    /// Something else.
    Print(fn(&mut Printer<'_>, u64)),
}

/// How a call is printed.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// Its arguments.
    pub(super) args: &'static [Arg],
    /// Its result.
    pub(super) ret: Ret,
}

/// A call's number and format.
type Row = (u32, Format);

/// The format of a call that returns a number.
const fn row(number: u32, args: &'static [Arg]) -> Row {
    returns(number, args, Ret::Decimal)
}

/// The format of a call that returns something else.
const fn returns(number: u32, args: &'static [Arg], ret: Ret) -> Row {
    (number, Format { args, ret })
}

/// The formats of every subject.
const SUBJECTS: &[&[Row]] = &[
    event::ROWS,
    file::ROWS,
    memory::ROWS,
    name::ROWS,
    process::ROWS,
    signal::ROWS,
    socket::ROWS,
    system::ROWS,
    time::ROWS,
];

/// One more than the highest number of a call.
const NUMBERS: usize = 470;

static FORMATS: [Option<Format>; NUMBERS] = {
    let mut table: [Option<Format>; NUMBERS] = [None; NUMBERS];
    let mut subject = 0;
    while subject < SUBJECTS.len() {
        let mut index = 0;
        while index < SUBJECTS[subject].len() {
            let (number, format) = SUBJECTS[subject][index];
            assert!(table[number as usize].is_none(), "two formats for one call");
            table[number as usize] = Some(format);
            index += 1;
        }
        subject += 1;
    }
    table
};

/// The format of a call of which nothing is known.
static UNKNOWN: Format = Format {
    args: &[Arg::Hex; 6],
    ret: Ret::Decimal,
};

impl Format {
    /// The format of a call.
    pub(super) fn of(number: u64) -> &'static Format {
        Format::known(number).unwrap_or(&UNKNOWN)
    }

    /// The format of a call that has one.
    pub(super) fn known(number: u64) -> Option<&'static Format> {
        FORMATS.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// Argument `n` as it is before the call; none if it is to be printed after it.
    pub(super) fn before(&self, printer: &mut Printer<'_>, n: usize) -> Option<String> {
        match self.args[n] {
            Arg::Out(_) | Arg::After(_) | Arg::Filled => return None,
            Arg::Before(print) => print(printer, n),
            Arg::In(print) => in_memory(printer, n, print),
            Arg::Path => printer.path(printer.address(n)),
            Arg::Text => printer.short_string(printer.address(n)),
            Arg::Buffer(len) => printer.buffer(printer.address(n), printer.address(len)),
            other => number(printer, n, other),
        }
        Some(printer.take())
    }

    /// Argument `n` as it is after the call.
    pub(super) fn after(&self, printer: &mut Printer<'_>, n: usize) -> String {
        match (self.args[n], printer.result()) {
            (Arg::After(print), _) => print(printer, n),
            (Arg::Out(print), Some(_)) => in_memory(printer, n, print),
            (Arg::Filled, Some(len)) => printer.buffer(printer.address(n), size(len)),
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

/// An argument that is its register's value.
fn number(printer: &mut Printer<'_>, n: usize, arg: Arg) {
    let (whole, low) = (printer.arg(n), printer.arg32(n));
    match arg {
        Arg::Int => printer.int(low),
        Arg::Unsigned => put!(printer, "{low}"),
        Arg::Long => put!(printer, "{}", whole.cast_signed()),
        Arg::Size => put!(printer, "{whole}"),
        Arg::Hex => put!(printer, "{whole:#x}"),
        Arg::Mode => printer.mode(u64::from(low)),
        Arg::Signal => decode::signal::print(printer, u64::from(low)),
        Arg::Directory if low.cast_signed() == nr::AT_FDCWD => printer.text("AT_FDCWD"),
        Arg::Directory => printer.int(low),
        Arg::Flags(names) => printer.flags(names, u64::from(low)),
        Arg::OneOf(names) => printer.one_of(names, u64::from(low)),
        _ => printer.pointer(whole),
    }
}
