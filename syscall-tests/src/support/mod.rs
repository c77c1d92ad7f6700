//! What the tests share: processes, descriptors, files, memory, signals, clocks and credentials.

#![expect(unsafe_code, reason = "the auxiliary vector is the C library's")]

pub(crate) mod creds;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod inet;
pub(crate) mod map;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod time;

/// An entry of the auxiliary vector.
pub(crate) fn auxv(key: u64) -> Option<u64> {
    // SAFETY: both functions read thread-local or constant data of the C library.
    let (value, errno) = unsafe {
        *libc::__errno_location() = 0;
        (libc::getauxval(key), *libc::__errno_location())
    };
    (errno == 0).then_some(value)
}
