//! Calls around `O_PATH` descriptors that rustix lacks.
#![expect(unsafe_code, reason = "raw system calls that rustix does not wrap")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::Result;

const AT_EMPTY_PATH: libc::c_int = libc::AT_EMPTY_PATH;
const NR_FCHMODAT2: libc::c_long = 452;

/// Sets the permission bits of what `fd` names, a symbolic link not followed.
///
/// # Errors
/// Those of `fchmodat2(2)`; `ENOSYS` before Linux 6.6.
pub fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    // SAFETY: the path is a static NUL-terminated string; every other argument is a number.
    let ret = unsafe {
        libc::syscall(
            NR_FCHMODAT2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            mode,
            AT_EMPTY_PATH,
        )
    };
    check(ret).map(drop)
}

/// Gives the calling thread a root and working directory of its own (`CLONE_FS`), so that it may
/// change directory without moving the other threads.
///
/// # Errors
/// Those of `unshare(2)`.
pub fn unshare_working_directory() -> Result<()> {
    // SAFETY: the call takes a number and changes only the calling thread's fs_struct.
    let ret = unsafe { libc::unshare(libc::CLONE_FS) };
    check(libc::c_long::from(ret)).map(drop)
}

fn check(ret: libc::c_long) -> Result<usize> {
    usize::try_from(ret).map_err(|_| std::io::Error::last_os_error().into())
}
