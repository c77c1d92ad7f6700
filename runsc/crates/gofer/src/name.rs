//! Names of directory entries: the only form in which a client may say where to go.

use std::ffi::CString;

use abi::Errno;

use crate::types::Result;

/// Longest name of a directory entry in bytes (`NAME_MAX`).
pub const NAME_MAX: usize = 255;
/// Longest target of a symbolic link in bytes (`PATH_MAX` with its NUL).
pub const TARGET_MAX: usize = 4095;

/// Checks that `name` is one component: not empty, not `.` or `..`, without slash and NUL, at most
/// [`NAME_MAX`] bytes.
///
/// # Errors
/// `ENOENT` for the empty name as Linux has it, `ENAMETOOLONG` for a long one, `EINVAL` for the rest.
pub fn check(name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let special = name == b"." || name == b"..";
    if special || name.iter().any(|&byte| byte == b'/' || byte == 0) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The checked name, as the host's calls take it.
///
/// # Errors
/// Those of [`check`].
pub fn to_c(name: &[u8]) -> Result<CString> {
    check(name)?;
    CString::new(name).map_err(|_| Errno::EINVAL)
}

/// The target of a symbolic link, as the host's calls take it.
///
/// # Errors
/// `ENOENT` if empty, `ENAMETOOLONG` if long, `EINVAL` if it holds NUL.
pub fn target_to_c(target: &[u8]) -> Result<CString> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    if target.len() > TARGET_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    CString::new(target).map_err(|_| Errno::EINVAL)
}
