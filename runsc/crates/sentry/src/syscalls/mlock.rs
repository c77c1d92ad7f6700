//! `man 2 mlock`: mlock, mlock2, munlock, mlockall, munlockall.

use abi::Errno;
use abi::raw::general as nr;

use super::mmap::limits;
use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::partial(nr::__NR_mlock, "mlock", mlock, LACKS),
    Call::partial(nr::__NR_mlock2, "mlock2", mlock2, LACKS),
    Call::full(nr::__NR_munlock, "munlock", munlock),
    Call::partial(nr::__NR_mlockall, "mlockall", mlockall, LACKS),
    Call::full(nr::__NR_munlockall, "munlockall", munlockall),
];

const LACKS: &str = "counted and populated, but the host may still swap";
const MLOCK_ONFAULT: u32 = 1;

fn mlock(task: &Task, args: &SyscallArgs) -> SyscallResult {
    task.mm()
        .lock(args.usize(0), args.usize(1), false, &limits(task))?;
    Ok(0)
}

fn mlock2(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(2);
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL.into());
    }
    let on_fault = flags & MLOCK_ONFAULT != 0;
    task.mm()
        .lock(args.usize(0), args.usize(1), on_fault, &limits(task))?;
    Ok(0)
}

fn munlock(task: &Task, args: &SyscallArgs) -> SyscallResult {
    task.mm().unlock(args.usize(0), args.usize(1))?;
    Ok(0)
}

fn mlockall(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(0);
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

fn munlockall(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    task.mm().unlock_all();
    Ok(0)
}
