//! What happens when this process makes a system call that its own filter does not allow: a line
//! that names process and call, in the logs and to the user, and the end of the process.

#![expect(
    unsafe_code,
    reason = "a signal handler that makes async-signal-safe calls only"
)]

use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::{Errno, Result, errno};

/// What the process ends with.
const EXIT_CODE: i32 = 128;
/// Room for the line.
const LINE_MAX: usize = 192;

/// Who says where that a call was refused. The descriptors must stay open for the life of the process.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// What the process is to the user: `gofer`, `sandbox`.
    pub process: &'static str,
    /// Its debug log.
    pub log: Option<i32>,
    /// What the user reads.
    pub user: Option<i32>,
    /// The user's is a log of JSON objects.
    pub user_is_json: bool,
    /// Where the line is kept for whoever asks later.
    pub kept: Option<LastWords>,
}

/// How long a file of last words is.
pub const LAST_WORDS_BYTES: u64 = abi::PAGE_SIZE as u64;

/// A page of a file that outlives the process, mapped for its life: this process, which may be hostile later, can write
/// nothing else of the host through it.
#[derive(Clone, Copy, Debug)]
pub struct LastWords(NonNull<u8>);

// SAFETY: it points to memory that stays mapped for the life of the process; only the handler of a signal writes there,
// whole bytes, and nothing of this process reads it.
unsafe impl Send for LastWords {}
// SAFETY: as above.
unsafe impl Sync for LastWords {}

impl LastWords {
    /// Maps `file`, of [`LAST_WORDS_BYTES`], and closes it.
    ///
    /// # Errors
    /// Those of `mmap(2)`.
    pub fn map(file: OwnedFd) -> Result<LastWords> {
        let (len, prot) = (abi::PAGE_SIZE, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: the kernel chooses the address, so that nothing else is mapped there.
        let mapped = unsafe { mmap(std::ptr::null_mut(), len, prot, MapFlags::SHARED, &file, 0) };
        let start = mapped.map_err(errno)?.cast();
        NonNull::new(start).map(LastWords).ok_or(Errno::ENOMEM)
    }

    fn set(self, line: &Line) {
        // SAFETY: the page is mapped for writing and is longer than a line; the line is no part of it.
        unsafe {
            self.0
                .copy_from_nonoverlapping(NonNull::from(&line.bytes).cast(), line.len);
        };
    }
}

/// A process has one filter, one handler and one report.
static REPORT: OnceLock<Report> = OnceLock::new();

/// Installs the SIGSYS handler.
///
/// # Errors
/// Those of sigaction; `EALREADY` for a second one.
pub fn install_handler(report: Report) -> Result<()> {
    REPORT.set(report).map_err(|_| Errno::EALREADY)?;
    // SAFETY: `action` is fully initialised and alive during the call; `denied` has the signature
    // that SA_SIGINFO asks for and makes only async-signal-safe calls.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = denied;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut())
    };
    if result < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

extern "C" fn denied(_signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo; for SIGSYS, `si_syscall` is the
    // int at offset 24 (asm-generic/siginfo.h).
    let number = unsafe { info.cast::<u8>().add(24).cast::<i32>().read_unaligned() };
    if let Some(report) = REPORT.get() {
        if let Some(kept) = report.kept {
            kept.set(&Line::new(report.process, number, false));
        }
        write(report.log, Line::new(report.process, number, false));
        write(
            report.user,
            Line::new(report.process, number, report.user_is_json),
        );
    }
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(EXIT_CODE) }
}

fn write(fd: Option<i32>, line: Line) {
    let Some(fd) = fd else { return };
    // SAFETY: write gets a pointer to the line, which lives during the call, and at most its length. That
    // it fails changes nothing: the process ends.
    unsafe {
        libc::write(fd, line.bytes.as_ptr().cast(), line.len);
    }
}

/// A line made without allocating, which a signal handler must not.
struct Line {
    bytes: [u8; LINE_MAX],
    len: usize,
}

impl Line {
    fn new(process: &str, number: i32, is_json: bool) -> Line {
        let mut line = Line {
            bytes: [0; LINE_MAX],
            len: 0,
        };
        if is_json {
            line.push("{\"level\":\"error\",\"msg\":\"");
        }
        line.push("the ");
        line.push(process);
        line.push("'s filter does not allow host system call ");
        line.push_number(number.unsigned_abs());
        let name = abi::syscall_names::name(number.unsigned_abs());
        line.push(" (");
        line.push(name.unwrap_or("unknown"));
        line.push("): the container ends");
        line.push(if is_json { "\"}\n" } else { "\n" });
        line
    }

    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn push_number(&mut self, number: u32) {
        let mut digits = [0; 10];
        let (mut rest, mut first) = (number, digits.len());
        while first == digits.len() || rest > 0 {
            first -= 1;
            if let Some(digit) = digits.get_mut(first) {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            }
            rest /= 10;
        }
        let digits = digits.get(first..).unwrap_or_default();
        self.push(std::str::from_utf8(digits).unwrap_or("?"));
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn line_names_process_and_call() {
        let text = |number, is_json| {
            let line = Line::new("gofer", number, is_json);
            String::from_utf8(line.bytes[..line.len].to_vec()).unwrap()
        };
        assert_eq!(
            text(306, false),
            "the gofer's filter does not allow host system call 306 (syncfs): the container ends\n"
        );
        assert_eq!(
            text(0, true),
            "{\"level\":\"error\",\"msg\":\"the gofer's filter does not allow host system call 0 (read): \
             the container ends\"}\n"
        );
        assert!(text(i32::MIN, false).contains("2147483648 (unknown)"));
    }
}
