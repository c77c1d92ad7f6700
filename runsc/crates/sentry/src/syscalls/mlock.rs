//! `man 2 mlock`: mlock, mlock2, munlock, mlockall, munlockall.

use abi::Errno;
use abi::raw::general as nr;
use mm::user_ptr::UserPtr;

use super::mmap::limits;
use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    149 mlock(address: UserPtr<u8>, len: usize)
        => partial(LACKS) ["madvise::mlock_limits", "madvise::mlockall_and_status"];
    325 mlock2(address: UserPtr<u8>, len: usize, flags: u32 as Flags(memory::MLOCK))
        => partial(LACKS) ["madvise::mlockall_and_status"];
    150 munlock(address: UserPtr<u8>, len: usize) => full ["madvise::mlock_limits"];
    151 mlockall(flags: u32 as Flags(memory::MLOCKALL)) => partial(LACKS) ["madvise::mlockall_and_status"];
    152 munlockall() => full ["madvise::mlockall_and_status"];
}

const LACKS: &str = "counted and populated, but the host may still swap";
const MLOCK_ONFAULT: u32 = 1;

fn mlock(task: &Task, address: UserPtr<u8>, len: usize) -> SyscallResult {
    task.mm()
        .lock(address.address(), len, false, &limits(task))?;
    Ok(0)
}

fn mlock2(task: &Task, address: UserPtr<u8>, len: usize, flags: u32) -> SyscallResult {
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL.into());
    }
    let on_fault = flags & MLOCK_ONFAULT != 0;
    task.mm()
        .lock(address.address(), len, on_fault, &limits(task))?;
    Ok(0)
}

fn munlock(task: &Task, address: UserPtr<u8>, len: usize) -> SyscallResult {
    task.mm().unlock(address.address(), len)?;
    Ok(0)
}

fn mlockall(task: &Task, flags: u32) -> SyscallResult {
    let known = nr::MCL_CURRENT | nr::MCL_FUTURE | nr::MCL_ONFAULT;
    if flags & !known != 0 || flags & (nr::MCL_CURRENT | nr::MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL.into());
    }
    let has = |flag| flags & flag != 0;
    task.mm().lock_all(
        has(nr::MCL_CURRENT),
        has(nr::MCL_FUTURE),
        has(nr::MCL_ONFAULT),
        &limits(task),
    )?;
    Ok(0)
}

fn munlockall(task: &Task) -> SyscallResult {
    task.mm().unlock_all();
    Ok(0)
}
