//! Arguments: values of every kind, mostly valid, at the edges, or wild.

use std::ffi::CStr;

use crate::arena::{Arena, NR_PAGES, NR_SCRATCH, PAGE};
use crate::dice::Dice;
use crate::grammar::{Field, Grammar, Kind, Word};
use crate::raw::Arg as _;
use crate::{edges, names, raw, signals, spawn};

/// The longest structure, with the most in a row.
const MAX_BYTES: usize = 1024;
/// How deep structures point to structures.
const MAX_DEPTH: u32 = 4;

/// Makes the values of one thread.
#[derive(Debug)]
pub(crate) struct Maker<'a> {
    /// What structures look like.
    pub(crate) grammar: &'a Grammar,
    /// What decides.
    pub(crate) dice: Dice,
    arena: Arena,
    scratch: u64,
    used: u64,
}

impl<'a> Maker<'a> {
    /// With scratch pages of its own.
    pub(crate) fn new(grammar: &'a Grammar, dice: Dice, arena: Arena, scratch: u64) -> Maker<'a> {
        Maker {
            grammar,
            dice,
            arena,
            scratch,
            used: 0,
        }
    }

    /// Six arguments.
    pub(crate) fn arguments(&mut self, kinds: &[Kind]) -> [u64; 6] {
        let mut args = [0; 6];
        for (arg, kind) in args.iter_mut().zip(kinds) {
            *arg = self.value(kind, 0);
        }
        args
    }

    fn value(&mut self, kind: &Kind, depth: u32) -> u64 {
        if self.dice.one_in(300) {
            return self.any();
        }
        match kind {
            Kind::Number(number) => *number,
            Kind::Bits(bits) => self.bits(bits),
            Kind::OneOf(numbers) => self.dice.pick(numbers).copied().unwrap_or(0),
            Kind::Pointer { .. } if self.dice.one_in(24) => self.buf(),
            Kind::Pointer { .. } if depth > MAX_DEPTH || self.dice.one_in(16) => 0,
            Kind::Pointer { structure, several } => self.structures(*structure, *several, depth),
            Kind::Word(word) => self.word(*word),
        }
    }

    /// None, one or some of these bits, seldom another too.
    fn bits(&mut self, bits: &[u64]) -> u64 {
        let mut value = 0;
        for _ in 0..self.dice.below(4) {
            value |= self.dice.pick(bits).copied().unwrap_or(0);
        }
        if self.dice.one_in(40) {
            value |= 1 << self.dice.below(64);
        }
        value
    }

    /// Writes structures into the scratch pages; their address.
    fn structures(&mut self, index: usize, several: bool, depth: u32) -> u64 {
        let grammar = self.grammar;
        let fields = grammar.structures.get(index).map_or(&[][..], Vec::as_slice);
        let nr = if several { 1 + self.dice.below(5) } else { 1 };
        let (mut bytes, mut len) = ([0_u8; MAX_BYTES], 0);
        for _ in 0..nr {
            len = self.fields(fields, &mut bytes, len, depth);
        }
        if self.dice.one_in(30) {
            let at = usize::try_from(self.dice.below(MAX_BYTES as u64)).unwrap_or(0) % len.max(1);
            bytes[at] ^= 1 << self.dice.below(8);
        }
        let address = self.place(len as u64);
        raw::poke(address, bytes.get(..len).unwrap_or_default());
        address
    }

    fn fields(&mut self, fields: &[Field], bytes: &mut [u8], mut len: usize, depth: u32) -> usize {
        for field in fields {
            let value = self.value(&field.kind, depth + 1).to_le_bytes();
            let Some(to) = bytes.get_mut(len..len + field.len_bytes) else {
                return len;
            };
            to.copy_from_slice(value.get(..field.len_bytes).unwrap_or_default());
            len += field.len_bytes;
        }
        len
    }

    /// Room for a structure: the next in the scratch pages, or the last bytes before what is not mapped.
    fn place(&mut self, len: u64) -> u64 {
        let room = NR_SCRATCH * PAGE;
        if self.dice.one_in(10) {
            return self.scratch + room - len;
        }
        self.used = (self.used + 1040) % (room - 2 * MAX_BYTES as u64);
        self.scratch + (self.used & !7)
    }

    fn word(&mut self, word: Word) -> u64 {
        match word {
            Word::Fd => self.fd(),
            Word::Dir => self.dir(),
            Word::Path => self.path(),
            Word::Text => self.string(names::TEXTS),
            Word::FsType => self.string(names::FILE_SYSTEMS),
            Word::Xattr => self.string(names::XATTRS),
            Word::MqName => self.string(names::QUEUES),
            Word::Prog => self.string(names::PROGRAMS),
            Word::Buf => self.buf(),
            Word::Addr => self.page(),
            Word::Pid => self.pid(),
            Word::Any => self.any(),
            Word::BitSet => self.dice.next() & self.dice.next(),
            Word::Handler => self.handler(),
            Word::Restorer => signals::restorer(),
            Word::Nr => self.dice.below(460),
            other => self.number(other),
        }
    }

    fn number(&mut self, word: Word) -> u64 {
        match word {
            Word::Clock => self.clock(),
            Word::Sig => self.signal(),
            Word::MknodMode => self.mknod_mode(),
            Word::Port => (1024 + self.dice.below(8)).swap_bytes() >> 48,
            other => {
                let edges = edges::of(other);
                self.dice.pick(edges).copied().unwrap_or(0).cast_unsigned()
            }
        }
    }

    /// Descriptors are dense, so that most small numbers are some.
    fn fd(&mut self) -> u64 {
        match self.dice.below(40) {
            0 => u64::MAX,
            1 => self.dice.below(2000),
            2 => libc::AT_FDCWD.word(),
            3..12 => self.dice.below(200),
            _ => self.dice.below(64),
        }
    }

    fn dir(&mut self) -> u64 {
        match self.dice.below(3) {
            0 => self.fd(),
            _ => libc::AT_FDCWD.word(),
        }
    }

    fn path(&mut self) -> u64 {
        match self.dice.below(40) {
            0 => self.buf(),
            1 => self
                .dice
                .pick(&names::LONG.all())
                .map_or(0, |name| name.word()),
            _ => self.string(names::PATHS),
        }
    }

    fn string(&mut self, all: &'static [&'static CStr]) -> u64 {
        if self.dice.one_in(100) {
            return self.buf();
        }
        self.dice.pick(all).map_or(0, |name| name.word())
    }

