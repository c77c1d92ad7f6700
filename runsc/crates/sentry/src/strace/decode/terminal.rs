//! `ioctl(2)`: the request and what its argument points to.

use abi::termios::{Termios, Winsize};

use crate::strace::decode::id;
use crate::strace::names::terminal as names;
use crate::strace::printer::{Printer, put};

/// What the third argument of a request is.
#[derive(Clone, Copy)]
enum Content {
    /// A number.
    Number,
    /// Nothing.
    Nothing,
    /// An int that is read.
    IntIn,
    /// An int that is stored.
    IntOut,
    /// Something that is read.
    In(fn(&mut Printer<'_>, usize)),
    /// Something that is stored.
    Out(fn(&mut Printer<'_>, usize)),
    /// An address.
    Other,
}

fn content(request: u32) -> Content {
    match request {
        0x5401 => Content::Out(termios),
        0x5402..=0x5404 => Content::In(termios),
        0x5413 => Content::Out(window),
        0x5414 => Content::In(window),
        0x540f
        | 0x5411
        | 0x541b
        | 0x5424
        | 0x5429
        | 0x8004_5430
        | 0x8903..=0x8905
        | 0x8004_5200
        | 0x8008_6601 => Content::IntOut,
        0x5410 | 0x5420 | 0x5421 | 0x5423 | 0x5452 | 0x8901 | 0x8902 | 0x4004_5431
        | 0x4008_6602 => Content::IntIn,
        0x5409..=0x540b | 0x540e | 0x5425 | 0x5441 => Content::Number,
        0x540c | 0x540d | 0x5422 | 0x5450 | 0x5451 => Content::Nothing,
        _ => Content::Other,
    }
}

/// Argument n, after the call.
pub(crate) fn argument(p: &mut Printer<'_>, n: usize) {
    let done = p.result().is_some();
    match content(p.arg32(1)) {
        Content::Nothing => {}
        _ if p.arg(n) == 0 => p.text("0"),
        Content::Number => put!(p, "{}", p.arg(n)),
        Content::IntIn => id::int(p, p.address(n)),
        Content::In(print) => print(p, p.address(n)),
        Content::IntOut if done => id::int(p, p.address(n)),
        Content::Out(print) if done => print(p, p.address(n)),
        _ => p.pointer(p.arg(n)),
    }
}

fn termios(p: &mut Printer<'_>, address: usize) {
    if let Some(termios) = p.value::<Termios>(address) {
        p.text("{c_iflag=");
        p.flags(&names::INPUT, u64::from(termios.iflag));
        p.text(", c_oflag=");
        p.flags(&names::OUTPUT, u64::from(termios.oflag));
        put!(p, ", c_cflag={:#x}, c_lflag=", termios.cflag);
        p.flags(&names::LOCAL, u64::from(termios.lflag));
        p.text(", ...}");
    }
}

fn window(p: &mut Printer<'_>, address: usize) {
    if let Some(size) = p.value::<Winsize>(address) {
        put!(
            p,
            "{{ws_row={}, ws_col={}, ws_xpixel={}, ws_ypixel={}}}",
            size.row,
            size.col,
            size.xpixel,
            size.ypixel
        );
    }
}
