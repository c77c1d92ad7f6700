//! `memfd_create(2)`

use abi::Errno;

use super::descriptor;
use crate::error::SyscallResult;
use crate::fs::memfd;
use crate::kernel::task::Task;
use crate::syscalls::args::UserText;
use crate::syscalls::declare::calls;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file_count;
use crate::vfs::seals::SealFlags;

calls! {
    319 memfd_create(name: UserText, flags: u32 as Flags(file::MEMFD))
        => partial("huge pages are an ordinary file") [
            "madvise::memfd_flags",
            "openat::files_that_are_opened_are_large",
        ];
}

/// `MFD_CLOEXEC` and the others of `man 2 memfd_create`.
const CLOEXEC: u32 = 1;
const ALLOW_SEALING: u32 = 2;
const HUGETLB: u32 = 4;
const NOEXEC_SEAL: u32 = 8;
const EXEC: u32 = 16;
/// Where the size of huge pages is.
const HUGE_SIZE: u32 = 0x3f << 26;
/// Longest name: what is left of 255 bytes behind `memfd:`.
const MOST_NAME: usize = 249;

fn memfd_create(task: &Task, name: UserText, flags: u32) -> SyscallResult {
    let mut known = CLOEXEC | ALLOW_SEALING | HUGETLB | NOEXEC_SEAL | EXEC;
    if flags & HUGETLB != 0 {
        known |= HUGE_SIZE;
    }
    if flags & !known != 0 || flags & (NOEXEC_SEAL | EXEC) == NOEXEC_SEAL | EXEC {
        return Err(Errno::EINVAL.into());
    }
    let name = name
        .read(task, MOST_NAME + 1)
        .map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::EINVAL,
            other => other,
        })?;
    let (permissions, seals) = if flags & NOEXEC_SEAL != 0 {
        (0o666, SealFlags::EXEC)
    } else if flags & ALLOW_SEALING != 0 {
        (0o777, SealFlags::empty())
    } else {
        (0o777, SealFlags::SEAL)
    };
    let limit = descriptor::limit(task);
    let files = task.files();
    files.check_room(limit)?;
    let file = memfd::open(task, &name, permissions, seals)?;
    file_count::count(task, &file)?;
    let descriptor = Descriptor {
        file,
        close_on_exec: flags & CLOEXEC != 0,
    };
    let fd = files.insert(descriptor, 0, limit)?;
    Ok(u64::from(fd.unsigned_abs()))
}
