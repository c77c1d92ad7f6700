//! What a core dump would hold: `/proc/self/coredump_filter` of core(5).

use std::ffi::CStr;

use crate::case::Outcome;
use crate::support::{fd, file, process};
use crate::sys::SysError;

cases!(filter_is_kept, filter_takes_numbers);

const FILTER: &CStr = c"/proc/self/coredump_filter";

fn set(text: &[u8]) -> Result<usize, SysError> {
    fd::open(FILTER, libc::O_WRONLY | libc::O_TRUNC, 0)?.write(text)
}

/// core(5): children and programs that are executed inherit it.
fn filter_is_kept() -> Outcome {
    check_eq!(file::stat(FILTER)?.st_mode & 0o7777, 0o644);
    check_eq!(file::contents(FILTER)?, b"00000033\n");
    check_eq!(set(b"0x7f\n")?, 5);
    check_eq!(file::contents(FILTER)?, b"0000007f\n");
    process::in_child(|| {
        check_eq!(file::contents(FILTER)?, b"0000007f\n");
        check_eq!(
            super::execve::helper(&["dumpfilter"], || Ok(()))?,
            "0000007f"
        );
        set(b"0")?;
        Ok(())
    })?;
    check_eq!(file::contents(FILTER)?, b"0000007f\n");
    Ok(())
}

fn filter_takes_numbers() -> Outcome {
    for (text, filter) in [
        ("0x33", 0x33),
        ("0X7f", 0x7f),
        ("063", 0o63),
        ("63", 63),
        ("+5\n", 5),
        ("0", 0),
        // Of the bits, nine have a meaning.
        ("0xffffffff", 0x1ff),
        // What stands behind a zero byte is not looked at.
        ("0x11\0x", 0x11),
    ] {
        check_eq!(set(text.as_bytes())?, text.len());
        check_eq!(
            (text, file::contents(FILTER)?),
            (text, format!("{filter:08x}\n").into_bytes())
        );
    }
    for text in [
        "garbage", "", "\n", "0x", "-1", " 5", "5 ", "5\n\n", "08", "5x", "+-5",
    ] {
        match set(text.as_bytes()) {
            Err(error) if error.errno == libc::EINVAL => {}
            other => fail!("{text:?} is {other:?}"),
        }
    }
    errno_is!(set(b"0x1ffffffff"), ERANGE);
    check_eq!(file::contents(FILTER)?, b"00000011\n");
    Ok(())
}
