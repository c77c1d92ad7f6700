//! The tests, a file per family of calls.

use crate::case::Case;

macro_rules! families {
    ($($family:ident),+ $(,)?) => {
        $(mod $family;)+
        const FAMILIES: &[&[Case]] = &[$($family::CASES),+];
    };
}

families!(
    clone, creds, eintr, eventfd, execve, fault, futex, link, madvise, mmap, openat, path, pipe,
    poll, read, session, signal, time, unix, wait,
);

/// Every test.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    FAMILIES.iter().copied().flatten()
}
