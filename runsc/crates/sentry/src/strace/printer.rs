//! The text of arguments: numbers, strings and flags, and access to what they point to.

use std::fmt::{self, Write as _};

use zerocopy::{FromBytes, IntoBytes};

use crate::strace::memory::Memory;
use crate::strace::names::Names;

/// Appends formatted text to a printer.
macro_rules! put {
    ($printer:expr, $($text:tt)*) => { $printer.put(format_args!($($text)*)) };
}
pub(crate) use put;

/// The longest path that is read.
const PATH_MAX: usize = 4096;
/// Most elements of an array that are shown.
const MAX_ELEMENTS: usize = 64;
/// Most bytes of a buffer that are shown, whatever the settings say.
const MAX_SHOWN: usize = 1 << 20;

/// Collects the text of one argument or result.
pub(crate) struct Printer<'a> {
    memory: &'a dyn Memory,
    args: [u64; 6],
    result: Option<u64>,
    stack: u64,
    max_string: usize,
    out: String,
}

impl<'a> Printer<'a> {
    /// A printer of a call with these arguments.
    pub(crate) fn new(memory: &'a dyn Memory, args: [u64; 6], max_string: usize) -> Printer<'a> {
        Printer {
            memory,
            args,
            result: None,
            stack: 0,
            max_string: max_string.min(MAX_SHOWN),
            out: String::new(),
        }
    }

    pub(crate) fn set_stack(&mut self, stack: u64) {
        self.stack = stack;
    }

    pub(crate) fn set_result(&mut self, result: Option<u64>) {
        self.result = result;
    }

    /// The text so far; the printer starts anew.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.out.write_fmt(text);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Argument `n` as its register holds it.
    pub(crate) fn arg(&self, n: usize) -> u64 {
        self.args.get(n).copied().unwrap_or(0)
    }

    /// The low half of argument `n`, an `unsigned int`.
    pub(crate) fn arg32(&self, n: usize) -> u32 {
        low(self.arg(n))
    }

    /// Argument `n` as an address or a size.
    pub(crate) fn address(&self, n: usize) -> usize {
        size(self.arg(n))
    }

    /// What the call returned, if it did not fail.
    pub(crate) fn result(&self) -> Option<u64> {
        self.result
    }

    /// The stack pointer at the call.
    pub(crate) fn stack(&self) -> u64 {
        self.stack
    }

    pub(crate) fn int(&mut self, value: u32) {
        put!(self, "{}", value.cast_signed());
    }

    /// As C's `%#x` writes it.
    pub(crate) fn hex(&mut self, value: u64) {
        if value == 0 {
            self.text("0");
        } else {
            put!(self, "{value:#x}");
        }
    }

    /// Permissions: as C's `%#03o` writes them.
    pub(crate) fn mode(&mut self, value: u64) {
        match value {
            0..0o10 => put!(self, "{value:03o}"),
            _ => put!(self, "0{value:o}"),
        }
    }

    pub(crate) fn pointer(&mut self, address: u64) {
        if address == 0 {
            self.text("NULL");
        } else {
            put!(self, "{address:#x}");
        }
    }

    pub(crate) fn flags(&mut self, names: &Names, value: u64) {
        let text = names.flags(value);
        self.text(&text);
    }

    pub(crate) fn one_of(&mut self, names: &Names, value: u64) {
        let text = names.one_of(value);
        self.text(&text);
    }

    /// Reads plain data; on failure prints the address.
    pub(crate) fn value<T: FromBytes + IntoBytes>(&mut self, address: usize) -> Option<T> {
        let value = self.peek(address);
        if value.is_none() {
            self.pointer(address as u64);
        }
        value
    }

    /// Reads plain data.
    pub(crate) fn peek<T: FromBytes + IntoBytes>(&self, address: usize) -> Option<T> {
        let mut value = T::new_zeroed();
        let len = size_of::<T>();
        (self.memory.read(address, value.as_mut_bytes()) == len).then_some(value)
    }

    /// Reads `len` bytes or as many as there are.
    pub(crate) fn bytes(&self, address: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len.min(MAX_SHOWN)];
        let read = self.memory.read(address, &mut bytes);
        bytes.truncate(read);
        bytes
    }

    /// A buffer of `len` bytes in user memory.
    pub(crate) fn buffer(&mut self, address: usize, len: usize) {
        if address == 0 {
            return self.text("NULL");
        }
        let shown = len.min(self.max_string);
        let bytes = self.bytes(address, shown);
        if bytes.len() < shown {
            return self.pointer(address as u64);
        }
        self.quoted(&bytes);
        if len > shown {
            self.text("...");
        }
    }

    /// A path: shown in full.
    pub(crate) fn path(&mut self, address: usize) {
        self.string(address, PATH_MAX);
    }

    /// A string that ends with NUL, cut to the usual size.
    pub(crate) fn short_string(&mut self, address: usize) {
        self.string(address, self.max_string);
    }

    fn string(&mut self, address: usize, max: usize) {
        if address == 0 {
            return self.text("NULL");
        }
        let bytes = self.bytes(address, max.saturating_add(1));
        match bytes.iter().position(|byte| *byte == 0) {
            Some(end) => self.quoted(&bytes[..end]),
            None if bytes.len() > max => {
                self.quoted(&bytes[..max]);
                self.text("...");
            }
            None => self.pointer(address as u64),
        }
    }

    /// Bytes in quotes, as C would write them.
    pub(crate) fn quoted(&mut self, bytes: &[u8]) {
        self.text("\"");
        for (at, byte) in bytes.iter().enumerate() {
            let digit_follows = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            self.character(*byte, digit_follows);
        }
        self.text("\"");
    }

    fn character(&mut self, byte: u8, digit_follows: bool) {
        match byte {
            b'"' => self.text("\\\""),
            b'\\' => self.text("\\\\"),
            b'\n' => self.text("\\n"),
            b'\r' => self.text("\\r"),
            b'\t' => self.text("\\t"),
            0x0b => self.text("\\v"),
            0x0c => self.text("\\f"),
            b' '..=b'~' => self.out.push(char::from(byte)),
            _ if digit_follows => put!(self, "\\{byte:03o}"),
            _ => put!(self, "\\{byte:o}"),
        }
    }

    /// An array of `count` values at `address`, each printed by `print`.
    pub(crate) fn array<T: FromBytes + IntoBytes>(
        &mut self,
        address: usize,
        count: usize,
        mut print: impl FnMut(&mut Printer<'a>, T),
    ) {
        if address == 0 {
            return self.text("NULL");
        }
        if count > 0 && self.peek::<T>(address).is_none() {
            return self.pointer(address as u64);
        }
        self.text("[");
        for index in 0..count {
            if index > 0 {
                self.text(", ");
            }
            if index == MAX_ELEMENTS {
                self.text("...");
                break;
            }
            let at = address.wrapping_add(index.wrapping_mul(size_of::<T>()));
            match self.value(at) {
                Some(value) => print(self, value),
                None => break,
            }
        }
        self.text("]");
    }
}

/// The low half of a register.
#[expect(
    clippy::cast_possible_truncation,
    reason = "Linux takes an int argument from the low half of its register"
)]
pub(crate) fn low(value: u64) -> u32 {
    value as u32
}

/// A register as an address or a size; they are 64 bits wide here.
pub(crate) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
