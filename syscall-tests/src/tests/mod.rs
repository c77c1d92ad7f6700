//! The tests, a file per family of calls.

use crate::case::Case;

macro_rules! families {
    ($($family:ident),+ $(,)?) => {
        $(mod $family;)+
        const FAMILIES: &[&[Case]] = &[$($family::CASES),+];
    };
}

families!(
    aio,
    clone,
    coredump,
    creds,
    dup,
    eintr,
    eventfd,
    exception,
    execve,
    fault,
    forms,
    futex,
    huge_pages,
    killable,
    limits,
    link,
    lock,
    madvise,
    mapped_files,
    mmap,
    mmap_place,
    mount_lock,
    mqueue,
    namespace,
    openat,
    path,
    pipe,
    poll,
    procfs,
    ptrace,
    read,
    registers,
    seccomp,
    security,
    session,
    signal,
    stat,
    sysfs,
    sysv,
    tcp,
    time,
    torture,
    truncate,
    udp,
    unix,
    unix_control,
    user_limits,
    wait,
);

/// Every test.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    FAMILIES.iter().copied().flatten()
}
