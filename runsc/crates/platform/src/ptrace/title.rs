//! The command line that the host's `ps` shows for a stub (`/proc/PID/cmdline`, `man 5 proc`).
//!
//! The kernel reads it from where `PR_SET_MM_MAP` says, out of anonymous memory alone. So the master
//! has a page of its own for it, and says so before it is filtered; every stub inherits both. The
//! text is written with ptrace, when somebody lists the container's processes: until then the page
//! is no memory. Application code can read it, and change nothing: it is read-only, and beyond the
//! addresses that the application may map.

use super::code::{self, TITLE, data};
use super::tracee::{Call, Tracee};
use crate::Result;
use abi::PAGE_SIZE;

const WORD_BYTES: usize = size_of::<u64>();
/// Where the page's last word is. Its last byte is not zero, which tells the kernel to show the text
/// up to the first zero, as of a program that has changed its own command line.
const MARK_AT: usize = TITLE + PAGE_SIZE - WORD_BYTES;
/// What of a command line there is room for, with a zero behind it.
const MOST_BYTES: usize = PAGE_SIZE - WORD_BYTES - 1;
/// Bytes of `struct prctl_mm_map`.
const MEMORY_MAP_BYTES: usize = 104;
/// `exe_fd` of a caller who leaves the executable as it is.
const NO_FILE: u64 = 0xffff_ffff;

/// `struct prctl_mm_map` (`linux/prctl.h`): the arguments are the page, everything else is a place
/// that the kernel accepts. The auxiliary vector and the executable stay as they are.
pub(super) fn memory_map() -> Vec<u8> {
    let (code, title, end) = (code::BASE, TITLE, TITLE + PAGE_SIZE);
    let (segments, heap_and_stack) = ([code, title, code, code], [title; 3]);
    let (arguments, environment) = ([title, end], [end; 2]);
    let addresses = [&segments[..], &heap_and_stack, &arguments, &environment].concat();
    let addresses = addresses.into_iter().map(|address| address as u64);
    let (auxv, auxv_len_and_file) = (0, NO_FILE << 32);
    let words = addresses.chain([auxv, auxv_len_and_file]);
    words.flat_map(u64::to_ne_bytes).collect()
}

/// Makes the page, and the kernel read it, in the master.
///
/// # Errors
/// `EINVAL` from a kernel without `CONFIG_CHECKPOINT_RESTORE`.
pub(super) fn keep(master: &Tracee) -> Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let word = |value: i32| u64::from(value.cast_unsigned());
    let map: Call = (
        libc::SYS_mmap,
        [
            TITLE as u64,
            PAGE_SIZE as u64,
            word(libc::PROT_READ),
            word(flags),
            u64::MAX,
            0,
        ],
    );
    let set: Call = (
        libc::SYS_prctl,
        [
            word(libc::PR_SET_MM),
            word(libc::PR_SET_MM_MAP),
            data::MEMORY_MAP as u64,
            MEMORY_MAP_BYTES as u64,
            0,
            0,
        ],
    );
    master.call(map)?;
    master.call(set).map(drop)
}

/// Writes a command line into the page of a stopped thread's process.
///
/// # Errors
/// `ESRCH` when the process is gone, `EIO` when there is no such page.
pub(super) fn write(tracee: &Tracee, command_line: &[u8]) -> Result<()> {
    let shown = command_line.len().min(MOST_BYTES);
    let mut text = command_line.get(..shown).unwrap_or_default().to_vec();
    text.push(0);
    let poke = |at, bytes| host::ptrace::poke(tracee.tid(), at, u64::from_ne_bytes(bytes));
    for (at, piece) in (TITLE..).step_by(WORD_BYTES).zip(text.chunks(WORD_BYTES)) {
        let mut word = [0; WORD_BYTES];
        for (to, from) in word.iter_mut().zip(piece) {
            *to = *from;
        }
        poke(at, word)?;
    }
    poke(MARK_AT, [0, 0, 0, 0, 0, 0, 0, 1])
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Machine};
    use super::*;

    #[test]
    fn the_host_shows_a_command_line_that_may_be_written_again() {
        let machine = Machine::new(Config::default()).unwrap();
        let stub = machine.take_stub().unwrap();
        let shown = || std::fs::read(format!("/proc/{}/cmdline", stub.pid())).unwrap();
        for line in ["sleep 1000000", "sh", ""] {
            stub.name(b"sleep", line.as_bytes());
            assert_eq!(shown(), [line.as_bytes(), b"\0"].concat());
        }
        let long = "x".repeat(2 * PAGE_SIZE);
        stub.name(b"sleep", long.as_bytes());
        assert_eq!(shown().len(), MOST_BYTES + 1);
        machine.give_back_stub(&stub);
    }

    #[test]
    fn the_next_program_gets_a_stub_without_a_name() {
        let machine = Machine::new(Config::default()).unwrap();
        let stub = machine.take_stub().unwrap();
        stub.name(b"sh", b"sh -c secret");
        machine.give_back_stub(&stub);
        let next = machine.take_stub().unwrap();
        assert_ne!(next.pid(), stub.pid());
        let shown = std::fs::read(format!("/proc/{}/cmdline", next.pid())).unwrap();
        assert!(shown.iter().all(|byte| *byte == 0), "{shown:?}");
        machine.give_back_stub(&next);
    }
}
