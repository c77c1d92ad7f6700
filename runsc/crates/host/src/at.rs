//! Calls around `O_PATH` descriptors that rustix lacks.
#![expect(unsafe_code, reason = "raw system calls that rustix does not wrap")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::{Errno, Result};

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

/// A file handle as `name_to_handle_at(2)` gives it: of two files of one mount with equal ones, both are the
/// same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The mount that it was asked through.
    pub mount: i32,
    /// Its type, the file system's own.
    pub kind: i32,
    /// The handle.
    pub bytes: Vec<u8>,
}

/// `struct file_handle` with room for the longest.
#[repr(C)]
struct Raw {
    len: u32,
    kind: i32,
    bytes: [u8; HANDLE_MAX],
}

/// `MAX_HANDLE_SZ`
const HANDLE_MAX: usize = 128;
/// `AT_HANDLE_FID`: a handle to tell files apart by, which need not serve for opening.
const AT_HANDLE_FID: libc::c_int = 0x200;

/// The handle of `name` in `dir`, a symbolic link not followed; with an empty name that of what `dir` is
/// open on.
///
/// # Errors
/// Those of `name_to_handle_at(2)`; `EOPNOTSUPP` if the file system has none.
pub fn file_handle(dir: BorrowedFd<'_>, name: &CStr) -> Result<Handle> {
    match handle_with(dir, name, AT_HANDLE_FID) {
        // Before Linux 6.5 there are only those for opening.
        Err(Errno::EINVAL) => handle_with(dir, name, 0),
        result => result,
    }
}

fn handle_with(dir: BorrowedFd<'_>, name: &CStr, flags: libc::c_int) -> Result<Handle> {
    let mut raw = Raw {
        len: u32::try_from(HANDLE_MAX).unwrap_or(0),
        kind: 0,
        bytes: [0; HANDLE_MAX],
    };
    let mut mount: libc::c_int = 0;
    let empty_path = if name.is_empty() { AT_EMPTY_PATH } else { 0 };
    // SAFETY: the path is NUL-terminated; `raw` starts with the room that it has, which the kernel does not
    // exceed, and `mount` is an int; all live during the call.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw mut raw,
            &raw mut mount,
            flags | empty_path,
        )
    };
    check(ret)?;
    let len = usize::try_from(raw.len).unwrap_or(HANDLE_MAX);
    Ok(Handle {
        mount,
        kind: raw.kind,
        bytes: raw.bytes.get(..len).unwrap_or_default().to_vec(),
    })
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
