//! Directory entries, as `getdents64(2)` stores them.

use crate::strace::names;
use crate::strace::printer::{Printer, put, size};

/// Where an entry's length is.
const LENGTH_AT: usize = 16;
/// Where an entry's name is.
const NAME_AT: usize = 19;
/// Most entries that are shown.
const MAX_SHOWN: usize = 1024;

/// One entry in user memory.
struct Entry {
    at: usize,
    ino: u64,
    offset: i64,
    len: u16,
    kind: u8,
}

/// The entries that the call stored at argument n.
pub(crate) fn entries(p: &mut Printer<'_>, n: usize) {
    let Some(filled) = p.result().map(size) else {
        return p.pointer(p.arg(n));
    };
    let (mut at, mut count) = (0, 0);
    p.text("[");
    while at < filled {
        let Some(entry) = entry(p, p.address(n).wrapping_add(at)) else {
            break;
        };
        if count > 0 {
            p.text(", ");
        }
        if count == MAX_SHOWN {
            p.text("...");
            break;
        }
        print(p, &entry);
        at += usize::from(entry.len);
        count += 1;
    }
    p.text("]");
}

/// The entry at an address, if one can be there.
fn entry(p: &Printer<'_>, at: usize) -> Option<Entry> {
    let len: u16 = p.peek(at.wrapping_add(LENGTH_AT))?;
    let entry = Entry {
        at,
        ino: p.peek(at)?,
        offset: p.peek(at.wrapping_add(8))?,
        len,
        kind: p.peek(at.wrapping_add(LENGTH_AT + 2))?,
    };
    (usize::from(len) > NAME_AT).then_some(entry)
}

fn print(p: &mut Printer<'_>, entry: &Entry) {
    let Entry {
        ino, offset, len, ..
    } = entry;
    put!(p, "{{d_ino={ino}, d_off={offset}, d_reclen={len}, d_type=");
    p.one_of(&names::file::ENTRY_TYPE, u64::from(entry.kind));
    p.text(", d_name=");
    let room = usize::from(entry.len) - NAME_AT;
    let mut name = p.bytes(entry.at.wrapping_add(NAME_AT), room);
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    p.quoted(&name);
    p.text("}");
}