    fn page(&mut self) -> u64 {
        match self.dice.below(60) {
            0 => 0,
            1 => self.wild(),
            2 => self.buf(),
            _ => self.arena.page(self.dice.below(NR_PAGES)),
        }
    }

    /// Bytes anywhere in the arena, at the end of a page, nowhere.
    fn buf(&mut self) -> u64 {
        let page = self.arena.page(self.dice.below(NR_PAGES));
        match self.dice.below(40) {
            0 => 0,
            1 => self.wild(),
            2..6 => page + PAGE - (1 << self.dice.below(8)),
            6..10 => self.arena.page(64) - (1 << self.dice.below(12)),
            10..20 => page + self.dice.below(PAGE),
            _ => self.arena.page(self.dice.below(60)) + (self.dice.below(PAGE) & !7),
        }
    }

    fn wild(&mut self) -> u64 {
        let edges = [
            1,
            PAGE - 1,
            0x7fff_ffff_e000,
            0x7fff_ffff_f000,
            0x7fff_ffff_ffff,
            0x8000_0000_0000,
            0xffff_7fff_ffff_ffff,
            0xffff_8000_0000_0000,
            0xffff_ffff_8000_0000,
            0xffff_ffff_ff60_0000,
            0xffff_ffff_ffff_f000,
            0xffff_ffff_ffff_fff8,
            0xdead_beef_0000,
        ];
        self.dice.pick(&edges).copied().unwrap_or(0)
    }

    /// A process that this worker or another has made, itself, a group, all; never the first one.
    fn pid(&mut self) -> u64 {
        let pid = match self.dice.below(32) {
            0..8 => spawn::own_pid(),
            8..12 => 0,
            12..22 => spawn::recent(self.dice.below(64)),
            22 => i64::MAX,
            23 => -spawn::own_pid(),
            24 if self.dice.one_in(16) => -1,
            _ => i64::try_from(2 + self.dice.below(100)).unwrap_or(2),
        };
        if pid == 1 { 0 } else { pid.cast_unsigned() }
    }

    fn any(&mut self) -> u64 {
        match self.dice.below(12) {
            0 => self.dice.next(),
            1 => 1 << self.dice.below(64),
            2 => self.wild(),
            3 => self.fd(),
            4 => self.dice.below(64),
            5 => self.number(Word::Int),
            6 => self.page(),
            7 => self.number(Word::Len),
            8 => 0,
            _ => self.buf(),
        }
    }

    fn handler(&mut self) -> u64 {
        match self.dice.below(8) {
            0 => 0,
            1 => 1,
            2 if self.dice.one_in(8) => self.buf(),
            _ => signals::handler(),
        }
    }

    fn clock(&mut self) -> u64 {
        match self.dice.below(8) {
            // The clocks of a process and of a thread (clock_getcpuclockid(3)).
            0 => (!self.pid() << 3) | self.dice.below(8),
            1 => self.number(Word::Int),
            _ => self.dice.below(12),
        }
    }

    /// Any signal; those that end or stop the worker seldom.
    fn signal(&mut self) -> u64 {
        let signal = self.dice.below(66);
        match signal {
            9 | 19 if !self.dice.one_in(20) => 10,
            _ => signal,
        }
    }

    fn mknod_mode(&mut self) -> u64 {
        let kinds = [
            0, 0o010_000, 0o020_000, 0o040_000, 0o060_000, 0o100_000, 0o120_000, 0o140_000,
        ];
        self.dice.pick(&kinds).copied().unwrap_or(0) | self.number(Word::Mode) & 0o777
    }
}
