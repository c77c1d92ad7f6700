//! Temporary directories and files.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::case::Failure;
use crate::support::fd::{self, Fd};
use crate::support::process;
use crate::sys::{self, SysError};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A directory in `/tmp` that is removed with all that is in it.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: String,
    owner: i32,
}

impl TempDir {
    /// Makes it, mode 0777.
    pub(crate) fn new() -> Result<Self, Failure> {
        let owner = process::getpid();
        loop {
            let path = format!("/tmp/st-{owner}-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
            match sys!(SYS_mkdir, &cstring(&path), 0o777) {
                // Of a run that was killed.
                Err(error) if error.errno == libc::EEXIST => {}
                made => {
                    made?;
                    sys!(SYS_chmod, &cstring(&path), 0o777)?;
                    return Ok(Self { path, owner });
                }
            }
        }
    }

    /// The directory's path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path of an entry.
    pub(crate) fn join(&self, name: &str) -> CString {
        cstring(&format!("{}/{name}", self.path))
    }

    /// Opens the directory itself.
    pub(crate) fn open(&self) -> Result<Fd, SysError> {
        fd::open(&cstring(&self.path), libc::O_RDONLY | libc::O_DIRECTORY, 0)
    }

    /// Makes a file with these bytes, mode 0644.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> Result<CString, SysError> {
        let path = self.join(name);
        let file = fd::open(&path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, 0o644)?;
        if !bytes.is_empty() {
            file.write(bytes)?;
        }
        Ok(path)
    }

    /// Makes a file with these bytes and opens it for reading and writing, at offset 0.
    pub(crate) fn open_file(&self, name: &str, bytes: &[u8]) -> Result<Fd, SysError> {
        fd::open(&self.file(name, bytes)?, libc::O_RDWR, 0)
    }

    /// Makes a directory, mode 0755.
    pub(crate) fn dir(&self, name: &str) -> Result<CString, SysError> {
        let path = self.join(name);
        sys!(SYS_mkdir, &path, 0o755)?;
        Ok(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if process::getpid() == self.owner {
            // What can't be removed stays in /tmp.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The string with a NUL at its end; what follows a NUL in it is lost.
pub(crate) fn cstring(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().take_while(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

/// Status of a path, following symbolic links.
pub(crate) fn stat(path: &CStr) -> Result<libc::stat, SysError> {
    let mut stat = sys::zeroed::<libc::stat>();
    sys!(SYS_stat, path, &mut stat)?;
    Ok(stat)
}

/// Status of a path itself.
pub(crate) fn lstat(path: &CStr) -> Result<libc::stat, SysError> {
    let mut stat = sys::zeroed::<libc::stat>();
    sys!(SYS_lstat, path, &mut stat)?;
    Ok(stat)
}

/// The bytes of the file at this path.
pub(crate) fn contents(path: &CStr) -> Result<Vec<u8>, SysError> {
    fd::open(path, libc::O_RDONLY, 0)?.read_all()
}
