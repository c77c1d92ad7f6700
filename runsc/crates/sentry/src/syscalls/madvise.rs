//! `man 2 madvise`, `process_madvise`, msync, mincore.

use abi::raw::general as nr;
use abi::{Errno, PAGE_SIZE};
use mm::user_ptr::UserPtr;
use mm::vma::VmaFlags;
use mm::{AddressSpace, Advice};
use platform::Access;

use super::process_vm;
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;

calls! {
    28 madvise(address: UserPtr<u8>, len: usize, advice: u32 as OneOf(memory::MADVISE))
        => partial("memory errors (MADV_HWPOISON, MADV_SOFT_OFFLINE), guard regions") [
            "madvise::madvise_errors",
        ];
    440 process_madvise(
        pidfd: Fd,
        ranges: UserPtr<u8> as Before(file::ranges),
        count: usize,
        number: u32 as OneOf(memory::MADVISE),
        flags: u32,
    )
        => partial("advice that changes contents of another process");
    26 msync(address: UserPtr<u8>, len: usize, flags: u32 as Flags(memory::MSYNC))
        => full ["madvise::msync_errors"];
    27 mincore(address: UserPtr<u8>, len: usize, vector: UserPtr<u8>)
        => full ["madvise::mincore_reports_residency"];
}

/// What a number of `madvise(2)` means; EINVAL.
fn decode(number: u32) -> Result<Advice> {
    let flags = |set, clear| Advice::Flags { set, clear };
    let none = VmaFlags::empty();
    let order = VmaFlags::SEQUENTIAL | VmaFlags::RANDOM;
    Ok(match number {
        nr::MADV_NORMAL => flags(none, order),
        nr::MADV_RANDOM => flags(VmaFlags::RANDOM, VmaFlags::SEQUENTIAL),
        nr::MADV_SEQUENTIAL => flags(VmaFlags::SEQUENTIAL, VmaFlags::RANDOM),
        nr::MADV_WILLNEED | nr::MADV_COLD | nr::MADV_PAGEOUT | nr::MADV_COLLAPSE => Advice::Hint,
        nr::MADV_DONTNEED => Advice::DontNeed,
        nr::MADV_DONTNEED_LOCKED => Advice::DontNeedLocked,
        nr::MADV_FREE => Advice::Free,
        nr::MADV_REMOVE => Advice::Remove,
        nr::MADV_DONTFORK => flags(VmaFlags::DONT_FORK, none),
        nr::MADV_DOFORK => flags(none, VmaFlags::DONT_FORK),
        nr::MADV_MERGEABLE => flags(VmaFlags::MERGEABLE, none),
        nr::MADV_UNMERGEABLE => flags(none, VmaFlags::MERGEABLE),
        nr::MADV_HUGEPAGE => flags(VmaFlags::HUGE_PAGE, VmaFlags::NO_HUGE_PAGE),
        nr::MADV_NOHUGEPAGE => flags(VmaFlags::NO_HUGE_PAGE, VmaFlags::HUGE_PAGE),
        nr::MADV_DONTDUMP => flags(VmaFlags::DONT_DUMP, none),
        nr::MADV_DODUMP => flags(none, VmaFlags::DONT_DUMP),
        nr::MADV_WIPEONFORK => flags(VmaFlags::WIPE_ON_FORK, none),
        nr::MADV_KEEPONFORK => flags(none, VmaFlags::WIPE_ON_FORK),
        nr::MADV_POPULATE_READ => Advice::Populate(Access::READ),
        nr::MADV_POPULATE_WRITE => Advice::Populate(Access::WRITE),
        _ => return Err(Errno::EINVAL),
    })
}

fn madvise(task: &Task, address: UserPtr<u8>, len: usize, advice: u32) -> SyscallResult {
    let advice = decode(advice)?;
    task.mm().advise(address.address(), len, advice)?;
    Ok(0)
}

fn process_madvise(
    task: &Task,
    pidfd: Fd,
    ranges: UserPtr<u8>,
    count: usize,
    number: u32,
    flags: u32,
) -> SyscallResult {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let group = crate::fs::pidfd::group_of(&*task.files().get(pidfd)?)?.clone();
    let target = group.leader().ok_or(Errno::ESRCH)?;
    let own = std::sync::Arc::ptr_eq(task.group(), &group);
    let advice = decode(number)?;
    if !own && !matches!(advice, Advice::Hint) {
        return Err(Errno::EINVAL.into());
    }
    let mm = process_vm::memory_of(task, &target)?;
    let ranges = process_vm::ranges(&task.mm(), ranges.address(), count)?;
    advise_all(&mm, &ranges, advice)
}

fn advise_all(mm: &AddressSpace, ranges: &[(usize, usize)], advice: Advice) -> SyscallResult {
    let mut done = 0_u64;
    for &(address, len) in ranges {
        match mm.advise(address, len, advice) {
            Ok(()) => done = done.saturating_add(len as u64),
            Err(error) if done == 0 => return Err(error.into()),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn msync(task: &Task, address: UserPtr<u8>, len: usize, flags: u32) -> SyscallResult {
    let known = nr::MS_ASYNC | nr::MS_SYNC | nr::MS_INVALIDATE;
    let both = nr::MS_ASYNC | nr::MS_SYNC;
    if flags & !known != 0 || flags & both == both {
        return Err(Errno::EINVAL.into());
    }
    let (wait, invalidate) = (flags & nr::MS_SYNC != 0, flags & nr::MS_INVALIDATE != 0);
    task.mm().sync(address.address(), len, wait, invalidate)?;
    Ok(0)
}

/// Bytes of memory that `mincore` looks at between two stores of what it found.
const MINCORE_STEP: usize = 1 << 30;

fn mincore(task: &Task, address: UserPtr<u8>, len: usize, vector: UserPtr<u8>) -> SyscallResult {
    let address = address.address();
    let vector = vector.address();
    let mm = task.mm();
    let mut done = 0;
    loop {
        task.interruption_point()?;
        let step = (len - done).min(MINCORE_STEP);
        let at = address.checked_add(done).ok_or(Errno::ENOMEM)?;
        let residency = mm.residency(at, step)?;
        let to = vector.checked_add(done / PAGE_SIZE);
        mm.write_bytes(to.ok_or(Errno::EFAULT)?, &residency)?;
        done += step;
        if done == len {
            return Ok(0);
        }
    }
}
