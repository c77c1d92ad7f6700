//! The ELF image: headers and symbol tables in the first page, code in the second.
//!
//! What C libraries and language runtimes look at is there: one loadable segment, the dynamic section with
//! symbols, hash table and versions (`LINUX_2.6`). There are no section headers.

use crate::code;

/// Bytes of the image: two pages.
pub const IMAGE_LEN: usize = 2 * PAGE;
const PAGE: usize = 4096;
/// Where the code is.
const CODE_AT: usize = PAGE;

const SONAME: &str = "linux-vdso.so.1";
const VERSION: &str = "LINUX_2.6";

const EHDR_LEN: usize = 64;
const PHDR_LEN: usize = 56;
const SYM_LEN: usize = 24;

/// Bytes that grow, with everything little-endian.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: usize) -> &mut Self {
        self.0.extend((value as u64).to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }
}

/// The strings of symbols and versions, each once, by offset.
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        let at = self.0.len();
        self.0.extend(text.as_bytes());
        self.0.push(0);
        u32::try_from(at).expect("the strings fit a page")
    }
}

/// The System V hash of a name (gABI, *Hash Table*).
fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

struct Symbol {
    name: String,
    name_at: u32,
    value: usize,
}

/// A part of the first page.
struct Section {
    at: usize,
    bytes: Vec<u8>,
}

/// Puts parts one behind the other.
struct Layout(usize);

impl Layout {
    fn place(&mut self, bytes: Vec<u8>) -> Section {
        let at = self.0.next_multiple_of(16);
        self.0 = at + bytes.len();
        Section { at, bytes }
    }
}

/// The image, [`IMAGE_LEN`] bytes, to be mapped readable and executable right above the parameter page.
#[must_use]
pub fn image() -> Vec<u8> {
    let mut strings = Strings(vec![0]);
    let soname = strings.add(SONAME);
    let version = strings.add(VERSION);
    let symbols = symbols(&mut strings);

    let mut layout = Layout(EHDR_LEN + 2 * PHDR_LEN);
    let hash = layout.place(hash_table(&symbols));
    let symtab = layout.place(symbol_table(&symbols));
    let strtab = layout.place(strings.0);
    let versym = layout.place(version_table(&symbols));
    let verdef = layout.place(version_definitions(soname, version));
    let strsz = strtab.bytes.len();
    let dynamic = layout.place(dynamic(
        soname, &hash, &symtab, &strtab, strsz, &versym, &verdef,
    ));

    let mut image = vec![0; IMAGE_LEN];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &headers(&dynamic));
    for section in [&hash, &symtab, &strtab, &versym, &verdef, &dynamic] {
        put(section.at, &section.bytes);
    }
    put(CODE_AT, code::bytes());
    image
}

fn symbols(strings: &mut Strings) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for function in code::functions() {
        for name in [
            format!("__vdso_{}", function.name),
            function.name.to_owned(),
        ] {
            symbols.push(Symbol {
                name_at: strings.add(&name),
                name,
                value: CODE_AT + function.offset,
            });
        }
    }
    symbols
}

/// `DT_HASH`: one bucket is enough for ten symbols.
fn hash_table(symbols: &[Symbol]) -> Vec<u8> {
    let nr_symbols = u32::try_from(symbols.len() + 1).expect("a handful of symbols");
    let mut out = Bytes::default();
    out.u32(1).u32(nr_symbols).u32(1);
    // Each symbol's successor in the one chain; the first symbol is the undefined one.
    out.u32(0);
    for index in 1..nr_symbols {
        out.u32(if index + 1 < nr_symbols { index + 1 } else { 0 });
    }
    out.0
}

fn symbol_table(symbols: &[Symbol]) -> Vec<u8> {
    const GLOBAL_FUNCTION: u8 = 1 << 4 | 2;
    const WEAK_FUNCTION: u8 = 2 << 4 | 2;
    // There are no sections; any number but 0 says that the symbol is defined.
    const SECTION: u16 = 1;
    let mut out = Bytes(vec![0; SYM_LEN]);
    for symbol in symbols {
        let info = if symbol.name.starts_with("__vdso_") {
            GLOBAL_FUNCTION
        } else {
            WEAK_FUNCTION
        };
        out.u32(symbol.name_at).bytes(&[info, 0]).u16(SECTION);
        out.u64(symbol.value).u64(0);
    }
    out.0
}

/// `DT_VERSYM`: every symbol has version 2, which is [`VERSION`].
fn version_table(symbols: &[Symbol]) -> Vec<u8> {
    let mut out = Bytes::default();
    out.u16(0);
    for _ in symbols {
        out.u16(2);
    }
    out.0
}

/// `DT_VERDEF`: the object itself, and [`VERSION`].
fn version_definitions(soname: u32, version: u32) -> Vec<u8> {
    const BASE: u16 = 1;
    let mut out = Bytes::default();
    out.u16(1)
        .u16(BASE)
        .u16(1)
        .u16(1)
        .u32(elf_hash(SONAME))
        .u32(20)
        .u32(28);
    out.u32(soname).u32(0);
    out.u16(1)
        .u16(0)
        .u16(2)
        .u16(1)
        .u32(elf_hash(VERSION))
        .u32(20)
        .u32(0);
    out.u32(version).u32(0);
    out.0
}

fn dynamic(
    soname: u32,
    hash: &Section,
    symtab: &Section,
    strtab: &Section,
    strsz: usize,
    versym: &Section,
    verdef: &Section,
) -> Vec<u8> {
    let mut out = Bytes::default();
    let entries = [
        (14, soname as usize),
        (4, hash.at),
        (5, strtab.at),
        (6, symtab.at),
        (10, strsz),
        (11, SYM_LEN),
        (0x6fff_fff0, versym.at),
        (0x6fff_fffc, verdef.at),
        (0x6fff_fffd, 2),
        (0, 0),
    ];
    for (tag, value) in entries {
        out.u64(tag).u64(value);
    }
    out.0
}

fn headers(dynamic: &Section) -> Vec<u8> {
    const READ: u32 = 4;
    const EXECUTE: u32 = 1;
    let mut out = Bytes::default();
    out.bytes(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]).u64(0);
    // ET_DYN, EM_X86_64, EV_CURRENT, entry, program headers, no section headers, flags.
    out.u16(3).u16(62).u32(1).u64(0).u64(EHDR_LEN).u64(0).u32(0);
    out.u16(64).u16(56).u16(2).u16(64).u16(0).u16(0);
    // PT_LOAD: all of it.
    out.u32(1).u32(READ | EXECUTE).u64(0).u64(0).u64(0);
    out.u64(IMAGE_LEN).u64(IMAGE_LEN).u64(PAGE);
    // PT_DYNAMIC
    let (at, len) = (dynamic.at, dynamic.bytes.len());
    out.u32(2)
        .u32(READ)
        .u64(at)
        .u64(at)
        .u64(at)
        .u64(len)
        .u64(len)
        .u64(8);
    out.0
}

#[cfg(test)]
mod tests;
